"""The ledger: the order in which history, storage and clock are asked.

Rule: a change is checked for room, then journalled, then made; what is refused has changed nothing, and
what was answered survives the process. A tick brings what is still kept to disk. When a tick fails in a
change that the journal does not hold (a fork, a tag, a commit too large for it), the ledger goes back to
what was acknowledged and the error is raised. Recovery does the journal's entries again by the same code.
One thread writes.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from rrdstore.errors import Closed, ReadOnly, StoreError
from rrdstore.history.branch import Line
from rrdstore.history.clock import RetentionClock, Stamp
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Edit, Key, Record, commit_id, cut
from rrdstore.history.history import History
from rrdstore.policy import BRANCH_DEFAULT, Rings, parse
from rrdstore.storage.protocol import Entry
from rrdstore.store.commit import Commit
from rrdstore.store.config import MAIN, Config
from rrdstore.store.consolidation import loaded
from rrdstore.store.limits import check_limit, check_name
from rrdstore.store.merging import applied, merge_edits, paired
from rrdstore.store.moments import Found, by_id, find
from rrdstore.store.room import Room, change_cost
from rrdstore.store.slots import require_slots
from rrdstore.store.ticks import SLICE, Ticks
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rrdstore.history.clock import Clock
    from rrdstore.storage.protocol import Storage
    from rrdstore.store.watch import Watches
    from rrdstore.tree.node import Node

log = logging.getLogger("rrdstore")

MAX_SNAPSHOTS = 1024
"""Commits that snapshots and transactions hold at once, where the storage sets no limit."""


class Ledger:
    """One history, one storage, one clock. The facade's objects share it; users see `Store`."""

    def __init__(self, storage: Storage, clock: Clock, path: str) -> None:
        self.storage, self.clock, self.path = storage, clock, path
        self.watches: dict[int, Watches] = {}
        """By branch id."""
        self.leases: dict[tuple[int, str], int] = {}
        """Of each commit and reason (snapshot, transaction), how many are open."""
        self.leases_ended: deque[tuple[int, str]] = deque()
        """Those to give back: snapshots end on any thread, even in the collector."""
        self.recovered: list[tuple[Record, bytes]] = []
        """What the journal held at opening, each commit with its opaque part."""
        self.closed = False
        self.config = Config()
        """What the program that opened it asks for."""
        self.history = History()
        self.room, self.ticks = Room(self), Ticks(self)
        self._load()
        self.recovered = self._replayed

    # Opening and ending

    def _load(self) -> None:
        state = self.storage.state()
        self.uuid, self.epoch, self.number = state.uuid, state.epoch, state.number
        last_line = self.history.last_line
        self.room, self.ticks = Room(self), Ticks(self)
        self.history = history = History()
        history.last_line = last_line
        for (number, reason), count in self.leases.items():
            for _ in range(count):
                history.holds.hold(number, reason)
        by_line: dict[int, list[tuple[int, int]]] = {}
        for record in state.commits:
            by_line.setdefault(record.branch, []).append((record.rt, record.number))
        lines = [
            Line(
                branch.name,
                branch.id,
                branch.head,
                branch.fork,
                branch.upstream,
                branch.base,
                branch.keep,
                Rings.restore(parse(branch.keep), branch.rings, by_line.get(branch.id, ())) if branch.name else None,
            )
            for branch in state.branches
        ]
        history.load(state.commits, lines, state.tags, state.pins)
        last = state.commits[-1] if state.commits else None
        self._clock = RetentionClock(self.clock, Stamp(last.rt, last.wall) if last else None)
        self._rooted: set[int] = set()
        self.series = loaded(state.series, self.storage)
        self._replayed = [(self._replay(entry), entry.opaque) for entry in state.pending]
        if state.pending:
            last_entry = state.pending[-1]
            self._clock = RetentionClock(self.clock, Stamp(last_entry.rt, last_entry.wall))

    def _replay(self, entry: Entry) -> Record:
        """Do again what the journal holds, by the code that did it first."""
        line = self.history.lines[entry.branch]
        head = self.history.graph.records[line.head] if line.head else None
        before = self.root(head) if head else EMPTY
        root = applied(before, entry.edits, entry.number)
        record = Record(
            entry.number,
            entry.epoch,
            entry.branch,
            entry.parents,
            entry.rt,
            entry.wall,
            entry.author,
            entry.message,
            root,
        )
        self.room.reserve(change_cost(before, entry.edits) if self.storage.forgets_trees else 0)
        self._admit(line, record, entry.edits)
        return record

    def close(self) -> None:
        """Store everything and let go of the storage."""
        if self.closed:
            return
        try:
            if not self.storage.readonly:
                self.tick()
        finally:
            self.closed = True
            self.storage.close()

    # Branches

    def begin(self, name: str, keep: str | None, origin: Line | None, message: str = "") -> Line:
        """A new branch from the head of `origin`, or from nothing with one empty commit.

        Exists, LimitReached, PolicyError, InvalidName, StoreFull.
        """
        self.check_writable()
        check_name("branch", name)
        check_limit("branches", len(self.history.lines), self.storage.max_branches)
        policy = parse(keep if keep is not None else self.config.keep(name) or BRANCH_DEFAULT)
        require_slots(self.history.names, MAIN, name, policy, self.storage.max_slots)
        if origin is None and self.storage.forgets_trees:
            # Before there is a branch that has no commit yet, in case there is no room for it.
            self.room.require(change_cost(EMPTY, ()), shrinks=False)
        line = self.history.begin(name, str(policy), Rings(policy), origin)
        if origin is None:
            self.commit(line, (), message, "", straight=True)
        else:
            self.settle()
        return self.history.lines[line.id]

    def merge(self, line: Line, other: Line, message: str | None, author: str) -> Record:
        """Merge the head of `other` into `line`; the head as it is if there is nothing new. Conflict, Unmergeable."""
        self.check_writable()
        pair = paired(line, other)
        records = self.history.graph.records
        theirs, ours = records[other.head], records[line.head]
        if theirs.number == pair.base:
            return ours
        base = self.root(records[pair.base])
        edits = merge_edits(base, self.root(ours), self.root(theirs), self.number + 1)
        said = f"merge {other.name} into {line.name}" if message is None else message
        return self.commit(line, edits, said, author, merged=theirs)

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
        *,
        straight: bool = False,
    ) -> Record:
        """Make one commit of `edits` on a branch.

        `root` is the tree if it is known, `merged` a second parent; `straight` stores it by a tick, past the
        journal (which must not name a branch that no tick has stored).
        """
        storage = self.storage
        if self.closed or storage.readonly or self.leases_ended:
            self.check_writable()
        head = self.history.graph.records[line.head] if line.head else None
        before = EMPTY if head is None else head.root or self.root(head)
        number, epoch = self.number + 1, self.epoch
        bounded = storage.forgets_trees
        # The cost first: the weights it asks for are then carried along.
        cost = change_cost(before, edits) if bounded else 0
        after = applied(before, edits, number) if root is None else root
        if cost:
            self.room.require(cost, shrinks=all(step.value is None for step in edits))
        rt, wall = self._clock.stamp()
        parents = () if head is None else (head.key,) if merged is None else (head.key, merged.key)
        author, message = cut(author, AUTHOR_BYTES), cut(message, MESSAGE_BYTES)
        record = Record(number, epoch, line.id, parents, rt, wall, author, message, after)
        try:
            journalled = not straight
            if bounded:
                if journalled:
                    entry = (number, epoch, line.id, parents, rt, wall, author, message, edits, opaque)
                    journalled = storage.append(tuple.__new__(Entry, entry))
                self.room.reserve(cost)
            self._admit(line, record, edits)
        except BaseException as fault:
            self._follow(fault)
            raise
        if not journalled:
            self.settle()
            record = self.history.graph.records.get(number, record)
        elif bounded and storage.due:
            self.try_tick()
        watches = self.watches.get(line.id)
        if watches:
            watches.fire(Commit(self, record), edits)
        return record

    def _admit(self, line: Line, record: Record, edits: tuple[Edit, ...]) -> None:
        self.number = record.number
        if self.series is not None and line.name == MAIN:
            self.series.feed(record.rt, edits)
        graph, parents = self.history.graph, record.parents
        if len(parents) == 1 and parents[0][0] in graph.records:
            record.grafts = parents[0][:1]
        else:
            record.grafts = graph.reduced([key.number for key in parents if key.number in graph.records])
        self.history.admit(record)
        if len(parents) > 1:
            merged = parents[1].number
            self.history.move(self._pair_at(line, merged), "base", merged)

    def _pair_at(self, line: Line, merged: int) -> Line:
        """The one that carries the base of `line` and the branch that it has merged, whose head is `merged`."""
        forks = (other for other in self.history.names.values() if other.upstream == line.id)
        return next((fork for fork in forks if fork.head == merged), line)

    def now(self) -> int:
        """The retention time that a commit made now would have."""
        return self._clock.now().rt

    # Trees and leases

    def root(self, record: Record) -> Node:
        """The tree of a kept commit, loaded if it is not in memory."""
        if record.root is not None:
            return record.root
        root = self.storage.root(record)
        if record.number in self.history.holds and any(
            line.head == record.number for line in self.history.names.values()
        ):
            record.root = root
            self._rooted.add(record.number)
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
        self.end_leases()
        return find(self.history, self.uuid, line, Key(self.number, self.epoch), when, self.clock.wall())

    def lease(self, record: Record, reason: str) -> tuple[int, str]:
        """Keep a commit while a snapshot or transaction of it is open; the lease is given back by `end_lease`."""
        lease = (record.number, reason)
        if lease not in self.leases:
            check_limit("snapshots", len(self.leases), self.storage.max_snapshots or MAX_SNAPSHOTS)
        self.leases[lease] = self.leases.get(lease, 0) + 1
        self.history.holds.hold(*lease)
        return lease

    def end_lease(self, lease: tuple[int, str]) -> None:
        """Give a lease back, and the commit if nothing else keeps it. On the writing thread only."""
        self.leases[lease] -= 1
        if not self.leases[lease]:
            del self.leases[lease]
        self.history.release(*lease)

    def end_leases(self) -> None:
        """Give back all that have ended. On the writing thread only."""
        while self.leases_ended:
            self.end_lease(self.leases_ended.popleft())

    # Ticks

    def tick(self, seconds: float | None = None) -> bool:
        """Bring what is kept now to disk, or go on with it for so long; whether that is done."""
        self.end_leases()
        try:
            return self.ticks.run(seconds)
        except BaseException as fault:
            self.ticks.failed()
            self._follow(fault)
            raise

    def finish(self) -> None:
        """Have the tick that is under way done, if there is one; what it raises as `tick`."""
        if self.ticks.under_way:
            self.tick()

    @property
    def unstored(self) -> int:
        """How many kept commits only the journal holds; 0 in memory."""
        return len(self.history.fresh) + self.ticks.storing if self.storage.forgets_trees else 0

    def forget_trees(self, stored: Iterable[int]) -> None:
        """Let go of trees that can be loaded again: all but those of heads, which are shared with the storage."""
        if self.storage.forgets_trees:
            self._rooted.update(stored)
            heads = {line.head for line in self.history.names.values()}
            records = self.history.graph.records
            for number in self._rooted:
                record = records.get(number)
                if record is not None:
                    record.root = self.storage.root(record) if number in heads else None
            self._rooted &= heads

    def settle(self) -> None:
        """Tick after a change that the journal does not hold; if that fails, be again what was acknowledged."""
        try:
            self.end_leases()
            self.ticks.run(always=True)
        except BaseException:
            self.ticks.failed()
            if self.storage.forgets_trees:
                self._go_back()
            raise

    def _follow(self, fault: BaseException) -> None:
        """After an interrupt (Ctrl-C) between storage and memory, memory follows; a typed error changed neither."""
        if self.storage.forgets_trees and not isinstance(fault, (StoreError, OSError)):
            self._go_back()

    def _go_back(self) -> None:
        """Be what the storage has. If it cannot say, nothing can be trusted that is here: the store is closed."""
        try:
            self._load()
        except BaseException:
            self.closed = True
            self.storage.close()
            raise

    def try_tick(self) -> None:
        """A slice of a tick if it can be done now; what is journalled can wait, so a failure is only logged."""
        try:
            self.tick(SLICE)
        except (StoreError, OSError) as error:
            log.warning("%s: tick put off: %s", self.path, error)

    # Guards

    def check_open(self) -> None:
        """Closed if it is."""
        if self.closed:
            raise Closed(f"store {self.path}")

    def check_writable(self) -> None:
        """Closed or ReadOnly if nothing may be changed; gives back the leases that have ended."""
        self.check_open()
        if self.storage.readonly:
            raise ReadOnly(f"store {self.path}")
        if self.leases_ended:
            self.end_leases()

    def id(self, record: Record) -> str:
        """The id of a commit of this store."""
        return commit_id(self.uuid, record.key)
