"""Segments: where in the file the bytes of objects lie.

Rule: bytes are only ever appended to one of two open segments, one for what is new and one for what the
cleaner moves (what has lived long, lives longer), and a segment is used again when nothing in it lives.
`SPARE` segments are left to the cleaner alone. What is in memory is what the file will hold after `write`;
after a failed transaction `load` goes back to what it does hold.
A row of `segm` is 503 times (used:u32, live:u32), in bytes. Cost: an append copies its bytes once; reading
a cold segment is one row, after that it is in a cache of at most 2 MiB or 16 segments.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from heapq import nsmallest
from typing import TYPE_CHECKING

from rrdstore.errors import StoreFull
from rrdstore.storage.layout import PAGE, SEGMENTS_A_ROW, SPARE
from rrdstore.storage.records import numbers_row, read_numbers

if TYPE_CHECKING:
    from rrdstore.storage.container import Container

NEW, MOVED = 0, 1
"""The two open segments."""

_CACHED = 2 << 20
_TOGETHER = 4096
"""Bytes that are taken at once, about: between two takings a transaction may end."""


class Segments:
    """How full each segment is, what of it lives, and the open ones."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self.size, self.count = container.layout.segment, container.layout.segments
        self._cached = max(16, _CACHED // self.size)
        self.damaged: set[int] = set()
        """Segments that the cleaner could not empty."""
        self.load()

    def load(self) -> None:
        """Be what the file holds; Corrupt."""
        pairs = array("I")
        for at, row in enumerate(self._container.rows("segm")):
            pairs += read_numbers(row, "segm", at)[: 2 * SEGMENTS_A_ROW]
        self.used, self.live = pairs[0 : 2 * self.count : 2], pairs[1 : 2 * self.count : 2]
        self._cache: OrderedDict[int, bytearray | bytes] = OrderedDict()
        self._open: list[int] = [-1, -1]
        self._dirty: dict[int, tuple[int, int]] = {}
        self.fresh = 0
        """Bytes put in since the last `written`."""
        self._changed: set[int] = set()
        free = [segment for segment in range(self.count) if not self.live[segment]]
        for segment in free:
            self.used[segment] = 0
        self._free = array("I", free[::-1])

    @property
    def free(self) -> int:
        """Segments that hold nothing."""
        return len(self._free)

    @property
    def pages(self) -> int:
        """Pages that `write` would change, at most."""
        return len(self._changed) + self.fresh // (PAGE - 4) + 3 * len(self._dirty)

    def take(self, length: int, stream: int) -> tuple[int, int, bytearray] | None:
        """Room for so many bytes in an open segment: which, where, and its bytes, of which these are still zeros.

        None if the cleaner has to go first; StoreFull.
        """
        segment = self._open[stream]
        if segment < 0 or self.used[segment] + length > self.size:
            if stream == NEW and len(self._free) <= SPARE:
                return None
            if not self._free:
                raise StoreFull(length, 0)
            segment = self._begin(stream)
        offset = self.used[segment]
        end = offset + length
        dirty = self._dirty.get(segment)
        self._dirty[segment] = (offset if dirty is None else dirty[0], end)
        self.fresh += length
        self.used[segment] = end
        self.live[segment] += length
        self._changed.add(segment // SEGMENTS_A_ROW)
        return segment, offset, self._cache[segment]  # type: ignore[return-value]  # an open segment's is a bytearray

    def together(self, length: int) -> int:
        """How many bytes may be taken at once for things that are new, of which the first has this length."""
        segment = self._open[NEW]
        left = self.size - self.used[segment] if segment >= 0 else 0
        return min(left if left >= length else self.size, _TOGETHER)

    def taken(self, length: int, stream: int) -> tuple[int, int, bytearray]:
        """The same, where the cleaner has gone; StoreFull."""
        found = self.take(length, stream)
        if found is None:
            raise StoreFull(length, 0)
        return found

    def _begin(self, stream: int) -> int:
        ended = self._open[stream]
        segment = self._free.pop()
        self._open[stream] = segment
        self.used[segment] = 0
        self._cache[segment] = bytearray(self.size)
        if ended >= 0:
            self._release(ended)
        return segment

    def read(self, segment: int) -> bytes | bytearray:
        """All bytes of a segment; Corrupt."""
        cache = self._cache
        found = cache.get(segment)
        if found is None:
            found = cache[segment] = self._container.read_segment(segment)
            if len(cache) > self._cached:
                self._shrink()
        return found

    def _shrink(self) -> None:
        """Forget the segments loaded longest ago, but for those that are open or not written."""
        for segment in list(self._cache):
            if len(self._cache) <= self._cached // 2:
                break
            if segment not in self._open and segment not in self._dirty:
                del self._cache[segment]

    def forget(self, segment: int, length: int) -> None:
        """So many bytes of a segment live no more."""
        self.live[segment] -= length
        self._changed.add(segment // SEGMENTS_A_ROW)
        if not self.live[segment]:
            self._release(segment)

    def _release(self, segment: int) -> None:
        if not self.live[segment] and segment not in self._open:
            self.used[segment] = 0
            self._free.append(segment)
            self._cache.pop(segment, None)
            self._dirty.pop(segment, None)
            self._changed.add(segment // SEGMENTS_A_ROW)

    def emptiest(self, count: int) -> list[int]:
        """Segments that cost the cleaner least, least first; none that is open, free or full of life. O(segments)."""
        used, live, size = self.used, self.live, self.size
        excluded = self.damaged.union(self._open)
        worth = [segment for segment in range(self.count) if used[segment] and live[segment] < size]
        return nsmallest(count, (segment for segment in worth if segment not in excluded), key=live.__getitem__)

    def write(self) -> None:
        """Bring all changes to the container, inside a transaction."""
        container = self._container
        for segment, (start, end) in self._dirty.items():
            container.write_segment(segment, start, memoryview(self._cache[segment])[start:end])
        rows = []
        for row in self._changed:
            first = row * SEGMENTS_A_ROW
            pairs = array("I", bytes(8 * SEGMENTS_A_ROW))
            here = self.used[first : first + SEGMENTS_A_ROW]
            pairs[0 : 2 * len(here) : 2] = here
            pairs[1 : 2 * len(here) : 2] = self.live[first : first + SEGMENTS_A_ROW]
            rows.append((row, numbers_row(pairs, "segm", row)))
        container.put("segm", rows)

    def written(self) -> None:
        """The transaction is done."""
        self._dirty.clear()
        self._changed.clear()
        self.fresh = 0
        if len(self._cache) > self._cached:
            self._shrink()
