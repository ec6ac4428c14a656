"""The store: one history, one storage, one clock, and the order in which they are asked.

Rule: a change is checked for room, then journalled, then made; what is refused has changed nothing, and
what was answered survives the process. A tick brings what is still kept to disk. When a tick fails in a
change that the journal does not hold (a fork, a tag, a commit too large for it), the store goes back to
what was acknowledged and the error is raised.
One thread writes; snapshots may be read from any.
"""

from __future__ import annotations

import logging
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING

from rrdstore.errors import Closed, LimitReached, ReadOnly, StoreError, StoreFull, TooLarge
from rrdstore.history.branch import Line
from rrdstore.history.clock import RetentionClock, Stamp
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Edit, Record, commit_id, cut
from rrdstore.history.history import History
from rrdstore.policy import BRANCH_DEFAULT, Rings, parse
from rrdstore.storage.protocol import BranchState, Entry, Tick
from rrdstore.store import reports
from rrdstore.store.branch import Branch
from rrdstore.store.commit import Commit
from rrdstore.store.merging import applied, merge_edits, paired
from rrdstore.store.moments import Found, by_id, find
from rrdstore.store.room import change_cost
from rrdstore.store.snapshot import Snapshot
from rrdstore.tree.diff import Change, diff
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from rrdstore.history.clock import Clock
    from rrdstore.storage.protocol import Storage
    from rrdstore.store.watch import Watches
    from rrdstore.tree.node import Node

    Where = Commit | Snapshot | Tree | str

log = logging.getLogger("rrdstore")

MAIN = "main"
MAX_SNAPSHOTS = 1024
MAX_NAME_BYTES = 255


