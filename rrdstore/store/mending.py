"""Mending: from what was found of a store to a store that fits together, and the list of what it lost.

Rule: a commit stays if its tree is whole; what only refers to one that is lost goes back to the nearest that is
there, or is lost too, and is said to be. A branch goes back to its newest whole commit. Of a branch that has none
the newest is kept with the places that can be read, so that it is not gone; `holes` keeps every commit so.
Nothing is in the result that was not in the store, and nothing is merged on a base that is not the stored one.
Entries of the journal are done again only on the very commit that they were made on, and of what is there.
Pure: no file, no clock. Cost: O(objects), memory for all trees that are kept, what they share counted once.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rrdstore.errors import StoreError
from rrdstore.history.branch import NOBODY, Reach
from rrdstore.history.commit import Key, Record
from rrdstore.history.graph import Graph
from rrdstore.policy import BRANCH_DEFAULT, DEFAULT, Rings, parse
from rrdstore.storage.protocol import Begun, BranchState, Entry, Fitted, Pinned, Tagged, Tick
from rrdstore.storage.refs import Refs
from rrdstore.store.config import MAIN
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.path import join

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.storage.protocol import Acknowledged
    from rrdstore.storage.salvage import Found
    from rrdstore.storage.trees import Trees
    from rrdstore.tree.node import Node


_NOWHERE = -1
"""The head of a branch that has gone back: no commit was made on it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """One thing that a repair could not keep: what it is, which one, and what has become of it."""

    what: str
    """commit, head, branch, name, policy, tag, pin, merge base, tiers, authors, place, journal."""
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} {self.name}: {self.why}"


@dataclass(slots=True)
class Mended:
    """What goes into the new file, and what does not."""

    tick: Tick
    epoch: int
    pending: list[Acknowledged] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


