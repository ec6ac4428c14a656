"""The pid file: a number and a newline, and a lock for as long as the daemon lives.

Rules
1. The lock says whether a daemon runs, the number only which; so a file left by a crash is no obstacle.
2. The number is there once the daemon serves, as who starts it may wait for that; until then the file is empty. What
   cannot be written, on a full disk, is tried again (`cli.places`): a host must have a xenstored.
3. What another has put in its place is left to him, also at the end.
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
    """A locked pid file, and its directory if that is missing; `close` removes the file. OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _locked(path)
        line = _line()
        # A program that takes over has the number of the one before, and nobody is to see it go.
        self._said = os.pread(self._descriptor, len(line) + 1, 0) == line
        if not self._said:
            os.ftruncate(self._descriptor, 0)

    @property
    def missing(self) -> bool:
        """Whether there is none in its place, or none with a number."""
        return not self._said or not self._path.exists()

    def say(self) -> None:
        """Write the number; OSError."""
        if not self._said:
            os.ftruncate(self._descriptor, 0)
            line = _line()
            if os.pwrite(self._descriptor, line, 0) != len(line):
                os.ftruncate(self._descriptor, 0)
                raise OSError(f"{self._path} cannot be written")
            self._said = True

    def again(self) -> None:
        """Make another one if somebody has removed it, and write what could not be written; OSError."""
        if not self._path.exists():
            before, self._descriptor = self._descriptor, _locked(self._path)
            self._said = False
            os.close(before)
        self.say()

    def close(self) -> None:
        """Remove the file and let the lock go."""
        if self._in_place():
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _in_place(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False


def _line() -> bytes:
    return f"{os.getpid()}\n".encode()


def _locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise PidFileHeldError(path) from None
    return descriptor
