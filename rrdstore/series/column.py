"""One recorded path: its value now, and what its open buckets know so far.

Rule: a value holds from the retention time of its commit to that of the next change, and no longer than the path
is there. Of each bucket, half open at its end:
  known      the time in which the value was a number
  average    of that time, each value weighted by how long it held
  least, greatest    of the values that held in it or were set in it, even if for no time at all
What was set and replaced within one commit was never there. Retention time never goes back, so nothing is late.
Between two closings everything goes into one sum, as it is the same for all tiers: 0.6 us a change;
O(tiers) when the finest bucket is over. A bucket is closed by the next change; who reads rolls a copy on.

    record = value:f64 since:i64 born:i64 absent:i64 refused:u64 sum:f64 known:i64 least:f64 greatest:f64 path:u8
             path, zeros to 255 bytes; then each tier's: bucket:i64 before:f64 sum:f64 known:i64 least:f64 greatest:f64
"""

from __future__ import annotations

from copy import copy
from math import isinf
from struct import Struct
from typing import TYPE_CHECKING

from rrdstore.series.declaration import PATH_BYTES
from rrdstore.series.number import LIMIT, UNKNOWN
from rrdstore.series.ring import Opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.series.ring import Cell, Ring

_FIXED = Struct("<dqqqQdqddB")
_TIER = Struct("<qddqdd")
PRESENT = -(1 << 63)
"""`absent` of a path that is there."""
_LEAST, _GREATEST = float("inf"), float("-inf")


