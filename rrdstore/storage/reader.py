"""Reading a ring file that another process may be writing.

Rule: no lock is taken, and no transaction held for longer than one object or one state takes to read. An
object is found anew each time: its location, then its bytes, in one short transaction; what was read before
is believed only if it still carries the number asked for, as numbers are never used again. So a tree whose
commit is thinned meanwhile ends in Thinned, not in wrong data.
The state is a tick's and the journal's of that tick: if the writer ticked in between, it is read again.
Cost: 2 us an object seen lately, some 80 us another.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rrdstore.errors import Corrupt, ReadOnly, Thinned
from rrdstore.storage import apart, cells, check, locking, netting, rings
from rrdstore.storage.budget import Budget
from rrdstore.storage.codec import decode, references
from rrdstore.storage.container import file_size
from rrdstore.storage.freeing import weigh
from rrdstore.storage.kept import KeptTable
from rrdstore.storage.layout import CHARGE, LOCATIONS_A_ROW
from rrdstore.storage.loader import Loader
from rrdstore.storage.objects import Objects
from rrdstore.storage.packing import Missing, assembled, unpack, whole
from rrdstore.storage.protocol import State, Usage
from rrdstore.storage.records import read_branches, read_numbers, read_pins, read_tags

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.codec import References
    from rrdstore.storage.container import Container
    from rrdstore.storage.journal import Journal
    from rrdstore.storage.protocol import Acknowledged, Brief, Problem, Progress, Tick
    from rrdstore.tree.node import Bucket, Node, Wide

_ATTEMPTS = 32
_CACHED = 32
"""Segments and rows of locations remembered."""


class RingReader:
    """A store's file, open for reading; implements `protocol.Storage`."""

    readonly = True
    forgets_trees = True
    due = unjournalled = False

    def __init__(self, held: Container, memory: int = 0) -> None:
        self._container, layout = held, held.layout
        self._layout = layout
        self.max_branches, self.max_tags, self.max_pins = layout.branches, layout.tags, layout.pins
        self.max_snapshots, self.max_slots = layout.snapshots, layout.slots + layout.branch_slots
        self.largest = layout.largest
        self._segments: dict[int, bytes] = {}
        self._locations: dict[int, array[int]] = {}
        self._budget = Budget(memory)
        self._parts, self._loader = self._budget.parts, Loader(self)
        self._closed = False
        self._journal = _ring(held)

    def state(self) -> State:
        """As of the last tick, and the journal since; Corrupt."""
        held = self._container
        for _ in range(_ATTEMPTS):
            with held.reading():
                superblock = held.superblock()
                kept = KeptTable(held.rows("kept"), held.layout.links, held.rows("author"))
                branches, tags = read_branches(held.rows("branch")), read_tags(held.rows("tag"))
                pins = read_pins(held.rows("pin"))
                series = cells.state(held)
            pending, fault = self._journal.recover(superblock.generation, superblock.start)
            if held.superblock().tick == superblock.tick:
                if fault:
                    raise fault
                epoch = max(superblock.epoch, self._journal.epoch)
                state = State(
                    held.uuid, epoch, superblock.number, kept.records(), branches, tags, pins, pending,
                    series, superblock.line,
                )  # fmt: skip
                return netting.applied(state, self._journal.net, kept, self.root) if self._journal.net else state
        raise Corrupt(held.path, f"another tick at each of {_ATTEMPTS} attempts", "a moment of rest to read in")

    # Objects

    def root(self, commit: Record) -> Node:
        """The tree of a stored commit; Thinned."""
        return self.load(commit.root_number)  # type: ignore[return-value]  # a root is a node

    def load(self, number: int) -> Node | Bucket | Wide:
        """One object; Thinned if it is gone, Corrupt if its bytes are not what was written."""
        part = self._parts.get(number)
        if part is not None:
            return part
        try:
            kind, data = assembled(*self._raw(number), self._raw)
        except Missing as fault:
            raise Thinned(f"with object {number}", None, None) from fault
        return self._budget.loaded(number, decode(kind, data, number, self._loader), len(data))

    @property
    def keeps(self) -> bool:
        """Whether what is loaded now stays with the tree that it is a part of."""
        return self._budget.keeps

    def _raw(self, number: int) -> tuple[int, bytes]:
        held = self._container
        with held.lock:
            try:
                return self._found(number)
            except (Missing, Corrupt, KeyError):
                # Not remembered, or overwritten since.
                with held.reading():
                    segment = self._place(number, fresh=True)[0]
                    if len(self._segments) >= _CACHED:
                        self._segments.clear()
                    self._segments[segment] = held.read_segment(segment)
                return self._found(number)

    def _place(self, number: int, *, fresh: bool = False) -> tuple[int, int]:
        """Segment and offset of an object; Missing, KeyError if its row of locations is not remembered."""
        slot = number % self._layout.locations
        row = slot // LOCATIONS_A_ROW
        if fresh:
            if len(self._locations) >= _CACHED:
                self._locations.clear()
            self._locations[row] = read_numbers(self._container.row("loc", row), "loc", row)
        location = self._locations[row][slot % LOCATIONS_A_ROW]
        if not location:
            raise Missing(number)
        return divmod((location - 1) * self._layout.grain, self._layout.segment)

    def _found(self, number: int) -> tuple[int, bytes]:
        segment, offset = self._place(number)
        found, tag, data = unpack(self._segments[segment], offset, f"object {number} in segment {segment}")
        if found != number:
            raise Missing(number)
        return tag, data

    def _references(self, number: int) -> References:
        kind, data = assembled(*self._raw(number), self._raw)
        return references(kind, data, number)

    def _weight(self, number: int) -> int:
        tag, data = self._raw(number)
        _, full = assembled(tag, data, self._raw)
        pieces = (len(full) if tag >> 4 else 0) * 17 // 16
        return max(CHARGE, whole(len(data), self._layout.grain)) + pieces

    def weigh(self, commits: Sequence[Record]) -> int:
        """About what the objects that these commits reach count for; O(objects), Thinned."""
        try:
            return weigh((commit.root_number for commit in commits), self._references, self._weight)
        except Missing as fault:
            raise Thinned(f"with object {fault.number}", None, None) from fault

    # The rest

    def cells(self, addresses: Sequence[int]) -> bytes:
        """Cells of series, as of the last tick; those that a later one wrote over are newer than the column says."""
        return cells.cells(self._container, addresses)

    def lacking(self, cost: int, *, shrinks: bool) -> int:
        """Bytes that are lacking for `cost` more."""
        layout = self._layout
        return self._container.superblock().charged + cost - layout.room + (0 if shrinks else layout.reserve)

    def usage(self) -> Usage:
        """Bytes and fill now; of the journal what the last `state` saw."""
        return usage(self._container, self._journal.used, self._budget.size)

    def foretell(self, *, look: bool) -> Callable[[Record], int]:  # noqa: ARG002 - the protocol's
        """Nobody remembers."""
        return _unknown

    def each(self, commits: Sequence[Record]) -> int:
        """What there is beside the newest, by the objects of these; O(objects), Thinned."""
        newest = {commit.branch: commit for commit in sorted(commits, key=lambda commit: commit.number)}
        others = len(commits) - len(newest)
        return max(0, self.usage().live - self.weigh(list(newest.values()))) // others if others else 0

    def check(self, progress: Progress | None = None) -> list[Problem]:
        """As the writer's, but while one is at work only what two checks in a row agree on."""
        held = self._container
        problems: list[Problem] = []
        for attempt in range(4):
            with held.reading():
                objects = Objects(held)
            found = check.check(held, objects, self._journal, progress)
            problems = found if not attempt else [problem for problem in found if problem in problems]
            if not problems or held.superblock().writes == objects.superblock.writes:
                break
        return problems

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:  # noqa: ARG002 - the protocol's
        """ReadOnly."""
        self._refuse()

    def append(self, entry: Acknowledged) -> bool:  # noqa: ARG002 - the protocol's
        """ReadOnly."""
        self._refuse()

    def tick(self, tick: Tick) -> None:  # noqa: ARG002 - the protocol's
        """ReadOnly."""
        self._refuse()

    def ticking(self, tick: Tick) -> Iterator[bool]:  # noqa: ARG002 - the protocol's
        """ReadOnly."""
        self._refuse()

    def put_off(self, tick: Tick, *, gains: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        """ReadOnly."""
        self._refuse()

    def forget(self) -> None:
        """ReadOnly."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReadOnly(f"store {self._container.path}")

    def close(self) -> None:
        """Let go of everything; closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._parts.forget()
            self._container.close()
            self._journal.close()


def _ring(held: Container) -> Journal:
    """The journal; an empty one where it may be missing, as it is beside a copy of a closed store."""
    name, superblock = held.path + locking.SUFFIX, held.superblock()
    if not superblock.clean or Path(name).exists():
        return rings.reader(name, held.layout.ring, held.uuid)
    descriptor = os.memfd_create("ring")
    rings.fill(descriptor, name, held.layout.ring, held.uuid, superblock.generation)
    return rings.attach(descriptor, name, held.layout.ring, held.uuid, readonly=True)


def usage(held: Container, journal_used: int, budget: int) -> Usage:
    """Bytes and fill of an open file now."""
    layout, superblock, path = held.layout, held.superblock(), held.path
    names = [path, path + "-wal", path + "-shm", path + locking.SUFFIX]
    names += [path + apart.SUFFIX] if file_size(path + apart.SUFFIX) else []
    return Usage(
        layout.size,
        {name.rpartition("/")[2]: file_size(name) for name in names},
        layout.room - layout.reserve,
        superblock.charged,
        superblock.objects,
        layout.ring,
        journal_used,
        superblock.tick - 1,
        layout.memory + budget if budget else 0,
    )


def _unknown(_: Record) -> int:
    return 0
