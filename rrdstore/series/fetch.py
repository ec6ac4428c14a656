"""Series as arrays.

Rule: rows are the buckets of one tier that are over at `now`, no older than its ring reaches, those that end after
`since` and begin before `until`; a path's value holds until `now`. Which tier: of those whose step divides the
wanted one, the finest whose ring reaches back to `since`, if none does the coarsest; without `since` the coarsest
if a step is wanted, else the finest. Rows of a step larger than the tier's are made of its rows exactly, and only
if all of them are over. A row's time is the beginning of its bucket.
A row's average, least and greatest are unknown (NaN) if the value was known for less than half of the bucket (RRD's
xff of 0.5); its last is the value at its end, unknown if that was.
Cost: O(rows) a path. Prior art: rrdfetch, which stamps rows with their ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rrdstore.errors import SeriesError
from rrdstore.policy.step import DAY
from rrdstore.series.ring import WHOLE
from rrdstore.series.table import CONSOLIDATIONS, Series

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy.typing as npt

    from rrdstore.policy.step import Step
    from rrdstore.series.column import Column
    from rrdstore.series.recording import Recording
    from rrdstore.series.ring import Ring

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_FORM = np.dtype([("bucket", "<u4"), ("known", "<u4"), ("average", "<f8"), ("least", "<f8"), ("greatest", "<f8"),
                  ("before", "<f8")])  # fmt: skip


class Rows(NamedTuple):
    """Consecutive buckets of one path: known microseconds, and their four consolidations."""

    known: Floats
    average: Floats
    least: Floats
    greatest: Floats
    last: Floats


def fetch(
    recording: Recording, columns: Sequence[Column], cf: str, now: int,
    since: int | None = None, until: int | None = None, step: Step | None = None,
) -> Series:  # fmt: skip
    """The rows of these columns; SeriesError for another consolidation function, or a step no tier divides."""
    if cf not in CONSOLIDATIONS:
        raise SeriesError(str(cf), "an unknown consolidation function", f"one of {', '.join(CONSOLIDATIONS)}")
    tier = choose(recording.rings, now, since, step)
    ring = recording.rings[tier]
    over = ring.bucket(now)
    step = step or ring.tier.step
    born = min((column.born for column in columns), default=now)
    begin = step.start(step.bucket(min(now, born if since is None else since)))
    first = max(ring.bucket(begin), over - ring.tier.rows)
    groups = _groups(ring, step, first, over)
    values = np.full((max(0, len(groups.starts) - 1), len(columns)), np.nan)
    for at, column in enumerate(columns):
        values[:, at] = _consolidated(rows(recording, column, tier, first, now), groups, cf)
    times = groups.starts[:-1]
    wanted = np.ones(len(times), bool) if until is None else times < until
    return Series(times[wanted].astype("datetime64[us]"), tuple(column.path for column in columns), values[wanted])


def choose(rings: Sequence[Ring], now: int, since: int | None, step: Step | None) -> int:
    """The tier to read; SeriesError if no tier's step divides the wanted one."""
    fits = [at for at, ring in enumerate(rings) if step is None or divides(ring.tier.step, step)]
    if not fits:
        steps = ", ".join(str(ring.tier.step) for ring in rings)
        raise SeriesError(str(step), "a step that no tier divides", f"one of {steps}, or a multiple")
    if since is None:
        return fits[0] if step is None else fits[-1]
    reaching = (at for at in fits if rings[at].start(rings[at].bucket(now) - rings[at].tier.rows) <= since)
    return next(reaching, fits[-1])


def divides(fine: Step, coarse: Step) -> bool:
    """Whether every bucket of `coarse` is made of whole buckets of `fine`."""
    if coarse.months:
        return coarse.months % fine.months == 0 if fine.months else DAY % fine.length == 0
    return not fine.months and coarse.length % fine.length == 0


