"""Sizes: what a ring file of `size` bytes is divided into, by formula.

Rule: everything has its place from the beginning and nothing ever grows, so the files together never
exceed `size`:

    size >= 4096 x pages  +  wal  +  shm  +  ring      pages = fixed tables + segments

The log (WAL) takes clamp(size/16, 128 KiB, 8 MiB), more only where the last transaction of a tick, which
may rewrite every fixed row, needs it; its index 32 KiB for each 4,096 frames; the journal's ring
clamp(size/32, 64 KiB, 8 MiB). What is left is segments of 64 KiB (16 KiB below 8 MiB), where objects live.

Room: objects may fill 0.85 of the segments, so that cleaning always finds something to gain, less size/16
that only changes which shrink the tree may use. Each object counts at least `CHARGE` bytes, and there is
one location for every `CHARGE` bytes of segments: locations never run out before room does.
Pure; O(1), `least` O(log size). Page arithmetic: SQLite's file format, section 1.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdstore.errors import TooSmall

KIB, MIB = 1 << 10, 1 << 20
PAGE = 4096
FRAME = PAGE + 24
"""A page in the log."""
ROW = 4032
"""Bytes of a fixed row that has a page to itself."""
KEPT = 165
KEPT_A_PAGE = 23
"""A row of a kept commit, and how many lie on a page."""
KEPT_ROWS = 2
"""The rows that any commit finds: the longest author and message, eight authors, two parents and four grafts."""
NAMES_A_ROW = 98
"""Authors that a row of their table names."""
TAG = 276
TAGS_A_PAGE = 14
PINS_A_ROW = (ROW - 8) // 8
DYING_A_ROW = (ROW - 8) // 24
SEGMENTS_A_ROW = (ROW - 4) // 8
LOCATIONS_A_ROW = (ROW - 4) // 4
CELL = 40
CELLS_A_ROW = 100
"""Of series: a row of one ring of one path, and how many lie in a row of the table."""
CHARGE = 96
"""What the smallest object counts for."""
GRAIN = 8
"""Objects begin at multiples of this many bytes (of more above 32 GiB)."""
IN_MEMORY = 2 * KIB
"""Bytes of the process for a row of kept commits: its record in two places, its place in graph and tiers."""
CACHES = 24 * MIB
"""Bytes of all caches together: SQLite's pages, segments, what freeing remembers."""
SPARE = 3
"""Segments that only the cleaner may take."""
TOMBSTONE = 20
"""Bytes of a branch's row, at most, for each slot of its policy."""
LEAST_SEGMENTS = 32
MOST_BRANCH_SLOTS = 4096
A_COMMIT = 2 * KIB
"""Room that each slot of the policy shall have, or the size is refused."""


@dataclass(frozen=True, slots=True)
class SeriesRoom:
    """What series take, and what was declared of them: text that the storage only keeps. Fixed at creation."""

    columns: int = 0
    record: int = 0
    """Bytes of a column's record."""
    cells: int = 0
    declared: str = ""

    @property
    def records_a_row(self) -> int:
        """How many records lie in a row of their table."""
        return (ROW - 4) // self.record

    @property
    def tables(self) -> dict[str, int]:
        """Rows of each table."""
        if not self.columns:
            return {}
        return {"column": _rows(self.columns, self.records_a_row), "series": _rows(self.cells, CELLS_A_ROW)}


NO_SERIES = SeriesRoom()


