"""Time for a store: the system's clocks, and retention time, which is slewed.

Rule: the retention time of a commit is

    rt = clamp(wall, last + elapsed / 2, last + 2 * elapsed)

where `last` is the retention time of the commit before it in this store and `elapsed` the
monotonic time since. So retention time never goes back; it runs at the wall clock's pace while
the two agree, at half or double the real pace while it is ahead or behind, and is never frozen
by a wall clock that is behind. A wall clock that jumps ten years ahead, and back after ten minutes, moves
borders by at most those ten minutes. No commit is refused for its time. Commits within one microsecond
share their retention time; their numbers order them.

Across a reopening nothing monotonic is left: `elapsed` then begins, once, at what the wall clock says has
passed since the last commit, at least 0.

One clock a store, shared by its branches. Times are int microseconds since the epoch, UTC.
Cost: O(1). Prior art: adjtime(2), which slews too. A tolerance granted to each commit adds up instead.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol


class Clock(Protocol):
    """What a store asks the time of; both in microseconds."""

    def wall(self) -> int:
        """The time of day, since 1970-01-01T00:00Z. It may jump, either way."""

    def monotonic(self) -> int:
        """Since any fixed moment. It never goes back, and nobody can set it."""


class SystemClock:
    """The clocks of this machine. `monotonic` goes on counting while the machine sleeps, where it can tell."""

    def wall(self) -> int:
        """The time of day, microseconds since 1970-01-01T00:00Z."""
        return time.time_ns() // 1000

    def monotonic(self) -> int:
        """Microseconds since the machine started."""
        return time.clock_gettime_ns(_MONOTONIC) // 1000


_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Stamp(NamedTuple):
    """The two times of a commit, microseconds: `rt` for retention, `wall` as the wall clock had it."""

    rt: int
    wall: int


_stamped = tuple.__new__  # a third of what calling a named tuple costs


class RetentionClock:
    """Retention time of one store, from the stamp of its last commit on, or from the wall clock if it has none."""

    __slots__ = ("_before", "_clock", "_halves", "_since")

    def __init__(self, clock: Clock, last: Stamp | None = None) -> None:
        wall = clock.wall()
        start = Stamp(wall, wall) if last is None else last
        self._clock = clock
        # Retention time in half microseconds, so that half of an odd `elapsed` is not lost at each commit.
        self._halves = 2 * start.rt
        self._since = clock.monotonic() - max(0, wall - start.wall)
        self._before = self._halves, self._since

    @property
    def last(self) -> int:
        """The retention time of the last commit that was made, kept or not."""
        return self._halves >> 1

    def now(self) -> Stamp:
        """What a commit made now would get; nothing changes."""
        wall = self._clock.wall()
        return Stamp(self._slewed(wall, self._clock.monotonic()) >> 1, wall)

    def stamp(self) -> Stamp:
        """The times of a commit made now; the next one is measured from it."""
        # As `_slewed`, without its calls: once a commit.
        self._before = self._halves, self._since
        wall, elapsed = self._clock.wall(), self._clock.monotonic() - self._since
        if elapsed > 0:
            self._since += elapsed
        else:
            elapsed = 0
        halves = self._halves + elapsed
        ahead = 2 * wall - halves
        if ahead > 0:
            halves += min(ahead, 3 * elapsed)
        self._halves = halves
        return _stamped(Stamp, (halves >> 1, wall))

    def unmade(self) -> None:
        """The commit that was stamped last was refused: the next one is measured from the one before it."""
        self._halves, self._since = self._before

    def _slewed(self, wall: int, monotonic: int) -> int:
        elapsed = max(0, monotonic - self._since)
        return min(max(2 * wall, self._halves + elapsed), self._halves + 4 * elapsed)
