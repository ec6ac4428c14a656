"""The daemon's side of what keeps its sockets: the service manager's descriptor store, or a keeper of our own.

Rules
1. systemd keeps descriptors for a service whose FileDescriptorStoreMax= says so; it tells so by $FDSTORE, takes them by
   the notification socket, and hands them to the next start from descriptor 3 on ($LISTEN_FDS, $LISTEN_FDNAMES).
2. Otherwise a keeper (`recovery.keeper`) is started, or found from the daemon before this one.
3. Nothing here ever blocks the daemon for long: a keeper that does not take what it is given is given up, and the next
   one is given everything. Without any keeper the daemon serves all the same; its clients then end with it.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from xsadapter.recovery import keeper

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger("xsadapter")

_FIRST: Final = 3
_PATIENCE: Final = 5.0
_BACKLOG: Final = 4
_PACKAGE: Final = Path(__file__).parents[2]


class _TakenError(OSError):
    """The keeper of this directory has a daemon."""


class Keeping(Protocol):
    """Who holds descriptors, by key."""

    def hold(self, key: str, descriptor: int) -> None:
        """Hold a duplicate."""
        ...

    def drop(self, key: str) -> None:
        """Let go of it; an unknown key is no error."""
        ...

    def end(self) -> None:
        """The daemon ends as it should: let go of all."""
        ...

    @property
    def missing(self) -> bool:
        """Whether there is none, and `died` may find another one."""
        ...

    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when the keeper has died."""
        ...

    def died(self) -> None:
        """It has, or may have: see to another one."""
        ...


def reach(directory: Path) -> tuple[Keeping, dict[str, int]]:
    """Whoever is to keep the sockets of the daemon in this directory, and what it has kept; OSError."""
    if os.environ.get("NOTIFY_SOCKET", "").startswith(("/", "@")) and os.environ.get("FDSTORE", "0") != "0":
        found = _inherited()
        return ServiceManager(found), found
    own = OwnKeeper(directory)
    return own, own.found


class OwnKeeper:
    """A process of ours."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._given: dict[str, int] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None
        self.found: dict[str, int] = {}
        """What the keeper of the daemon before this one had: each is to be held anew, or dropped."""
        reached = self._connect()
        if reached is None:
            self._start()
        else:
            self._socket = reached

    def hold(self, key: str, descriptor: int) -> None:
        """See Keeping."""
        self._given[key] = descriptor
        self._send(f"hold {key}", [descriptor])

    def drop(self, key: str) -> None:
        """See Keeping."""
        if self._given.pop(key, None) is not None:
            self._send(f"drop {key}", [])

    def end(self) -> None:
        """See Keeping."""
        self._given.clear()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send(b"quit")
            self._socket.close()
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(_PATIENCE)

    @property
    def missing(self) -> bool:
        """See Keeping."""
        return self._socket is None

    def descriptors(self) -> tuple[int, ...]:
        """See Keeping."""
        return () if self._socket is None else (self._socket.fileno(),)

    def died(self) -> None:
        """See Keeping."""
        if self._socket is not None:
            with suppress(OSError):
                if self._socket.recv(keeper.KEY_MAX) == keeper.END:
                    return  # A new one has said that it holds nothing.
            self._socket.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._start()
        for key, descriptor in self._given.items():
            self._send(f"hold {key}", [descriptor])

    def _send(self, message: str, descriptors: list[int]) -> None:
        if self._socket is None:
            return
        try:
            socket.send_fds(self._socket, [message.encode()], descriptors)
        except OSError as error:
            # Its end makes the socket readable, upon which another one is started and given everything.
            _log.warning("the keeper does not take what it is given: %s", error)
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> socket.socket | None:
        """The keeper that is there, and what it has; None if none is."""
        reached = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reached.settimeout(_PATIENCE)
        found: dict[str, int] = {}
        try:
            reached.connect(str(self._directory / keeper.NAME))
            while True:
                message, descriptors, _, _ = socket.recv_fds(reached, keeper.KEY_MAX, 1)
                if message == keeper.END:
                    break
                if message in {keeper.BUSY, b""}:
                    raise _TakenError(f"{self._directory / keeper.NAME}: serves another daemon, expected none")
                os.set_inheritable(descriptors[0], False)
                found[message.decode()] = descriptors[0]
        except OSError as error:
            reached.close()
            for descriptor in found.values():
                os.close(descriptor)
            if isinstance(error, _TakenError):
                raise
            return None
        reached.setblocking(False)
        self.found, self._given = found, dict(found)
        return reached

    def _start(self) -> None:
        place = self._directory / keeper.NAME
        self._socket = None
        try:
            place.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                before = os.umask(0o177)
                try:
                    listener.bind(str(place))
                finally:
                    os.umask(before)
                listener.listen(_BACKLOG)
                self._child = _spawn(listener, self._directory)
                reached = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                reached.connect(str(place))
        except OSError as error:
            _log.error("no keeper at %s: clients will end with the daemon: %s", place, error.strerror or error)
            return
        reached.setblocking(False)
        self._socket = reached


def _spawn(listener: socket.socket, directory: Path) -> subprocess.Popen[bytes]:
    """The keeper's process; the listening socket is its descriptor 3."""
    code = (
        "import os, runpy, sys; os.dup2(int(sys.argv.pop()), 3); runpy.run_module(sys.argv.pop(), run_name='__main__')"
    )
    path = os.pathsep.join(filter(None, (str(_PACKAGE), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(directory.absolute()), keeper.__name__, str(listener.fileno())],
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path},
        pass_fds=[listener.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


class ServiceManager:
    """systemd's store of descriptors."""

    def __init__(self, found: Iterable[str]) -> None:
        address = os.environ["NOTIFY_SOCKET"]
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._held = set(found)

    def hold(self, key: str, descriptor: int) -> None:
        """See Keeping."""
        self._held.add(key)
        self._tell(f"FDSTORE=1\nFDNAME={_named(key)}", [descriptor])

    def drop(self, key: str) -> None:
        """See Keeping."""
        if key in self._held:
            self._held.discard(key)
            self._tell(f"FDSTOREREMOVE=1\nFDNAME={_named(key)}", [])

    def end(self) -> None:
        """See Keeping."""
        for key in list(self._held):
            self.drop(key)

    missing = False
    """See Keeping: the service manager does not die."""

    def descriptors(self) -> tuple[int, ...]:
        """See Keeping."""
        return ()

    def died(self) -> None:
        """See Keeping."""

    def _tell(self, message: str, descriptors: list[int]) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(_PATIENCE)
            manager.connect(self._address)
            socket.send_fds(manager, [message.encode()], descriptors)


def _inherited() -> dict[str, int]:
    """What the service manager has kept, by key; what has another's name is closed."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return {}
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    found = {}
    for number in range(int(os.environ.pop("LISTEN_FDS", "0"))):
        descriptor = _FIRST + number
        os.set_inheritable(descriptor, False)
        key = _key(names[number]) if number < len(names) else None
        if key is None or key in found:
            os.close(descriptor)
        else:
            found[key] = descriptor
    return found


_PREFIX: Final = "xs-"


def _named(key: str) -> str:
    """A key as a name, which may hold neither colons nor control characters."""
    return _PREFIX + key.encode().hex()


def _key(name: str) -> str | None:
    if not name.startswith(_PREFIX):
        return None
    try:
        return bytes.fromhex(name.removeprefix(_PREFIX)).decode()
    except ValueError:
        return None
