"""The unbounded store: every commit ever made, as dicts, with all its parents. It never thins. Naive on purpose.

Rule: written from docs/semantics.md and independent of the engine: trees are flat dicts (`trees`), merge bases are
searched in the whole graph, what a store would keep is computed from all commits ever made (`retention`), time is
the formula of rule 4 in fractions. What it cannot know is told: which commits byte pressure took, by `relieve`.
Cost: O(commits) and more, for everything.
"""

from __future__ import annotations

from copy import copy
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, TypeAlias

from rrdstore.testing import retention
from rrdstore.testing.merges import Sides, merged
from rrdstore.testing.past import Line, Made, Outcome, Past
from rrdstore.testing.trees import EMPTY, Call, Tree, after, below, restamped, stamped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.history.clock import Clock
    from rrdstore.testing.merges import Rules

Numbers: TypeAlias = set[int]
Words: TypeAlias = set[str]

NOBODY = 0
"""The line of what belongs to no branch."""
BRANCH_KEEP = "last:32 1m:1h"
"""The policy of a branch other than main, unless it is given one: docs/policy.md."""


class ModelStore(Past):
    """A store that never forgets. `clock` gives it its times; `rrdstore.testing.ManualClock` does."""

    def __init__(self, keep: str, clock: Clock) -> None:
        super().__init__()
        self.lines: dict[int, Line] = {NOBODY: Line(NOBODY, "", keep, 0, 0, 0, 0, alive=False)}
        self.tags: dict[str, int] = {}
        self.pins: Numbers = set()
        self.open: list[int] = []
        """The commit of each transaction and snapshot that is open, or has not been noticed to be closed."""
        self.last = 0
        self._kept: dict[tuple[int, int, int], Numbers] = {}
        self.clock = clock
        self._paces = [(Fraction(clock.wall()), clock.monotonic())]
        self.create("main", keep, "store created")

    # Branches

    @property
    def names(self) -> dict[str, Line]:
        """The living branches, oldest first."""
        return {line.name: line for line in self.lines.values() if line.alive}

    def line(self, name: str) -> Line:
        """The living branch of that name; KeyError."""
        return self.names[name]

    def head(self, name: str) -> Made:
        """The newest commit of a branch."""
        return self.commits[self.line(name).head]

    def create(self, name: str, keep: str, message: str | None = None, seen: int | None = None) -> Made:
        """A new branch of nothing, with one empty commit; `seen` as of `commit`."""
        self._begin(Line(len(self.lines), name, keep, 0, 0, 0, 0))
        return self.commit(name, (), f"branch {name} created" if message is None else message, seen=seen)

    def fork(self, origin: str, name: str, keep: str | None = None, lease: int = 0, seen: int | None = None) -> Line:
        """A new branch from the head of another; its base is kept for a lease in µs from `seen` on, or for ever."""
        source = self.line(origin)
        number, head = len(self.lines), source.head
        line = Line(number, name, keep or BRANCH_KEEP, head, head, source.id, head, lease=lease)
        line.until = floor(self._paced(seen)[0][0]) + lease if lease else 0
        return self._begin(line)

    def _begin(self, line: Line) -> Line:
        self.lines[line.id] = line
        return line

    def delete(self, name: str) -> None:
        """End a branch; no merge comes from it any more."""
        line = self.line(name)
        line.alive = False
        for other in self.lines.values():
            if other.upstream == line.id:
                other.upstream = other.base = other.older = 0

    def tune(self, name: str, keep: str, *, once: bool = False) -> None:
        """Another policy for a branch, from what is kept of it now on; `once`: thinned by it, and its own goes on."""
        line, kept = self.line(name), self.kept()
        if once:
            own = [key for key in line.offered if key[1] in kept]
            kept &= self.held() | retention.kept(keep, own)
            if all(key[1] in kept for key in own):
                return  # Nothing goes, and nothing changes.
        else:
            line.keep = keep
        line.offered, line.buried = [key for key in line.offered if key[1] in kept], set()
        self._kept.clear()

    # Commits

    def set(self, name: str, path: str, value: bytes, meta: bytes | None = None, message: str = "") -> Made:
        """Set a node, and make its parents."""
        return self.commit(name, [("set", path, value, meta)], message)

    def remove(self, name: str, path: str, message: str = "") -> Made:
        """Remove a node and all below it; KeyError if it is not there."""
        if path not in self.head(name).tree:
            raise KeyError(path)
        return self.commit(name, [("remove", path)], message)

    def commit(
        self,
        name: str,
        edits: Iterable[Call],
        message: str = "",
        author: str = "",
        merged_in: int | None = None,
        tree: Tree | None = None,
        seen: int | None = None,
    ) -> Made:
        """A commit of `edits`, or of a `tree` that is known.

        `seen` is its retention time if the store beside has made it: which of several times it can be (`reopened`).
        """
        line, edits = self.line(name), list(edits)
        before = self.commits.get(line.head)
        old = before.tree if before else EMPTY
        number = self.last = self.last + 1
        new = after(old, edits) if tree is None else tree
        stamps = before.stamps if before else {"/": (0, 0)}
        stamps = stamped(old, stamps, edits, number) if tree is None else restamped(old, stamps, new, number)
        parents = tuple(parent for parent in (line.head, merged_in) if parent)
        reach = 1 << number
        for parent in parents:
            reach |= self.commits[parent].reach
        rt = self._stamp(seen)
        made = Made(number, line.id, parents, rt, self.clock.wall(), new, stamps, message, author, reach)
        self.commits[number] = made
        line.head = number
        line.own.append(number)
        line.offered.append((rt, number))
        if merged_in is None:
            self._expire(rt)
        return made

    def _expire(self, rt: int) -> None:
        """Let go of the bases whose leases have ended."""
        for line in self.names.values():
            if line.lease and line.base and line.until <= rt:
                line.base = line.older = 0

    # Time

    def _stamp(self, seen: int | None) -> int:
        """Retention time now, from which the next is measured: rule 4."""
        self._paces = self._paced(seen)
        return floor(self._paces[0][0])

    def _paced(self, seen: int | None) -> list[tuple[Fraction, int]]:
        """The same, and since when that is; nothing changes."""
        wall, monotonic, paces = self.clock.wall(), self.clock.monotonic(), []
        for at, since in self._paces:
            elapsed = max(0, monotonic - since)
            paces.append((min(max(Fraction(wall), at + Fraction(elapsed, 2)), at + 2 * elapsed), max(since, monotonic)))
        if seen is not None:
            fitting = [pace for pace in paces if floor(pace[0]) == seen]
            assert fitting, f"retention time {seen}, expected one of {[floor(at) for at, _ in paces]}"
            paces = fitting
        return paces

    def reopened(self, clock: Clock | None = None) -> None:
        """The store was closed, or crashed, and opened: what has passed since its last commit the wall clock says.

        Its last commit is the newest kept, or one that was dropped so lately that the file had it still.
        """
        newest = max(self.kept())
        self.clock = clock or self.clock
        wall, monotonic = self.clock.wall(), self.clock.monotonic()
        self._paces = [
            (Fraction(made.rt), monotonic - max(0, wall - made.wall))
            for number, made in self.commits.items()
            if number >= newest
        ]

    # Merges

    def paired(self, a: str, b: str) -> bool:
        """Whether one was forked from the other, both living, and merges with it still."""
        left, right = self.line(a), self.line(b)
        return any(fork.upstream == upstream.id and fork.base for fork, upstream in ((left, right), (right, left)))

    def beside(self, line: Line) -> list[tuple[Line, Line]]:
        """The branches beside one, each with the fork that carries their base."""
        found = [(fork, fork) for fork in self.names.values() if fork.upstream == line.id]
        return found + ([(self.lines[line.upstream], line)] if line.upstream else [])

    def carrier(self, into: str, other: str, number: int) -> Line | None:
        """By rule 6, the fork whose base a merge of that commit goes by; None if it must be refused."""
        line, from_ = self.line(into), self.line(other)
        theirs = self.commits[number]
        if line is from_ or not self.is_ancestor(number, from_.head):
            return None
        own = theirs.branch == from_.id
        for between, fork in self.beside(line):
            if not fork.base or not self.is_ancestor(number, between.head):
                continue
            bases = self.bases(line.head, between.head)
            exact = all(self.is_ancestor(base, number) for base in bases)
            if exact and (len(bases) == 1 or (between is from_ and (own or number == from_.head))):
                return fork
            past = fork.older and fork.side == from_.id and all(self.is_ancestor(one, number) for one in fork.before)
            if between is from_ and own and past:
                return fork
        return None

    def merge(
        self,
        into: str,
        other: str,
        message: str | None = None,
        seen: int | None = None,
        at: int | None = None,
        rules: Rules = (),
    ) -> Outcome:
        """Merge the head of `other`, or an older commit, from the recursive merge base of the whole graph."""
        ours, theirs = self.head(into), self.commits[at] if at else self.head(other)
        if self.is_ancestor(theirs.number, ours.number):
            return Outcome()
        base = self.base_tree(self.bases(ours.number, theirs.number))
        sides = Sides(base, ours.tree, theirs.tree, ours.stamps, theirs.stamps, (*rules, *self.rules))
        tree, clashes = merged(sides)
        if clashes:
            return Outcome(clashes=frozenset(clashes))
        fork = self.carrier(into, other, theirs.number)
        assert fork is not None, "merged, and rule 6 does not say how"
        said = f"merge {other} into {into}" if message is None else message
        pair = fork, self.lines[fork.upstream]
        before = self.bases(*(line.head for line in pair))
        past = not all(self.is_ancestor(one, theirs.number) for one in before)
        self.last += past
        made = self.commit(into, (), said, merged_in=theirs.number, tree=tree, seen=seen)
        bases = self.bases(*(line.head for line in pair))
        assert len(bases) == 1 + past
        fork.older, fork.before = (0, []) if past else (fork.base, before)
        fork.side = self.line(into).id
        if past:
            self._of_nobody(f"merge base of {fork.name} and {pair[1].name}", made, fork.base, theirs)
        fork.base = made.number - 1 if past else theirs.number
        fork.until = made.rt + fork.lease
        self._expire(made.rt)
        return Outcome(made)

    def patch(self, into: str, other: str, since: int, seen: int | None = None) -> Outcome:
        """What a branch has changed since a commit, done to another: a three-way merge from there, and no merge."""
        ours, theirs, start = self.head(into), self.head(other), self.commits[since]
        tree, clashes = merged(Sides(start.tree, ours.tree, theirs.tree, ours.stamps, theirs.stamps, ()))
        if clashes or tree == ours.tree:
            return Outcome(clashes=frozenset(clashes))
        return Outcome(self.commit(into, (), f"patch of {other} since {since}", tree=tree, seen=seen))

    def _of_nobody(self, message: str, by: Made, old: int, theirs: Made) -> None:
        """The base that two merges past each other make: a commit that no branch has, made with the second."""
        number, first = by.number - 1, self.commits[old]
        tree = self.base_tree(sorted((old, theirs.number)))
        stamps = restamped(first.tree, first.stamps, tree, number)
        reach = 1 << number | first.reach | theirs.reach
        parents = old, theirs.number
        made = Made(number, NOBODY, parents, by.rt, by.wall, tree, stamps, message, "", reach)
        self.commits[number] = made
        self.lines[NOBODY].own.append(number)

    # What a store keeps

    def bases_of(self, line: Line) -> Numbers:
        """The commits that the merges of a fork and its upstream need."""
        found = {line.base, line.older} - {0}
        return found | {self.commits[base].parents[0] for base in found if self.commits[base].branch == NOBODY}

    def kept(self) -> Numbers:
        """The numbers of the commits that a store of bounded history keeps of this one: rules 1 to 5 and 10."""
        kept = {*self.tags.values(), *self.pins, *self.open}
        for line in self.lines.values():
            if line.alive:
                kept |= {line.head, *self.bases_of(line), *self._in_tiers(line)}
        kept.discard(0)
        size = -1
        while size != len(kept):
            size = len(kept)
            branches = {self.commits[number].branch for number in kept}
            kept |= {line.fork for line in self.lines.values() if line.fork and (line.alive or line.id in branches)}
        return kept

    def why(self, number: int) -> Words:
        """What keeps a commit, in words: tiers as the policy writes them, and what holds it besides."""
        made = self.commits[number]
        line = self.lines[made.branch]
        words = {"pin"} if number in self.pins else set()
        words |= {f"tag {tag}" for tag, tagged in self.tags.items() if tagged == number}
        for other in self.lines.values():
            name, kept = (other.name, True) if other.alive else ("a deleted branch", other.id in self._branches())
            holds = {"fork point": other.fork if kept else 0}
            if other.alive:
                holds |= {"head": other.head, "merge base": other.base, "older merge base": other.older}
                words |= {
                    f"beside merge base {base}"
                    for base in (other.base, other.older)
                    if base and self.commits[base].branch == NOBODY and self.commits[base].parents[0] == number
                }
            words |= {f"{what} of {name}" for what, held in holds.items() if held == number}
        if line.alive:
            words |= retention.words(line.keep, line.offered, line.buried, number)
        return words

    def _branches(self) -> Numbers:
        return {self.commits[number].branch for number in self.kept()}

    def fill(self, name: str) -> list[int]:
        """How many slots of each tier of a branch are in use."""
        line = self.line(name)
        found = retention.picks(line.keep, line.offered, line.buried)
        return [sum(map(len, held.values())) for held in found]

    def slots(self) -> int:
        """The most commits that the tiers of all branches can keep."""
        return sum(retention.most(line.keep) for line in self.names.values())

    def tombstones(self, name: str) -> tuple[int, ...]:
        """How many slots of each tier of a branch hold what pressure took."""
        line = self.line(name)
        return retention.tombstones(line.keep, line.offered, line.buried)

    def as_it_is(self) -> ModelStore:
        """A copy that later commits and reliefs leave alone."""
        twin = copy(self)
        twin.commits, twin._kept, twin.open = dict(self.commits), {}, list(self.open)
        twin._trees = dict(self._trees)
        twin.tags, twin.pins = dict(self.tags), {*self.pins}
        twin.lines = {number: line.copy() for number, line in self.lines.items()}
        return twin

    def _in_tiers(self, line: Line) -> Numbers:
        state = (line.id, len(line.own), len(line.buried))
        if state not in self._kept:
            self._kept[state] = retention.kept(line.keep, line.offered, line.buried)
        return self._kept[state]

    def held(self) -> Numbers:
        """What no pressure takes: all that rule 5 keeps."""
        lines = self.lines.values()
        kept = {self.commits[number].branch for number in self.kept()}
        held = {*self.tags.values(), *self.pins, *self.open}
        held |= {number for line in lines if line.alive for number in (line.head, *self.bases_of(line))}
        return held | {line.fork for line in lines if line.alive or line.id in kept}

    def relieve(self) -> int | None:
        """Drop one commit because bytes are short, by rule 10: of the branch that keeps most; None if none can go."""
        kept, held = self.kept(), self.held()
        by_size = sorted(self.names.values(), key=lambda line: -len(kept.intersection(line.own)))
        for line in by_size:
            number = retention.relieved(line.keep, line.offered, line.buried, held)
            if number is not None:
                return number
        return None

    def thinned(self, number: int, kept: Numbers) -> list[int]:
        """Those of its branch that are gone between it and the kept one before it."""
        own = self.lines[self.commits[number].branch].own
        gone, at = [], own.index(number) if self.commits[number].branch else 0
        while at > 0 and own[at - 1] not in kept:
            at -= 1
            gone.append(own[at])
        return gone

    def log(self, name: str, path: str | None, kept: Numbers) -> list[int]:
        """The kept commits that a branch's log shows, newest first."""
        head = self.line(name).head
        reached = [number for number in sorted(kept, reverse=True) if self.is_ancestor(number, head)]
        return reached if path is None else [number for number in reached if self.touches(number, path, kept)]

    def touches(self, number: int, path: str, kept: Numbers) -> bool:
        """Whether a commit differs at or below `path` from each of its nearest kept ancestors."""
        here = below(self.commits[number].tree, path)
        before = [below(self.commits[graft].tree, path) for graft in self.grafts(number, kept)]
        return all(here != was for was in before) if before else bool(here)

    def lineage(self, name: str) -> list[int]:
        """All that a branch has been at, oldest first."""
        line = self.line(name)
        numbers, fork = list(line.own), line.fork
        while fork:
            origin = self.lines[self.commits[fork].branch]
            numbers = [n for n in origin.own if n <= fork] + numbers
            fork = origin.fork
        return numbers
