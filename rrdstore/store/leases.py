"""Leases: the commits that open snapshots and transactions stand on.

Rule: a commit is kept while a lease of it is open. Leases are counted by commit and reason; how many commits may
be held at once is the storage's limit. Snapshots end on any thread, even in the collector: what has ended is only
noted there, and given back on the writing thread, at the next change, tick or report. Cost: O(1).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from rrdstore.store.limits import check_limit

if TYPE_CHECKING:
    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger

Lease: TypeAlias = tuple[int, str]
"""The number of a commit, and the reason."""

MAX_SNAPSHOTS = 1024
"""Commits that snapshots and transactions hold at once, where the storage sets no limit."""


class Leases:
    """The open leases of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.open: dict[Lease, int] = {}
        """Of each, how many there are."""
        self.ended: deque[Lease] = deque()
        """Those to give back."""

    @property
    def most(self) -> int:
        """How many commits may be held at once."""
        return self._ledger.storage.max_snapshots or MAX_SNAPSHOTS

    @property
    def taken(self) -> tuple[int, int]:
        """How many are held, and how many may be."""
        self.end_all()
        return len(self.open), self.most

    def take(self, record: Record, reason: str) -> Lease:
        """Keep a commit while a snapshot or transaction of it is open; given back by `end`. LimitReached."""
        lease = (record.number, reason)
        if lease not in self.open:
            check_limit("snapshots", len(self.open), self.most)
        self.open[lease] = self.open.get(lease, 0) + 1
        self._ledger.history.holds.hold(*lease)
        return lease

    def end(self, lease: Lease) -> None:
        """Give a lease back, and the commit if nothing else keeps it. On the writing thread only."""
        self.open[lease] -= 1
        if not self.open[lease]:
            del self.open[lease]
        self._ledger.history.release(*lease)

    def end_all(self) -> None:
        """Give back all that have ended. On the writing thread only."""
        while self.ended:
            self.end(self.ended.popleft())

    def hold_again(self) -> None:
        """Tell a history that was made anew what is open."""
        for (number, reason), count in self.open.items():
            for _ in range(count):
                self._ledger.history.holds.hold(number, reason)
