"""Parts of trees that were loaded lately, by object number: trees that share an object share what was made of it.

Rule: a loaded part never changes, since its mark is that of no edit, and numbers are never used again; so whoever
asks for a number may have the part that another one got. What hangs below a part was loaded through here too. So what
is held together is at most what was loaded since all of it was last forgotten: `LIMIT` bytes as they lie in the file,
each part counted with `PART` more, which take about ten times as much as nodes.
They are let go of in pieces (`tree.remains`), with each part that comes twice as much as that has.
Cost: O(1). May be asked from any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.tree.node import FANOUT
from rrdstore.tree.remains import Remains

if TYPE_CHECKING:
    from rrdstore.tree.remains import Part

LIMIT = 2 << 20
"""Bytes, as encoded."""
PART = 128
"""Bytes that a part counts beside its own."""
_WITH_ONE = 4 * FANOUT
"""Nodes that are taken apart when a part comes, which has at most `FANOUT` and itself."""


class Parts:
    """What was loaded since it was last forgotten."""

    __slots__ = ("_held", "_limit", "_parts", "remains")

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self.remains = Remains()
        self._parts: dict[int, Part] = {}
        self._held = 0

    def get(self, number: int) -> Part | None:
        """The part that the object of this number is, if it was loaded lately."""
        return self._parts.get(number)

    def add(self, number: int, part: Part, size: int) -> Part:
        """Remember a part of so many bytes; it, or the one that another thread was quicker with."""
        if self._held > (self._limit or LIMIT):
            self.forget()
        self._held += size + PART
        if self.remains.parts:
            self.remains.take_apart(_WITH_ONE)
        return self._parts.setdefault(number, part)

    def forget(self) -> None:
        """Let go of all."""
        parts = list(self._parts.values())
        self._parts, self._held = {}, 0
        self.remains.leave(parts)