class Mending:
    """One repair in the making."""

    def __init__(self, found: Found, trees: Trees, name: Callable[[Key], str], *, holes: bool) -> None:
        self._found, self._trees, self._name, self._holes = found, trees, name, holes
        self._lost: list[Lost] = []
        self._graph = Graph()
        self._roots: dict[int, Node] = {}

    def mend(self) -> Mended:
        """Do it all."""
        found = self._found
        lines = self._lines()
        self._load(lines)
        lines |= self._unnamed(lines)
        heads = {line.id: self._head(line) for line in lines.values() if line.name}
        self._drop()
        branches = [made for line in lines.values() if (made := self._branch(line, heads))]
        records = self._graph.records
        tags = {
            name: key for name, key in found.tags.items() if key.number in records and records[key.number].key == key
        }
        pins = frozenset(number for number in found.pins if number in records)
        for name in found.tags.keys() - tags.keys():
            self._lost.append(Lost("tag", name, f"commit {found.tags[name].number} is lost"))
        for number in sorted(found.pins - pins):
            self._lost.append(Lost("pin", str(number), "the commit is lost"))
        number = max([found.superblock.number if found.superblock else 0, *(one.record.number for one in found.kept)])
        epoch = max([found.superblock.epoch if found.superblock else 0, *(one.record.epoch for one in found.kept)])
        pending = self._pending(Tick(number, list(records.values()), (), (), branches, tags, pins))
        if not any(branch.name == MAIN for branch in branches):
            for entry in pending:
                self._undone(entry, Refs({}, 0))
            self._lost.append(Lost("branch", MAIN, "nothing is left of it; it is empty now"))
            pending, number = [], number + 1
            branches.append(self._main(number, epoch, {branch.id for branch in branches}))
        kept = [record for _, record in sorted(records.items())]
        for record in kept:
            record.root = self._roots[record.number]
            record.root_number = record.top = 0
        branches.sort(key=lambda branch: branch.id)
        idents = [branch.id for branch in branches] + [one.line for one in found.pending if isinstance(one, Begun)]
        line = max([found.superblock.line if found.superblock else 0, *idents])
        tick = Tick(number, kept, (), (), branches, tags, pins, line=line)
        epochs = [entry.epoch for entry in pending if isinstance(entry, Entry)]
        return Mended(tick, max([epoch, *epochs]), pending, self._lost)

    # Commits

    def _load(self, lines: dict[int, BranchState]) -> None:
        """All commits that are on record, in a graph; what they stood on and is not, is stepped over."""
        records = self._sensible({one.record.number: one.record for one in self._found.kept if not one.ghost})
        newest: dict[int, int] = {}
        for number, record in sorted(records.items()):
            grafts = [graft for graft in record.grafts if graft in records]
            if len(grafts) < len(record.grafts) or not grafts:
                line = lines.get(record.branch)
                before = newest.get(record.branch) or (line.fork if line else 0)
                grafts += [before] if before in records and before not in grafts else []
            record.grafts = self._graph.reduced(grafts)
            self._graph.add(record)
            newest[record.branch] = number
            root = self._trees.whole(record.root_number)
            if root is not None:
                self._roots[number] = root

    def _sensible(self, records: dict[int, Record]) -> dict[int, Record]:
        """Without those whose records cannot be true beside the others; and say which are not there at all."""
        named = {number for record in records.values() for number in record.grafts}
        named |= {branch.head for branch in self._found.branches} | {key.number for key in self._found.tags.values()}
        gone = sorted(named - records.keys() - {0})
        keys = {parent.number: parent for record in records.values() for parent in record.parents}
        ordered = set(_rising([(record.epoch, record.rt, number) for number, record in sorted(records.items())]))
        for number, record in sorted(records.items()):
            own = keys.get(number, record.key) == record.key and all(one.number < number for one in record.parents)
            if number not in ordered or not own:
                gone.append(number)
                del records[number]
            elif sum((record.authors or {}).values()) > record.thinned + 1:
                record.authors = {}
                self._lost.append(Lost("authors", self._name(record.key), "more than the commits it stands for"))
        for number in gone:
            self._lost.append(Lost("commit", str(number), "its record is lost, or cannot be true beside the others"))
        more = (self._found.superblock.kept if self._found.superblock else 0) - len(self._found.kept) - len(gone)
        if more > 0:
            self._lost.append(Lost("commit", f"and {more} more", "their records are lost"))
        return records

    def _lines(self) -> dict[int, BranchState]:
        """The branches by id; one id or name that two have is the first one's."""
        lines: dict[int, BranchState] = {}
        names: set[str] = set()
        for branch in self._found.branches:
            name, keep = branch.name, branch.keep
            if branch.id in lines:
                self._lost.append(Lost("branch", name, f"its id is that of {lines[branch.id].name!r}"))
                continue
            if name and name in names:
                name = f"recovered-{branch.id}"
                self._lost.append(Lost("name", branch.name, f"two branches have it; one is {name!r} now"))
            try:
                parse(keep)
            except StoreError as fault:
                keep = str(parse(DEFAULT if name == MAIN else BRANCH_DEFAULT))
                self._lost.append(Lost("tiers", name, f"{fault}; it keeps {keep} now"))
            names.add(name)
            lines[branch.id] = replace(branch, name=name, keep=keep)
        first = lines.get(1)
        if first is not None and MAIN not in names:  # It was made with the store, and is never renamed or deleted.
            self._lost.append(Lost("name", first.name, f"it is {MAIN!r} again"))
            lines[1] = replace(first, name=MAIN)
        return lines

    def _hole(self, number: int) -> bool:
        """Keep a commit with what can be read of it, if its root can."""
        root, places = self._trees.holed(self._graph.records[number].root_number)
        if root is None:
            return False
        self._roots[number] = root
        name = self._name(self._graph.records[number].key)
        self._lost += [Lost("place", join(names), f"cannot be read in commit {name}") for names in places]
        return True

    def _drop(self) -> None:
        """Take out what is not whole, newest first, so that what stood on it stands on what is left."""
        for number in self._graph.numbers[::-1]:
            if number not in self._roots and not (self._holes and self._hole(number)):
                record = self._graph.records[number]
                self._lost.append(Lost("commit", self._name(record.key), self._why(record)))
                self._graph.drop(record)

    def _why(self, record: Record) -> str:
        _, places = self._trees.holed(record.root_number)
        if not places:
            return "its root cannot be read"
        shown = ", ".join(join(names) for names in places[:3])
        return f"cannot be read at {shown}{f' and {len(places) - 3} more' if len(places) > 3 else ''}"

    # Branches

    def _unnamed(self, lines: dict[int, BranchState]) -> dict[int, BranchState]:
        """Branches of which only commits are left."""
        made = {}
        for ident in self._graph.lines.keys() - lines.keys() - {NOBODY}:
            main = ident == 1 and not any(line.name == MAIN for line in lines.values())
            name = MAIN if main else f"recovered-{ident}"
            keep = str(parse(DEFAULT if main else BRANCH_DEFAULT))
            head = self._graph.lines[ident][-1]
            made[ident] = BranchState(name, ident, head, 0, 0, 0, keep, b"")
            why = f"its row is lost; its commits are branch {name!r}, with the policy {keep}"
            self._lost.append(Lost("branch", str(ident), why))
        return made

    def _head(self, line: BranchState) -> int:
        """The newest whole commit of a branch; 0 if nothing can be read of it."""
        records, own = self._graph.records, self._graph.lines.get(line.id, [])
        if own and line.head != own[-1] and own[-1] in self._roots:
            return self._moved(line, own[-1])
        if line.head in self._roots or (self._holes and line.head in records and self._hole(line.head)):
            return line.head
        whole = [number for number in own if number in self._roots]
        if line.fork in self._roots and not whole:
            whole = [line.fork]
        was = self._name(records[line.head].key) if line.head in records else str(line.head)
        if whole:
            now = self._name(records[whole[-1]].key)
            self._lost.append(Lost("head", line.name, f"commit {was} cannot be read whole; it goes back to {now}"))
            return whole[-1]
        for number in reversed(own):
            if self._hole(number):
                now = self._name(records[number].key)
                why = f"no commit is whole; what can be read of {now} is its head"
                self._lost.append(Lost("head", line.name, why))
                return number
        self._lost.append(Lost("branch", line.name, "none of its commits can be read"))
        return 0

    def _moved(self, line: BranchState, head: int) -> int:
        """Another head than its row says: the newest of its commits, which its row has not, or that is not its own."""
        now = self._name(self._graph.records[head].key)
        self._lost.append(Lost("head", line.name, f"commit {line.head} is not its newest; it goes to {now}"))
        return head

    def _branch(self, line: BranchState, heads: dict[int, int]) -> BranchState | None:
        records, own = self._graph.records, self._graph.lines.get(line.id, [])
        head = heads.get(line.id, 0)
        if not head and (line.name or not own):
            return None
        fork = line.fork if line.fork in records else 0
        exact = not line.base or line.base in records
        if line.base and not exact:
            self._lost.append(Lost("merge base", line.name, f"commit {line.base} is lost; it merges no more"))
        elif line.base and line.id in self._found.parted:
            exact = False
            self._lost.append(Lost("merge base", line.name, "the journal does not say which it is; it merges no more"))
        made = replace(
            line, head=head, fork=fork, base=line.base if exact else 0, upstream=line.upstream if exact else 0
        )
        if not exact or line.older not in records:
            made = replace(made, older=0, reach=Reach(*made.reach[:2]) if exact else Reach())
        if head and head != line.head:
            made = replace(made, rings=b"")  # What they knew as the newest is not there.
        try:
            Rings.restore(parse(made.keep), made.rings, [(records[number].rt, number) for number in own])
        except StoreError as fault:
            if line.name:
                self._lost.append(Lost("tiers", line.name, str(fault)))
            made = replace(made, rings=b"")
        return made

    def _main(self, number: int, epoch: int, taken: set[int]) -> BranchState:
        """A main branch, empty, where nothing is left of it: a store has one."""
        ident = 1 if 1 not in taken else max(taken) + 1
        last = max((record.rt for record in self._graph.records.values()), default=0)
        record = Record(number, epoch, ident, (), last, last, "", "repair: nothing is left of this branch", EMPTY)
        self._graph.add(record)
        self._roots[number] = EMPTY
        return BranchState(MAIN, ident, number, 0, 0, 0, str(parse(DEFAULT)), b"")

    # The journal

    def _pending(self, tick: Tick) -> list[Acknowledged]:
        """The entries that can be done again: each on the commit it was made on, and of what is there."""
        found = self._found
        was = {branch.id: branch.head for branch in found.branches}
        refs = Refs.of((record.key for record in tick.store), tick.number, tick.branches, tick.tags, tick.pins)
        for branch in tick.branches:
            if branch.id in refs.heads and branch.head != was.get(branch.id):
                refs.heads[branch.id] = _NOWHERE
        done: list[Acknowledged] = []
        if found.cut:
            numbers = [entry.number for entry in found.pending if isinstance(entry, Entry)]
            last = numbers[-1] if numbers else "the last tick"
            why = f"not whole, so what was acknowledged after {last} and not stored is lost"
            self._lost.append(Lost("journal", found.cut.where, why))
        for entry in found.pending:
            if refs.doubt(entry) is None and _fits(entry):
                done.append(entry)
                refs.follow(entry)
            else:
                self._undone(entry, refs)
        return done

    def _undone(self, entry: Acknowledged, refs: Refs) -> None:
        """Say what is lost with an entry that does not fit; nothing, where what it says is so already."""
        match entry:
            case Entry():
                name = self._name(Key(entry.number, entry.epoch))
                self._lost.append(Lost("commit", name, "journalled on a commit that is lost"))
            case Begun() if entry.line not in refs.heads:
                self._lost.append(Lost("branch", entry.name, "made in the journal, from a commit that is lost"))
            case Tagged(name, key) if refs.tags.get(name) != key:
                self._lost.append(Lost("tag", name, f"set in the journal, and commit {key.number} is lost"))
            case Pinned(number) if number not in refs.pins:
                self._lost.append(Lost("pin", str(number), "set in the journal, and the commit is lost"))
            case Fitted(fits):
                names = ", ".join(refs.names.get(fit.line, str(fit.line)) for fit in fits)
                why = "set in the journal, and not all that it keeps is there"
                self._lost.append(Lost("policy", names, why))


def _fits(entry: Acknowledged) -> bool:
    """Whether the policies that an entry gives go with the states of their tiers."""
    try:
        for fit in entry.fits if isinstance(entry, Fitted) else ():
            Rings.restore(parse(fit.keep), fit.rings, ())
    except StoreError:
        return False
    return True


def _rising(moments: list[tuple[int, int, int]]) -> list[int]:
    """The numbers of the most commits (epoch, time, number) of which neither epoch nor time ever falls. O(n log n)."""
    best: list[tuple[int, int, int]] = []
    before: dict[int, int] = {}
    for moment in moments:
        at = bisect_right(best, moment)
        before[moment[2]] = best[at - 1][2] if at else 0
        best[at : at + 1] = [moment]
    found, number = [], best[-1][2] if best else 0
    while number:
        found.append(number)
        number = before[number]
    return found
