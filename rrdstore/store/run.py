"""The run: the newest commits of one branch, of which history has not been told yet.

Rule: most commits set the value of a small leaf or make a place, and are dropped when some hundreds more have come,
before anything was stored of them. So a commit that closes no bucket of any tier, ends no lease and needs no room that
is not there is journalled and then only appended here, and the tree is changed in place. Before anything looks at
history the run is settled: history is told of those that stay, as if of all, one by one; the others lived and went.
One that closes a bucket ends the run; where each does (one a minute, say), history is told of it at once, and the run
that begins with it takes the next: what the two ways share is done once.
A commit has its tree by undoing what came after it: only those that stay need one.
A commit that does more, but little (`joining`), ends the edit and copies its paths; the tree before undoes it.
What anyone else can see never changes: who takes the tree ends the edit (`freeze`), and the next commit copies a path.
Of those that cannot stay any more only the first is held, as whoever inherits does so by its way, and who made each.
Bound: at most `LONGEST` commits, `STAYING` where more than that stay for being new; settling costs a copied path for
each that stays, and half a microsecond for each other, 10 ms in all.
Cost: O(depth) a commit, nothing copied where the edit has been before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import HINDERED
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Edit, Record, cut
from rrdstore.native import mypyc_attr
from rrdstore.storage.protocol import Entry
from rrdstore.store.config import MAIN
from rrdstore.store.joining import laid, made, plain, set_again, sizes, weight_of
from rrdstore.store.merging import applied
from rrdstore.store.passed import Passed, give_trees
from rrdstore.store.room import change_cost, creation_cost, leaf_cost
from rrdstore.tree.edit import EMPTY, hung, new_edit, replaced, way_to
from rrdstore.tree.node import SMALL, Node
from rrdstore.tree.path import split
from rrdstore.tree.tree import Tree
from rrdstore.tree.undo import Undo, exchanged, taken_back, undo_of

if TYPE_CHECKING:
    from rrdstore.history.branch import Line
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.edit import Way

LONGEST = 8192
"""Commits after which a run is settled in any case."""
STAYING = 512
"""And where more stay: so many paths are copied in 8 ms, in a tree of 500,000 nodes."""
GATHERED = 256
"""Commits that cannot stay, after which they are let go of."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Run:
    """The run of one ledger. `branch` is whose it is, 0 if there is none."""

    __slots__ = (
        "_author",
        "_closes",
        "_closes_number",
        "_cut",
        "_edit",
        "_ends",
        "_feeds",
        "_held",
        "_key",
        "_ledger",
        "_line",
        "_longest",
        "_most",
        "_parting",
        "_passed",
        "_released",
        "_rings",
        "_rows",
        "_undo",
        "_weights",
        "branch",
        "looked",
        "records",
        "root",
        "shown",
    )

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.branch = 0
        self.root: Node = EMPTY
        """The newest tree of the branch: to be read before the next commit, and kept by nobody (`freeze`)."""
        self.records: list[Record] = []
        """The commits, oldest first, but for those that have been let go of."""
        self._passed = _NONE
        """What is left of these."""
        self._undo: list[Undo] = []
        """What takes back each of them."""
        self.shown = _NOTHING_SHOWN
        """That tree, as it was given out last."""
        self._author = self._cut = ""
        """Who made the last one, as he was named, and as much of that as is kept."""
        self._released = 0
        """Of how many of them, the oldest, nothing is held any more, as they cannot stay."""
        self.looked = 0
        """After which commit a way was last taken, to replace what it leads to."""
        self._weights: dict[int, int] = {}
        """What of them replaces more than one place does: how many."""

    def begin(self, line: Line, head: Record) -> None:
        """From here on commits of a branch may be appended, of which history has the head."""
        rings = line.rings
        if rings is None or head.root is None or head.number != line.head or head.number != self._ledger.number:
            return
        history = self._ledger.history
        self._line, self._rings = line, rings
        (self._closes, self._closes_number), self._ends = rings.quiet, history.next_end
        self._rows, self._feeds, self._parting = rings.newest, line.name == MAIN, history.parting
        self._held = history.holds.held
        self._longest = head.number + (LONGEST if self._rows <= STAYING else STAYING)
        self._most = self._rows + GATHERED
        self.branch, self.root, self._key, self._edit = line.id, head.root, head.key, new_edit()

    def freeze(self) -> Node:
        """The newest tree, which nothing changes any more."""
        self._edit = new_edit()
        if self.records:
            self.records[-1].root = self.root
        return self.root

    def append(
        self, edits: tuple[Edit, ...], message: str, author: str, opaque: bytes, way: Way | None = None
    ) -> Record | None:
        """One commit that history can be told of later; None, and nothing has happened, if it is none. Unwritable.

        It sets a small leaf again, makes a place and what is missing above it, or does a little of anything. `way` is
        that to the last of them, if it is known and they are all that is missing there.
        """
        ledger, records = self._ledger, self.records
        if ledger.closed or ledger.leases.ended or ledger.number >= self._longest:
            return None
        # The time first: where commits are rare, each closes a bucket.
        retention = ledger.retention
        rt, wall = retention.stamp()
        closes = rt >= self._closes or ledger.number + 1 >= self._closes_number
        record = None
        try:
            if rt < self._ends and not (closes and records):
                record = self._joined(rt, wall, edits, message, author, opaque, closes, way)
        except BaseException:
            retention.unmade()
            raise
        if record is None:
            retention.unmade()
            return None
        self._appended(record, edits)
        return record

    def replace(
        self, path: str, way: Way, value: bytes, message: str, author: str, opaque: bytes = b""
    ) -> Record | None:
        """As `append`, if `way`, which is of this moment, leads to a small leaf that stays one: it is set again.

        What nearly all commits do, in one walk of the tree.
        """
        ledger = self._ledger
        names, containers, indexes, node = way
        number, storage = ledger.number + 1, ledger.storage
        if node.__class__ is not Node or number > self._longest:
            return None
        meta = node.meta
        size = len(value) + len(meta)
        if size > SMALL or ledger.closed or ledger.leases.ended:
            return None
        bounded = storage.forgets_trees
        cost = leaf_cost(containers, size) if bounded else 0
        if author is not self._author:
            self._author, self._cut = author, cut(author, AUTHOR_BYTES)
        message = cut(message, MESSAGE_BYTES)
        if bounded and self._lacks(cost):
            return None
        retention = ledger.retention
        rt, wall = retention.stamp()
        closes = rt >= self._closes or number >= self._closes_number
        if rt >= self._ends or (closes and self.records):
            retention.unmade()
            return None
        edits = (_tuple(Edit, (path, value, None)),)
        record = Record(number, ledger.epoch, self.branch, (self._key,), rt, wall, self._cut, message, None)
        before = self.root
        try:
            if bounded and not self._journalled(record, edits, opaque, cost):
                retention.unmade()
                return None
            fresh = Node(value, meta, node.created, number)
            self.root, undo = exchanged(before, names, containers, indexes, node, fresh, self._edit)
            if closes:
                self._told(record, edits)
            else:
                self._holds(record, undo, edits)
        except BaseException as fault:
            retention.unmade()
            if closes:
                self.forget()  # History says what there is.
            else:
                self._take_back(record, before, undo_of(names, containers, node, self._edit))
            ledger.follow(fault)
            raise
        if storage.due or ledger.watches or self._parting.remains.parts:
            self._appended(record, edits)
        return record

    def redo(self, entry: Entry) -> Record | None:
        """As `append`, of what the journal has of such a commit; what is told of it is told already. Corrupt."""
        rt, number = entry.rt, entry.number
        closes = rt >= self._closes or number >= self._closes_number
        if rt >= self._ends or number > self._longest or (closes and self.records):
            return None
        if entry.meeting is not None or number != self._ledger.number + 1 or number in self._held:
            return None
        return self._joined(rt, entry.wall, entry.edits, entry.message, entry.author, b"", closes, redone=entry)

    def _appended(self, record: Record, edits: tuple[Edit, ...]) -> None:
        """What goes with each commit: a part of what is to be done, and who is told."""
        ledger = self._ledger
        if self.records and self._parting.remains.parts:  # Where there is no run, history has done it.
            self._parting.go_on(1)
        if ledger.storage.due and ledger.storage.forgets_trees:
            ledger.try_tick()
        if ledger.watches:
            ledger.tell(record, edits)

    def _joined(
        self, rt: int, wall: int, edits: tuple[Edit, ...], message: str, author: str, opaque: bytes, closes: bool,
        to: Way | None = None, redone: Entry | None = None,
    ) -> Record | None:  # fmt: skip
        """As `append`, at this time; what closes a bucket goes to history, which has been told of all before it."""
        ledger = self._ledger
        names, way, indexes, node = way_to(self.root, split(edits[-1][0])) if to is None else to
        number = ledger.number + 1
        depth = 0
        if node is not None:
            fresh = set_again(edits, node, number)
        else:
            depth = (len(way) - len(indexes) - 1) // 2
            fresh = made(edits, names, depth, number, self._edit)
        if author is not self._author:
            self._author, self._cut = author, cut(author, AUTHOR_BYTES)
        author, message = self._cut, cut(message, MESSAGE_BYTES)
        bounded = ledger.storage.forgets_trees
        weight = cost = 0
        if fresh is None and not (weight := weight_of(edits, self.root)):
            return None
        if bounded:
            if fresh is None:
                cost = change_cost(self.root, edits)
            elif node is not None:
                cost = leaf_cost(way, len(fresh.value) + len(fresh.meta))
            else:
                cost = creation_cost(way, sizes(edits, names, depth))
            if redone is None and self._lacks(cost):
                return None
        epoch = ledger.epoch if redone is None else redone.epoch
        record = Record(number, epoch, self.branch, (self._key,), rt, wall, author, message, None)
        before = self.root
        if fresh is not None and node is None:
            names = names[: depth + 1]
        taken: list[Undo] = []
        lays = fresh is None and not closes and plain(edits, before)
        if closes or lays:
            undo = _NOTHING  # Where it closes, nothing of that tree is the edit's own: there is no run.
        elif fresh is None:
            before = self.freeze()
            undo = Undo((), -1, -1, before, made=False)
        else:
            undo = undo_of(names, way, node, self._edit)
        try:
            if redone is not None:
                ledger.room.reserve(cost)
            elif bounded and not self._journalled(record, edits, opaque, cost):
                return None
            if lays:
                self.root = laid(before, edits, number, self._edit, taken)
                undo = taken[-1]
            elif fresh is None:
                self.root = applied(before, edits, number)
            elif node is not None:
                self.root = replaced(before, names, way, indexes, node, fresh, self._edit)
            else:
                self.root = hung(way, names, fresh, number, self._edit)
            if closes:
                self._told(record, edits)
                return record
            self._holds(record, undo, edits)
        except BaseException as fault:
            if closes:
                self.forget()  # History says what there is.
            else:
                self._take_back(record, before, taken[-1] if taken else undo)
            ledger.follow(fault)
            raise
        if weight:
            self._weights[number] = weight
            self._release()
        return record

    def _lacks(self, cost: int) -> bool:
        """Whether there is no room for a commit that costs so much."""
        storage = self._ledger.storage
        if storage.largest and cost > storage.largest:
            return True
        return storage.lacking(cost + self._ledger.room.reserved, shrinks=False) > 0

    def _journalled(self, record: Record, edits: tuple[Edit, ...], opaque: bytes, cost: int) -> bool:
        """Whether a commit is in the journal now, and its room taken."""
        ledger = self._ledger
        entry = (
            record.number, record.epoch, record.branch, record.parents, record.rt, record.wall,
            record.author, record.message, edits, opaque, None,
        )  # fmt: skip
        try:
            if not ledger.storage.append(_tuple(Entry, entry)):
                return False
        except HINDERED:
            return False
        ledger.room.reserve(cost)
        return True

    def _holds(self, record: Record, undo: Undo, edits: tuple[Edit, ...]) -> None:
        """The tree has the change of a commit."""
        ledger, records = self._ledger, self.records
        records.append(record)
        self._undo.append(undo)
        self._key, ledger.number = record.key, record.number
        if len(records) > self._most:
            self._gather()
        if self._feeds and ledger.series is not None:
            ledger.series.feed(record.rt, edits)

    def _told(self, record: Record, edits: tuple[Edit, ...]) -> None:
        """The commit is the head, as history knows: from there on it is a run with nothing in it."""
        record.root, self._key, self._edit = self.root, record.key, new_edit()
        self._ledger.admit(self._line, record, edits)
        self._closes, self._closes_number = self._rings.quiet

    def _release(self) -> None:
        """Let go of the trees of those that cannot stay any more. O(1) a commit."""
        for at in range(self._released, len(self.records) - self._rows):
            self.records[at].root, self._undo[at] = None, _NOTHING
            self._released = at + 1

    def _gather(self) -> None:
        """Let go of those that cannot stay any more. O(1) a commit."""
        skip = len(self.records) - self._rows
        passed = self._passed.and_these(self.records[:skip])
        # All at once: an interrupt finds what was, or what is.
        self._passed, self.records, self._undo, self._released = passed, self.records[skip:], self._undo[skip:], 0

    def _take_back(self, record: Record, before: Node, undo: Undo) -> None:
        """An interrupt came between the journal and the end: nothing of the commit is here."""
        if self.records and self.records[-1] is record:
            self.records.pop()
        del self._undo[len(self.records) :]
        self._key, self._ledger.number = record.parents[0], record.number - 1
        self.root = taken_back(before, undo)

    def settle(self) -> None:
        """Tell history of the commits; there is no run any more. O(commits), and a path copied for each that stays."""
        records, undo = self.records, self._undo
        # Of a run that is longer than `last`, those before the newest have gone as they came.
        skip = max(0, len(records) - self._rows)
        if records:
            give_trees(records, undo, self.freeze(), skip)  # What this loads may be damaged: there still is a run then.
        branch, self.branch = self.branch, 0
        if not records:
            self._forgotten()
            return
        history = self._ledger.history
        head = history.lines[branch].head
        # What is dropped by what follows goes in pieces, if nothing else holds it.
        weights, passed, staying = self._weights, self._passed, records
        if skip:
            passed, staying = passed.and_these(records[:skip]), records[skip:]
        self._forgotten()
        del undo, records
        history.parting.weigh(weights, passed.first or staying[0], staying[0])
        passed.admit(history, head, staying)

    def forget(self) -> None:
        """There is no run any more, and never was: the ledger has become what the storage has."""
        self.branch = 0
        self._forgotten()

    def _forgotten(self) -> None:
        self.records, self._undo, self.root = [], [], EMPTY
        self._weights, self._passed, self._released, self.shown = {}, _NONE, 0, _NOTHING_SHOWN


_NOTHING_SHOWN = Tree(EMPTY)
_tuple = tuple.__new__  # a third of what calling a named tuple costs
_NONE = Passed()
_NOTHING = Undo((), -1, -1, EMPTY, made=False)
