"""Room: what a change may take once it is stored, and where that comes from when bytes are short.

Rule: every container on the way to a changed place is written again, whole, with the small leaves inside
it, and so are the value and the commit's record. That much is reserved when a change is acknowledged, and
given back at the tick, when the true figure is known. Reservations add up until then, dropped commits or
not: what a dropped commit changed is stored with the next one.
If it does not fit: a tick; then commits beyond the policy go (docs/semantics.md, rule 10), some more than
needed, so that it is not done again for each commit; and if what nothing may thin leaves no room,
StoreFull, before anything was thinned in vain. They go by one tick, as what each frees is foretold: if that
fails, all of them are taken back.
Cost: O(edits x depth x 32) a change. Pressure: O(slots log slots) for each commit that goes; what nothing may thin is
weighed, O(objects), only where it is not known what those that go leave, as after an opening.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rrdstore.errors import HINDERED, StoreError, StoreFull, TooLarge
from rrdstore.history.branch import NOBODY
from rrdstore.storage.layout import CHARGE
from rrdstore.store.costs import RECORD, tree_cost
from rrdstore.tree.edit import EMPTY

if TYPE_CHECKING:
    from rrdstore.history.commit import Record
    from rrdstore.history.history import History
    from rrdstore.storage.protocol import Storage
    from rrdstore.store.ledger import Ledger

log = logging.getLogger("rrdstore")

BATCH = 32
"""Commits that are thinned beyond what is needed, at most. And between two ticks where nobody can foretell what they
free: one at first, and each time twice as many."""


class Room:
    """The reservations of one store, and its way out when they do not fit."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.reserved = 0
        """Bytes that all commits since the last tick may take."""
        self._held = -1
        """What cannot be thinned, at most: weighed once, and added to by each reservation since; -1 is unknown."""

    def reserve(self, cost: int) -> None:
        """A change of this cost was acknowledged."""
        self.reserved += cost
        if self._held >= 0:
            self._held += cost

    def settled(self, reserved: int) -> None:
        """A tick is true: what was reserved when it began is stored."""
        self.reserved -= reserved

    @property
    def full(self) -> bool:
        """Whether even the smallest change has to thin first, or is refused."""
        storage = self._ledger.storage
        return storage.forgets_trees and storage.lacking(RECORD + CHARGE + self.reserved, shrinks=False) > 0

    def counted_again(self) -> None:
        """Reserve what storing everything would take now, where it is put off: what was thinned since takes nothing."""
        reserved = self.counted()
        if reserved < self.reserved:
            self._held -= self.reserved - reserved if self._held >= 0 else 0
            self.reserved = reserved

    def counted(self) -> int:
        """The most bytes that storing everything takes that is not stored. O(what differs)."""
        history = self._ledger.history
        stored: dict[int, Record] = {}
        for record in (*history.graph.records.values(), *history.gone):
            if record.top > 0 and record.number > getattr(stored.get(record.branch), "number", 0):
                stored[record.branch] = record
        reserved, newest = 0, {branch: self._ledger.root(record) for branch, record in stored.items()}
        for _, record in sorted(history.fresh.items()):
            if record.branch not in newest and record.branch in history.lines:
                fork = history.graph.records.get(history.lines[record.branch].fork)
                newest[record.branch] = EMPTY if fork is None else self._ledger.root(fork)
            root, beside = self._ledger.root(record), newest.get(record.branch)
            if record.branch == NOBODY:  # A merge base, beside its first parent, or what not: then it is all new.
                parent = history.graph.records.get(record.parents[0].number)
                beside = None if parent is None else self._ledger.root(parent)
            reserved += tree_cost(root, beside)
            newest[record.branch] = root
        return reserved

    def require(self, cost: int, *, shrinks: bool) -> None:
        """Thin until `cost` bytes more fit; StoreFull, TooLarge, and what `tick` raises: nothing was changed."""
        storage, history, tick = self._ledger.storage, self._ledger.history, self._ledger.tick
        if storage.largest and cost > storage.largest:
            raise TooLarge("one change", cost, storage.largest)
        if storage.lacking(cost + self.reserved, shrinks=shrinks) <= 0:
            return
        try:
            tick()
        except HINDERED:
            self.counted_again()
            if storage.lacking(cost + self.reserved, shrinks=shrinks) > 0:
                raise
            return
        lacking = storage.lacking(cost, shrinks=shrinks)
        if lacking <= 0:
            return
        thinnable = self._thinnable(storage, history, lacking)
        if lacking > thinnable:
            raise StoreFull(cost, max(0, cost - lacking + thinnable))
        log.warning("%s: thinning beyond the policy to stay within the size", self._ledger.path)
        try:
            lacking = self._thinned(cost, lacking, shrinks=shrinks)
        except (StoreError, OSError):
            self._ledger.go_back()
            raise
        if lacking > 0:
            raise StoreFull(cost, max(0, cost - lacking))

    def _thinned(self, cost: int, lacking: int, *, shrinks: bool) -> int:
        """Thin until nothing is lacking; what is, if that cannot be. What the tick of it raises."""
        storage, history, tick = self._ledger.storage, self._ledger.history, self._ledger.tick
        foretell = storage.foretell(look=True)
        slack, batch, thinned, told, blind = 2 * storage.largest, 1, 0, 0, 0
        while (lacking > 0 or (lacking + slack > 0 and thinned < BATCH)) and history.relieve():
            thinned += 1
            freed = [foretell(record) for record in history.gone[told:]]
            told, blind = len(history.gone), blind + (not all(freed))
            lacking -= sum(freed)
            if blind >= batch:  # What these give is known when they are gone.
                tick()
                lacking, foretell = storage.lacking(cost, shrinks=shrinks), storage.foretell(look=True)
                batch, told, blind = min(2 * batch, BATCH), 0, 0
        tick()
        # What a true tick has dropped and could not free yet, the next one frees before it stores anything.
        return min(lacking, storage.lacking(cost, shrinks=shrinks))

    def _thinnable(self, storage: Storage, history: History, lacking: int) -> int:
        """Bytes that thinning would free, at least; what is held is weighed only if nothing else says enough."""
        live = storage.usage().live
        if self._held >= 0 and live - self._held >= lacking:
            return live - self._held
        records, holds, freed = history.graph.records, history.holds, 0
        foretell = storage.foretell(look=False)
        for number in history.graph.numbers:
            if number not in holds and records[number].stored:
                freed += foretell(records[number])
                if freed >= lacking:
                    return freed
        held = (records.get(number) for number in holds.numbers())
        self._held = storage.weigh([record for record in held if record is not None and record.stored])
        return live - self._held
