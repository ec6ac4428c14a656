"""The writer of a ring file: the storage that one process has open for changes.

Rule: what it says is what the file holds, and what its journal does; what it is told becomes true as
`ticking` has it. Cost: an entry in the journal 2 to 3 us, a tick O(changes).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from rrdstore.errors import HINDERED, Corrupt, Held, StoreError
from rrdstore.storage import cells, check, formats, netting
from rrdstore.storage.budget import Budget
from rrdstore.storage.codec import decode
from rrdstore.storage.foretelling import Foretelling, each
from rrdstore.storage.freeing import weigh
from rrdstore.storage.loader import Loader
from rrdstore.storage.objects import Objects
from rrdstore.storage.packing import Missing
from rrdstore.storage.protocol import Planted, State
from rrdstore.storage.reader import usage
from rrdstore.storage.records import read_branches, read_pins, read_tags
from rrdstore.storage.ticking import Ticking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.container import Container
    from rrdstore.storage.journal import Journal
    from rrdstore.storage.protocol import Acknowledged, Brief, Problem, Progress, Tick, Usage
    from rrdstore.storage.ticking import Steps
    from rrdstore.tree.node import Bucket, Node, Wide


class RingWriter:
    """A store's file, open for its one writer; implements `protocol.Storage`."""

    readonly = False
    forgets_trees = True

    def __init__(self, held: Container, ring: Journal, *, flush: bool, memory: int = 0) -> None:
        self._container, self._journal, self._flush = held, ring, flush
        layout = self._layout = held.layout
        self.max_branches, self.max_tags, self.max_pins = layout.branches, layout.tags, layout.pins
        self.max_snapshots, self.max_slots = layout.snapshots, layout.slots + layout.branch_slots
        self.largest, self._room, self._unreserved = layout.largest, layout.room, layout.room - layout.reserve
        self._objects, self._budget = Objects(held), Budget(memory)
        self._parts, self._loader = self._budget.parts, Loader(self)
        if memory:  # What no tick has stored is in memory too: a record, and some 16 times as much in nodes.
            ring.half = min(ring.half, self._budget.size // 16)
        self._ticks = Ticking(held, ring, self._objects, self.load, self._budget)
        self._closed, self._older = False, formats.older(held)
        ring.brief = not 0 < self._older < formats.BRIEF
        # If a reader is in the way, the journal's head says the epoch until a transaction can.
        self._journal.epoch = self._objects.begin_epoch(ring.epoch)
        with suppress(Held):
            self._objects.commit(durable=True)
            self._ticks.settle()

    # What there is

    def state(self) -> State:
        """As of the last tick, and the journal since."""
        ticks = self._ticks
        ticks.abandon()
        self._container.assure()
        self._budget.forget()
        if ticks.stale:
            ticks.load()
        elif not ticks.untouched:
            ticks.load_tables()
        superblock, rows = self._objects.superblock, ticks.rows
        pending, fault = self._journal.recover(superblock.generation, superblock.start)
        if fault:
            raise fault
        state = State(
            self._container.uuid,
            superblock.epoch,
            superblock.number,
            ticks.kept.records(),
            read_branches(rows["branch"]),
            read_tags(rows["tag"]),
            read_pins(rows["pin"]),
            pending,
            cells.state(self._container),
            superblock.line,
        )
        return netting.applied(state, self._journal.net, ticks.kept, self.root) if self._journal.net else state

    def root(self, commit: Record) -> Node:
        """The tree of a stored commit; from memory if it is the newest of its branch."""
        return self._ticks.root(commit)

    def load(self, number: int) -> Node | Bucket | Wide:
        """One object; Corrupt, also if it is not there, as the writer knows what there must be."""
        part = self._parts.get(number)
        if part is not None:
            return part
        try:
            kind, data = self._objects.read(number)
        except Missing as fault:
            raise Corrupt(f"object {fault.number}", "nothing", "a part of a kept tree") from fault
        return self._budget.loaded(number, decode(kind, data, number, self._loader), len(data))

    @property
    def keeps(self) -> bool:
        """Whether what is loaded now stays with the tree that it is a part of."""
        return self._budget.keeps

    def lacking(self, cost: int, *, shrinks: bool) -> int:
        """Bytes that are lacking for `cost` more; what shrinks the tree may use the reserve."""
        return self._objects.superblock.charged + cost - (self._room if shrinks else self._unreserved)

    def weigh(self, commits: Sequence[Record]) -> int:
        """What the objects that these commits reach count for; O(objects)."""
        return weigh((commit.root_number for commit in commits), self._ticks.freeing.references, self._objects.weight)

    def foretell(self, *, look: bool) -> Callable[[Record], int]:
        """By what is remembered of commits, and what their objects say."""
        return Foretelling(self._ticks.kept, self._private if look else None)

    def _private(self, root: int, floor: int, beside: int) -> int:
        return sum(map(self._objects.weight, self._ticks.freeing.private(root, floor, beside)))

    def each(self, commits: Sequence[Record]) -> int:
        """By what is remembered, and some objects; of the same commits always the same."""
        return each(self._ticks.kept, commits, partial(self._ticks.freeing.guess, choose=Random(1)))

    def cells(self, addresses: Sequence[int]) -> bytes:
        """Cells of series, as of the last tick."""
        return cells.cells(self._container, addresses)

    def usage(self) -> Usage:
        """Bytes and fill now."""
        return usage(self._container, self._journal.used, self._budget.size)

    def check(self, progress: Progress | None = None) -> list[Problem]:
        """Everything verified: each row and object, every tree, a full mark against what is not freed.

        Not while a tick is under way, which has written what nobody reaches yet.
        """
        with suppress(Held):  # What is left over then is reported as such.
            self._ticks.settle()
        return check.check(self._container, self._objects, self._journal, progress)

    # The journal

    @property
    def due(self) -> bool:
        """Whether the journal is half full."""
        return self._journal.due

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:
        """Put a commit of one value in the journal, unless `append` has more to do."""
        if self._flush or self._container.doubtful:
            return 0
        return self._journal.write(number, epoch, branch, brief, value)

    def append(self, entry: Acknowledged) -> bool:
        """Put a change in the journal; False if it has to be stored straight. Held, Unwritable."""
        if self._container.doubtful and self._journal.forgotten < 0:
            self._container.assure()
            self._objects.superblock.writes += 1
        if self._older:
            missing = formats.lacks(self._older, entry)
            try:
                if missing or not self._journal.held_by:
                    formats.renew(self._container)
                    self._older, self._journal.brief = 0, True
            except HINDERED:
                if missing:
                    return False  # A net is in every format.
        if entry.__class__ is Planted:
            return self._journal.plant(entry, flush=self._flush)
        return self._journal.append(entry, flush=self._flush)

    @property
    def unjournalled(self) -> bool:
        """Whether the journal takes entries and forgets them."""
        return self._journal.forgotten >= 0

    def forget(self) -> None:
        """Be so until a tick or a net has all that there is."""
        self._journal.forget()

    # Ticks

    def put_off(self, tick: Tick, *, gains: bool = False) -> bool:
        """Put a tick in the journal as its net; Unwritable, Corrupt, LimitReached, TooLarge, nothing changed then."""
        ticks = self._ticks
        ticks.abandon()
        self._container.assure()
        if ticks.stale:
            ticks.load()
        data = netting.made(tick, ticks.kept, self.root, self._layout)
        return self._journal.put_off(data, gains=gains, flush=self._flush)

    def tick(self, tick: Tick) -> None:
        """Store, drop and change; Held, LimitReached, TooLarge, Unwritable, Corrupt: nothing has changed then."""
        for _ in self.ticking(tick):
            pass

    def ticking(self, tick: Tick) -> Steps:
        """The same in steps."""
        return self._ticks.begin(tick)

    def close(self) -> None:
        """Let go of everything; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._ticks.abandon()
        try:
            if not self._ticks.stale and not self._journal.used:
                self._objects.superblock.clean = 1
                self._objects.commit(durable=True)
        except StoreError:
            pass  # Only the note that the journal may be missing is not made.
        finally:
            self._parts.forget()
            self._container.close()
            self._journal.close()
