"""How a tick becomes true, in steps.

Rule: a tick writes the objects of what is kept first, in transactions of their own, then ends in one that
makes them count: kept commits, branches, tags, pins, what is dying, and where the journal's records now
begin change together, or nothing does. Only then are the dropped commits freed and segments cleaned. All
but that one transaction is cut into steps, between which its caller may do other things, commit too; what
comes after the cut is the next tick's. A tick can be abandoned, or the process killed, between any two.
Cost: O(changes) a tick; one wait for the disk. A step takes about 1 ms at most, the last transaction as
many pages as there are tables' pages that changed: 2 ms for 260 commits that come and as many that go.
The order of events and the formats: docs/format.md.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

from rrdstore.errors import HINDERED, Corrupt, LimitReached, StoreError
from rrdstore.storage import cells
from rrdstore.storage.freeing import Freeing
from rrdstore.storage.kept import KeptTable, pages_of
from rrdstore.storage.layout import FRAME, SPARE, TAGS_A_PAGE
from rrdstore.storage.records import branch_rows, digest, dying_rows, pin_rows, read_dying, tag_rows
from rrdstore.storage.replaced import FEW, Many, runs
from rrdstore.storage.storing import Storing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.budget import Budget
    from rrdstore.storage.container import Container
    from rrdstore.storage.journal import Journal
    from rrdstore.storage.objects import Objects
    from rrdstore.storage.protocol import Tick
    from rrdstore.storage.records import Dying
    from rrdstore.storage.replaced import Replaced, Run
    from rrdstore.tree.node import Bucket, Node, Wide
    from rrdstore.tree.remains import Part

    Steps = Generator[bool, None, None]
    """Whether the tick is true by now, after each step."""
    Stored = tuple[Record, Node, int, Replaced | None]
    """A commit, its tree, the commit that it shares with, and what it replaces of that one's."""

_TABLES = {"branch": 1, "tag": TAGS_A_PAGE, "pin": 1}
"""Rows on a page."""
_LITTLE = 16
"""Pages of objects that go with the last transaction: more are written before it."""
_FREED_AT_ONCE = 128
"""Objects that a step frees."""
_LOOKED_AFTER = 4
"""Objects freed after which it is looked whether the transaction has become large enough."""
_TAKEN_APART_AT_ONCE = 1024
"""Nodes of trees that nobody wants any more that a step takes apart."""
_ROWS_AT_ONCE = 16
"""Rows of series that a step writes."""


class _Last(NamedTuple):
    """What the last transaction of a tick says: rows of each table, what is dying, and pages at most."""

    rows: dict[str, list[tuple[int, bytes]]]
    dying: list[Dying]
    pages: int