class Store:
    """A tree with bounded history: branches, commits, tags. Made by `create`, `open`, `memory`; a context manager."""

    def __init__(self, storage: Storage, clock: Clock, path: str) -> None:
        self.storage, self.path = storage, path
        self.clock = clock
        self.watches: dict[int, Watches] = {}
        self.leases: dict[tuple[int, str], int] = {}
        """Of each commit and reason (snapshot, transaction), how many are open."""
        self.leases_ended: deque[tuple[int, str]] = deque()
        """Those to give back: snapshots end on any thread, even in the collector."""
        self.recovered: tuple[tuple[Commit, bytes], ...] = ()
        """What the journal held at opening: each commit with the opaque part its maker gave."""
        self.closed = False
        self._load()

    # Opening and ending

    @classmethod
    def begin(cls, storage: Storage, clock: Clock, path: str, keep: str) -> Store:
        """A new store on an empty storage: a branch main with one commit of the empty tree."""
        store = cls(storage, clock, path)
        policy = parse(keep)
        line = store.history.begin(MAIN, str(policy), Rings(policy), None)
        store.commit(line, (), "store created", "", straight=True)
        return store

    def _load(self) -> None:
        state = self.storage.state()
        self.uuid, self.epoch, self.number = state.uuid, state.epoch, state.number
        self.history = history = History()
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
        self.recovered = tuple((Commit(self, self._replay(entry)), entry.opaque) for entry in state.pending)
        if state.pending:
            last_entry = state.pending[-1]
            self._clock = RetentionClock(self.clock, Stamp(last_entry.rt, last_entry.wall))

    def _replay(self, entry: Entry) -> Record:
        """Do again what the journal holds, by the code that did it first."""
        line = self.history.lines[entry.branch]
        head = self.history.graph.records[line.head] if line.head else None
        root = applied(self.root(head) if head else EMPTY, entry.edits, entry.number)
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
        self._admit(line, record)
        return record

    def close(self) -> None:
        """Store everything and let go of the file; what a tick cannot store stays journalled. Closing twice is fine."""
        if self.closed:
            return
        try:
            if not self.storage.readonly:
                self._tick()
        finally:
            self.closed = True
            self.storage.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Branches

    @property
    def branches(self) -> Mapping[str, Branch]:
        """All branches by name."""
        return MappingProxyType({name: Branch(self, line) for name, line in sorted(self.history.names.items())})

    def branch(self, name: str, *, create: bool = False, keep: str | None = None) -> Branch:
        """The branch of that name; NotFound unless it exists or `create` makes it, empty, with the policy `keep`."""
        if create and name not in self.history.names:
            line = self._begin(name, keep, None)
            self.commit(line, (), f"branch {name} created", "", straight=True)
            return self.branch(name)
        return Branch(self, self.history.line(name))

    def fork(self, origin: Line, name: str, keep: str | None) -> Branch:
        """A new branch at the head of `origin`; Exists, LimitReached. O(1) and a tick."""
        line = self._begin(name, keep, origin)
        self.settle()
        return Branch(self, self.history.lines[line.id])

    def _begin(self, name: str, keep: str | None, origin: Line | None) -> Line:
        self._writable()
        _check_name("branch", name)
        self._check_limit("branches", len(self.history.lines), self.storage.max_branches)
        policy = parse(keep or BRANCH_DEFAULT)
        return self.history.begin(name, str(policy), Rings(policy), origin)

    def delete_branch(self, name: str) -> None:
        """Delete a branch and those of its commits that nothing else keeps; NotFound, and main cannot be deleted."""
        self._writable()
        line = self.history.line(name)
        if name == MAIN:
            raise ReadOnly(f"the name of branch {MAIN!r}")
        self.history.end(line)
        self.watches.pop(line.id, None)
        self.settle()

    def merge(self, line: Line, other: Line, message: str | None, author: str) -> Record:
        """Merge the head of `other` into `line`; the head as it is if there is nothing new. Conflict, Unmergeable."""
        self._writable()
        pair = paired(line, other)
        graph = self.history.graph
        theirs, ours = graph.records[other.head], graph.records[line.head]
        if theirs.number == pair.base:
            return ours
        base = graph.records[pair.base]
        edits = merge_edits(self.root(base), self.root(ours), self.root(theirs), self.number + 1)
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
        self._writable()
        head = self.history.graph.records[line.head] if line.head else None
        before = self.root(head) if head else EMPTY
        number = self.number + 1
        after = applied(before, edits, number) if root is None else root
        cost = change_cost(before, edits) if self.storage.forgets_trees else 0
        if cost:
            self._make_room(cost, shrinks=all(step.value is None for step in edits))
        stamp = self._clock.stamp()
        parents = tuple(record.key for record in (head, merged) if record)
        author, message = cut(author, AUTHOR_BYTES), cut(message, MESSAGE_BYTES)
        entry = Entry(number, self.epoch, line.id, parents, stamp.rt, stamp.wall, author, message, edits, opaque)
        journalled = not straight and self.storage.append(entry)
        record = Record(number, self.epoch, line.id, parents, stamp.rt, stamp.wall, author, message, after)
        record.cost = cost
        self._admit(line, record)
        if not journalled:
            self.settle()
            record = self.history.graph.records.get(number, record)
        elif self.storage.due:
            self.try_tick()
        watches = self.watches.get(line.id)
        if watches:
            watches.fire(Commit(self, record), edits)
        return record

    def _admit(self, line: Line, record: Record) -> None:
        self.number = record.number
        parents = [key.number for key in record.parents if key.number in self.history.graph.records]
        record.grafts = self.history.graph.reduced(parents)
        self.history.admit(record)
        if len(record.parents) > 1:
            merged = record.parents[1].number
            self.history.move(self._pair_at(line, merged), "base", merged)

    def _pair_at(self, line: Line, merged: int) -> Line:
        """The one that carries the base of `line` and the branch that it has merged, whose head is `merged`."""
        forks = (other for other in self.history.names.values() if other.upstream == line.id)
        return next((fork for fork in forks if fork.head == merged), line)

    def _make_room(self, cost: int, *, shrinks: bool) -> None:
        """Thin until `cost` bytes more fit (rule 10); StoreFull, TooLarge, with nothing thinned in vain."""
        storage, history = self.storage, self.history
        if storage.largest and cost > storage.largest:
            raise TooLarge("one change", cost, storage.largest)
        if storage.lacking(cost + history.reserved, shrinks=shrinks) <= 0:
            return
        self._tick()
        lacking = storage.lacking(cost, shrinks=shrinks)
        if lacking <= 0:
            return
        held = [history.graph.records[number] for number in history.holds.numbers() if number in history.graph.records]
        usage = storage.usage()
        thinnable = usage.live - storage.weigh([record for record in held if record.stored])
        if lacking > thinnable:
            raise StoreFull(cost, max(0, cost - lacking + thinnable))
        log.warning("%s: thinning %d bytes beyond its policy to stay within its size", self.path, lacking)
        while lacking > 0 and history.relieve():
            if len(history.gone) >= 16:
                self._tick()
                lacking = storage.lacking(cost, shrinks=shrinks)
        self._tick()
        lacking = storage.lacking(cost, shrinks=shrinks)
        if lacking > 0:
            raise StoreFull(cost, max(0, cost - lacking))

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
            self._rooted.add(record.number)
        return root

    def tree_of(self, record: Record) -> Tree:
        """The same as a Tree."""
        self._check_open()
        return Tree(self.root(record))

    def tree(self, where: Where) -> Tree:
        """The tree of a commit, a snapshot, or whatever `at` of main takes; Thinned, NotFound."""
        if isinstance(where, Tree):
            return where
        if isinstance(where, Snapshot):
            return where.tree
        if isinstance(where, Commit):
            return self.tree_of(self.history.graph.records[self.number_of(where)])
        return self.tree_of(self.find(self.history.line(MAIN), where).record)

    def diff(self, a: Where, b: Where, path: str = "/") -> Iterator[Change]:
        """What is different in `b` from `a`, at and below `path`, parents first. O(changes)."""
        old, new = self.tree(a).get(path), self.tree(b).get(path)
        prefix = "" if path == "/" else path
        for change in diff(old, new):
            yield Change(prefix + change.path if change.path != "/" else prefix or "/", change.old, change.new)

    def find(self, line: Line, when: str | datetime | int) -> Found:
        """The commit that `when` means on a branch: tag, moment, id or unique prefix of one."""
        self._check_open()
        return find(self.history, self.uuid, line, self.number, when, self.clock.wall())

    def at(self, line: Line, when: str | datetime | int) -> Snapshot:
        """That commit as an open snapshot; LimitReached."""
        found = self.find(line, when)
        self._check_limit("snapshots", len(self.leases), MAX_SNAPSHOTS)
        return Snapshot(self, found.record, found.following, exact=found.exact)

    def lease(self, record: Record, reason: str) -> tuple[int, str]:
        """Keep a commit while a snapshot or transaction of it is open; the lease is given back by `end_lease`."""
        lease = (record.number, reason)
        self.leases[lease] = self.leases.get(lease, 0) + 1
        self.history.holds.hold(*lease)
        return lease

    def end_lease(self, lease: tuple[int, str]) -> None:
        """Give a lease back, and the commit if nothing else keeps it. On the writing thread only."""
        self.leases[lease] -= 1
        if not self.leases[lease]:
            del self.leases[lease]
        self.history.release(*lease)

    def _end_leases(self) -> None:
        while self.leases_ended:
            self.end_lease(self.leases_ended.popleft())

    def number_of(self, commit: Commit | str) -> int:
        """The number of a kept commit, given itself, its id, a unique prefix of one, or a tag; NotFound, Thinned."""
        if isinstance(commit, Commit):
            return by_id(self.history, self.uuid, self.number, commit.id)
        if commit in self.history.tags:
            return self.history.tags[commit].number
        return by_id(self.history, self.uuid, self.number, commit)

    # Tags and pins

    @property
    def tags(self) -> Mapping[str, Commit]:
        """All tags by name."""
        records = self.history.graph.records
        return MappingProxyType(
            {name: Commit(self, records[key.number]) for name, key in sorted(self.history.tags.items())}
        )

    @property
    def pins(self) -> frozenset[str]:
        """The ids of all pinned commits."""
        records = self.history.graph.records
        return frozenset(commit_id(self.uuid, records[number].key) for number in self.history.pins)

    def tag(self, name: str, commit: Commit | str) -> None:
        """Name a commit, which keeps it; Exists, NotFound, Thinned, LimitReached. A tick."""
        self._writable()
        _check_name("tag", name)
        number = self.number_of(commit)
        self._check_limit("tags", len(self.history.tags), self.storage.max_tags)
        self.history.tag(name, self.history.graph.records[number].key)
        self.settle()

    def untag(self, name: str) -> None:
        """Forget a name; its commit is left to the tiers. NotFound. A tick."""
        self._writable()
        self.history.untag(name)
        self.settle()

    def pin(self, commit: Commit | str) -> None:
        """Keep a commit whatever the policy says; NotFound, Thinned, LimitReached. A tick."""
        self._writable()
        number = self.number_of(commit)
        self._check_limit("pins", len(self.history.pins), self.storage.max_pins)
        self.history.pin(number)
        self.settle()

    def unpin(self, commit: Commit | str) -> None:
        """Leave a pinned commit to the tiers again; NotFound. A tick."""
        self._writable()
        self.history.unpin(self.number_of(commit))
        self.settle()

    # Ticks

    @property
    def unstored(self) -> int:
        """How many kept commits only the journal holds; 0 in memory, where there is nothing to bring them to."""
        return len(self.history.fresh) if self.storage.forgets_trees else 0

    def tick(self) -> None:
        """Bring what is kept now to disk; nothing if nothing is new. Held if another process is in the way."""
        self._writable()
        self._tick()

    def _tick(self) -> None:
        self._end_leases()
        history = self.history
        if history.fresh or history.gone or history.changed:
            self._store()

    def _store(self) -> None:
        history = self.history
        fresh = [history.fresh[number] for number in sorted(history.fresh)]
        changed = [record for number, record in sorted(history.changed.items())]
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
            )
            for line in sorted(history.lines.values(), key=lambda line: line.id)
        ]
        tags, pins = dict(history.tags), frozenset(history.pins)
        self.storage.tick(Tick(self.number, fresh, tuple(history.gone), changed, branches, tags, pins))
        history.ticked()
        if self.storage.forgets_trees:
            self._rooted.update(record.number for record in fresh)
            heads = {line.head for line in history.names.values()}
            for number in self._rooted - heads:
                record = history.graph.records.get(number)
                if record is not None:
                    record.root = None
            self._rooted &= heads

    def settle(self) -> None:
        """Tick after a change that the journal does not hold; if that fails, be again what was acknowledged."""
        try:
            self._end_leases()
            self._store()
        except BaseException:
            self._load()
            raise

    def try_tick(self) -> None:
        """Tick if it can be done now; what is journalled already can wait, so a failure is only logged."""
        try:
            self._tick()
        except (StoreError, OSError) as error:
            log.warning("%s: tick put off: %s", self.path, error)

    # Reports

    def plan(self) -> reports.Plans:
        """What is kept and why, by branch; what the next compaction drops (nothing, unless a policy changed)."""
        return reports.plans(self)

    def explain(self, commit: Commit | str) -> reports.Explanation:
        """Why one commit is kept and until when at the earliest, or that and between which it was thinned."""
        return reports.explain(self, commit)

    def info(self) -> reports.Info:
        """Size, fill and reach of everything, in one value."""
        return reports.info(self)

    def check(self) -> list[str]:
        """Everything verified that can be; each problem a sentence, none if it is clean."""
        return [str(problem) for problem in self.storage.check()]

    # Guards

    def _check_open(self) -> None:
        if self.closed:
            raise Closed(f"store {self.path}")

    def _writable(self) -> None:
        self._check_open()
        if self.storage.readonly:
            raise ReadOnly(f"store {self.path}")
        if self.leases_ended:
            self._end_leases()

    @staticmethod
    def _check_limit(what: str, used: int, limit: int) -> None:
        if limit and used >= limit:
            raise LimitReached(what, limit)


def _check_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not name or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"{what} name {name!r}: expected 1 to {MAX_NAME_BYTES} printable bytes of UTF-8")
