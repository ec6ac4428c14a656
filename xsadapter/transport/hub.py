"""A simulated hypervisor: rings in files, event channels in a socket and a pipe, in one directory.

    ring.N       the ring page of domain N, 4,096 bytes; made by whoever comes first
    evtchn       a datagram socket: u32 ports that fire; that of domain N is 1000 + N, 1 is "some domain changed"
    evtchn.fifo  a pipe for whole u32 ports in bulk: a datagram socket refuses most of what comes when we are busy
    port.P       a datagram socket of the guest's: gets the u32 P when the daemon notifies
    dead.N       while it exists, domain N does not
    dom.N        what the hypervisor says of domain N: its unique id in decimal, a blank, and
                 "running", "shutdown REASON" or "dying"; without the file it runs, with id 1048576 + N; a file that
                 says none of this is half written, and what it said before counts

Rules
1. A port that fired is masked until it is written back (`unmask`); what comes meanwhile is remembered
   and fires then. So whoever unmasks before it looks at the ring misses nothing, and the other way
   round something is missed, as with Xen.
2. The conventions but for evtchn.fifo, dom.N and the mask are those of tests/compat/fakexen.c, so that
   one guest drives the stock daemons and this one.
3. A guest that cuts its ring's file has broken its ring, and is mapped again when it is introduced again.
4. Notifying never blocks; a guest whose socket is full or absent is one that does not listen.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xsadapter.engine.hypervisor import FIRST_RESERVED, Life, each
from xsadapter.engine.ring import PAGE, Ring
from xsadapter.transport.page import Mapping
from xsadapter.transport.ring import RingClient
from xsadapter.transport.unmapped import unmapped

if TYPE_CHECKING:
    from collections.abc import Collection

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.recovery.journal import Journal

VIRQ: Final = 1
_FIRST_PORT: Final = 1000
_FIRST_UNIQUE: Final = 0x100000
_SAID: Final = re.compile(rb"(?P<unique>[0-9]{1,19}) (?P<state>running|shutdown [a-z]+|shutdown|dying)\s*")
_PORT: Final = struct.Struct("=I")
_AT_ONCE: Final = 4096  # bytes of ports taken from the pipe at once; datagrams are one port each
_DATAGRAMS: Final = 256


class SimulatedXen:
    """The hypervisor of one daemon; implements `transport.host.Host`."""

    def __init__(self, directory: Path, datagrams: int | None = None, pipe: int | None = None) -> None:
        """Take the directory's `evtchn` and `evtchn.fifo`, or the descriptors of who had them before; OSError."""
        self._directory, self._place = directory, str(directory)
        self.daemon: Daemon
        self.journal: Journal | None = None
        """Where the rings that come are written down."""
        self.clients: dict[int, RingClient] = {}
        """By port."""
        self._pages: dict[int, Mapping] = {}
        self._lives: dict[int, Life] = {}
        """What was said of each domain last: a file that is being written says nothing yet."""
        self._masked: dict[int, bool] = {}
        """Of each port that fired and was not written back, whether it fired again."""
        self._again: list[int] = []
        self._left = b""
        self._datagrams = self._bound() if datagrams is None else socket.socket(fileno=datagrams)
        self._datagrams.setblocking(False)
        self._pipe = self._made() if pipe is None else pipe

    def _bound(self) -> socket.socket:
        place = self._directory / "evtchn"
        place.unlink(missing_ok=True)
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        datagrams.bind(str(place))
        return datagrams

    def _made(self) -> int:
        fifo = self._directory / "evtchn.fifo"
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo, 0o600)
        return os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # its own writer, so that it never ends

    @property
    def virq(self) -> int:
        """See Host."""
        return VIRQ

    @property
    def control_port(self) -> int | None:
        """See Host: only who asks for it gets that ring served."""
        return None

    def descriptors(self) -> tuple[int, ...]:
        """See Host: the datagrams, and the pipe."""
        return (self._datagrams.fileno(), self._pipe)

    def fired(self) -> list[int]:
        """The ports that fired, each masked from now on; VIRQ is among them if some domain changed."""
        found, self._again = dict.fromkeys(self._again), []
        for port in self._read():
            if port in self._masked:
                self._masked[port] = True
            else:
                found[port] = None
        self._masked.update(dict.fromkeys(found, False))
        return list(found)

    def unmask(self, port: int) -> bool:
        """Let a port fire again; whether it has already."""
        if self._masked.pop(port, False):
            self._again.append(port)
            return True
        return False

    def life(self, domid: int) -> Life | None:
        """See Hypervisor."""
        if domid >= FIRST_RESERVED or os.access(f"{self._place}/dead.{domid}", os.F_OK):
            return None
        # Asked for each of ten thousand domains at a start, where most have no such file: an exception costs more.
        place = f"{self._place}/dom.{domid}"
        if not os.access(place, os.F_OK):
            self._lives.pop(domid, None)
            return Life(_FIRST_UNIQUE + domid)
        try:
            said = _SAID.fullmatch(Path(place).read_bytes())
        except FileNotFoundError:
            said = None
        if said is not None:
            self._lives[domid] = Life(int(said["unique"]), said["state"].startswith(b"shut"), said["state"] == b"dying")
        return self._lives.get(domid, Life(_FIRST_UNIQUE + domid))

    def living(self, domids: Collection[int]) -> dict[int, Life]:
        """See Hypervisor."""
        return each(self.life, domids)

    def connect(self, connection: Connection, port: int, features: int) -> None:  # noqa: ARG002 - ports follow domids
        """See Hypervisor."""
        if not self.life(connection.domid):
            raise ProcessLookupError(f"there is no domain {connection.domid}")
        self._serve(connection, self._map(_FIRST_PORT + connection.domid)).begin(features)

    def resume(self, connection: Connection, indexes: tuple[int, int] | None = None) -> None:
        """See Hypervisor."""
        # Whether the domain still lives is looked at afterwards, of all.
        local = _FIRST_PORT + connection.domid
        self._serve(connection, None if indexes is not None else self._map(local, os.O_RDWR)).resume(indexes)

    def _serve(self, connection: Connection, ring: Ring | None) -> RingClient:
        local = _FIRST_PORT + connection.domid
        client = self.clients[local] = RingClient(self.daemon, connection, ring, local, self.notify)
        if ring is None:
            client.ring = unmapped(client, partial(self._map, local, os.O_RDWR))
        client.journal = self.journal
        self._masked.pop(local, None)
        return client

    def _map(self, port: int, flags: int = os.O_RDWR | os.O_CREAT) -> Ring:
        descriptor = os.open(f"{self._place}/ring.{port - _FIRST_PORT}", flags, 0o600)
        try:
            if os.fstat(descriptor).st_size < PAGE:
                os.ftruncate(descriptor, PAGE)
            page = self._pages[port] = Mapping(descriptor, PAGE)
        finally:
            os.close(descriptor)
        return Ring(page.bytes, lambda: page.vanished)

    def rebind(self, connection: Connection, port: int) -> None:  # noqa: ARG002 - ports follow domids
        """See Hypervisor."""
        local = _FIRST_PORT + connection.domid
        self._masked.pop(local, None)
        client, page = self.clients[local], self._pages.get(local)
        if page is None or page.vanished:
            broken, client.ring = client.ring, self._map(local)
            if page is not None:
                page.close(broken)
        client.begin(connection.domain.features)

    def disconnect(self, connection: Connection) -> None:
        """See Hypervisor."""
        local = _FIRST_PORT + connection.domid
        client = self.clients.pop(local, None)
        self._masked.pop(local, None)
        page = self._pages.pop(local, None)
        if client is not None and page is not None:
            page.close(client.ring)

    def client(self, connection: Connection) -> RingClient | None:
        """The ring of a connection, if it has one."""
        found = self.clients.get(_FIRST_PORT + connection.domid)
        return found if found is not None and found.connection is connection else None

    def notify(self, port: int) -> None:
        """Tell the guest of a port that its ring has moved."""
        with suppress(OSError):
            self._datagrams.sendto(_PORT.pack(port), str(self._directory / f"port.{port}"))

    def part(self, *, leaving: bool) -> None:
        """See Host: the port of the VIRQ is always the same."""

    def close(self) -> None:
        """Let go of every ring."""
        for client in list(self.clients.values()):
            self.disconnect(client.connection)
        self._datagrams.close()
        os.close(self._pipe)
        for left in ("evtchn", "evtchn.fifo"):
            (self._directory / left).unlink(missing_ok=True)

    def _read(self) -> list[int]:
        found = []
        with suppress(BlockingIOError):
            for _ in range(_DATAGRAMS):
                data = self._datagrams.recv(_PORT.size)
                if len(data) == _PORT.size:
                    found.append(_PORT.unpack(data)[0])
        with suppress(BlockingIOError):
            data = self._left + os.read(self._pipe, _AT_ONCE)
            whole = len(data) - len(data) % _PORT.size
            self._left = data[whole:]
            found += [port for (port,) in _PORT.iter_unpack(data[:whole])]
        return found