class Column:
    """The place that one path is recorded in. Times are retention times in microseconds."""

    __slots__ = ("_greatest", "_known", "_least", "_opened", "_rings", "_total", "absent", "born", "closes", "index",
                 "path", "refused", "since", "value")  # fmt: skip

    def __init__(self, index: int, rings: Sequence[Ring]) -> None:
        self.index, self._rings = index, rings
        self.path = ""
        """Empty while it is free."""
        self.value, self.since, self.born, self.absent = UNKNOWN, 0, 0, PRESENT
        self.refused = 0
        """Of the first column of a pattern: values that came when no column was free."""
        self._opened: list[Opened] = []
        self.closes = 0
        self._clear()

    def _clear(self) -> None:
        self._total, self._known = 0.0, 0
        self._least, self._greatest = _LEAST, _GREATEST

    def begin(self, path: str, rt: int) -> None:
        """Be another path's from now on; all that was is forgotten."""
        self.path, self.value, self.since, self.born, self.absent = path, UNKNOWN, rt, rt, PRESENT
        self._clear()
        self._opened = []
        for ring in self._rings:
            bucket = ring.bucket(rt)
            self._opened.append(Opened(bucket, ring.start(bucket + 1), UNKNOWN))
        self.closes = min(opened.end for opened in self._opened)

    def change(self, rt: int, value: float) -> Sequence[tuple[Ring, Cell]]:
        """`value` holds from `rt` on; the cells of the buckets that are over by that."""
        closed: Sequence[tuple[Ring, Cell]] = ()
        if rt >= self.closes:
            closed = self.roll(rt)
        else:
            held = self.value
            if held == held:  # noqa: PLR0124 - not NaN, in a hot path
                time = rt - self.since
                self._total += held * time
                self._known += time
        self.since, self.value = rt, value
        # Both are false for NaN.
        self._least = min(self._least, value)
        self._greatest = max(self._greatest, value)
        return closed

    def roll(self, rt: int) -> list[tuple[Ring, Cell]]:
        """Let the value hold on until `rt`; the cells of the buckets that are over by that."""
        value, since, closed = self.value, self.since, []
        is_known = value == value  # noqa: PLR0124 - not NaN
        for at, (ring, opened) in enumerate(zip(self._rings, self._opened, strict=True)):
            opened.total += self._total
            opened.known += self._known
            opened.least = min(opened.least, self._least)
            opened.greatest = max(opened.greatest, self._greatest)
            fresh, start = opened, since
            if opened.end <= rt:
                if is_known:
                    opened.total += value * (opened.end - since)
                    opened.known += opened.end - since
                closed.append((ring, opened.cell(opened.end - ring.start(opened.bucket))))
                bucket = ring.bucket(rt)
                fresh = self._opened[at] = Opened(bucket, ring.start(bucket + 1), value)
                start = ring.start(bucket)
                if is_known and rt > start:
                    fresh.least = fresh.greatest = value
            if is_known:
                fresh.total += value * (rt - start)
                fresh.known += rt - start
        self._clear()
        self.since = rt
        self.closes = min(opened.end for opened in self._opened)
        return closed

    def rolled(self, rt: int) -> tuple[Column, list[tuple[Ring, Cell]]]:
        """A copy as it would be at `rt` if nothing changes, and the cells that it then would have written."""
        other = copy(self)
        other._opened = [copy(opened) for opened in self._opened]
        return other, other.roll(max(rt, self.since))

    def bucket(self, tier: int) -> int:
        """The bucket of a tier that is not over; all cells that are written are of older ones."""
        return self._opened[tier].bucket

    def before(self, tier: int) -> float:
        """The value just before that bucket."""
        return self._opened[tier].before

    # Bytes

    def encode(self) -> bytes:
        """The record of the column; zeros if it is free and never refused anything."""
        path = self.path.encode()
        fixed = _FIXED.pack(
            self.value, self.since, self.born, self.absent, self.refused,
            self._total, self._known, self._least, self._greatest, len(path),
        )  # fmt: skip
        parts = [fixed, path.ljust(PATH_BYTES, b"\0")]
        parts += [
            _TIER.pack(each.bucket, each.before, each.total, each.known, each.least, each.greatest)
            for each in self._opened
        ]
        return b"".join(parts).ljust(_FIXED.size + PATH_BYTES + _TIER.size * len(self._rings), b"\0")

    @classmethod
    def decode(cls, data: bytes, index: int, rings: Sequence[Ring]) -> Column:
        """The column of a record; UnicodeDecodeError, struct.error."""
        column = cls(index, rings)
        if not any(data):
            return column
        (
            column.value, column.since, column.born, column.absent, column.refused,
            column._total, column._known, column._least, column._greatest, length,
        ) = _FIXED.unpack_from(data)  # fmt: skip
        column.path = data[_FIXED.size : _FIXED.size + length].decode()
        if column.path:
            at = _FIXED.size + PATH_BYTES
            for ring in rings:
                bucket, before, total, known, least, greatest = _TIER.unpack_from(data, at)
                opened = Opened(bucket, ring.start(bucket + 1), before)
                opened.total, opened.known, opened.least, opened.greatest = total, known, least, greatest
                column._opened.append(opened)
                at += _TIER.size
            column.closes = min(opened.end for opened in column._opened)
        return column

    def flaw(self) -> str:
        """What no changes can have led to; "" if nothing is. For records from elsewhere. O(tiers)."""
        if not self.path:
            return ""
        if not self.born <= self.since or (self.absent != PRESENT and self.absent > self.since):
            return f"born {self.born}, since {self.since}, absent {self.absent}"
        values = [self.value, self._least, self._greatest]
        totals = [(self._total, self._known)]
        for ring, each in zip(self._rings, self._opened, strict=True):
            start, known = ring.start(each.bucket), each.known + self._known
            if not start <= self.since < each.end or not 0 <= each.known <= known <= self.since - start:
                return f"{known} us known of a bucket at {start}, at {self.since}"
            values += [each.before, each.least, each.greatest]
            totals.append((each.total, each.known))
        if any(abs(value) > LIMIT and not isinf(value) for value in values):
            return f"numbers above {LIMIT:g}"
        if not all(abs(total) <= LIMIT * known for total, known in totals):
            return "a sum above what numbers can come to"
        return ""
