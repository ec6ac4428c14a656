"""The local socket: who may connect, and who did.

Rules
1. The socket is full privilege, so it is born with mode 0600: bound under umask 0177.
2. A client socket is its users' as one domain and nothing else: the file of the user that is named, mode 0600,
   or for everybody who reaches it, mode 0666.
3. A socket file that nobody listens on is replaced; one that somebody answers on, or a file that is
   no socket, is refused and left alone.
4. Identity comes from the kernel (SO_PEERCRED), never from what a client says.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
from pathlib import Path
from typing import Final, NamedTuple

from xsadapter.engine.hypervisor import FIRST_RESERVED

_CREDENTIALS: Final = struct.Struct("=iII")
_BACKLOG: Final = 128
_NAME_MAX: Final = 16
_UID_MAX: Final = 2**32 - 2
_CLIENT_SOCKET: Final = re.compile(r"(?P<path>.+?):(?P<domid>[0-9]{1,5})(?::(?P<uid>[0-9]{1,10}))?")


class SocketInUseError(OSError):
    """The place of the socket is taken, by `found`."""

    def __init__(self, path: Path, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"{path}: found {found}, expected nothing or a socket that nobody listens on")


class ClientSocket(NamedTuple):
    """A socket whose users are one domain, and if a user is named only that one comes in."""

    path: Path
    domid: int
    uid: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.domid}" + ("" if self.uid is None else f":{self.uid}")

    @classmethod
    def parse(cls, text: str) -> ClientSocket:
        """From `PATH:domid` or `PATH:domid:uid`; ValueError, also for domain 0 and numbers that are no domain's."""
        found = _CLIENT_SOCKET.fullmatch(text)
        if found is None:
            raise ValueError(f"{text}: found no domain, expected PATH:DOMID or PATH:DOMID:UID")
        domid = int(found["domid"])
        if not 0 < domid < FIRST_RESERVED:
            raise ValueError(f"{text}: found domain {domid}, expected 1 to {FIRST_RESERVED - 1}")
        uid = found["uid"]
        if uid is not None and int(uid) > _UID_MAX:
            raise ValueError(f"{text}: found user {uid}, expected at most {_UID_MAX}")
        return cls(Path(found["path"]), domid, None if uid is None else int(uid))


class Peer(NamedTuple):
    """Who is at the other end, as the kernel tells."""

    pid: int
    uid: int
    name: str
    """Of the program, printable; empty if it has gone already."""

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name})" if self.name else f"pid {self.pid}"


def listen(path: Path, client: ClientSocket | None = None) -> socket.socket:
    """A listening, non-blocking socket, the daemon's own or a client socket; SocketInUseError, or another OSError."""
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        # The system's word does not name the place, and one that is too long has no number.
        raise OSError(error.errno or errno.ENAMETOOLONG, error.strerror or str(error), str(path)) from None
    finally:
        os.umask(before)
    if client is not None:
        try:
            if client.uid is None:
                path.chmod(0o666)
            else:
                os.chown(path, client.uid, -1)
        except OSError:
            listener.close()
            path.unlink()
            raise
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def inherited(descriptor: int, *, listening: bool) -> socket.socket:
    """A socket of the process that this one was before, non-blocking; OSError if it is none, and then it is closed."""
    found = socket.socket(fileno=descriptor)
    try:
        found.setblocking(False)
        found.set_inheritable(False)
        if listening:
            found.listen(_BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def peer(client: socket.socket) -> Peer:
    """Who is at the other end."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    try:
        name = Path(f"/proc/{pid}/comm").read_bytes()[:_NAME_MAX].strip().decode(errors="replace")
    except OSError:
        name = ""
    return Peer(pid, uid, "".join(letter if letter.isprintable() else "?" for letter in name))


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUseError(path, "a file that is no socket")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)
    try:
        probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink()
    except BlockingIOError:
        raise SocketInUseError(path, "a daemon that listens there but is busy") from None
    else:
        raise SocketInUseError(path, "a daemon that listens there")
    finally:
        probe.close()
