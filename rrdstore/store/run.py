"""The run: the newest commits of one branch, of which history has not been told yet.

Rule: most commits set the value of a small leaf or make a place, and are dropped when some hundreds more have come,
before anything was stored of them. So a commit that closes no bucket of any tier, ends no lease and needs no room that
is not there is journalled and then only appended here, and the tree is changed in place. Before anything looks at
history the run is settled: history is told of those that stay, as if of all, one by one; the others lived and went.
One that closes a bucket ends the run; where each does (one a minute, say), history is told of it at once.
A commit that does more, but little (`joining`), ends the edit and copies its paths; the tree before undoes it.
What anyone else can see never changes: who takes the tree ends the edit (`freeze`), and the next commit copies a path.
Bound: at most `LONGEST` commits, `STAYING` where more than that stay for being new; settling costs a copied path for
each that stays, and half a microsecond for each other, 10 ms in all.
Cost: O(depth) a commit, nothing copied where the edit has been before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrdstore.errors import HINDERED
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Edit, Key, Record, cut
from rrdstore.native import mypyc_attr
from rrdstore.storage.protocol import Entry
from rrdstore.store.brief import record_of, undo_at
from rrdstore.store.config import MAIN
from rrdstore.store.costs import change_cost, creation_cost, leaf_cost, spot_cost
from rrdstore.store.joining import laid, made, plain, set_again, sizes, weight_of
from rrdstore.store.merging import applied
from rrdstore.store.newest import NOTHING, Newest
from rrdstore.tree.edit import hung, new_edit, replaced, way_to
from rrdstore.tree.node import FANOUT, SMALL, Bucket, Node
from rrdstore.tree.path import split
from rrdstore.tree.spot import Places, lifted, linked
from rrdstore.tree.undo import Undo, taken_back, undo_of

if TYPE_CHECKING:
    from rrdstore.history.branch import Line
    from rrdstore.storage.protocol import Brief
    from rrdstore.store.brief import Part
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.edit import Way
    from rrdstore.tree.spot import Spot

LONGEST = 65536
"""Commits after which a run is settled in any case."""
STAYING = 512
"""And where more stay: so many paths are copied in 8 ms, in a tree of 500,000 nodes."""
GATHERED = 256
"""Commits that cannot stay, after which they are let go of."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Run(Newest):
    """The run of one ledger. `branch` is whose it is, 0 if there is none."""

    __slots__ = (
        "_author",
        "_closes",
        "_closes_number",
        "_cut",
        "_ends",
        "_epoch",
        "_feeds",
        "_held",
        "_line",
        "_longest",
        "_parting",
        "_rings",
        "looked",
        "places",
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._epoch = 0
        """That of the newest commit."""
        self.places = Places()
        """Where nodes were found in the newest tree."""
        self._author = self._cut = ""
        """Who made the last one, as he was named, and as much of that as is kept."""
        self.looked = 0
        """After which commit a way was last taken, to replace what it leads to."""

    def begin(self, line: Line, head: Record) -> None:
        """From here on commits of a branch may be appended, of which history has the head."""
        rings = line.rings
        if rings is None or head.root is None or head.number != line.head or head.number != self._ledger.number:
            return
        if self._ledger.storage.readonly:
            return
        history = self._ledger.history
        self._line, self._rings = line, rings
        (self._closes, self._closes_number), self._ends = rings.quiet, history.next_end
        self._rows, self._feeds, self._parting = rings.newest, line.name == MAIN, history.parting
        self._held = history.holds.held
        self._longest = head.number + (LONGEST if self._rows <= STAYING else STAYING)
        self._most = self._rows + GATHERED
        self.branch, self.root, self._epoch, self._edit = line.id, head.root, head.epoch, new_edit()
        if head.root is not self.places.root or line.id != self.places.line:
            self.places.clear()  # A fork has the same tree, but what is found in one is not followed into the other.
        self.places.line = line.id

    def rooted(self, record: Record) -> None:
        """A head has been stored: its tree is what the storage has now."""
        before, record.root = record.root, self._ledger.storage.root(record)
        if before is self.places.root is not record.root:
            self.places.clear()

    def forget(self) -> None:
        """There is no run any more, and never was: the ledger has become what the storage has."""
        self.branch = 0
        self._forgotten()
        self.places.clear()

    def spot(self, names: tuple[str, ...]) -> Spot | None:
        """Where a node is in the newest tree, to be set again; None as `tree.spot`. O(depth)."""
        places = self.places
        places.root = self.root
        return places.spot(names)

    def _lost(self, spot: Spot) -> int:
        """Something on the way to a spot is not of the tree; 0."""
        self.places.leave(split(spot.path))
        return 0

    def resumed(self, line: Line) -> bool:
        """Begin a run on the head of a branch if there is none of any; whether there is one of this branch now."""
        if not self.branch and line.head:
            ledger = self._ledger
            head = ledger.history.graph.records[line.head]
            if head.root is None:
                ledger.root(head)
            self.begin(line, head)
        return self.branch == line.id

    def _anew(self) -> bool:
        """Tell history of all that there is, and begin another run of the same branch; whether there is one."""
        line = self._line
        _ = self._ledger.history
        return self.resumed(line)

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
        else:
            self._appended(record, edits)
        return record

    def set_at(self, spot: Spot, value: bytes, said: str, author: str, goes_on: bool) -> int:
        """As `Branch.set_at`, which nearly all commits do; with `goes_on` the message is `said` and the path."""
        ledger, place = self._ledger, spot.place
        storage, number = ledger.storage, ledger.number + 1
        bucket: Any = place.container
        node = bucket.names.get(spot.name)
        if node.__class__ is not Node or self._epoch != ledger.epoch or ledger.closed or ledger.leases.ended:
            return 0
        meta = node.meta
        size = len(value) + len(meta)
        if size > SMALL or (number > self._longest and not self._anew()):
            return 0
        bounded, cost = storage.forgets_trees, 0
        if bounded:
            cost = spot_cost(place, self.root)
            if cost < 0:
                return self._lost(spot)
            cost += size
            if storage.lacking(cost + ledger.room.reserved, shrinks=False) > 0 or (0 < storage.largest < cost):
                return 0
        path, fresh, lift = spot.path, Node(value, meta, node.created, number), None
        if bucket.edit != self._edit:
            lift = lifted(place, spot.name, fresh, self.root, self._edit)
            if lift is None:
                return self._lost(spot)
        elif bucket.hashed is not None:
            return 0
        if author is not self._author:
            self._author, self._cut = author, cut(author, AUTHOR_BYTES)
        author = self._cut
        if len(said) + len(path) > MESSAGE_BYTES or not said.isascii() or not path.isascii():
            said, goes_on = cut(said + path if goes_on else said, MESSAGE_BYTES), False
        retention = ledger.retention
        rt, wall = retention.stamp()
        closes = rt >= self._closes or number >= self._closes_number
        if rt >= self._ends or (closes and self.records):
            retention.unmade()
            return 0 if rt >= self._ends or not self._anew() else self.set_at(spot, value, said, author, goes_on)
        brief, before, written = (rt, wall, author, said, path, goes_on), self.root, 1
        undo: Node | Part = node if lift is None else (lift.climbed, lift.level, lift.old)
        told: Record | None = None
        try:
            if bounded:
                written = storage.write(number, self._epoch, self.branch, brief, value)
                if not written:
                    retention.unmade()
                    return 0
                ledger.room.reserve(cost)
            more = len(value) - len(node.value)
            if more:
                place.price = -1
            if lift is not None:
                self.root = self.places.root = linked(lift, before)
            else:
                bucket.names[spot.name] = fresh
                if bucket.weighed >= 0:
                    bucket.weighed += more
            if closes:
                told = record_of(brief, number, self._epoch, self.branch)
                self._told(told, (_tuple(Edit, (path, value, None)),))
            else:
                self._holds(brief, undo, number)
                if self._feeds and ledger.series is not None:
                    ledger.series.feed(rt, (_tuple(Edit, (path, value, None)),))
        except BaseException as fault:
            retention.unmade()
            if closes:
                self.forget()  # History says what there is.
            else:
                self._take_back(brief, number, before, undo_at(path, undo))
            ledger.follow(fault)
            raise
        if written > 1 or ledger.watches or self._parting.remains.parts:
            self._appended(told or self.newest(), (_tuple(Edit, (path, value, None)),))
        return number

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
        parents = (_tuple(Key, (number - 1, self._epoch)),)
        record = Record(number, epoch, self.branch, parents, rt, wall, author, message, None)
        before, places = self.root, self.places
        lowest: Any = way[-1] if way else None
        among = len(lowest.names) if lowest.__class__ is Bucket and lowest.edit == self._edit else FANOUT
        if fresh is None and not places.leaves(edits):
            places.clear()
        if fresh is not None and node is None:
            names = names[: depth + 1]
        taken: list[Undo] = []
        lays = fresh is None and not closes and plain(edits, before)
        if closes or lays:
            undo = NOTHING  # Where it closes, nothing of that tree is the edit's own: there is no run.
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
            if fresh is not None and node is None and among < FANOUT:
                places.grew(names)
            else:
                places.follows(edits, self.root)
            if closes:
                self._told(record, edits)
                return record
            self._holds(record, undo, number)
            self._epoch = epoch
            if self._feeds and ledger.series is not None:
                ledger.series.feed(rt, edits)
        except BaseException as fault:
            if closes:
                self.forget()  # History says what there is.
            else:
                self._epoch = parents[0].epoch
                self._take_back(record, number, before, taken[-1] if taken else undo)
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

    def _told(self, record: Record, edits: tuple[Edit, ...]) -> None:
        """The commit is the head, as history knows: from there on it is a run with nothing in it."""
        record.root, self._epoch, self._edit = self.root, record.epoch, new_edit()
        self._ledger.admit(self._line, record, edits)
        self._closes, self._closes_number = self._rings.quiet

    def _take_back(self, record: Record | Brief, number: int, before: Node, undo: Undo) -> None:
        """An interrupt came between the journal and the end: nothing of the commit is here."""
        if self.records and self.records[-1] is record:
            self.records.pop()
        del self._undo[len(self.records) :]
        self._ledger.number = number - 1
        # What is put back is put into copies: what they are of is not the edit's own any more.
        self.places.clear()
        self._edit = new_edit()
        self.root = taken_back(before, undo)


_tuple = tuple.__new__  # a third of what calling a named tuple costs
