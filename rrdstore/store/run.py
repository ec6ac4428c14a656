"""The run: the newest commits of one branch, of which history has not been told yet.

Rule: most commits set the value of a small leaf or make a place, and are dropped when some hundreds more have come,
before anything was stored of them. So a commit that closes no bucket of any tier, ends no lease and needs no room that
is not there is journalled and then only appended here, and the tree is changed in place. Before anything looks at
history the run is settled: history is told of those that stay, as if of all, one by one; the others lived and went.
A commit has its tree by undoing what came after it: only those that stay need one.
A commit that does more, but little (`EDITS`, `NODES`), ends the edit and copies its paths; the tree before undoes it.
What anyone else can see never changes: who takes the tree ends the edit (`freeze`), and the next commit copies a path.
Bound: at most `LONGEST` commits, `STAYING` where more than that stay for being new; settling costs a copied path for
each that stays, 10 ms in all. Trees before a commit are held for those alone that can stay.
Cost: O(depth) a commit, nothing copied where the edit has been before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import HINDERED
from rrdstore.history.authors import AUTHORS, stand_for
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Record, cut
from rrdstore.storage.protocol import Entry
from rrdstore.store.config import MAIN
from rrdstore.store.merging import applied
from rrdstore.store.room import change_cost, creation_cost, leaf_cost
from rrdstore.tree.edit import EMPTY, find, graft, grown, new_edit, replaced, way_to
from rrdstore.tree.node import SMALL, Bucket, Node, Stub, Wide, shared_meta
from rrdstore.tree.path import split
from rrdstore.tree.tree import Tree
from rrdstore.tree.undo import Undo, undo_of, undone

if TYPE_CHECKING:
    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Edit
    from rrdstore.store.ledger import Ledger

LONGEST = 2048
"""Commits after which a run is settled in any case."""
STAYING = 512
"""And where more stay: so many paths are copied in 8 ms, in a tree of 500,000 nodes."""
EDITS = 32
"""Edits of one commit of a run, at most."""
NODES = 64
"""Nodes that they remove, at most: about what there is of one domain of a host."""


class Run:
    """The run of one ledger. `branch` is whose it is, 0 if there is none."""

    __slots__ = (
        "_author",
        "_cut",
        "_edit",
        "_feeds",
        "_key",
        "_ledger",
        "_longest",
        "_parting",
        "_quiet",
        "_released",
        "_rows",
        "_undo",
        "_weights",
        "branch",
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
        """The commits, oldest first."""
        self._undo: list[Undo] = []
        """What takes back each of them."""
        self.shown = _NOTHING_SHOWN
        """That tree, as it was given out last."""
        self._author = self._cut = ""
        """Who made the last one, as he was named, and as much of that as is kept."""
        self._released = 0
        """Of how many of them, the oldest, nothing is held any more, as they cannot stay."""
        self._weights: dict[int, int] = {}
        """What of them replaces more than one place does: how many."""

    def begin(self, line: Line, head: Record) -> None:
        """From here on commits of a branch may be appended, of which history has the head."""
        rings = line.rings
        if rings is None or head.root is None or head.number != line.head or head.number != self._ledger.number:
            return
        history = self._ledger.history
        closes, number = rings.quiet
        self._quiet = min(closes, history.next_end), number
        self._rows, self._feeds, self._parting = rings.newest, line.name == MAIN, history.parting
        self._longest = LONGEST if self._rows <= STAYING else STAYING
        self.branch, self.root, self._key, self._edit = line.id, head.root, head.key, new_edit()

    def freeze(self) -> Node:
        """The newest tree, which nothing changes any more."""
        self._edit = new_edit()
        if self.records:
            self.records[-1].root = self.root
        return self.root

    def append(self, edits: tuple[Edit, ...], message: str, author: str, opaque: bytes) -> Record | None:
        """One commit that history can be told of later; None, and nothing has happened, if it is none. Unwritable.

        It sets a small leaf again, makes a place and what is missing above it, or does a little of anything.
        """
        ledger, (closes, last) = self._ledger, self._quiet
        if ledger.closed or ledger.leases.ended or len(self.records) >= self._longest or ledger.number + 1 >= last:
            return None
        # The time first: where commits are rare, each closes a bucket.
        retention = ledger.retention
        rt, wall = retention.stamp()
        try:
            record = None if rt >= closes else self._joined(rt, wall, edits, message, author, opaque)
        except BaseException:
            retention.unmade()
            raise
        if record is None:
            retention.unmade()
            return None
        if self._parting.remains.parts:
            self._parting.go_on(1)
        if ledger.storage.due and ledger.storage.forgets_trees:
            ledger.try_tick()
        if ledger.watches:
            ledger.tell(record, edits)
        return record

    def _joined(
        self, rt: int, wall: int, edits: tuple[Edit, ...], message: str, author: str, opaque: bytes
    ) -> Record | None:
        ledger, records = self._ledger, self.records
        names = split(edits[-1][0])
        way, indexes, node = way_to(self.root, names)
        number = ledger.number + 1
        depth = 0
        if node is not None:
            fresh = _set_again(edits, node, number)
        else:
            depth = sum([one.__class__ is not Bucket and one.__class__ is not Wide for one in way]) - 1
            fresh = _made(edits, names, depth, number, self._edit)
        if author is not self._author:
            self._author, self._cut = author, cut(author, AUTHOR_BYTES)
        author, message = self._cut, cut(message, MESSAGE_BYTES)
        parents = (self._key,)
        storage = ledger.storage
        bounded = storage.forgets_trees
        weight = 0
        if fresh is None and not (weight := _weight(edits, self.root)):
            return None
        if bounded:
            room = ledger.room
            if fresh is None:
                cost = change_cost(self.root, edits)
            elif node is not None:
                cost = leaf_cost(way, len(fresh.value) + len(fresh.meta))
            else:
                cost = creation_cost(way, _sizes(edits, names, depth))
            if (storage.largest and cost > storage.largest) or storage.lacking(cost + room.reserved, shrinks=False) > 0:
                return None
        record = Record(number, ledger.epoch, self.branch, parents, rt, wall, author, message, None)
        before = self.root
        if fresh is None:
            before = self.freeze()
            undo = Undo((), -1, -1, before, made=False)
        else:
            if node is None:
                names = names[: depth + 1]
            undo = undo_of(names, way, node, self._edit)
        try:
            if bounded:
                entry = (number, ledger.epoch, self.branch, parents, rt, wall, author, message, edits, opaque, None)
                try:
                    journalled = storage.append(tuple.__new__(Entry, entry))
                except HINDERED:
                    journalled = False
                if not journalled:
                    return None
                room.reserve(cost)
            if fresh is None:
                self.root = applied(before, edits, number)
            elif node is not None:
                self.root = replaced(before, names, way, indexes, node, fresh, self._edit)
            else:
                self.root = graft(before, names, fresh, number, self._edit)
            records.append(record)
            self._undo.append(undo)
            self._key, ledger.number = record.key, number
            if self._feeds and ledger.series is not None:
                ledger.series.feed(rt, edits)
        except BaseException as fault:
            self._take_back(record, before, undo)
            ledger.follow(fault)
            raise
        if weight:
            self._weights[number] = weight
            self._release()
        return record

    def _release(self) -> None:
        """Let go of the trees of those that cannot stay any more. O(1) a commit."""
        for at in range(self._released, len(self.records) - self._rows):
            self.records[at].root, self._undo[at] = None, _NOTHING
            self._released = at + 1

    def _take_back(self, record: Record, before: Node, undo: Undo) -> None:
        """An interrupt came between the journal and the end: nothing of the commit is here."""
        if self.records and self.records[-1] is record:
            self.records.pop()
        del self._undo[len(self.records) :]
        self._key, self._ledger.number = record.parents[0], record.number - 1
        # Where it was done in place, the old root has it.
        there = way_to(before, undo.names)[2]
        done = there is not None if undo.made else there is not undo.old
        self.root = undone(before, undo) if done and undo.depth >= 0 else before

    def settle(self) -> None:
        """Tell history of the commits; there is no run any more. O(commits), and a path copied for each that stays."""
        branch, self.branch = self.branch, 0
        records, undo = self.records, self._undo
        if not records:
            self._forgotten()
            return
        history = self._ledger.history
        head = history.lines[branch].head
        # Of a run that is longer than `last`, those before the newest have gone as they came.
        skip = max(0, len(records) - self._rows)
        root = self.root
        for at in range(len(records) - 1, skip - 1, -1):
            record = records[at]
            if record.root is None:
                record.root = root
            root = record.root
            if at > skip:
                root = undone(root, undo[at])
        # What is dropped by what follows goes in pieces, if nothing else holds it.
        weights = self._weights
        self._forgotten()
        del undo, root
        gone: list[Record] = []
        if skip and self._commute(records, branch, head):
            gone, records = records[:skip], records[skip:]
            stand_for(records[0], gone)
        history.parting.weigh(weights, records)
        for record in records:
            record.grafts, head = (head,), record.number
            history.admit(record)
        for record in gone:
            record.grafts, record.root = records[0].grafts, None

    def _commute(self, records: list[Record], branch: int, head: int) -> bool:
        """Whether it makes no difference who inherits first: these, and those that go before them, have few authors."""
        graph = self._ledger.history.graph
        older = [graph.records[number] for number in (head, *graph.lines.get(branch, ())[-self._rows :])]
        names = {record.author for record in records}
        for record in older:
            names.update((record.author,) if record.authors is None else record.authors)
        return len(names) <= AUTHORS

    def forget(self) -> None:
        """There is no run any more, and never was: the ledger has become what the storage has."""
        self.branch = 0
        self._forgotten()

    def _forgotten(self) -> None:
        self.records, self._undo, self.root = [], [], EMPTY
        self._weights, self._released, self.shown = {}, 0, _NOTHING_SHOWN


_NOTHING_SHOWN = Tree(EMPTY)
_NOTHING = Undo((), -1, -1, EMPTY, made=False)


def _set_again(edits: tuple[Edit, ...], node: Node, number: int) -> Node | None:
    """The leaf that takes the place of a small one, if that is all there is to do."""
    _, value, meta = edits[0]
    if len(edits) > 1 or value is None or node.__class__ is not Node:
        return None
    own = node.meta if meta is None or meta == node.meta else shared_meta(meta)
    return None if len(value) + len(own) > SMALL else Node(value, own, node.created, number)


def _weight(edits: tuple[Edit, ...], root: Node) -> int:
    """How many nodes a commit replaces or removes, if it is one of a few edits, and small; else 0."""
    if len(edits) > EDITS:
        return 0
    weight = 0
    for path, value, meta in edits:
        weight += 1
        if value is None:
            weight += _size(find(root, split(path)))
            if weight > NODES:
                return 0
        elif len(value) + len(meta or b"") > SMALL:
            return 0
    return weight


def _size(node: Node | None) -> int:
    """How many nodes there are at and below this one; more than NODES for many, and if not all are in memory."""
    if node is None:
        return 0
    size, left = 0, [node]
    while left:
        kids = left.pop().kids
        size += 1
        if kids is None:
            continue
        if kids.__class__ is not Bucket or size + len(kids.names) > NODES:
            return NODES + 1
        for one in kids.names.values():
            if isinstance(one, Stub):
                return NODES + 1
            left.append(one)
    return size


def _made(edits: tuple[Edit, ...], names: tuple[str, ...], depth: int, number: int, edit: int) -> Node | None:
    """The node that comes into being below the first `depth` names, with the others below it, if that is all."""
    contents = [(b"", b"")] * (len(names) - depth)
    longest = depth
    for path, value, meta in edits:
        made = names if path == edits[-1][0] else split(path)
        if value is None or len(made) <= longest or names[: len(made)] != made:
            return None
        longest = len(made)
        contents[longest - depth - 1] = value, meta or b""
    return grown(names[depth + 1 :], contents, number, edit)


def _sizes(edits: tuple[Edit, ...], names: tuple[str, ...], depth: int) -> list[tuple[str, int]]:
    """The names that come into being, and how many bytes each has."""
    sizes = {path.count("/"): len(value or b"") + len(meta or b"") for path, value, meta in edits}
    return [(names[at], sizes.get(at + 1, 0)) for at in range(depth, len(names))]