@dataclass(frozen=True, slots=True)
class Layout:
    """All that follows from a size and the slots of main's policy. Bytes unless it says rows or counts."""

    size: int
    slots: int
    segment: int
    segments: int
    grain: int
    wal: int
    shm: int
    ring: int
    branches: int
    branch_slots: int
    tags: int
    pins: int
    snapshots: int
    fixed_pages: int
    series: SeriesRoom = NO_SERIES

    @property
    def kept_rows(self) -> int:
        """Rows for kept commits, and for links that do not fit in their own."""
        return KEPT_ROWS * self.commits + self.links

    @property
    def links(self) -> int:
        """Rows for links: an eighth more."""
        return max(16, self.commits // 8)

    @property
    def commits(self) -> int:
        """How many commits can be kept at one moment, whatever keeps them."""
        held = 5 * self.branches + self.tags + self.pins + self.snapshots
        return self.slots + self.branch_slots + held + self.branches

    @property
    def branch_rows(self) -> int:
        """A row each, and more for the tombstones of large policies."""
        return self.branches + _rows((self.slots + self.branch_slots) * TOMBSTONE, ROW - 64)

    @property
    def author_rows(self) -> int:
        """Rows of authors' names."""
        return _clamp(self.size // (4 * MIB), 2, 16)

    @property
    def pin_rows(self) -> int:
        """Rows of pins."""
        return _rows(self.pins, PINS_A_ROW)

    @property
    def dying_rows(self) -> int:
        """Rows of commits that are dropped and not yet freed."""
        return _rows(self.commits, DYING_A_ROW)

    @property
    def segment_rows(self) -> int:
        """Rows that say how full the segments are."""
        return _rows(self.segments, SEGMENTS_A_ROW)

    @property
    def locations(self) -> int:
        """How many objects have a location at most."""
        return self.segments * self.segment // CHARGE

    @property
    def location_rows(self) -> int:
        """Rows of locations."""
        return _rows(self.locations, LOCATIONS_A_ROW)

    @property
    def piece(self) -> int:
        """The greatest object; what is larger is cut. A segment that one did not fit in is 15/16 full at least."""
        return self.segment // 16 // GRAIN * GRAIN

    @property
    def room(self) -> int:
        """Bytes that objects may take at most."""
        return min(self.segments * self.segment * 85 // 100, (self.segments - SPARE - 2) * self.segment * 88 // 100)

    @property
    def reserve(self) -> int:
        """Of these, what only changes that shrink the tree may use."""
        return min(self.size // 16, self.room // 4)

    @property
    def largest(self) -> int:
        """The greatest cost of one change."""
        return self.reserve // 4

    @property
    def memory(self) -> int:
        """Bytes that a process takes to write such a file, the trees not counted: arrays, kept commits, caches."""
        return 4 * self.locations + 8 * self.segments + IN_MEMORY * self.kept_rows + CACHES

    @property
    def pages(self) -> int:
        """The most pages that the main file can have."""
        return (self.size - self.wal - self.shm - self.ring) // PAGE


def plan(size: int, slots: int, series: SeriesRoom = NO_SERIES) -> Layout:
    """The layout of `size` bytes for a policy of `slots` commits; TooSmall, naming the least size."""
    layout = _divided(size, slots, series)
    if not _enough(layout):
        raise TooSmall(size, least(slots, series=series))
    return layout


def least(slots: int, branch_slots: int = 0, series: SeriesRoom = NO_SERIES) -> int:
    """The smallest size for a policy of `slots` commits, and `branch_slots` of other branches beside it.

    In bytes, a multiple of 64 KiB; 0 if no size has so many for branches.
    """
    if branch_slots > MOST_BRANCH_SLOTS:
        return 0

    def fits(units: int) -> bool:
        layout = _divided(units * 64 * KIB, slots, series)
        return _enough(layout) and layout.branch_slots >= branch_slots

    low, high = 1, 1
    while not fits(high):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return high * 64 * KIB


def branch_slots(size: int) -> int:
    """How many slots a file of this size has for the policies of branches, beside those it is made for."""
    return _clamp(size // (16 * KIB), 96, MOST_BRANCH_SLOTS)


def segment_pages(segment: int) -> float:
    """Pages that a segment takes: SQLite puts 489 bytes of so long a row in a leaf, the rest in pages of 4,092."""
    return _rows(segment - 489, PAGE - 4) + 1 / 8


def table_pages(leaves: int) -> int:
    """Pages of a table with so many leaves, the pages above them counted."""
    return 1 if leaves <= 1 else leaves + table_pages(_rows(leaves, 300))


def _enough(layout: Layout) -> bool:
    return layout.segments >= LEAST_SEGMENTS and layout.room - layout.reserve >= layout.slots * A_COMMIT


def _divided(size: int, slots: int, series: SeriesRoom) -> Layout:
    segment = 16 * KIB if size < 8 * MIB else 64 * KIB
    grain = GRAIN
    while size // grain >= 1 << 32:
        grain *= 2
    branches = _clamp(size // (512 * KIB), 4, 64)
    tags = _clamp(size // (128 * KIB), 16, 256)
    pins = _clamp(size // (128 * KIB), 16, 256)
    snapshots = _clamp(size // (64 * KIB), 16, 1024)
    ring = _page_multiple(_clamp(size // 32, 64 * KIB, 8 * MIB))
    wal = _page_multiple(_clamp(size // 16, 128 * KIB, 8 * MIB))

    def layout(segments: int, fixed: int, wal: int) -> Layout:
        shm = 32 * KIB * _rows(wal // FRAME + 64, 4096)
        return Layout(
            size, slots, segment, segments, grain, wal, shm, ring,
            branches, branch_slots(size), tags, pins, snapshots, fixed, series,
        )  # fmt: skip

    # The rows of segments and locations depend on how many segments there are: begin with too many.
    draft = layout(max(0, size // segment), 0, wal)
    fixed = fixed_pages(draft)
    wal = max(wal, _page_multiple(last_frames(draft) * FRAME))
    left = layout(0, fixed, wal).pages - fixed
    segments = max(0, int((left - 2) / (segment_pages(segment) + 1 / 2000)))
    return layout(segments, fixed, wal)


def fixed_pages(layout: Layout) -> int:
    """Pages of everything but the segments: the schema, `meta`, and the tables of fixed rows."""
    rows = (
        layout.branch_rows,
        layout.author_rows,
        layout.pin_rows,
        layout.dying_rows,
        layout.segment_rows,
        layout.location_rows,
    )
    small = (_rows(layout.tags, TAGS_A_PAGE), _rows(layout.kept_rows, KEPT_A_PAGE))
    return (
        3
        + bool(layout.series.columns)
        + sum(table_pages(leaves) for leaves in (*rows, *small, *layout.series.tables.values()))
    )


def last_frames(layout: Layout) -> int:
    """Frames of the transaction that ends a tick, if it changes every fixed row it can."""
    rows = (
        layout.branch_rows
        + layout.author_rows
        + layout.pin_rows
        + layout.dying_rows
        + layout.series.tables.get("column", 0)
    )
    return 8 + rows + _rows(layout.tags, TAGS_A_PAGE) + _rows(layout.kept_rows, KEPT_A_PAGE)


def _rows(count: int, a_row: int) -> int:
    return max(1, -(-count // a_row))


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def _page_multiple(size: int) -> int:
    return -(-size // PAGE) * PAGE
