"""Ticks: bringing what is kept to disk, at once or in slices between which more is committed.

Rule: a tick begins with a cut: what is kept at that moment, by copies of the commits' records, is what it
stores. What is committed or dropped while it is under way is journalled behind the cut, and the next
tick's. One tick at a time: whoever needs everything stored has the one under way done first, then one of
his own. A tick that fails leaves everything to be stored, as if there had been no cut.
Cost: the cut O(commits since the last tick), a slice its time and the step that it ends in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.storage.protocol import BranchState, SeriesTick, Tick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.history.commit import Record
    from rrdstore.history.history import Due
    from rrdstore.store.ledger import Ledger

SLICE = 0.002
"""Seconds of a slice, where a commit has to help on a tick because the journal is half full."""

NODES = 1024
"""Nodes of trees that nobody wants any more that are taken apart in a step: half a millisecond."""


class Ticks:
    """The ticks of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._steps: Iterator[bool] | None = None
        self._due: Due | None = None
        """What the tick under way is to bring, until it is true."""
        self._tick: Tick | None = None
        self._authors: list[tuple[Record, Record, dict[str, int] | None]] = []
        """Of each commit that is to be written and stands for several: it, its copy, and who wrote as of the cut."""
        self._reserved = 0
        self._left = False
        """Whether the tick under way is one that stored all, and was left with something to free."""

    @property
    def under_way(self) -> bool:
        """Whether a tick has begun and not ended."""
        return self._steps is not None

    @property
    def storing(self) -> int:
        """How many commits, and changes of branches, tags and pins, the tick under way is about to store."""
        return len(self._due.fresh) + self._due.moved if self._due is not None else 0

    def run(self, seconds: float | None = None, *, always: bool = False, true: bool = False) -> bool:
        """Go on with the tick under way, or begin one; whether it is done. What `Storage.tick` raises.

        Without `seconds` everything is stored when this returns, `always` even if nothing is new. With `true`
        it returns as soon as that is so, and leaves what is to be freed to those who come after. What is left of
        trees that were let go of is taken apart last.
        """
        clock = self._ledger.clock
        # Over its budget of memory a storage needs a tick with nothing behind it, after which it lets go of all trees.
        slices = seconds is not None and self._ledger.storage.keeps
        limit = None if seconds is None else clock.monotonic() + int(seconds * 1e6)
        until = limit if slices else None
        if self._steps is None:
            if not (always or self._wanted()):
                return self._taken_apart(limit)
            self._begin()
            always = False
        while self._steps is not None:
            for stored in self._steps:
                if stored and self._due is not None:
                    self._ended()
                elif stored and true and not (always or self._wanted()):
                    self._left = True
                    return False
                if until is not None and clock.monotonic() >= until:
                    return False
            self._ended()
            self._steps, left, self._left = None, self._left, False
            if (until is None or left) and (always or self._wanted()):
                self._begin()
                always = False
        return true or self._taken_apart(limit)

    def _taken_apart(self, until: int | None) -> bool:
        """Whether nothing is left of the trees that were let go of; without a moment to end at, all at once."""
        remains, clock = self._ledger.remains, self._ledger.clock
        if until is None:
            remains.forget()
            return True
        while not remains.take_apart(NODES):
            if clock.monotonic() >= until:
                return False
        return True

    def failed(self) -> None:
        """`run` has raised: what the tick was to store is to be stored still."""
        due, self._steps, self._due, self._tick, self._left = self._due, None, None, None, False
        if due is not None:
            self._ledger.history.uncut(due)
            if self._ledger.series is not None:
                self._ledger.series.uncut()

    def _wanted(self) -> bool:
        history = self._ledger.history
        return bool(history.fresh or history.gone or history.changed or history.moved)

    def put_off(self, *, gains: bool) -> bool:
        """Have the storage put all that a tick would bring in its journal; whether that fits. No tick is under way."""
        tick = self._cut()
        try:
            return self._ledger.storage.put_off(tick, gains=gains)
        finally:
            self.failed()

    def _begin(self) -> None:
        tick = self._cut()
        self._reserved = self._ledger.room.reserved
        self._steps = self._ledger.storage.ticking(tick)

    def _cut(self) -> Tick:
        """All that there is to be brought, which is the tick's until it has ended or failed."""
        ledger, history = self._ledger, self._ledger.history
        branches = [
            BranchState(
                line.name,
                line.id,
                line.head,
                line.fork,
                line.upstream,
                line.base,
                line.keep,
                line.rings.state() if line.rings else b"",
                line.older,
                line.reach,
                line.lease,
                line.until,
            )
            for line in sorted(history.lines.values(), key=lambda line: line.id)
        ]
        fresh = [record.copied(record.root) for _, record in sorted(history.fresh.items())]
        changed = [record.copied() for _, record in sorted(history.changed.items())]
        due = self._due = history.cut()
        live = {**due.fresh, **due.changed}
        self._authors = [(live[copy.number], copy, copy.authors) for copy in (*fresh, *changed) if copy.authors]
        self._tick = tick = Tick(
            ledger.number,
            fresh,
            tuple(due.gone),
            changed,
            branches,
            dict(history.tags),
            frozenset(history.pins),
            None if ledger.series is None else SeriesTick(*ledger.series.cut()),
            history.last_line,
        )
        return tick

    def _ended(self) -> None:
        """The tick is true."""
        due, tick = self._due, self._tick
        if due is None or tick is None:
            return
        self._due = self._tick = None
        for record in tick.store:
            live = due.fresh[record.number]
            live.root_number, live.top = record.root_number, record.top
        for live, copy, authors in self._authors:
            if live.authors is authors:  # Names that found no place in the file count as others from now on.
                live.authors = copy.authors
        self._authors = []
        if self._ledger.series is not None:
            self._ledger.series.ticked()
        self._ledger.room.settled(self._reserved)
        self._ledger.holding.over()
        self._ledger.forget_trees(due.fresh)
