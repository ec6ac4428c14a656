"""The writer of a ring file: how a tick becomes true.

Rule: a tick writes the objects of what is kept first, in transactions of their own, then ends in one that
makes them count: kept commits, branches, tags, pins and what is dying change together, or nothing does.
Only then does the journal begin anew, are the dropped commits freed, and segments cleaned; all of that can
be cut short at any point and is taken up by the next tick, or the next opening.
Cost: O(changes) a tick; one wait for the disk. The order of events and the formats: docs/format.md.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, Held, LimitReached, StoreError
from rrdstore.storage import cells, check
from rrdstore.storage.codec import decode
from rrdstore.storage.freeing import Freeing, weigh
from rrdstore.storage.kept import KeptTable, pages_of
from rrdstore.storage.layout import FRAME, SPARE, TAGS_A_PAGE
from rrdstore.storage.objects import Missing, Objects
from rrdstore.storage.protocol import State
from rrdstore.storage.reader import usage
from rrdstore.storage.records import (
    Dying,
    branch_rows,
    dying_rows,
    pin_rows,
    read_branches,
    read_dying,
    read_pins,
    read_tags,
    tag_rows,
)
from rrdstore.storage.storing import Storing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.container import Container
    from rrdstore.storage.journal import Journal
    from rrdstore.storage.protocol import Entry, Problem, Tick, Usage
    from rrdstore.tree.node import Bucket, Node, Wide

_TABLES = {"branch": 1, "tag": TAGS_A_PAGE, "pin": 1}
"""Rows on a page."""


class RingWriter:
    """A store's file, open for its one writer; implements `protocol.Storage`."""

    readonly = False
    forgets_trees = True

    def __init__(self, held: Container, ring: Journal, *, flush: bool) -> None:
        self._container, self._journal, self._flush = held, ring, flush
        layout = self._layout = held.layout
        self.max_branches, self.max_tags, self.max_pins = layout.branches, layout.tags, layout.pins
        self.max_snapshots, self.max_slots = layout.snapshots, layout.slots + layout.branch_slots
        self.largest = layout.largest
        self._objects = Objects(held)
        self._storing = Storing(self._objects)
        self._freeing = Freeing(self._objects)
        self._roots: dict[int, tuple[int, Node]] = {}
        self._stale = self._closed = False
        self._load_tables()
        superblock = self._objects.superblock
        superblock.epoch += 1
        superblock.clean = 0
        self._objects.commit(durable=True)
        with suppress(Held):  # A reader is in the way; the next tick tries again.
            self._settle()

    def _load(self) -> None:
        """Be what the file holds; Corrupt."""
        self._objects.load()
        self._load_tables()
        self._stale = False

    def _load_tables(self) -> None:
        self._kept = KeptTable(self._container.rows("kept"), self._layout.links, self._container.rows("author"))
        self._rows = {table: self._container.rows(table) for table in _TABLES}
        superblock = self._objects.superblock
        dying = self._container.rows("dying") if superblock.dying > superblock.reaped else []
        self._dying: Sequence[Dying] = read_dying(dying, superblock.dying) if dying else ()

    # What there is

    def state(self) -> State:
        """As of the last tick, and the journal since."""
        if self._stale:
            self._load()
        else:
            self._load_tables()
        superblock, rows = self._objects.superblock, self._rows
        pending, fault = self._journal.recover(superblock.tick)
        if fault:
            raise fault
        return State(
            self._container.uuid,
            superblock.epoch,
            superblock.number,
            self._kept.records(),
            read_branches(rows["branch"]),
            read_tags(rows["tag"]),
            read_pins(rows["pin"]),
            pending,
            cells.state(self._container),
        )

    def root(self, commit: Record) -> Node:
        """The tree of a stored commit; from memory if it is the newest of its branch."""
        number, node = self._roots.get(commit.branch, (0, None))
        if node is not None and number == commit.number:
            return node
        return self.load(commit.root_number)  # type: ignore[return-value]  # a root is a node

    def load(self, number: int) -> Node | Bucket | Wide:
        """One object; Corrupt, also if it is not there, as the writer knows what there must be."""
        try:
            kind, data = self._objects.read(number)
        except Missing as fault:
            raise Corrupt(f"object {fault.number}", "nothing", "a part of a kept tree") from fault
        return decode(kind, data, number, self)

    def lacking(self, cost: int, *, shrinks: bool) -> int:
        """Bytes that are lacking for `cost` more; what shrinks the tree may use the reserve."""
        layout = self._layout
        limit = layout.room - (0 if shrinks else layout.reserve)
        return self._objects.superblock.charged + cost - limit

    def weigh(self, commits: Sequence[Record]) -> int:
        """What the objects that these commits reach count for; O(objects)."""
        return weigh((commit.root_number for commit in commits), self._freeing.references, self._objects.weight)

    def cells(self, addresses: Sequence[int]) -> bytes:
        """Cells of series, as of the last tick."""
        return cells.cells(self._container, addresses)

    def usage(self) -> Usage:
        """Bytes and fill now."""
        return usage(self._container, self._journal.used)

    def check(self) -> list[Problem]:
        """Everything verified: each row and object, every tree, a full mark against what is not freed."""
        with suppress(Held):  # What is left over then is reported as such.
            self._settle()
        return check.check(self._container, self._objects)

    # The journal

    @property
    def due(self) -> bool:
        """Whether the journal is half full."""
        return self._journal.due

    def append(self, entry: Entry) -> bool:
        """Put a commit in the journal; False if it has to be stored straight. Held."""
        return self._journal.append(entry, flush=self._flush)

    # Ticks

    def tick(self, tick: Tick) -> None:
        """Store, drop and change; Held, LimitReached, TooLarge, Unwritable, Corrupt: nothing has changed then."""
        try:
            self._settle()
            rows = self._ref_rows(tick)
            stored = self._store(tick)
            if tick.series is not None:
                self._put_cells(tick.series.cells)
            self._end(tick, rows, stored)
        except BaseException as fault:
            self._storing.undo()
            for record in tick.store:
                record.root_number = record.top = 0
            if isinstance(fault, Held):
                self._journal.hold()
            try:
                self._load()
            except StoreError:
                self._stale = True
            raise
        self._storing.done()
        branches = {branch.id for branch in tick.branches}
        for record, root, _ in stored:
            record.root = root
            self._roots[record.branch] = record.number, root
        self._roots = {branch: newest for branch, newest in self._roots.items() if branch in branches}
        self._journal.reset(self._objects.superblock.tick)
        try:
            self._reap()
            self._objects.clean(SPARE + 2)
        except StoreError:
            self._stale = True  # The tick itself is done; the next one takes this up.

    def _settle(self) -> None:
        """Finish what was cut short: take back what a tick that never ended wrote, free what is dying."""
        if self._stale:
            self._load()
        objects = self._objects
        superblock = objects.superblock
        if superblock.next - 1 > superblock.top:
            for number in range(superblock.top + 1, superblock.next):
                objects.free(number)
                if objects.pages > objects.slice_pages:
                    objects.commit()
            objects.commit()
        self._reap()

    def _ref_rows(self, tick: Tick) -> dict[str, list[bytes]]:
        layout = self._layout
        if len(self._kept) + len(tick.store) - len(tick.drop) > layout.commits:
            raise LimitReached("rows for kept commits", layout.commits)
        return {
            "branch": branch_rows(tick.branches, layout.branch_rows),
            "tag": tag_rows(tick.tags, layout.tags),
            "pin": pin_rows(tick.pins, layout.pin_rows),
        }

    def _store(self, tick: Tick) -> list[tuple[Record, Node, int]]:
        """Write the objects of all new commits; each with its tree and the commit that it shares with."""
        forks = {branch.id: branch.fork for branch in tick.branches}
        fresh: dict[int, tuple[Record, Node]] = {}
        newest: dict[int, int] = {}
        stored = []
        for record in tick.store:
            if record.number in self._kept.commits:
                continue  # Stored by a tick that was interrupted after that.
            before = newest.get(record.branch, 0)
            if not before:
                kept = self._kept.newest(record.branch)
                before = kept.record.number if kept else forks.get(record.branch, 0)
            beside: Node | None = None
            if before in fresh:
                beside = fresh[before][1]
            elif before in self._kept.commits:
                with suppress(Corrupt):  # Then nothing of it can be shared.
                    beside = self.root(self._kept.commits[before].record)
            before = before if beside else 0
            root = self._storing.store(record.root or self.root(record), beside)
            record.root_number, record.top = root.number, self._objects.superblock.next - 1
            fresh[record.number] = record, root
            newest[record.branch] = record.number
            stored.append((record, root, before))
        return stored

    def _put_cells(self, changes: Mapping[int, bytes]) -> None:
        """Write cells of series, in transactions of their own; they count when the tick has ended."""
        objects, rows = self._objects, cells.changed_cells(self._container, changes)
        while batch := list(islice(rows, max(1, objects.slice_pages // 2))):
            if objects.pages + len(batch) > objects.slice_pages:
                objects.commit()
            objects.commit(partial(self._container.put, "series", batch), len(batch))

    def _end(self, tick: Tick, rows: dict[str, list[bytes]], stored: list[tuple[Record, Node, int]]) -> None:
        """The transaction that makes it count."""
        for record, _, before in stored:
            self._kept.add(record, before)
        for record in tick.changed:
            self._kept.change(record)
        dying = self._kept.drop(record.number for record in tick.drop if record.number in self._kept.commits)
        kept = self._kept.changes()
        changed = {
            table: [(at, row) for at, row in enumerate(new) if row != self._rows[table][at]]
            for table, new in rows.items()
        }
        doomed = dying_rows(dying, self._layout.dying_rows)
        changed["author"] = list(self._kept.names.changes())
        if tick.series is not None:
            changed["column"] = cells.changed_columns(self._container, tick.series.records)
        pages = pages_of(kept) + len(doomed) + sum(len(some) for some in changed.values())
        objects = self._objects
        if (objects.pages + pages) * FRAME > self._layout.wal:
            objects.commit()

        def also() -> None:
            self._container.put("kept", sorted(kept.items()))
            self._container.put("dying", enumerate(doomed))
            for table, some in changed.items():
                self._container.put(table, some)
            superblock = objects.superblock
            superblock.tick += 1
            superblock.number, superblock.top = tick.number, superblock.next - 1
            superblock.dying, superblock.reaped, superblock.kept = len(dying), 0, len(self._kept)

        objects.commit(also, pages, durable=True)
        self._rows, self._dying = rows, dying

    def _reap(self) -> None:
        """Free what dropped commits alone had, in slices; what is done is on record."""
        objects = self._objects
        while objects.superblock.reaped < len(self._dying):
            for number in self._freeing.private(*self._dying[objects.superblock.reaped]):
                objects.free(number)
                if objects.pages > objects.slice_pages:
                    objects.commit()
            objects.superblock.reaped += 1
        if self._dying:
            objects.commit()
            self._dying = ()

    def close(self) -> None:
        """Let go of everything; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._stale and not self._journal.used:
                self._objects.superblock.clean = 1
                self._objects.commit(durable=True)
        except StoreError:
            pass  # Only the note that the journal may be missing is not made.
        finally:
            self._container.close()
            self._journal.close()