class Ticking:
    """The tables of a file for its writer, and the one who changes them."""

    def __init__(
        self,
        container: Container,
        journal: Journal,
        objects: Objects,
        load: Callable[[int], Node | Bucket | Wide],
        budget: Budget,
    ) -> None:
        self._container, self._journal, self._objects, self._loaded = container, journal, objects, load
        self._budget = budget
        self._layout = container.layout
        self._storing = Storing(objects)
        self.freeing = Freeing(objects)
        self.roots: dict[int, tuple[int, Node]] = {}
        """The newest stored tree of each branch, by the branch's id, and the number of its commit."""
        self.stale = False
        """Whether what is here is not what the file holds."""
        self.untouched = False
        """Whether no tick has begun since the tables were read."""
        self._steps: Steps | None = None
        self.load_tables()

    def load(self) -> None:
        """Be what the file holds; Corrupt."""
        self._objects.load()
        self.load_tables()
        self.stale = False

    def load_tables(self) -> None:
        """The same for the tables alone."""
        self.kept = KeptTable(self._container.rows("kept"), self._layout.links, self._container.rows("author"))
        self.rows = {table: self._container.rows(table) for table in _TABLES}
        superblock, found = self._objects.superblock, digest(self.rows.values())
        if superblock.tables and found != superblock.tables:
            expected = f"{superblock.tables:08x}, of the last tick; it can be read, and written when it is repaired"
            raise Corrupt("tables branch, tag and pin", f"digest {found:08x}", expected)
        dying = self._container.rows("dying") if superblock.dying > superblock.reaped else []
        self._dying: Sequence[Dying] = read_dying(dying, superblock.dying) if dying else ()
        self.untouched = True

    def abandon(self) -> None:
        """End the tick that is under way, if there is one: if it was not true yet, nothing has changed."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def begin(self, tick: Tick) -> Steps:
        """The steps of a tick; what is journalled from now on is of the next one. Errors as `protocol.Storage.tick`."""
        self.abandon()
        self.untouched = False
        try:
            self._container.probe()
        except HINDERED as fault:
            self._journal.hold(fault.by)
            raise
        self._journal.cut()
        self._steps = self._run(tick)
        return self._steps

    def _run(self, tick: Tick) -> Steps:
        stored: list[Stored] = []
        try:
            yield from self.settling()
            rows = self._ref_rows(tick)
            yield from self._store(tick, stored)
            if tick.series is not None:
                yield from self._put_cells(tick.series.cells)
            last = yield from self._outline(tick, rows, stored)
            self._end(tick, rows, last)
        except BaseException as fault:
            self._storing.undo()
            for record in tick.store:
                record.root_number = record.top = 0
            if isinstance(fault, HINDERED):
                self._journal.hold(fault.by)
            try:
                self._container.assure()
                self.load()
            except StoreError:
                self.stale = True
            raise
        self._budget.stored(self._storing.numbered)
        self._storing.done()
        self._part_with(stored, {branch.id for branch in tick.branches})
        self.stale = True  # Until what follows is done, or the next tick, which takes it up, has loaded anew.
        yield True
        with suppress(StoreError):
            yield from self._reaping()
            yield from self._objects.cleaning(SPARE + 2)
            self.stale = False
        while not self._budget.parts.remains.take_apart(_TAKEN_APART_AT_ONCE):
            yield True

    def _part_with(self, stored: list[Stored], branches: set[int]) -> None:
        """Keep the newest tree of each branch, and leave all others to be taken apart."""
        # No name but `trees` holds any of them at the end.
        going = {id(root): root for _, root in self.roots.values()} | {id(root): root for _, root, _, _ in stored}
        self.roots |= {record.branch: (record.number, root) for record, root, _, _ in stored}
        for record in [record for record, _, _, _ in stored]:
            record.root = None
        stored.clear()
        self.roots = {branch: newest for branch, newest in self.roots.items() if branch in branches}
        superblock = self._objects.superblock
        self._journal.reset(superblock.generation, superblock.start)
        if not self._budget.keeps and not self._journal.used:
            # No head is newer than the file: what comes from there is loaded again.
            self.roots = {}
            self._budget.forget()
        trees: list[Part] = list(going.values())
        going.clear()
        self._budget.parts.remains.leave(trees)

    def settle(self) -> None:
        """All steps of `settling`; Held, Unwritable, Corrupt."""
        for _ in self.settling():
            pass

    def settling(self) -> Steps:
        """Finish what was cut short: take back what a tick that never ended wrote, free what is dying."""
        if self.stale:
            self.load()
        objects = self._objects
        superblock = objects.superblock
        if superblock.next - 1 > superblock.top:
            for number in range(superblock.top + 1, superblock.next):
                objects.free(number)
                if objects.pages > objects.slice_pages:
                    objects.commit()
                if not number % _FREED_AT_ONCE:
                    yield False
            objects.commit()
        for _ in self._reaping():
            yield False

    def _ref_rows(self, tick: Tick) -> dict[str, list[bytes]]:
        layout = self._layout
        if len(self.kept) + len(tick.store) - len(tick.drop) > layout.commits:
            raise LimitReached("rows for kept commits", layout.commits)
        return {
            "branch": branch_rows(tick.branches, layout.branch_rows),
            "tag": tag_rows(tick.tags, layout.tags),
            "pin": pin_rows(tick.pins, layout.pin_rows),
        }

    def _store(self, tick: Tick, stored: list[Stored]) -> Steps:
        """Write the objects of all new commits; each with its tree and the commit that it shares with."""
        forks = {branch.id: branch.fork for branch in tick.branches}
        fresh: dict[int, Node] = {}
        newest: dict[int, int] = {}
        for record in tick.store:
            if record.number in self.kept.commits:
                continue  # Stored by a tick that was interrupted after that.
            before = self.kept.before(record, fresh, newest, forks)
            beside = fresh.get(before)
            if beside is None and before in self.kept.commits:
                with suppress(Corrupt):  # Then nothing of it can be shared.
                    beside = self.root(self.kept.commits[before].record)
            before = before if beside else 0
            root = record.root or self.root(record)
            if beside is None or not self._storing.along(root, beside):
                root = yield from self._storing.store(root, beside)
            record.root_number, record.top = root.number, self._objects.superblock.next - 1
            fresh[record.number] = root
            newest[record.branch] = record.number
            replaced: Replaced | None = self._storing.replaced
            if replaced is not None and len(replaced) > FEW:
                packed: list[Run] = []
                for run in runs(replaced):
                    packed.append(run)
                    yield False
                replaced = Many(tuple(packed))
            stored.append((record, root, before, replaced))
            yield False

    def _put_cells(self, changes: Mapping[int, bytes]) -> Steps:
        """Write cells of series, in transactions of their own; they count when the tick has ended."""
        objects, rows = self._objects, cells.changed_cells(self._container, changes)
        while batch := list(islice(rows, min(_ROWS_AT_ONCE, max(1, objects.slice_pages // 2)))):
            if objects.pages + len(batch) > objects.slice_pages:
                objects.commit()
            objects.commit(partial(self._container.put, "series", batch), len(batch))
            yield False

    def _outline(self, tick: Tick, rows: dict[str, list[bytes]], stored: list[Stored]) -> Generator[bool, None, _Last]:
        """What the transaction that makes it count has to say, made ready in steps."""
        objects = self._objects
        if objects.pages > _LITTLE:
            objects.commit()
            yield False
        for record, _, before, replaced in stored:
            self.kept.add(record, before, replaced)
        for record in tick.changed:
            self.kept.change(record)
        yield False
        dropped = [record.number for record in tick.drop if record.number in self.kept.commits]
        dying = yield from self.kept.dropping(dropped)
        kept = yield from self.kept.changing()
        changed = {
            table: [(at, row) for at, row in enumerate(new) if row != self.rows[table][at]]
            for table, new in rows.items()
        }
        doomed = dying_rows(dying, self._layout.dying_rows)
        changed["author"] = list(self.kept.names.changes())
        if tick.series is not None:
            changed["column"] = cells.changed_columns(self._container, tick.series.records)
        pages = pages_of(kept) + len(doomed) + sum(len(some) for some in changed.values())
        if (objects.pages + pages) * FRAME > self._layout.wal:
            objects.commit()
        changed |= {"kept": sorted(kept.items()), "dying": list(enumerate(doomed))}
        yield False
        return _Last(changed, dying, pages)

    def _end(self, tick: Tick, rows: dict[str, list[bytes]], last: _Last) -> None:
        """The transaction that makes it count."""
        objects, dying = self._objects, last.dying

        def also() -> None:
            for table, some in last.rows.items():
                self._container.put(table, some)
            superblock = objects.superblock
            superblock.tick += 1
            superblock.number, superblock.top = tick.number, superblock.next - 1
            superblock.line = max(superblock.line, tick.line)
            superblock.dying, superblock.reaped, superblock.kept = len(dying), 0, len(self.kept)
            superblock.generation, superblock.start = self._journal.rest()
            superblock.tables = digest(rows[table] for table in _TABLES)

        objects.commit(also, last.pages, durable=True)
        self.rows, self._dying = rows, dying

    def _reaping(self) -> Steps:
        """Free what dropped commits alone had; what is done is on record."""
        objects = self._objects
        freed, looked, stepped = 0, _LOOKED_AFTER, _FREED_AT_ONCE
        while objects.superblock.reaped < len(self._dying):
            for some in self.freeing.free(self._dying[objects.superblock.reaped]):
                freed += some
                if freed >= looked:
                    looked = freed + _LOOKED_AFTER
                    if objects.pages > objects.slice_pages:
                        objects.commit()
                if freed >= stepped:
                    stepped = freed + _FREED_AT_ONCE
                    yield True
            objects.superblock.reaped += 1
        if self._dying:
            objects.commit()
            self._dying = ()
            yield True

    def root(self, commit: Record) -> Node:
        """The tree of a stored commit; from memory if it is the newest of its branch."""
        number, node = self.roots.get(commit.branch, (0, None))
        if node is not None and number == commit.number:
            return node
        return cast("Node", self._loaded(commit.root_number))
