"""What one process of the daemon leaves to the next, in a file: a migration stream, and descriptors that stay open.

Rules
1. The file is `state_dump` in the daemon's directory, as C xenstored has it, readable for its owner alone. C 4.17 looks
   for it in $XENSTORED_ROOTDIR. It is believed only if it is a file of ours or root's that nobody else may touch.
2. It is written beside, read back unless its reader has shown that it can, and moved into place; it goes as soon as it
   was read.
3. A descriptor that is named and is not what it should be is left; its client has gone then.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from xsadapter.stream import StreamError, decode, encode
from xsadapter.stream.incoming import hear
from xsadapter.transport.socket import inherited, peer
from xsadapter.transport.stream import StreamClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.state import ConnectionState
    from xsadapter.recovery.inherited import Inherited
    from xsadapter.stream import Record
    from xsadapter.stream.incoming import Heard
    from xsadapter.stream.outgoing import Carriers
    from xsadapter.transport.listener import Listener

_log = logging.getLogger("xsadapter")

NAME: Final = "state_dump"
_OTHERS: Final = 0o077
_CS_OWN: Final = Path("/var/lib/xenstored")


class HeritageError(OSError):
    """There is no state to take over, or it cannot be believed: `path`, found and expected."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        self.path = path
        super().__init__(f"{path}: found {found}, expected {expected}")


def write(path: Path, records: Iterable[Record], version: int, *, again: bool = True) -> None:
    """Write a state, and read it `again`; OSError, StreamError, and nothing is left."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            file.writelines(encode(records, version))
        if again:
            for _ in decode(beside.read_bytes()):
                pass
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def found(directory: Path) -> Path:
    """The state that a process before us left; HeritageError."""
    places = [directory, Path(os.environ.get("XENSTORED_ROOTDIR") or _CS_OWN)]
    for place in places:
        if (place / NAME).exists():
            return place / NAME
    raise HeritageError(directory / NAME, "nothing", "the state of a live update, there or in $XENSTORED_ROOTDIR")


def read(path: Path) -> Heard:
    """The state in a file; OSError, StreamError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()} or status.st_mode & _OTHERS:
            raise HeritageError(path, f"mode {status.st_mode:o} of user {status.st_uid}", "a file of ours, mode 600")
        return hear(decode(file.read()), _who)


def _who(descriptor: int) -> str:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as client:
            return str(peer(client))
    except OSError:
        return ""


def could_take_over(path: Path) -> None:
    """Read a state and do no more; click.ClickException says why that cannot be."""
    try:
        heard = read(path)
        heard.state(lambda _: 0)
        heard.carriers()
    except (OSError, StreamError) as error:
        raise click.ClickException(str(error)) from None


@dataclass(slots=True)
class Heirs:
    """What carries the bytes of the clients that are taken over."""

    daemon: Daemon
    carriers: Carriers
    listeners: dict[str, Listener]
    """By what they are for; the daemon's own by the empty string."""
    clients: list[StreamClient]
    inherited: Inherited | None = None
    """What was written down of them, if that is gone on with."""
    lost: list[int] = field(default_factory=list)
    """The serial numbers of those that were not taken over."""

    def took(self, connection: Connection, known: ConnectionState) -> bool:
        """Whether a client's bytes are carried on."""
        try:
            if known.ring:
                words = None if self.inherited is None else self.inherited.words
                self.daemon.hypervisor.resume(connection, None if words is None else words.ring(connection.domid))
            else:
                self.clients.append(self._client(connection))
                if self.inherited is not None:
                    self.inherited.socket(connection, known)
        except (OSError, KeyError) as error:
            _log.warning("%s was not taken over: %s", connection.author, error)
            self.lost.append(connection.serial)
            return False
        return True

    def _client(self, connection: Connection) -> StreamClient:
        descriptor = self.carriers.sockets[connection.serial]
        listener = self.listeners.get(self.carriers.came_by.get(connection.serial, ""))
        client = inherited(descriptor, listening=False)
        if listener is None:
            client.close()
            raise KeyError("nobody listens for it any more")
        listener.clients += 1
        return StreamClient(self.daemon, client, connection, listener)


def leave_open(descriptors: Sequence[int], *, stay: bool) -> None:
    """Whether descriptors stay open when this process becomes another."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, stay)
