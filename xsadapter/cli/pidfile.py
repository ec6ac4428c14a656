"""The pid file: a number and a newline, and a lock for as long as the daemon lives.

Rule: the lock says whether a daemon runs, the number only which; so a file left by a crash is no obstacle.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class PidFileHeldError(OSError):
    """Another process holds the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is locked by another daemon")


class PidFile:
    """A locked pid file; `close` removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _locked(path)

    @property
    def missing(self) -> bool:
        """Whether there is none in its place."""
        return not self._path.exists()

    def again(self) -> None:
        """Make another one, as somebody has removed it; OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        before, self._descriptor = self._descriptor, _locked(self._path)
        os.close(before)

    def close(self) -> None:
        """Remove the file and let the lock go."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise PidFileHeldError(path) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
