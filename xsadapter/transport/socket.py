"""The local socket: who may connect, and who did.

Rules
1. The socket is full privilege, so it is born with mode 0600: bound under umask 0177.
2. A socket file that nobody listens on is replaced; one that somebody answers on, or a file that is
   no socket, is refused and left alone.
3. Identity comes from the kernel (SO_PEERCRED), never from what a client says.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
_BACKLOG: Final = 128
_NAME_MAX: Final = 16


class SocketInUseError(OSError):
    """The place of the socket is taken, by `found`."""

    def __init__(self, path: Path, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"{path}: found {found}, expected nothing or a socket that nobody listens on")


def listen(path: Path) -> socket.socket:
    """A listening, non-blocking socket of mode 0600; SocketInUseError, or OSError if it cannot be made."""
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def peer(client: socket.socket) -> str:
    """Who is at the other end: `pid 123 (xl)`, as far as the kernel tells."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, _, _ = _CREDENTIALS.unpack(credentials)
    try:
        name = Path(f"/proc/{pid}/comm").read_bytes()[:_NAME_MAX].strip().decode(errors="replace")
    except OSError:
        return f"pid {pid}"
    return f"pid {pid} ({''.join(letter if letter.isprintable() else '?' for letter in name)})"


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
