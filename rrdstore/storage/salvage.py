"""What can still be read of a store's files, whatever is wrong with them.

Rule: nothing is believed that does not prove itself, and nothing is needed to find the rest. Rows tell by their
checksums which table they are of; objects carry their numbers, and a number was only ever given to one object; the
table of locations only says which of several places counts, and where it cannot be read every whole object does. So
neither SQLite, nor the superblock, nor any one row has to be sound. Files are read only; the journal's lock is the
caller's. Cost: O(file); memory for the places of objects, about 150 bytes each.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, NoStore, StoreError
from rrdstore.storage import locking, schema, untying
from rrdstore.storage.apart import SUFFIX as APART
from rrdstore.storage.apart import Apart
from rrdstore.storage.layout import GRAIN, LOCATIONS_A_ROW, MIB, ROW, Layout, plan
from rrdstore.storage.names import Names
from rrdstore.storage.packing import HEADER, Missing, assembled, header, unpack, whole
from rrdstore.storage.pages import Pages, Row
from rrdstore.storage.protocol import Entry, Problem
from rrdstore.storage.records import PLACED, opened, read_branches, read_kept, read_numbers, read_pins, read_tags
from rrdstore.storage.ring import salvaged
from rrdstore.storage.superblock import Superblock

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence

    from rrdstore.history.commit import Key
    from rrdstore.storage.protocol import Acknowledged, BranchState
    from rrdstore.storage.records import Kept

_SEGMENTS = frozenset({16 << 10, 64 << 10})
_SIZES = {
    **{table: size for table, (_, size) in schema.tables(plan(64 * MIB, 1)).items() if table != "seg"},
    "series": ROW,
    "column": ROW,
}
"""Of each table that there can be, the length of a row."""
_REMEMBERED = 32
_UNKNOWN = "\0"
"""An author whose name is lost: no author can be called so."""


@dataclass(slots=True)
class Found:
    """What the files still say. None or 0 where nothing does."""

    layout: Layout | None = None
    uuid: bytes = b""
    superblock: Superblock | None = None
    kept: list[Kept] = field(default_factory=list)
    branches: list[BranchState] = field(default_factory=list)
    tags: dict[str, Key] = field(default_factory=dict)
    pins: frozenset[int] = frozenset()
    pending: list[Acknowledged] = field(default_factory=list)
    parted: set[int] = field(default_factory=set)
    """Branches that have merged since the tables were written, in a way that is not known any more: by id."""
    cut: Problem | None = None
    """Why not all of the journal could be read, if so."""
    problems: list[Problem] = field(default_factory=list)


class Salvage:
    """The files of a store that may be damaged; a context manager."""

    def __init__(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        self.path = path
        self._pages = Pages(path)
        self._rows: dict[str, dict[int, bytes]] = {}
        self._seen: dict[int, int] = {}
        self._meta: dict[str, str] = {}
        self._segments: dict[int, list[Row]] = {}
        self._bytes: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._places: dict[int, tuple[int, int, int]] = {}
        self._locations: list[array[int] | None] = []
        self.found = Found()
        try:
            self._read_rows()
            self._read_facts()
            self._read_tables()
            self._read_objects(progress)
            self._read_journal()
        except BaseException:
            self._pages.close()
            raise

    def __enter__(self) -> Salvage:
        return self

    def __exit__(self, *error: object) -> None:
        self._pages.close()

    def _wrong(self, fault: Corrupt) -> None:
        self.found.problems.append(Problem(fault.where, fault.found, fault.expected))

    # Rows

    def _read_rows(self) -> None:
        """Every row that proves itself, by table and place."""
        sizes = _SIZES
        for row in self._pages.rows():
            if row.id == 0 and len(row.values) == 2:
                self._fact(*row.values)
            elif len(row.values) == 2 and isinstance(row.values[1], bytes):
                data = row.values[1]
                if len(data) in _SEGMENTS:
                    self._segments.setdefault(row.id - 1, []).append(row._replace(values=()))
                    continue
                self._seen[len(data)] = self._seen.get(len(data), 0) + 1
                if len(data) in sizes.values() and any(data) and row.id > 0:
                    self._sort(row, data, [table for table, size in sizes.items() if size == len(data)])

    def _fact(self, key: object, value: object) -> None:
        if key == "superblock" and isinstance(value, bytes):
            try:
                self.found.superblock = Superblock.decode(value)
            except Corrupt as fault:
                self._wrong(fault)
        elif isinstance(key, str) and isinstance(value, str):
            self._meta.setdefault(key, value)

    def _count(self) -> None:
        """Rows that are on no page: of each length, how many there should be."""
        layout = self.found.layout
        if layout is None:
            return
        for size in sorted(set(_SIZES.values())):
            named = {table: count for table, (count, row) in schema.tables(layout).items() if row == size}
            seen, wanted = self._seen.get(size, 0), sum(named.values())
            if seen < wanted:
                where = f"{self.path}, table {' or '.join(named)}"
                self.found.problems.append(Problem(where, f"{seen} rows", f"{wanted}"))
        missing = sorted(set(range(layout.segments)) - self._segments.keys())
        if missing:
            self.found.problems.append(Problem(f"{self.path}, table seg", f"no rows {missing}", "all segments"))

    def _sort(self, row: Row, data: bytes, tables: Sequence[str]) -> None:
        at = row.id - 1
        for table in tables:
            try:
                opened(data, table, at, at if table in PLACED else 0)
            except Corrupt:
                continue
            self._rows.setdefault(table, {}).setdefault(at, data)
            return
        where = f"{self.path}, page {row.page}, row {row.id} of {' or '.join(tables)}"
        self.found.problems.append(Problem(where, "bytes that no checksum fits", "a row, or zeros"))

    def _read_facts(self) -> None:
        found = self.found
        if "format" in self._meta and self._meta["format"] not in map(str, schema.FORMATS):
            raise Corrupt(self.path, f"format {self._meta['format']}", f"{schema.KNOWN}, to be repaired")
        try:
            found.layout = schema.described(self.path, self._meta)
            found.uuid = bytes.fromhex(self._meta["uuid"])
        except StoreError as wrong:
            if not self._rows.get("kept"):
                raise NoStore(self.path, "a file in which nothing of a store is left") from wrong
            self.found.problems.append(Problem(f"{self.path}, table meta", str(wrong), "what the store is"))
        self._count()
        if found.superblock is None:
            self.found.problems.append(Problem("the superblock", "nothing", "a superblock"))

    def _filled(self, table: str) -> list[bytes]:
        rows = self._rows.get(table, {})
        size = len(next(iter(rows.values()), b""))
        return [rows.get(at, bytes(size)) for at in range(max(rows, default=-1) + 1)]

    def _read_tables(self) -> None:
        faults: list[Corrupt] = []
        found = self.found
        names = Names(self._filled("author"))

        def name(index: int) -> str:
            try:
                return names.name(index)
            except Corrupt:
                return _UNKNOWN

        found.kept = read_kept(self._filled("kept"), name, faults)
        for kept in found.kept:
            if kept.record.authors:
                kept.record.authors.pop(_UNKNOWN, None)  # One of the others then.
        found.branches = read_branches(self._filled("branch"), faults)
        found.tags = read_tags(self._filled("tag"))
        found.pins = read_pins(self._filled("pin"))
        for wrong in faults:
            self._wrong(wrong)
        if found.superblock and found.superblock.kept != len(found.kept):
            said = f"{len(found.kept)} commits that can be read"
            found.problems.append(Problem("table kept", said, f"{found.superblock.kept}"))

    # Objects

    def _read_objects(self, progress: Callable[[int, int], object] | None) -> None:
        layout = self.found.layout
        rows = self._rows.get("loc", {})
        count = layout.location_rows if layout else max(rows, default=-1) + 1
        self._locations = [read_numbers(rows[at], "loc", at) if at in rows else None for at in range(count)]
        for at, numbers in enumerate(self._locations):
            if numbers is None and layout and self._any_location_lost(at):
                self.found.problems.append(Problem(f"table loc, row {at + 1}", "nothing", "where objects are"))
        for done, segment in enumerate(sorted(self._segments), 1):
            for which in range(len(self._segments[segment])):
                self._scan(segment, which)
            if progress:
                progress(done, len(self._segments))

    def _any_location_lost(self, at: int) -> bool:
        """Whether a row that is not there was ever written: one of zeros proves nothing, and is passed over."""
        top = self.found.superblock.next if self.found.superblock else 0
        return top > at * LOCATIONS_A_ROW and at not in self._rows.get("loc", {})

    def _scan(self, segment: int, which: int) -> None:
        data = self._segment(segment, which)
        layout = self.found.layout
        grain, at = layout.grain if layout else GRAIN, 0
        while at + HEADER <= len(data):
            number, length, _ = header(data, at)
            if not number:
                left = len(data) - at
                at += (left - len(data[at:].lstrip(b"\0"))) // grain * grain or grain
                continue
            try:
                unpack(data, at, "")
            except Corrupt:
                at += grain
                continue
            if number not in self._places and self._counts(number, segment * len(data) + at, grain):
                self._places[number] = segment, which, at
            at += whole(length, grain)

    def _counts(self, number: int, place: int, grain: int) -> bool:
        """Whether this is where the object is, as far as the locations can be read."""
        layout = self.found.layout
        if layout is None:
            return True
        row, at = divmod(number % layout.locations, LOCATIONS_A_ROW)
        numbers = self._locations[row] if row < len(self._locations) else None
        return numbers is None or numbers[at] == 1 + place // grain

    def _segment(self, segment: int, which: int) -> bytes:
        found = self._bytes.get((segment, which))
        if found is None:
            found = self._pages.again(self._segments[segment][which])
            self._bytes[segment, which] = found
            if len(self._bytes) > _REMEMBERED:
                self._bytes.popitem(last=False)
        return found

    def rows(self, *tables: str) -> dict[str, dict[int, bytes]]:
        """The sound rows of tables that are taken over as they are, by place."""
        return {table: self._rows.get(table, {}) for table in tables if table in self._rows}

    def read(self, number: int) -> tuple[int, bytes]:
        """Kind and bytes of an object; Missing, Corrupt."""
        return assembled(*self._raw(number), self._raw)

    def _raw(self, number: int) -> tuple[int, bytes]:
        if number not in self._places:
            raise Missing(number)
        segment, which, at = self._places[number]
        _, tag, data = unpack(self._segment(segment, which), at, f"object {number} in segment {segment}")
        return tag, data

    # The journal

    def _read_journal(self) -> None:
        name, found = self.path + locking.SUFFIX, self.found
        try:
            data = Path(name).read_bytes()
        except OSError as wrong:
            if not (found.superblock and found.superblock.clean):
                found.cut = Problem(name, str(wrong), "the journal of the store beside it")
                found.problems.append(found.cut)
            return
        last = max((kept.record.number for kept in found.kept), default=0)
        where = (found.superblock.generation, found.superblock.start) if found.superblock else (None, 0)
        apart = Apart(self.path + APART, found.uuid or data[8:24])
        entries, net, uuid, fault = salvaged(data, name, found.uuid, *where, fetch=apart.read)
        if net:
            try:
                made = untying.untied(
                    net, (kept.record.key for kept in found.kept), found.branches, found.tags, found.pins
                )
                entries, found.parted = [*made.entries, *entries], made.parted
            except Corrupt as wrong:
                fault = fault or wrong
        found.uuid = found.uuid or uuid
        if fault:
            self._wrong(fault)
            if not (found.superblock and found.superblock.clean):  # Else there was nothing in it.
                found.cut = found.problems[-1]
        if found.superblock:
            last = found.superblock.number
        # What lies before a commit that a tick has stored is a tick's as well.
        stored = [at for at, entry in enumerate(entries, 1) if isinstance(entry, Entry) and entry.number <= last]
        found.pending = entries[stored[-1] :] if stored else entries
