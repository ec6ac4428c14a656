"""All that is recorded: which path has which column, and what each commit adds.

Rule: a path that a pattern matches gets a column of it when it first gets a value: a free one, else that of the path
which has been absent longest, whose history ends with that. If all are in use the value is not recorded but
counted (`surplus`), and the path is tried again at its next value; so is one longer than 255 bytes. A path that was
removed keeps its column and history until another needs it, and goes on there if it comes back.
Of one commit only the outcome counts. The same edits in the same order give the same state, so that a journal
can be replayed into it.
Cost: a dictionary look-up for each edit that concerns no series; O(log columns) for a new or removed path.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from rrdstore.series.column import PRESENT, Column
from rrdstore.series.declaration import PATH_BYTES
from rrdstore.series.number import UNKNOWN, number
from rrdstore.series.ring import EMPTY, Cell, rings
from rrdstore.tree.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rrdstore.series.declaration import Declared
    from rrdstore.series.ring import Ring

_REMEMBERED = 4096
"""Paths of which it is remembered which pattern they match, if any."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One pattern: how many of its columns have a path, how many of these are there now, and values not recorded."""

    pattern: str
    paths: int
    used: int
    present: int
    surplus: int


class Recording:
    """The series of one store. `load` gives the bytes of cells by address, one after the other, as of the last tick."""

    def __init__(
        self, declared: Declared, records: Sequence[bytes], load: Callable[[Sequence[int]], bytes] | None = None
    ) -> None:
        self.declared, self.rings = declared, rings(declared)
        self._load = load
        self.columns = [Column(index, self.rings) for index in range(declared.columns)]
        for index, record in enumerate(records):
            self.columns[index] = Column.decode(record, index, self.rings)
        self.cells: dict[int, bytes] = {}
        """Written since the last cut, by address."""
        self._touched: set[int] = set()
        self._storing: tuple[dict[int, bytes], set[int]] = ({}, set())
        """What the tick under way is about to store: cells, and columns whose records it has."""
        self._of: dict[str, Column] = {column.path: column for column in self.columns if column.path}
        self._present = sorted(column.path for column in self._of.values() if column.absent == PRESENT)
        self._patterns = [Pattern(each.pattern) for each in declared.declarations]
        self._firsts: list[int] = []
        self._free: list[list[int]] = []
        self._absent: list[list[tuple[int, int]]] = []
        first = 0
        for each in declared.declarations:
            own = self.columns[first : first + each.paths]
            self._firsts.append(first)
            self._free.append([column.index for column in own if not column.path])
            self._absent.append([(c.absent, c.index) for c in own if c.path and c.absent != PRESENT])
            heapify(self._absent[-1])
            first += each.paths
        self._matches: dict[str, int] = {}

    # What comes

    def feed(self, rt: int, edits: Sequence[tuple[str, bytes | None, object]]) -> None:
        """A commit of that retention time made these edits (path, value or None for a removed subtree, metadata)."""
        if len(edits) == 1:  # which is nearly always: spared what several need
            path, value, _ = edits[0]
            if value is not None:
                column = self._of.get(path)
                if column is not None or self._match(path) >= 0:
                    self._set(path, value, rt, column)
                return
        outcome: dict[str, bytes | None] = {}
        for path, value, _ in edits:
            if value is None:
                for gone in self._below(path):
                    outcome[gone] = None
                for made in [made for made in outcome if _is_below(made, path)]:
                    outcome[made] = None
            elif path in self._of or self._match(path) >= 0:
                outcome[path] = value
        for path, value in outcome.items():
            if value is None:
                self._remove(path, rt)
        for path, value in outcome.items():
            if value is not None:
                self._set(path, value, rt, self._of.get(path))

    def _set(self, path: str, value: bytes, rt: int, column: Column | None) -> None:
        if column is None:
            column = self._new(path, rt)
            if column is None:
                return
        elif column.absent != PRESENT:
            column.absent = PRESENT
            insort(self._present, path)
        self._touched.add(column.index)
        for ring, cell in column.change(max(rt, column.since), number(value)):
            self._put(ring, cell, column)

    def _remove(self, path: str, rt: int) -> None:
        column = self._of.get(path)
        if column is None or column.absent != PRESENT:
            return
        self._touched.add(column.index)
        rt = max(rt, column.since)  # of a dump whose newest commits had gone before they were read
        for ring, cell in column.change(rt, UNKNOWN):
            self._put(ring, cell, column)
        column.absent = rt
        del self._present[bisect_left(self._present, path)]
        heappush(self._absent[self._match(path)], (rt, column.index))

    def _put(self, ring: Ring, cell: Cell, column: Column) -> None:
        self.cells[ring.address(cell.bucket, column.index)] = cell.encode()

    def _new(self, path: str, rt: int) -> Column | None:
        """A column for a path that has none, or None, and it is counted."""
        declaration = self._match(path)
        column = self._vacant(declaration) if len(path.encode()) <= PATH_BYTES else None
        if column is None:
            first = self._firsts[declaration]
            self.columns[first].refused += 1
            self._touched.add(first)
            return None
        if column.path:
            del self._of[column.path]
        column.begin(path, rt)
        self._of[path] = column
        insort(self._present, path)
        return column

    def _vacant(self, declaration: int) -> Column | None:
        if self._free[declaration]:
            return self.columns[self._free[declaration].pop(0)]
        absent = self._absent[declaration]
        while absent:
            since, index = heappop(absent)
            if self.columns[index].absent == since:  # else it came back, and went perhaps, since this was noted
                return self.columns[index]
        return None

    def _match(self, path: str) -> int:
        """The declaration that a path belongs to, -1 for none."""
        found = self._matches.get(path)
        if found is None:
            if len(self._matches) >= _REMEMBERED:
                self._matches.clear()
            fits = (at for at, pattern in enumerate(self._patterns) if pattern.matches(path))
            found = self._matches[path] = next(fits, -1)
        return found

    def _below(self, path: str) -> list[str]:
        """The recorded paths at and below one."""
        if path == "/":
            return self._present[:]
        below = self._present[bisect_left(self._present, path + "/") : bisect_left(self._present, path + "0")]
        return [path, *below] if path in self._of else below

    # What is there

    def fill(self) -> tuple[Fill, ...]:
        """How full the columns of each pattern are."""
        found = []
        for each, first in zip(self.declared.declarations, self._firsts, strict=True):
            own = self.columns[first : first + each.paths]
            used = sum(1 for column in own if column.path)
            present = sum(1 for column in own if column.path and column.absent == PRESENT)
            found.append(Fill(each.pattern, each.paths, used, present, own[0].refused))
        return tuple(found)

    def matching(self, pattern: Pattern) -> list[Column]:
        """The columns whose paths a pattern matches, by path."""
        found = [column for path, column in self._of.items() if pattern.matches(path)]
        return sorted(found, key=lambda column: column.path)

    def read(self, addresses: Sequence[int]) -> bytes:
        """The cells at these addresses, one after the other."""
        storing = self._storing[0]
        fresh = {**storing, **self.cells} if storing else self.cells
        wanted = [address for address in addresses if address not in fresh] if fresh else addresses
        stored = self._load(wanted) if self._load is not None and wanted else bytes(len(wanted) * len(EMPTY))
        if len(wanted) == len(addresses):
            return stored
        size, at, parts = len(EMPTY), 0, []
        for address in addresses:
            own = fresh.get(address)
            if own is None:
                own = stored[at : at + size]
                at += size
            parts.append(own)
        return b"".join(parts)

    # Ticks

    def cut(self) -> tuple[dict[int, bytes], dict[int, bytes]]:
        """What a tick is to store: cells by address, records by column. What comes from now on is the next one's."""
        records = {index: self.columns[index].encode() for index in sorted(self._touched)}
        self._storing, self.cells, self._touched = (self.cells, self._touched), {}, set()
        return self._storing[0], records

    def ticked(self) -> None:
        """What was cut is stored."""
        self._storing = ({}, set())

    def uncut(self) -> None:
        """What was cut was not stored: the next tick has it too."""
        cells, touched = self._storing
        self.cells, self._touched = {**cells, **self.cells}, touched | self._touched
        self.ticked()

    def owe(self, cells: Mapping[int, bytes], columns: Iterable[int]) -> None:
        """These cells, and the records of these columns, are not stored yet: the next tick has them."""
        self.cells, self._touched = {**cells, **self.cells}, self._touched.union(columns)

    def written(self, column: Column) -> Iterator[tuple[int, int, bytes]]:
        """Tier, bucket and bytes of each cell of a column that its rings still have, oldest first of each tier."""
        for tier, ring in enumerate(self.rings):
            newest, rows = column.bucket(tier), ring.tier.rows
            oldest = max(ring.bucket(column.born), newest - rows)
            buckets = range(oldest, newest)
            data = self.read([ring.address(bucket, column.index) for bucket in buckets])
            for at, bucket in enumerate(buckets):
                cell = data[at * len(EMPTY) : (at + 1) * len(EMPTY)]
                if cell != EMPTY and int.from_bytes(cell[:4], "little") == bucket & 0xFFFFFFFF:
                    yield tier, bucket, cell

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What cannot be: where, what was found, what was expected. O(cells)."""
        seen: set[str] = set()
        for column in self.columns:
            if not column.path:
                continue
            where = f"column {column.index} of {column.path!r}"
            if column.path in seen:
                yield where, "its path a second time", "a column for each path"
            seen.add(column.path)
            match = self._match(column.path)
            if match < 0 or column.index not in self._own(match):
                yield where, "a path that its pattern does not match", "one that it does"
            for tier, bucket, data in self.written(column):
                _, known, average, least, greatest, _ = Cell.decode(data)
                if (known and not least <= average <= greatest) or least > greatest:
                    found = f"average {average}, from {least} to {greatest}"
                    yield f"{where}, {self.rings[tier].tier}, bucket {bucket}", found, "an average between the two"

    def _own(self, declaration: int) -> range:
        """The columns of a pattern."""
        first = self._firsts[declaration]
        return range(first, first + self.declared.declarations[declaration].paths)


def _is_below(path: str, above: str) -> bool:
    return above in {path, "/"} or path.startswith(above + "/")
