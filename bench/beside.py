"""What hostile guests cost the others: an honest client's requests beside them, on a daemon of its own.

    python -m bench.beside [--guests 100] [--seconds 3] [CASE ...]

Of each case: microseconds of the daemon's CPU for each request of the honest client (the guests' own included, so this
is what it waits for), how much more that is than with guests that do nothing, and the longest that one answer took.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

from tests.compat.guest import Guest
from tests.compat.peers import our_xenstored, short_directory
from tests.compat.test_differential import Wire
from tests.daemon.conversation import NUMBERS
from xsadapter.cli import hypervisor
from xsadapter.cli import main as xsadapter
from xsadapter.transport.hub import SimulatedXen
from xsadapter.wire import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compat.peers import Daemon
    from xsadapter.engine.connection import Connection

_WATCHES = 128
_EFFECTS = 900


class Ringing(SimulatedXen):
    """A hypervisor with a guest, domain 5, that notifies whenever its port is not masked."""

    _port = 1005

    def __init__(self, directory: Path, *carried: int | None) -> None:
        super().__init__(directory, *carried)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)

    def connect(self, connection: Connection, port: int, features: int) -> None:
        super().connect(connection, port, features)
        os.eventfd_write(self._bell, 1)

    def descriptors(self) -> tuple[int, ...]:
        return (*super().descriptors(), self._bell)

    def fired(self) -> list[int]:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        found = super().fired()
        if self._port in self.clients and self._port not in self._masked:
            self._masked[self._port] = False
            found.append(self._port)
        return found

    def unmask(self, port: int) -> bool:
        if port == self._port and port in self.clients:
            os.eventfd_write(self._bell, 1)
        return super().unmask(port)


class House:
    """A daemon, a toolstack, an honest client, and guests."""

    def __init__(self, daemon: Daemon, count: int) -> None:
        self.daemon, self.wire = daemon, Wire(daemon)
        self.ask("WRITE", b"/honest/node\0value")
        for path in (b"/honest", b"/honest/node"):
            self.ask("SET_PERMS", path + b"\0n0\0")
        self.guests = [self.introduced(5 + at) for at in range(count)]

    def ask(self, operation: str, payload: bytes) -> None:
        reply, _ = self.wire.ask(operation, payload)
        assert isinstance(reply, bytes), (operation, payload, reply)

    def introduced(self, domid: int) -> Guest:
        home = b"/local/domain/%d\0" % domid
        self.ask("MKDIR", home)
        self.ask("SET_PERMS", home + b"r%d\0" % domid)
        guest = Guest(self.daemon.directory, domid)
        self.ask("INTRODUCE", b"%d\x001\x001\0" % domid)
        return guest

    def watch(self, path: bytes) -> None:
        """Every guest, as often as it may."""
        for guest in self.guests[1:]:
            for number in range(_WATCHES):
                assert guest.ask("WATCH", path + b"\0%d\0" % number) == b"OK\0"
            guest.queued.clear()

    def end(self, count: int, name: bytes) -> None:
        """The first guest makes so many nodes at once; its own answer is not waited for."""
        guest = self.guests[0]
        number = guest.start()
        for at in range(count):
            reply = guest.ask("WRITE", b"x/%b%d/%d\0v" % (name, at // 30, at % 30), number)
            assert reply == b"OK\0", reply
        guest.send(pack(NUMBERS["TRANSACTION_END"], 7, number, b"T\0"))

    @property
    def cpu(self) -> float:
        """Seconds that the daemon has run."""
        return int(Path(f"/proc/{self.daemon.pid}/schedstat").read_text().split()[0]) / 1e9


def quiet(house: House, _: ExitStack) -> None:
    """Guests that do nothing."""


def stuck(house: House, _: ExitStack) -> None:
    """Guests that read nothing of the events they are told."""
    for guest in house.guests[1:]:
        assert guest.ask("WATCH", b"/local/domain/5\0t\0") == b"OK\0"
    for at in range(3000):
        house.ask("WRITE", b"/local/domain/5/%d\0v" % at)


def stalled(house: House, _: ExitStack) -> None:
    """Guests that read nothing of what they ask."""
    for guest in house.guests:
        for _ in range(80):
            guest.put(pack(NUMBERS["READ"], 1, 0, b"/local/domain\0"))
            guest.kick()
            time.sleep(0.0005)


def notified(house: House, _: ExitStack) -> None:
    """One guest that notifies without end: as the hypervisor has it, whenever its port is not masked."""


def watching(house: House, _: ExitStack) -> None:
    """Guests that watch everything and may read nothing."""
    house.watch(b"/")


def telling(house: House, _: ExitStack) -> None:
    """Guests that watch and do not read, and one that makes hundreds of nodes there in one transaction."""
    house.watch(b"/local/domain/5/x")
    house.end(_EFFECTS, b"n")


CASES: dict[str, Callable[[House, ExitStack], None]] = {
    case.__name__: case for case in (quiet, stuck, stalled, notified, watching, telling)
}


def measured(case: str, guests: int, seconds: float, operation: str) -> tuple[float, float]:
    """Microseconds of CPU a request, and milliseconds of the slowest answer."""
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory())
        options = "--no-status", "--simulated-xen", str(directory)
        program = "bench.beside" if case == notified.__name__ else "xsadapter"
        daemon = stack.enter_context(our_xenstored(directory, *options, program=program))
        house = House(daemon, guests)
        os.sched_setaffinity(daemon.pid, {min(1, (os.cpu_count() or 1) - 1)})
        honest = daemon.connect()
        payload = b"/honest/node\0" + (b"v" if operation == "WRITE" else b"")
        asked = pack(NUMBERS[operation], 1, 0, payload)
        CASES[case](house, stack)
        slowest, done, began, cpu = 0.0, 0, time.monotonic(), house.cpu
        while time.monotonic() < began + seconds:
            at = time.monotonic()
            honest.sendall(asked)
            header = honest.recv(16, 0x100)  # MSG_WAITALL
            honest.recv(struct.unpack("=4I", header)[3], 0x100)
            slowest, done = max(slowest, time.monotonic() - at), done + 1
        spent = house.cpu - cpu
        honest.close()
        for guest in house.guests:
            guest.close()
        house.wire.close()
    return spent / done * 1e6, slowest * 1e3


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--guests", type=int, default=100)
    given.add_argument("--seconds", type=float, default=3)
    given.add_argument("--operation", choices=["READ", "WRITE"], default="READ")
    given.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    asked = given.parse_args()
    alone = 0.0
    for case in ["quiet", *(asked.cases or list(CASES)[1:])]:
        spent, slowest = measured(case, asked.guests, asked.seconds, asked.operation)
        alone = alone or spent
        print(f"{case:10} {spent:8.1f} us  {100 * (spent / alone - 1):+6.0f} %  slowest {slowest:7.1f} ms", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        # The daemon itself, for one case.
        hypervisor.SimulatedXen = Ringing  # type: ignore[misc]  # a class in the place of another
        xsadapter(prog_name="xsadapter")
    main()
