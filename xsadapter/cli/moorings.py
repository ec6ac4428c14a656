"""The files that an open store lies on: whether they are in their places, and whole.

Rule: nobody has to leave them alone. The store's own file is held by a descriptor, and goes on without its name; its
journal and SQLite's index of the log are mapped, and guarded against being cut (`transport.page`). Without the latter's
name another program would make a second one, and the two would not know of each other. Either way the store is of no
use to whoever starts next, so the daemon has to leave it; until it looks, once a second, a kill may take what was
acknowledged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from xsadapter.transport.page import Guard

_JOURNAL: Final = "-ring"
_INDEX: Final = "-shm"
_LEAST: Final = 32768
"""Bytes that the index of the log has at least, and may grow beyond."""


class Moorings:
    """Those of one store, of no path if it is in memory."""

    def __init__(self, path: Path | None) -> None:
        self._paths: tuple[Path, ...] = ()
        self._guards: dict[Path, Guard] = {}
        if path is not None:
            real = os.path.realpath(path)
            self._guards = {Path(real + end): Guard(real + end) for end in (_JOURNAL, _INDEX)}
            self._paths = (path, *self._guards)
        self._places = tuple(map(_place, self._paths))

    def wrong(self) -> str:
        """What is not as it was, in words; empty if nothing is."""
        for path, place in zip(self._paths, self._places, strict=True):
            if _place(path) != place:
                return f"{path} is not in its place any more"
        return next((f"{path} was cut" for path, guard in self._guards.items() if guard.vanished), "")

    def part(self) -> None:
        """The store is about to be left, and its journal to be unmapped."""
        for path, guard in self._guards.items():
            if path.name.endswith(_JOURNAL):
                guard.close()

    def close(self) -> None:
        """It was left."""
        for guard in self._guards.values():
            guard.close()


def _place(path: Path) -> tuple[int, int, int] | None:
    """Which file lies there, and how long it is as far as that never changes."""
    try:
        there = path.stat()
    except OSError:
        return None
    size = there.st_size if path.name.endswith(_JOURNAL) else 0
    return there.st_dev, there.st_ino, min(there.st_size, _LEAST) if path.name.endswith(_INDEX) else size
