"""What is asked of a store and its model, and what must be the same whenever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

import rrdstore
from rrdstore.store.commit import Commit
from tests.store.calls import branch, by_names, content, microseconds, path, some
from tests.store.model import differences

if TYPE_CHECKING:
    from tests.store.model import Model


class Questions:
    """The half of the machine that changes nothing. `ended` are commits of snapshots whose end is not noticed yet."""

    store: rrdstore.Store
    model: Model
    snapshots: list[tuple[rrdstore.Snapshot, int]]
    ended: list[int]

    def living(self, which) -> str:
        names = [*self.model.names]
        return names[which % len(names)]

    def kept(self) -> set[int]:
        kept = set(self.store.plan().ids)
        self.flush()
        return kept

    def pick(self, which) -> int:
        kept = sorted(self.kept())
        return kept[which % len(kept)]

    def note(self, where, commit, edits, **more):
        self.flush()
        made = self.model.commit(where, commit, edits, **more)
        assert self.store.branch(where).head == commit
        assert content(self.store.branch(where).tree) == made.tree

    def flush(self):
        """Snapshots that were closed are noticed at the next change or report."""
        for number in self.ended:
            self.model.open.remove(number)
        self.ended.clear()

    @rule(where=branch, which=some, shift=st.sampled_from([-1, 0, 1, 700_000, -5_000_000]))
    def ask_for_a_moment(self, where, which, shift):
        """The newest kept at or before the moment; exact only if it was current then."""
        where = self.living(where)
        lineage, commits, kept = self.model.lineage(where), self.model.commits, self.kept()
        moment = commits[lineage[which % len(lineage)]].rt + shift
        reached = [number for number in lineage if commits[number].rt <= moment]
        found = [number for number in reached if number in kept]
        target = self.store.branch(where)
        if not found:
            with pytest.raises(rrdstore.NotFound):
                target.at(moment)
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

    @rule(which=some, wrong=st.integers(1, 0xFFFFFFFF))
    def ask_for_an_id(self, which, wrong):
        numbers = sorted(self.model.commits)
        made = self.model.commits[numbers[which % len(numbers)]]
        kept = sorted(self.kept())
        explained = self.store.explain(made.id)
        assert explained.kept == (made.number in kept)
        assert bool(explained.reasons) == explained.kept
        if made.number in kept:
            assert content(self.store.tree(made.id)) == made.tree
        else:
            with pytest.raises(rrdstore.Thinned) as thinned:
                self.store.tree(made.id)
            before = [self.model.commits[number].id for number in kept if number < made.number]
            following = [self.model.commits[number].id for number in kept if number > made.number]
            error = thinned.value
            assert error.id == made.id
            assert (error.before, error.after) == (before[-1] if before else None, following[0] if following else None)
        forged = f"{made.number}-{int(made.id.split('-')[1], 16) ^ wrong:08x}"
        for unknown in (forged, f"{numbers[-1] + 1}-00000000"):
            with pytest.raises(rrdstore.NotFound):
                self.store.branch("main").at(unknown)

    @rule(where=branch, path=st.none() | path | st.just("/"))
    def ask_for_the_log(self, where, path):
        where = self.living(where)
        kept = self.kept()
        assert [commit.number for commit in self.store.branch(where).log(path)] == self.model.log(where, path, kept)

    @rule(first=some, second=some)
    def ask_for_a_difference(self, first, second):
        a, b = (self.model.commits[self.pick(which)] for which in (first, second))
        found = list(self.store.diff(a.id, b.id))
        assert [change.path for change in found] == sorted((change.path for change in found), key=by_names)
        shown = {
            change.path: tuple(node and (node.value, node.meta) for node in (change.old, change.new))
            for change in found
        }  # fmt: skip
        assert shown == differences(a.tree, b.tree)

    # What always holds

    @invariant()
    def kept_is_what_the_policies_say(self):
        if not hasattr(self, "store"):
            return
        kept, info = self.kept(), self.store.info()
        assert kept == self.model.kept()
        assert len(kept) == info.kept <= info.bound
        assert info.commits == max(self.model.commits)
        for shown in info.branches:
            line = self.model.line(shown.name)
            assert shown.made == len(line.own)
            assert shown.kept == len(kept & {*line.own})
            assert shown.head == self.model.commits[line.head].id
        assert set(self.store.branches) == set(self.model.names)
        assert {tag: commit.number for tag, commit in self.store.tags.items()} == self.model.tags
        assert self.store.pins == {self.model.commits[number].id for number in self.model.pins}

    @rule()
    def everything_reads_as_it_did(self):
        kept = self.kept()
        planned = self.store.plan()
        assert not planned.drop
        assert set(planned.keep) == {self.model.commits[number].id for number in kept}
        for number, record in self.store.ledger.history.graph.records.items():
            made, commit = self.model.commits[number], Commit(self.store.ledger, record)
            line = self.model.lines[made.branch]
            assert (commit.id, commit.message) == (made.id, made.message)
            assert microseconds(commit.time) == made.rt
            assert commit.branch == (line.name if line.alive else "")
            assert commit.parents == tuple(self.model.commits[parent].id for parent in made.parents)
            assert set(commit.kept_parents) == {self.model.commits[n].id for n in self.model.grafts(number, kept)}
            assert commit.thinned == self.model.thinned(number, kept)
            tree = self.store.ledger.tree(record)
            assert content(tree) == made.tree
            assert {path: (node.created, node.modified) for path, node in tree.descend()} == made.stamps
        for snapshot, number in self.snapshots:
            assert content(snapshot.tree) == self.model.commits[number].tree
        for name, line in self.model.names.items():
            assert content(self.store.branch(name).tree) == self.model.commits[line.head].tree
        assert self.store.check() == []