def rows(recording: Recording, column: Column, tier: int, first: int, now: int) -> Rows:
    """The buckets of a path from `first` to the last that is over at `now`."""
    ring = recording.rings[tier]
    ahead, closed = column.rolled(now)
    over, opened = ahead.bucket(tier), column.bucket(tier)
    born = ring.bucket(column.born)
    start = max(born, over - ring.tier.rows)
    buckets = np.arange(start, over, dtype=np.int64)
    data = recording.read([ring.address(int(bucket), column.index) for bucket in buckets])
    cells = np.frombuffer(data, _FORM).copy()
    filled = np.frombuffer(data, np.uint8).reshape(-1, _FORM.itemsize).any(axis=1)
    stored = filled & (buckets < opened)
    written = stored & (cells["bucket"] == (buckets & WHOLE))
    # Newer than the column itself knows of: a tick that never ended was here before the power failed.
    torn = stored & (((cells["bucket"].astype(np.int64) - opened) & WHOLE) < 1 << 31)
    for name in ("average", "least", "greatest", "before"):
        cells[name][torn] = np.nan
    cells["known"][torn] = 0
    written |= torn
    for _, cell in (pair for pair in closed if pair[0] is ring):
        if cell.bucket >= start:
            cells[cell.bucket - start] = np.frombuffer(cell.encode(), _FORM)[0]
            written[cell.bucket - start] = True
    found = _filled(cells, written, ring, buckets, ahead.before(tier))
    known, average, least, greatest, last = (
        _aligned(each, start, first, over, filler) for each, filler in zip(found, (0.0, *[np.nan] * 4), strict=True)
    )
    return Rows(known, average, least, greatest, last)


def _filled(cells: Any, written: Any, ring: Ring, buckets: Ints, tail: float) -> Rows:
    """All rows from the written ones: a bucket without a cell has the value that the next one says was before."""
    count = len(buckets)
    places = np.flatnonzero(written)
    befores = np.append(cells["before"][places], tail)
    after = befores[np.searchsorted(places, np.arange(count), side="right")]
    lengths = np.diff(_starts(ring, int(buckets[0]), count)) if count else np.empty(0)
    known = np.where(np.isnan(after), 0.0, lengths)
    # Whole microseconds, as they were: a cell says them exactly for steps of up to 2^32 of them (71 minutes).
    known[places] = np.rint(cells["known"][places] / WHOLE * lengths[places])
    found = [np.where(written, cells[name], after) for name in ("average", "least", "greatest")]
    average, least, greatest = found
    return Rows(known, average, least, greatest, after)


def _aligned(found: Floats, start: int, first: int, over: int, filler: float) -> Floats:
    """The values of buckets from `start` on as those of `first` to `over`."""
    if start < first:
        return found[first - start :]
    return np.concatenate([np.full(over - first - len(found), filler), found])


class Groups(NamedTuple):
    """Rows of a tier that make one row of a step each."""

    starts: Ints
    """When each begins, and when the last ends."""
    places: Ints
    """Its first row, counted from the first; and behind them the end of the last."""


def _groups(ring: Ring, step: Step, first: int, over: int) -> Groups:
    starts = _starts(ring, first, over - first)
    if step == ring.tier.step:
        return Groups(starts, np.arange(len(starts), dtype=np.int64))
    buckets = np.array([step.bucket(int(start)) for start in starts], dtype=np.int64)
    # Where a bucket of the step begins: one whose beginning was overwritten is left out, and so is the last,
    # which is not over.
    begins = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    places = np.array([at for at in begins if step.start(int(buckets[at])) == starts[at]], dtype=np.int64)
    return Groups(starts[places], places)


def _starts(ring: Ring, first: int, count: int) -> Ints:
    """When each of `count` buckets begins, and when the last ends."""
    step = ring.tier.step
    if not step.months:
        return np.arange(first, first + count + 1, dtype=np.int64) * step.length
    return np.array([step.start(bucket) for bucket in range(first, first + count + 1)], dtype=np.int64)


def _consolidated(found: Rows, groups: Groups, cf: str) -> Floats:
    """One consolidation of each group; NaN where too little is known."""
    ends = groups.places[1:]
    if not len(ends):
        return np.empty(0)
    if cf == "last":
        return found.last[ends - 1]
    begins, upto = groups.places[:-1], int(ends[-1])
    known = np.add.reduceat(found.known[:upto], begins)
    if cf == "min":
        values = np.fmin.reduceat(found.least[:upto], begins)
    elif cf == "max":
        values = np.fmax.reduceat(found.greatest[:upto], begins)
    else:
        total = np.add.reduceat(np.where(found.known > 0, found.average * found.known, 0.0)[:upto], begins)
        values = np.full(len(ends), np.nan)
        np.divide(total, known, out=values, where=known > 0)
    lengths = np.diff(groups.starts)
    # Of longer steps a half may have been rounded down.
    return np.where(2 * known >= lengths - (lengths >> 31), values, np.nan)
