"""The files that an open store lies on: whether they are in their places, and whole.

Rule: nobody has to leave them alone. The store's own file is held by a descriptor, and goes on without its name; its
journal is mapped, and guarded against being cut (`transport.page`). Either way the store is of no use to whoever starts
next, so the daemon has to leave it; until it looks, once a second, a kill may take what was acknowledged.
What is not guarded is SQLite's own shared memory, FILE-shm.
"""

from __future__ import annotations

import os
from pathlib import Path

from xsadapter.transport.page import Guard

_JOURNAL = "-ring"


class Moorings:
    """Those of one store, of no path if it is in memory."""

    def __init__(self, path: Path | None) -> None:
        self._paths: tuple[Path, ...] = ()
        self._guard: Guard | None = None
        if path is not None:
            real = os.path.realpath(path)
            self._paths = (path, Path(real + _JOURNAL))
            self._guard = Guard(real + _JOURNAL)
        self._places = tuple(map(_place, self._paths))

    def wrong(self) -> str:
        """What is not as it was, in words; empty if nothing is."""
        for path, place in zip(self._paths, self._places, strict=True):
            if _place(path) != place:
                return f"{path} is not in its place any more"
        if self._guard is not None and self._guard.vanished:
            return f"{self._paths[-1]} was cut"
        return ""

    def close(self) -> None:
        """The store is about to be left."""
        if self._guard is not None:
            self._guard.close()


def _place(path: Path) -> tuple[int, int, int] | None:
    """Which file lies there, and how long it is if that never changes."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino, there.st_size if path.name.endswith(_JOURNAL) else 0
