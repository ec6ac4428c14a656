"""The ledger: the order in which history, storage and clock are asked.

Rule: a change is checked for room, then journalled, then made; what is refused has changed nothing, and
what was answered survives the process. A tick brings what is still kept to disk. When a tick fails in a
change that the journal does not hold (a commit too large for it), the ledger goes back to
what was acknowledged and the error is raised. Recovery does its entries again by the same code. One thread writes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rrdstore.errors import HINDERED, Closed, ReadOnly, StoreError, Unwritable
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Edit, Key, Record, commit_id, cut
from rrdstore.history.history import History
from rrdstore.storage.protocol import Entry, Planted
from rrdstore.store.branching import Branching
from rrdstore.store.commit import Commit
from rrdstore.store.config import MAIN, Config
from rrdstore.store.costs import change_cost, tree_cost
from rrdstore.store.holding import Holding
from rrdstore.store.leases import Leases
from rrdstore.store.loading import load
from rrdstore.store.merging import applied
from rrdstore.store.moments import Found, by_id, find
from rrdstore.store.redoing import redo
from rrdstore.store.room import Room
from rrdstore.store.run import Run
from rrdstore.store.shrinking import shrinks
from rrdstore.store.ticks import SLICE, Ticks
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from rrdstore.history.branch import Line, Meeting
    from rrdstore.history.clock import Clock, RetentionClock
    from rrdstore.series import Recording
    from rrdstore.storage.protocol import RefChange, Storage
    from rrdstore.store.config import WhenHeld
    from rrdstore.store.watch import Watches
    from rrdstore.tree.node import Node
    from rrdstore.tree.remains import Remains

log = logging.getLogger("rrdstore")


class Ledger:
    """One history, one storage, one clock. The facade's objects share it; users see `Store`."""

    def __init__(self, storage: Storage, clock: Clock, path: str) -> None:
        self.storage, self.clock, self.path = storage, clock, path
        self.watches: dict[int, Watches] = {}  # by branch id
        self.changes = 0
        """How often branches, tags and pins were changed by this process."""
        self.leases = Leases(self)
        """Commits that open snapshots and transactions stand on."""
        self.branching = Branching(self)
        """How branches come to be and come together."""
        self.holding = Holding(self)
        """Whether another process, or the file system, keeps it from being written."""
        self.when_held: WhenHeld = "fail"
        self.when_unwritable: WhenHeld = "fail"
        self.relieve: Callable[[], object] = lambda: None
        """Called when memory has run out, before more is taken to be again what was acknowledged."""
        self.closed = False
        self.config = Config()
        """What the program that opened it asks for."""
        self.run = Run(self)
        """The newest commits, of which `history` is told when it is asked for."""
        self._history = History()
        self.room, self.ticks = Room(self), Ticks(self)
        self.uuid: bytes
        self.epoch: int
        self.number: int
        """The last commit number given out."""
        self.series: Recording | None
        """What records the series that were declared."""
        self.retention: RetentionClock
        self.rooted: set[int]
        """Stored commits that have their trees in memory."""
        self.recovered = load(self)
        """What the journal held at opening, each commit with its opaque part."""

    @property
    def history(self) -> History:
        """All that is kept, and what it is kept for."""
        if self.run.branch:
            try:
                self.run.settle()
            except BaseException as fault:
                self.follow(fault)
                raise
        return self._history

    @history.setter
    def history(self, history: History) -> None:
        self.run.forget()
        self._history = history

    @property
    def remains(self) -> Remains:
        """What is left of trees that nobody wants; history is told of nothing for that."""
        return self._history.parting.remains

    # Opening and ending

    def close(self) -> None:
        """Store everything and let go of the storage; what another process keeps from being stored is journalled.

        Held or Unwritable, and nothing is let go of, if changes are in memory only.
        """
        if self.closed:
            return
        try:
            if not self.storage.readonly:
                self.tick()
        except HINDERED as fault:
            if self.holding.lost:
                raise
            if isinstance(fault, Unwritable):
                self._let_go()
                raise
        except BaseException:
            self._let_go()
            raise
        self._let_go()

    def abandon(self) -> None:
        """Let go of the storage, with nothing stored; twice is fine."""
        if not self.closed:
            self._let_go()

    def _let_go(self) -> None:
        self.closed = True
        self.storage.close()
        self.history.parting.remains.forget()

    # Commits

    def commit(
        self,
        line: Line,
        edits: tuple[Edit, ...],
        message: str,
        author: str,
        opaque: bytes = b"",
        root: Node | None = None,
        merged: Record | None = None,
        meeting: Meeting | None = None,
        straight: int = 0,
        kind: type[Entry] = Entry,
    ) -> Record:
        """Make one commit of `edits` on a branch.

        `root` is the tree if it is known, `merged` a second parent and `meeting` what then becomes of the base.
        What it costs, `straight`, is said if it is to be stored straight, past the journal, or is Planted.
        """
        storage = self.storage
        if self.closed or storage.readonly or self.leases.ended:
            self.check_writable()
        head = self.history.graph.records[line.head] if line.head else None
        before = EMPTY if head is None else head.root or self.root(head)
        number, epoch = self.number + 1, self.epoch
        bounded = storage.forgets_trees
        # The cost first: the weights it asks for are then carried along. Of a known tree it is the tree's.
        cost = straight
        if bounded and not straight:
            cost = change_cost(before, edits) if root is None else tree_cost(root, before)
        if meeting is not None and meeting.crossing is not None:
            number += 1
            cost += self.branching.crossing_cost(meeting) if bounded else 0
        after = applied(before, edits, number) if root is None else root
        if cost:
            short = storage.lacking(cost + self.room.reserved, shrinks=False) > 0
            self.room.require(cost, shrinks=short and shrinks(before, edits))
        rt, wall = self.retention.stamp()
        parents = () if head is None else (head.key,) if merged is None else (head.key, merged.key)
        author, message = cut(author, AUTHOR_BYTES), cut(message, MESSAGE_BYTES)
        record = Record(number, epoch, line.id, parents, rt, wall, author, message, after)
        try:
            journalled = True
            if bounded:
                said = (number, epoch, line.id, parents, rt, wall, author, message, edits, opaque, meeting)
                entry = tuple.__new__(kind, said)
                try:
                    journalled = (not straight or kind is Planted) and storage.append(entry)
                except HINDERED as fault:
                    journalled = self.holding.append(entry, fault)
                self.room.reserve(cost)
            self.admit(line, record, edits, meeting)
        except BaseException as fault:
            self.retention.unmade()
            self.follow(fault)
            raise
        if not journalled:
            self.settle(number)
            record = self.history.graph.records.get(number, record)
        elif bounded and storage.due:
            self.try_tick()
        if self.watches:
            self.tell(record, edits)
        return record

    def tell(self, record: Record, edits: tuple[Edit, ...]) -> None:
        """Tell those who watch a branch of its new commit."""
        watches = self.watches.get(record.branch)
        if watches:
            watches.fire(Commit(self, record), edits)

    def admit(self, line: Line, record: Record, edits: tuple[Edit, ...], meeting: Meeting | None = None) -> None:
        """Make a commit that the journal has the head of its branch. O(tiers), and what drops by it."""
        self.number = record.number
        if self.series is not None and line.name == MAIN:
            self.series.feed(record.rt, edits)
        history = self._history  # As it is: no run has anything to tell.
        graph, parents = history.graph, record.parents
        before = graph.records.get(parents[0][0]) if parents else None
        if before is not None and len(parents) == 1:
            record.grafts = parents[0][:1]
        else:
            record.grafts = graph.reduced([key.number for key in parents if key.number in graph.records])
        self.run.places.moved(line.id, record.root, edits)
        history.parting.admitted(record, edits, before)
        history.admit(record)
        if meeting is not None:
            self.branching.met(record, meeting)
        if record.rt >= history.next_end:
            history.expire(record.rt)

    # Branches, tags and pins

    def change(self, change: RefChange, *, straight: bool = False) -> None:
        """Make a change of branches, tags or pins, which nothing forbids; Held, Unwritable.

        `straight` stores it by a tick, past the journal. O(1), and what is dropped by it.
        """
        storage = self.storage
        bounded = storage.forgets_trees
        journalled = not straight
        try:
            if bounded and journalled:
                try:
                    journalled = storage.append(change)
                except HINDERED as fault:
                    journalled = self.holding.append(change, fault)
            redo(self, change)
        except BaseException as fault:
            self.follow(fault)
            raise
        self.changes += 1
        if not journalled:
            self.settle()
        elif bounded and storage.due:
            self.try_tick()

    def now(self) -> int:
        """The retention time that a commit made now would have."""
        return self.retention.now().rt

    # Trees

    def root(self, record: Record) -> Node:
        """The tree of a kept commit, loaded if it is not in memory."""
        if record.root is not None:
            return record.root
        root = self.storage.root(record)
        if record.number in self.history.holds and any(
            line.head == record.number for line in self.history.names.values()
        ):
            record.root = root
            self.rooted.add(record.number)
        return root

    def tree(self, record: Record) -> Tree:
        """The same, to be read."""
        self.check_open()
        return Tree(self.root(record), self.storage)

    def kept(self, name: str) -> Record:
        """The kept commit of this tag, number, id or prefix of one; NotFound, Thinned."""
        self.check_open()
        key = self.history.tags.get(name)
        number = key.number if key else by_id(self.history, self.uuid, Key(self.number, self.epoch), name)
        return self.history.graph.records[number]

    def find(self, line: Line, when: str | datetime | int) -> Found:
        """The commit that `when` means on a branch: tag, moment, number, id or prefix of one."""
        self.check_open()
        self.leases.end_all()
        return find(self.history, self.uuid, line, Key(self.number, self.epoch), when, self.clock.wall())

    # Ticks

    def tick(self, seconds: float | None = None) -> bool:
        """Bring what is kept now to disk, or go on with it for so long; whether that is done."""
        self.leases.end_all()
        try:
            done = self.ticks.run(seconds)
            if done and self.holding.lost:  # What came while it went on is nowhere yet, and little.
                self.ticks.run()
            return done
        except BaseException as fault:
            self.ticks.failed()
            if isinstance(fault, HINDERED):
                self.holding.noted(fault)
            self.follow(fault)
            raise

    def finish(self) -> None:
        """Have the tick that is under way done, if there is one; what it raises as `tick`."""
        if self.ticks.under_way:
            self.tick()

    @property
    def unstored(self) -> int:
        """How many kept commits and changes of branches, tags and pins only the journal holds; 0 in memory."""
        if not self.storage.forgets_trees:
            return 0  # And history need not be told of anything.
        history = self.history
        return len(history.fresh) + history.moved + self.ticks.storing

    def forget_trees(self, stored: Iterable[int]) -> None:
        """Let go of trees that can be loaded again: all but those of heads, which are shared with the storage."""
        if self.storage.forgets_trees:
            self.rooted.update(stored)
            heads = {line.head for line in self.history.names.values()}
            graph = self.history.graph
            # The oldest first: what it shares with the next one that one holds still.
            for number in sorted(self.rooted):
                record = graph.records.get(number)
                if record is None:
                    continue
                if number in heads:
                    self.run.rooted(record)
                else:
                    self.history.parting.stored(record, graph.following(record))
            self.rooted &= heads

    def settle(self, number: int = 0) -> None:
        """Tick after a change that the journal does not hold, or such a commit; if that fails, be what was before."""
        try:
            self.leases.end_all()
            self.ticks.run(always=True, true=True)
        except BaseException as fault:
            self.ticks.failed()
            if isinstance(fault, HINDERED) and self.holding.settled(fault):
                return
            if self.storage.forgets_trees:
                self.go_back()
            if not number or self.number < number or not isinstance(fault, HINDERED):
                raise  # Otherwise it is there: a disk may fail when all is written.

    def follow(self, fault: BaseException) -> None:
        """After an interrupt (Ctrl-C) between storage and memory, memory follows; a typed error changed neither."""
        if isinstance(fault, MemoryError):
            self.relieve()
        if self.storage.forgets_trees and not isinstance(fault, (StoreError, OSError)):
            self.go_back()

    def go_back(self) -> None:
        """Be what the storage has. If it cannot say, nothing can be trusted that is here: the store is closed."""
        if self.holding.lost:
            return  # It has less than was acknowledged.
        self.run.forget()
        try:
            load(self)
        except BaseException:
            self.closed = True
            self.storage.close()
            raise

    def try_tick(self) -> None:
        """A slice of a tick if it can be done now; what is journalled can wait, so a failure is only logged."""
        try:
            self.tick(None if self.holding.lost else SLICE)
        except HINDERED as error:
            self.holding.waits(error)
        except (StoreError, OSError) as error:
            log.warning("%s: tick put off: %s", self.path, error)

    def check_open(self) -> None:
        """Closed if it is."""
        if self.closed:
            raise Closed(f"store {self.path}")

    def check_writable(self) -> None:
        """Closed or ReadOnly if nothing may be changed; gives back the leases that have ended."""
        self.check_open()
        if self.storage.readonly:
            raise ReadOnly(f"store {self.path}")
        if self.leases.ended:
            self.leases.end_all()

    def id(self, record: Record) -> str:
        """The id of a commit of this store."""
        return commit_id(self.uuid, record.key)
