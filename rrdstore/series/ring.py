"""One ring of cells: where its buckets lie, and what a cell is.

Rule: bucket b of a tier lies in row b modulo its rows. A cell is written only for a bucket in which its path
changed; it says which bucket it is of (modulo 2^32), so what an older turn of the ring left in the row is told
from it. A bucket without a cell saw no change: its path had one value all along, the one that the next cell says
held before it. So a path that rests costs nothing, however long, and a row may be written twice by a crash
and its recovery without harm.

    cell = bucket:u32 known:u32 average:f64 least:f64 greatest:f64 before:f64

`known` is the part of the bucket in which the value was a number, in units of 2^-32; `before` the value just
before the bucket began; NaN is unknown. Cost: O(1). Prior art: RRDtool's rings, which are written row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from rrdstore.series.number import UNKNOWN

if TYPE_CHECKING:
    from rrdstore.policy.policy import Every
    from rrdstore.series.declaration import Declared

WHOLE = (1 << 32) - 1
"""`known` of a bucket without a gap."""
_CELL = Struct("<IIdddd")
EMPTY = bytes(_CELL.size)


class Cell(NamedTuple):
    """What is kept of one bucket of one path in which it changed. `known` is a part of 1."""

    bucket: int
    known: float
    average: float
    least: float
    greatest: float
    before: float

    def encode(self) -> bytes:
        """The cell as bytes; any known time at all counts as one unit at least."""
        known = round(self.known * WHOLE) or self.known > 0
        return _CELL.pack(self.bucket & WHOLE, known, self.average, self.least, self.greatest, self.before)

    @classmethod
    def decode(cls, data: bytes) -> Cell:
        """The cell of these bytes, its bucket modulo 2^32."""
        bucket, known, *values = _CELL.unpack(data)
        return cls(bucket, known / WHOLE, *values)


@dataclass(frozen=True, slots=True)
class Ring:
    """The rows of one tier, for all columns: row after row, in each a cell for each column."""

    tier: Every
    first: int
    """The address of its first cell."""
    columns: int
    length: int
    """Microseconds of a bucket; 0 if it follows the calendar."""

    def bucket(self, rt: int) -> int:
        """The bucket of a moment."""
        return rt // self.length if self.length else self.tier.step.bucket(rt)

    def start(self, bucket: int) -> int:
        """When a bucket begins, microseconds; it ends where the next one begins."""
        return bucket * self.length if self.length else self.tier.step.start(bucket)

    def address(self, bucket: int, column: int) -> int:
        """Where the cell of a bucket lies among all cells of a store."""
        return self.first + bucket % self.tier.rows * self.columns + column


class Opened:
    """A bucket that a path last changed in: what is known of it so far. Times are microseconds."""

    __slots__ = ("before", "bucket", "end", "greatest", "known", "least", "total")

    def __init__(self, bucket: int, end: int, before: float) -> None:
        self.bucket, self.end, self.before = bucket, end, before
        self.total, self.known = 0.0, 0
        self.least, self.greatest = float("inf"), float("-inf")

    def cell(self, length: int) -> Cell:
        """The cell of the bucket, which is over and was `length` long."""
        average, least, greatest = UNKNOWN, self.least, self.greatest
        if least > greatest:
            least = greatest = UNKNOWN
        if self.known:
            # Rounding may carry a mean past what it is the mean of.
            average = min(max(self.total / self.known, least), greatest)
        return Cell(self.bucket, self.known / length, average, least, greatest, self.before)


def rings(declared: Declared) -> tuple[Ring, ...]:
    """The rings of a declaration, finest first, one behind the other."""
    found, first = [], 0
    for tier in declared.tiers:
        found.append(Ring(tier, first, declared.columns, 0 if tier.step.months else tier.step.length))
        first += tier.rows * declared.columns
    return tuple(found)
