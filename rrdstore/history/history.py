"""Admission: which commits there are, and which of them stay.

Rule: every commit is offered to all tiers of its branch on arrival, each independently; it stays while
a tier or a hold keeps it (docs/semantics.md, rules 1 to 5). What leaves hands its place in the graph on
and is remembered until the next tick if the storage knows it.
Pure: no storage, no clock. Cost: O(tiers) a commit, O(1) for those in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rrdstore.errors import Exists, NotFound
from rrdstore.history.branch import NO_REACH, NOBODY, Line, Reach
from rrdstore.history.commit import STORING
from rrdstore.history.graph import Graph
from rrdstore.history.holds import BASE, FORK, HEAD, PIN, TAG, Holds
from rrdstore.history.parting import Parting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.history.branch import Rings
    from rrdstore.history.commit import Key, Record


NEVER = 1 << 63
"""Later than any retention time."""


class Due(NamedTuple):
    """What a tick is to bring to the storage."""

    fresh: dict[int, Record]
    gone: list[Record]
    changed: dict[int, Record]
    moved: int = 0
    """How many changes of branches, tags and pins."""


class History:
    """The kept commits of a store, its branches, tags and pins."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.holds = Holds()
        self.parting = Parting()
        self.lines: dict[int, Line] = {}
        self.last_line = 0
        """The highest branch id ever given: a handle of a deleted branch must not come to mean another one."""
        self.names: dict[str, Line] = {}
        self.tags: dict[str, Key] = {}
        self.pins: set[int] = set()
        self.fresh: dict[int, Record] = {}
        """Kept, and not stored yet."""
        self.gone: list[Record] = []
        """Stored, and dropped since the last tick."""
        self.changed: dict[int, Record] = {}
        """Stored and kept, with grafts or a count that the storage does not know."""
        self.moved = 0
        """How often branches, tags and pins have changed since the last tick."""
        self.next_end = NEVER
        """The retention time at which the next lease of a base ends."""

    # Lines

    def add_line(self, line: Line) -> None:
        """A branch, new or from storage. Its commits' holds follow from it."""
        self.lines[line.id] = line
        self.last_line = max(self.last_line, line.id)
        if line.name:
            self.names[line.name] = line
        if line.lease:
            self._look_ahead()
        for number, reason in ((line.head, HEAD), (line.fork, FORK)):
            if number:
                self.holds.hold(number, reason)
        for number in (*self.needed(line.base), *self.needed(line.older)):
            self.holds.hold(number, BASE)

    def line(self, name: str) -> Line:
        """The branch of that name; NotFound."""
        if name not in self.names:
            raise NotFound("branch", name)
        return self.names[name]

    def begin(self, line: Line) -> None:
        """A new branch; Exists."""
        if line.name in self.names:
            raise Exists("branch", line.name)
        self.add_line(line)
        self.moved += 1

    def end(self, line: Line) -> None:
        """Delete a branch: its commits go, newest first, but for those that are held otherwise."""
        self.moved += 1
        del self.names[line.name]
        head, line.name, line.rings, line.head, line.upstream = line.head, "", None, 0, 0
        self.holds.release(head, HEAD)
        self.meet(line, 0)
        for number in reversed(self.graph.lines.get(line.id, [])[:]):
            self.let_go(number)
        self.let_go(head)
        for other in list(self.lines.values()):  # the last commit of a deleted branch may go, and the branch with it
            if other.upstream == line.id:
                # No merge can come from there any more; the fork point stays for storage alone.
                other.upstream = 0
                self.meet(other, 0)
        self._end_empty(line)

    def refit(self, line: Line, keep: str, rings: Rings) -> None:
        """Give a branch this policy and these tiers: what they do not hold goes, unless it is held."""
        self.moved += 1
        line.keep, line.rings = keep, rings
        for number in reversed(self.graph.lines.get(line.id, [])[:]):  # As lists, from their end on.
            self.let_go(number)

    def _end_empty(self, line: Line) -> None:
        if not line.name and line.id in self.lines and line.id not in self.graph.lines:
            del self.lines[line.id]
            if line.fork:
                self.release(line.fork, FORK)

    # Commits

    def admit(self, record: Record) -> None:
        """A commit that becomes the head of its branch."""
        line, number = self.lines[record.branch], record.number
        graph = self.graph
        graph.add(record)
        self.fresh[number] = record
        rings = line.rings
        out = () if rings is None else rings.offer(record.rt, number)
        old, line.head = line.head, number
        if not old:
            self.holds.hold(number, HEAD)
        elif not self.holds.pass_on(old, number, HEAD) and (rings is None or not rings.holds(old)):
            self.let_go(old)
        records, held = graph.records, self.holds.held
        for gone in out:
            dropped = records.get(gone)
            if dropped is not None and gone not in held:
                self._drop(dropped, line)

    def meet(self, line: Line, base: int, older: int = 0, reach: Reach = NO_REACH, rt: int = 0) -> None:
        """Give a fork another base with its upstream at `rt`, none if 0, and drop what nothing keeps any more."""
        for number in (*self.needed(base), *self.needed(older)):
            self.holds.hold(number, BASE)
        gone = (*self.needed(line.base), *self.needed(line.older))
        line.base, line.older, line.reach = base, older, reach
        if line.lease:
            line.until = rt + line.lease if base else 0
            self._look_ahead()
        for number in gone:
            self.release(number, BASE)

    def needed(self, base: int) -> tuple[int, ...]:
        """What a base keeps: itself, and if it is nobody's commit, its first parent, which it is stored beside."""
        record = self.graph.records.get(base)
        if record is None or record.branch != NOBODY or record.parents[0].number not in self.graph.records:
            return (base,) if base else ()
        return base, record.parents[0].number

    def add_base(self, record: Record) -> None:
        """A base that is nobody's commit; to be held by `meet`."""
        self.graph.add(record)
        self.fresh[record.number] = record

    def expire(self, rt: int) -> None:
        """Let go of the bases whose leases have ended by then."""
        for line in list(self.lines.values()):
            if line.base and line.lease and line.until <= rt:
                self.meet(line, 0, reach=Reach(line.reach.fork, line.reach.upstream))

    def _look_ahead(self) -> None:
        self.next_end = min((line.until for line in self.lines.values() if line.lease and line.base), default=NEVER)

    def release(self, number: int, reason: str) -> None:
        """End a hold, and drop the commit if nothing keeps it any more."""
        self.holds.release(number, reason)
        self.let_go(number)

    def let_go(self, number: int) -> None:
        """Drop a commit unless something keeps it."""
        record = self.graph.records.get(number)
        if record is None or number in self.holds.held:
            return
        line = self.lines.get(record.branch)
        if line is None or line.rings is None or not line.rings.holds(number):
            self._drop(record, line)

    def _drop(self, record: Record, line: Line | None) -> None:
        """Drop a commit that nothing keeps, of this branch."""
        number = record.number
        changed = self.graph.drop(record)
        for other in changed:
            if other.top:
                self.changed[other.number] = other
        if record.top:
            self.changed.pop(number, None)
            self.gone.append(record)
        else:
            self.fresh.pop(number, None)
        self.parting.dropped(record, changed[0] if changed else None)
        if line is not None and not line.name:
            self._end_empty(line)

    def relieve(self) -> bool:
        """Drop one commit under byte pressure (rule 10), of the branch that keeps most; False if none can go."""
        by_size = sorted(
            (line for line in self.names.values() if line.rings),
            key=lambda line: len(self.graph.lines.get(line.id, ())),
            reverse=True,
        )
        for line in by_size:
            protected = frozenset(number for number in self.graph.lines.get(line.id, ()) if number in self.holds)
            number = line.rings.relieve(protected) if line.rings else None
            if number is not None:
                self.let_go(number)
                return True
        return False

    # Tags and pins

    def tag(self, name: str, key: Key) -> None:
        """Name a commit; Exists."""
        if name in self.tags:
            raise Exists("tag", name)
        self.tags[name] = key
        self.moved += 1
        self.holds.hold(key.number, TAG)

    def untag(self, name: str) -> None:
        """Forget a name, and the commit if nothing else keeps it; NotFound."""
        if name not in self.tags:
            raise NotFound("tag", name)
        self.moved += 1
        self.release(self.tags.pop(name).number, TAG)

    def pin(self, number: int) -> None:
        """Keep a commit; once, however often it is said."""
        if number not in self.pins:
            self.pins.add(number)
            self.moved += 1
            self.holds.hold(number, PIN)

    def unpin(self, number: int) -> None:
        """Leave a commit to the tiers again; NotFound."""
        if number not in self.pins:
            raise NotFound("pin", str(number))
        self.pins.discard(number)
        self.moved += 1
        self.release(number, PIN)

    # Ticks

    def cut(self) -> Due:
        """All that is fresh, gone, changed or moved, which a tick is to store; what comes now is for the next one.

        A commit that is dropped meanwhile will be in the storage, so it is gone for the next tick.
        """
        due = Due(self.fresh, self.gone, self.changed, self.moved)
        self.fresh, self.gone, self.changed, self.moved = {}, [], {}, 0
        for record in due.fresh.values():
            record.top = STORING
        return due

    def uncut(self, due: Due) -> None:
        """That tick has come to nothing: as if there had been no cut."""
        records = self.graph.records
        for record in due.fresh.values():
            record.top = 0
        self.fresh = {number: one for number, one in due.fresh.items() if number in records} | self.fresh
        self.gone = due.gone + [record for record in self.gone if record.number not in due.fresh]
        changed = due.changed | self.changed
        self.changed = {number: one for number, one in changed.items() if one.top and number in records}
        self.moved += due.moved

    def load(self, records: Iterable[Record], lines: Iterable[Line], tags: dict[str, Key], pins: Iterable[int]) -> None:
        """What the storage has; then drop what nothing keeps (a snapshot that a crash closed)."""
        for record in records:
            self.graph.add(record)
        for line in lines:
            self.add_line(line)
        for name, key in tags.items():
            self.tag(name, key)
        for number in pins:
            self.pin(number)
        for number in self.graph.numbers[:]:
            self.let_go(number)
        for line in list(self.lines.values()):
            self._end_empty(line)
        self.moved = 0
