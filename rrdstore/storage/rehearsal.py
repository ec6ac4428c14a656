"""The storage of a dry run: it reads from another and forgets what it is told.

Rule: a dry run is the same path less its last line. The store on top makes its changes in memory by the
code that makes them always; here the line that would have written them does nothing.
Cost: O(1). Nothing reaches the file, so the one below may be a reader's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.storage.layout import CELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.protocol import Acknowledged, Brief, Problem, Progress, State, Storage, Tick, Usage
    from rrdstore.tree.node import Bucket, Node, Wide


class Rehearsal:
    """A storage that takes every change and keeps none."""

    readonly = False
    forgets_trees = False
    keeps = True
    largest = 0
    due = unjournalled = False

    def __init__(self, below: Storage) -> None:
        self._below = below
        self._cells: dict[int, bytes] = {}
        self.max_branches, self.max_tags, self.max_pins = below.max_branches, below.max_tags, below.max_pins
        self.max_snapshots, self.max_slots = below.max_snapshots, below.max_slots

    def state(self) -> State:
        """What is there."""
        return self._below.state()

    def lacking(self, cost: int, *, shrinks: bool) -> int:  # noqa: ARG002 - the protocol's
        """Nothing is ever lacking: nothing is stored."""
        return 0

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:  # noqa: ARG002 - the protocol's
        """Forgotten."""
        return 1

    def append(self, entry: Acknowledged) -> bool:  # noqa: ARG002 - the protocol's
        """Forgotten."""
        return True

    def tick(self, tick: Tick) -> None:
        """Forgotten: this is the last line of the path; cells of series are read again, so these stay here."""
        if tick.series is not None:
            self._cells.update(tick.series.cells)

    def cells(self, addresses: Sequence[int]) -> bytes:
        """Cells of series: those of this run, else those that are there."""
        own, size = self._cells, CELL
        below = self._below.cells(addresses)
        there = (below[at * size : (at + 1) * size] for at in range(len(addresses)))
        return b"".join(own.get(address, cell) for address, cell in zip(addresses, there, strict=True))

    def ticking(self, tick: Tick) -> Iterator[bool]:  # noqa: ARG002 - the protocol's
        """Forgotten as well."""
        return iter(())

    def put_off(self, tick: Tick, *, gains: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        """Nobody is in the way of a tick."""
        return False

    def forget(self) -> None:
        """There is no journal."""

    def root(self, commit: Record) -> Node:
        """The tree of a commit that is there."""
        return self._below.root(commit)

    def load(self, number: int) -> Node | Bucket | Wide:
        """A part of a tree that is there."""
        return self._below.load(number)

    def usage(self) -> Usage:
        """What is there takes."""
        return self._below.usage()

    def weigh(self, commits: Sequence[Record]) -> int:
        """Bytes of what is there."""
        return self._below.weigh(commits)

    def foretell(self, *, look: bool) -> Callable[[Record], int]:
        """What is there would free."""
        return self._below.foretell(look=look)

    def each(self, commits: Sequence[Record]) -> int:
        """Those that are there take."""
        return self._below.each(commits)

    def check(self, progress: Progress | None = None) -> list[Problem]:
        """What is wrong with what is there."""
        return self._below.check(progress)

    def close(self) -> None:
        """Let go of what is below."""
        self._below.close()
