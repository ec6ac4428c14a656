"""A storage in plain dicts that forgets, journals, and fails on demand: what the facade must survive.

Rule: it keeps what a file would keep and nothing else. At a tick each tree is copied out of the engine's objects,
and a reopening makes new ones. It also holds the facade to the protocol, by assertions: what is dropped was stored,
what is stored was not, and every branch, tag and pin names a commit that is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rrdstore.errors import StoreError
from rrdstore.history.branch import NOBODY
from rrdstore.history.commit import Edit, Key
from rrdstore.storage.layout import CELL
from rrdstore.storage.protocol import Begun, BranchState, Entry, Problem, Progress, SeriesState, State, Tick, Usage
from rrdstore.tree.plain import Flat, flat, grown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.protocol import Acknowledged, Brief
    from rrdstore.tree.node import Bucket, Node, Wide


class Failed(StoreError):
    """What was asked for."""


@dataclass
class Disk:
    """What outlives a process."""

    uuid: bytes = bytes(range(16))
    epoch: int = 0
    number: int = 0
    line: int = 0
    commits: dict[int, Record] = field(default_factory=dict)
    trees: dict[int, Flat] = field(default_factory=dict)
    branches: tuple[BranchState, ...] = ()
    tags: dict[str, Key] = field(default_factory=dict)
    pins: frozenset[int] = frozenset()
    journal: list[Acknowledged] = field(default_factory=list)
    declared: str = ""
    """The series; empty for none."""
    cells: dict[int, bytes] = field(default_factory=dict)
    records: dict[int, bytes] = field(default_factory=dict)

    def image(self) -> Disk:
        """What a crash now would leave."""
        return replace(
            self,
            commits={number: one.copied() for number, one in self.commits.items()},
            trees=dict(self.trees),
            tags=dict(self.tags),
            journal=list(self.journal),
            cells=dict(self.cells),
            records=dict(self.records),
        )


class Journalled:
    """One opening of a disk."""

    forgets_trees = True
    keeps = True
    max_branches = 6
    max_tags = 5
    max_pins = 5
    max_snapshots = max_slots = 0
    unjournalled = False
    longest_entry = 600
    due_at = 12

    def __init__(self, disk: Disk, *, readonly: bool = False) -> None:
        self.disk, self.readonly = disk, readonly
        self.fail_tick = self.fail_append = self.closed = False
        self.ticks = self.under_way = 0
        self.largest = 0
        self.room = 0  # 0 is no bound
        if not readonly:
            disk.epoch += 1

    def state(self) -> State:
        """What the disk has; a tick that is under way is abandoned."""
        disk = self.disk
        self.under_way += 1
        commits = [disk.commits[number].copied() for number in sorted(disk.commits)]
        columns = [disk.records.get(index, b"") for index in range(max(disk.records, default=-1) + 1)]
        return State(
            disk.uuid, disk.epoch, disk.number, commits, disk.branches, dict(disk.tags), disk.pins, tuple(disk.journal),
            SeriesState(disk.declared, columns) if disk.declared else None, disk.line,
        )  # fmt: skip

    def lacking(self, cost: int, *, shrinks: bool) -> int:
        """Bytes that are lacking; what shrinks may have 500 more."""
        return 0 if not self.room else self._live() + cost - self.room - (500 if shrinks else 0)

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:
        """Journal a commit of one value, if it is not too long."""
        rt, wall, author, said, path, goes_on = brief
        message = said + path if goes_on else said
        edits = (Edit(path, value),)
        entry = Entry(number, epoch, branch, (Key(number - 1, epoch),), rt, wall, author, message, edits)
        return 0 if self.fail_append or not self.append(entry) else 1 + self.due

    def append(self, entry: Acknowledged) -> bool:
        """Journal a change, if it is not too long."""
        if self.fail_append:
            raise Failed("append")
        if not isinstance(entry, Entry):
            self.disk.journal.append(entry)
            return True
        known = {branch.id for branch in self.disk.branches}
        known |= {made.line for made in self.disk.journal if isinstance(made, Begun)}
        assert entry.branch in known, "the journal names an unknown branch"
        if sum(len(step.path) + len(step.value or b"") for step in entry.edits) > self.longest_entry:
            return False
        self.disk.journal.append(entry)
        return True

    @property
    def due(self) -> bool:
        """Whether the journal is long."""
        return len(self.disk.journal) >= self.due_at

    def tick(self, tick: Tick) -> None:
        """Bring all to the disk."""
        for _ in self.ticking(tick):
            pass

    def ticking(self, tick: Tick) -> Iterator[bool]:
        """Three steps: nothing is written, all is written, nothing is left to be done."""
        self.under_way += 1
        return self._ticking(tick, len(self.disk.journal), self.under_way)

    def _ticking(self, tick: Tick, cut: int, own: int) -> Iterator[bool]:
        assert not self.readonly
        assert not self.closed
        yield False
        assert own == self.under_way, "abandoned, and gone on with"
        disk = self.disk
        if tick.series is not None:
            # Cells are written first, and are there whether the tick ends or not.
            disk.cells = {**disk.cells, **tick.series.cells}
        if self.fail_tick:
            raise Failed("tick")
        commits, trees = dict(disk.commits), dict(disk.trees)
        for record in tick.drop:
            assert record.number in commits, "dropped, and never stored"
            del commits[record.number], trees[record.number]
        for record in tick.store:
            assert not record.stored
            assert record.number not in commits
            assert record.root is not None
            trees[record.number] = flat(record.root)
        for record in tick.store:
            record.root_number = record.top = record.number + 1
        for record in [*tick.store, *tick.changed]:
            assert record.number in trees
            commits[record.number] = as_stored(record)
        for stored in commits.values():
            assert set(stored.grafts) <= set(commits), "a graft on what is gone"
        for branch in tick.branches:
            assert bool(branch.head) == bool(branch.name), "a branch without a commit"
            assert {branch.head, branch.fork, branch.base, branch.older} <= {0, *commits}
        assert {key.number for key in tick.tags.values()} | tick.pins <= set(commits)
        assert {stored.branch for stored in commits.values()} <= {NOBODY, *(branch.id for branch in tick.branches)}
        disk.commits, disk.trees, disk.journal = commits, trees, disk.journal[cut:]
        disk.number, disk.line, disk.branches = tick.number, max(disk.line, tick.line), tuple(tick.branches)
        disk.tags, disk.pins = dict(tick.tags), tick.pins
        disk.records = {**disk.records, **(tick.series.records if tick.series else {})}
        self.ticks += 1
        yield True

    def put_off(self, tick: Tick, *, gains: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        """There is no place for it here."""
        return False

    def forget(self) -> None:
        """Nothing is ever forgotten here."""
        raise AssertionError("asked for where no tick is put off")

    def root(self, commit: Record) -> Node:
        """The tree of a stored commit, of new objects."""
        assert not self.closed
        return grown(self.disk.trees[commit.number])

    def load(self, number: int) -> Node | Bucket | Wide:
        """Nothing refers to an object by its number here."""
        raise AssertionError(f"nothing is a stub here, not {number}")

    def cells(self, addresses: Sequence[int]) -> bytes:
        """Cells of series, zeros where none was written."""
        return b"".join(self.disk.cells.get(address, bytes(CELL)) for address in addresses)

    def _live(self) -> int:
        return sum(map(weight, self.disk.trees.values()))

    def usage(self) -> Usage:
        """Bytes of everything, by `weight`."""
        return Usage(room=self.room, live=self._live())

    def weigh(self, commits: Sequence[Record]) -> int:
        """Bytes of some trees, which share nothing."""
        return sum(weight(self.disk.trees[record.number]) for record in commits)

    def foretell(self, *, look: bool) -> Callable[[Record], int]:  # noqa: ARG002 - the protocol's
        """All of each tree, as they share nothing."""
        return lambda commit: weight(self.disk.trees[commit.number])

    def each(self, commits: Sequence[Record]) -> int:
        """The mean of those that are not the newest of a branch."""
        newest = {commit.branch: commit.number for commit in sorted(commits, key=lambda commit: commit.number)}
        others = [commit for commit in commits if newest[commit.branch] != commit.number]
        return self.weigh(others) // len(others) if others else 0

    def check(self, progress: Progress | None = None) -> list[Problem]:  # noqa: ARG002 - the protocol's
        """Nothing to go wrong."""
        return []

    def close(self) -> None:
        """Let go; what no tick stored is in the journal."""
        self.closed = True


def as_stored(record: Record) -> Record:
    """A record without its tree."""
    return record.copied()


def weight(tree: Flat) -> int:
    """Bytes of a tree that shares nothing."""
    return 256 + sum(len(path) + len(value) + len(meta) for path, (value, meta, _, _) in tree.items())
