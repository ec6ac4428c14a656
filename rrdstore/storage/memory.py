"""The storage that forgets: for tests, for caches, and as the measure of the others. No bound, no file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt
from rrdstore.storage.layout import CELL
from rrdstore.storage.protocol import Acknowledged, Brief, Problem, Progress, SeriesState, State, Tick, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.tree.node import Bucket, Node, Wide


class Memory:
    """Keeps nothing beyond the process: every commit holds its tree itself."""

    readonly = False
    forgets_trees = False
    keeps = True
    max_branches = max_tags = max_pins = max_snapshots = max_slots = 0
    largest = 0
    due = unjournalled = False

    def __init__(self, series: SeriesState | None = None) -> None:
        self._series = series
        self._cells: dict[int, bytes] = {}

    def state(self) -> State:
        """A new store with no branch yet."""
        return State(os.urandom(16), 1, 0, (), (), {}, frozenset(), series=self._series)

    def lacking(self, cost: int, *, shrinks: bool) -> int:  # noqa: ARG002 - the protocol's
        """Nothing is ever lacking."""
        return 0

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:  # noqa: ARG002 - the protocol's
        """There is no journal."""
        return 1

    def append(self, entry: Acknowledged) -> bool:  # noqa: ARG002 - the protocol's
        """There is no journal."""
        return True

    def tick(self, tick: Tick) -> None:
        """There is no disk; cells of series are kept here."""
        if tick.series is not None:
            self._cells.update(tick.series.cells)

    def cells(self, addresses: Sequence[int]) -> bytes:
        """Cells of series."""
        return b"".join(self._cells.get(address, bytes(CELL)) for address in addresses)

    def ticking(self, tick: Tick) -> Iterator[bool]:  # noqa: ARG002 - the protocol's
        """There is nothing to do."""
        return iter(())

    def put_off(self, tick: Tick, *, gains: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        """Nobody is in the way of a tick."""
        return False

    def forget(self) -> None:
        """There is no journal."""

    def root(self, commit: Record) -> Node:
        """The tree the commit holds."""
        if commit.root is None:
            raise Corrupt(f"commit {commit.number}", "no tree", "a tree in memory")
        return commit.root

    def load(self, number: int) -> Node | Bucket | Wide:
        """There are no objects to load."""
        raise Corrupt(f"object {number}", "a stub", "a tree in memory")

    def usage(self) -> Usage:
        """No bound."""
        return Usage()

    def weigh(self, commits: Sequence[Record]) -> int:  # noqa: ARG002 - the protocol's
        """Nothing is counted."""
        return 0

    def foretell(self, *, look: bool) -> Callable[[Record], int]:  # noqa: ARG002 - the protocol's
        """Nothing is counted."""
        return _unknown

    def each(self, commits: Sequence[Record]) -> int:  # noqa: ARG002 - the protocol's
        """Nothing is counted."""
        return 0

    def check(self, progress: Progress | None = None) -> list[Problem]:  # noqa: ARG002 - the protocol's
        """Nothing to go wrong."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""


def _unknown(_: Record) -> int:
    return 0
