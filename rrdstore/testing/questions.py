"""What is asked of a store and its model, and what must be the same whenever it is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

import rrdstore
from rrdstore.policy import Rings
from rrdstore.store.commit import Commit
from rrdstore.testing import calls
from rrdstore.testing.calls import content, microseconds, refusal
from rrdstore.testing.trees import by_names, differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.testing.homes import Home
    from rrdstore.testing.model import ModelStore
    from rrdstore.testing.past import Made


T = TypeVar("T")


class Questions:
    """The half of the machine that changes nothing. `ended` are commits of snapshots whose end is not noticed yet."""

    home: Home
    store: rrdstore.Store
    model: ModelStore
    snapshots: list[tuple[rrdstore.Snapshot, int]]
    ended: list[int]
    relieved = 0
    """Commits that pressure took."""

    def living(self, which: int) -> str:
        """The name of one of the branches."""
        names = [*self.model.names]
        return names[which % len(names)]

    def kept(self) -> set[int]:
        """The numbers of what the store keeps, from its batch plan."""
        kept = set(self.store.plan().ids)
        self.flush()
        return kept

    def follow(self, act: Callable[[], T]) -> T:
        """Let the model do what the store has done, after as many reliefs as byte pressure must have made."""
        if not self.home.presses:
            return act()
        ids, tiers = set(self.store.plan().ids), [[fill.used for fill in b.tiers] for b in self.store.info().branches]
        names = self.store.ledger.history.names
        dead = [line.rings.buried for _, line in sorted(names.items()) if isinstance(line.rings, Rings)]
        while True:
            before = self.model.as_it_is()
            done = act()
            living = sorted(self.model.names)
            if (
                self.model.kept() == ids
                and [self.model.fill(name) for name in living] == tiers
                and [self.model.tombstones(name) for name in living] == dead
            ):
                return done
            self.model = before
            assert self.model.relieve() is not None, "gone, and neither the policy nor pressure says so"
            self.relieved += 1

    def unless_full(self, act: Callable[[], T], then: Callable[[], None] = lambda: None) -> T | None:
        """What the store answers; None if there is no room for it, which only a home that presses may say.

        `then` is what happens to the model all the same.
        """
        try:
            return act()
        except (rrdstore.StoreFull, rrdstore.TooLarge):
            assert self.home.presses
            self.flush()
            self.follow(then)
            return None

    def pick(self, which: int) -> int:
        """The number of a kept commit."""
        kept = sorted(self.kept())
        return kept[which % len(kept)]

    def id(self, number: int) -> str:
        """The id of a commit, kept or not."""
        return self.ids[number]

    ids: dict[int, str]

    def flush(self) -> None:
        """Snapshots that were closed are noticed at the next change or report."""
        for number in self.ended:
            self.model.open.remove(number)
        self.ended.clear()

    @rule(where=calls.branch, which=calls.some, shift=st.sampled_from([-1, 0, 1, 700_000, -5_000_000]))
    def ask_for_a_moment(self, where: int, which: int, shift: int) -> None:
        """The newest kept at or before the moment; exact only if it was current then."""
        name = self.living(where)
        lineage, commits, kept = self.model.lineage(name), self.model.commits, self.kept()
        moment = commits[lineage[which % len(lineage)]].rt + shift
        reached = [number for number in lineage if commits[number].rt <= moment]
        found = [number for number in reached if number in kept]
        target = self.store.branch(name)
        if not found:
            refusal(rrdstore.NotFound, lambda: target.at(moment))
            return
        snapshot = target.at(moment)
        assert snapshot.commit.number == found[-1]
        assert content(snapshot.tree) == commits[found[-1]].tree
        later = [number for number in lineage if number > found[-1]]
        following = next((number for number in later if number in kept), None)
        if snapshot.exact:
            assert reached[-1] == found[-1]
        else:
            assert later[0] not in kept
        start, end = snapshot.window
        assert microseconds(start) == commits[found[-1]].rt
        assert (None if end is None else microseconds(end)) == (None if following is None else commits[following].rt)
        snapshot.close()
        self.model.open.append(found[-1])
        self.ended.append(found[-1])

    @rule(which=calls.some, wrong=st.integers(1, 0xFFFFFFFF))
    def ask_for_an_id(self, which: int, wrong: int) -> None:
        """A kept one is explained and read, a thinned one named with its neighbours, a forged one unknown."""
        numbers = sorted(self.model.commits)
        made = self.model.commits[numbers[which % len(numbers)]]
        ident, kept = self.id(made.number), sorted(self.kept())
        explained = self.store.explain(ident)
        assert explained.kept == (made.number in kept)
        said = {word for reason in explained.reasons for word in reason.rule.split(", ")}
        assert {word for word in said if not word.startswith("open ")} == self.model.why(made.number)
        assert bool(explained.reasons) == explained.kept
        if made.number in kept:
            assert content(self.store.tree(ident)) == made.tree
        else:
            error = refusal(rrdstore.Thinned, lambda: self.store.tree(ident))
            before = [self.id(number) for number in kept if number < made.number]
            following = [self.id(number) for number in kept if number > made.number]
            assert error.id == ident
            assert (error.before, error.after) == (before[-1] if before else None, following[0] if following else None)
        forged = f"{made.number}-{int(ident.split('-')[1], 16) ^ wrong:08x}"
        main = self.store.branch("main")
        refusal(rrdstore.NotFound, lambda: main.at(forged))
        refusal(rrdstore.NotFound, lambda: main.at(f"{numbers[-1] + 1}-00000000"))

    @rule(where=calls.branch, path=st.none() | calls.place)
    def ask_for_the_log(self, where: int, path: str | None) -> None:
        """All that is kept of a branch's past, or what changed at a path."""
        name, kept = self.living(where), self.kept()
        assert [commit.number for commit in self.store.branch(name).log(path)] == self.model.log(name, path, kept)

    @rule(first=calls.some, second=calls.some)
    def ask_for_a_difference(self, first: int, second: int) -> None:
        """Between any two kept commits."""
        a, b = (self.model.commits[self.pick(which)] for which in (first, second))
        found = list(self.store.diff(self.id(a.number), self.id(b.number)))
        assert [change.path for change in found] == sorted((change.path for change in found), key=by_names)
        shown = {
            change.path: tuple(node and (node.value, node.meta) for node in (change.old, change.new))
            for change in found
        }  # fmt: skip
        assert shown == differences(a.tree, b.tree)

    # What always holds

    @invariant()
    def kept_is_what_the_policies_say(self) -> None:
        """Kept commits, counts, bound, branches, tags and pins are the model's."""
        if not hasattr(self, "store"):
            return
        kept, info = self.kept(), self.store.info()
        assert kept == self.model.kept()
        assert len(kept) == info.kept <= info.bound
        assert info.commits == max(self.model.commits)
        for shown in info.branches:
            line = self.model.line(shown.name)
            assert [fill.used for fill in shown.tiers] == self.model.fill(shown.name)
            assert shown.made == len(line.own)
            assert shown.kept == len(kept & {*line.own})
            assert shown.head == self.id(line.head)
        assert set(self.store.branches) == set(self.model.names)
        assert {tag: commit.number for tag, commit in self.store.tags.items()} == self.model.tags
        assert self.store.pins == {self.id(number) for number in self.model.pins}

    @rule()
    def everything_reads_as_it_did(self) -> None:
        """Every kept commit, snapshot and head, in full; and `check`, which marks all objects, finds nothing."""
        kept = self.kept()
        planned = self.store.plan()
        assert not planned.drop
        assert set(planned.keep) == {self.id(number) for number in kept}
        ledger = self.store.ledger
        for number, record in ledger.history.graph.records.items():
            self.same(Commit(ledger, record), self.model.commits[number], kept)
        for snapshot, number in self.snapshots:
            assert content(snapshot.tree) == self.model.commits[number].tree
        for name, line in self.model.names.items():
            assert content(self.store.branch(name).tree) == self.model.commits[line.head].tree
        assert self.store.check() == []

    def same(self, commit: Commit, made: Made, kept: set[int]) -> None:
        """A kept commit is what it was when it was made."""
        line = self.model.lines[made.branch]
        assert (commit.id, commit.message, commit.author) == (self.id(made.number), made.message, made.author)
        assert (microseconds(commit.time), microseconds(commit.wall)) == (made.rt, made.wall)
        assert commit.branch == (line.name if line.alive else "")
        assert commit.parents == tuple(self.id(parent) for parent in made.parents)
        assert set(commit.kept_parents) == {self.id(number) for number in self.model.grafts(made.number, kept)}
        gone = self.model.thinned(made.number, kept)
        assert commit.thinned == len(gone)
        # Fewer than nine authors write here, so nobody is among the others.
        assert commit.authors == Counter(self.model.commits[number].author for number in (made.number, *gone))
        assert not commit.others
        tree = self.store.tree(commit)
        assert content(tree) == made.tree
        assert {path: (node.created, node.modified) for path, node in tree.descend()} == made.stamps
