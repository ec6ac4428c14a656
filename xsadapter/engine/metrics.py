"""Metrics: what the daemon has done, counted as it is done.

Rules
1. A request costs two additions: of its operation and of its connection. All else is counted where something rare
   happens, once in a turn of the loop, or only when somebody asks.
2. A span of time is counted in the bucket of its length, powers of two microseconds: so no time has to be chosen
   beforehand, and quantiles are known within a factor of two.
3. A turn is what a client may wait for: from when the daemon knows that there is something to do until the last answer
   of all that there was has been sent. A wait is a request's that had to let another's transaction end first
   (`engine.turns`). A slice is a part of a tick, in which nobody is served.

Counters begin with the daemon. Cost: O(1) each; a request's is under 1 % of a READ's (docs/bench.md).
"""

from __future__ import annotations

from typing import Final

BUCKETS: Final = 32
_MICROSECONDS: Final = 1_000_000


class Spans:
    """How often something took how long: `counts[i]` are those of less than 2^i µs and at least half of that."""

    __slots__ = ("counts", "longest", "total")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total = 0
        """Microseconds."""
        self.longest = 0

    def took(self, seconds: float) -> None:
        """One more."""
        length = int(seconds * _MICROSECONDS)
        try:
            self.counts[length.bit_length()] += 1
        except IndexError:
            self.counts[-1] += 1
        self.total += length
        if length > self.longest:  # noqa: PLR1730 - max() would be half of what all of this takes
            self.longest = length


class Metrics:
    """Those of one daemon; times are told by the shell."""

    __slots__ = ("began", "conflicts", "kinds", "slices", "turns", "waits")

    def __init__(self) -> None:
        self.began = 0.0
        """When the daemon began to serve, in the flow's time."""
        self.kinds = [0] * 256
        """Requests by the number of their operation, whether there is such a one or not; the last has all above."""
        self.conflicts = 0
        self.turns, self.waits, self.slices = Spans(), Spans(), Spans()
