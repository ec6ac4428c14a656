"""Branches, merges, tags and pins: the part of the machine that changes what is kept and how it hangs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import rrdstore
from rrdstore.testing import calls, retention
from rrdstore.testing.calls import KEEPS, microseconds, refusal
from rrdstore.testing.changes import Changes
from rrdstore.testing.model import BRANCH_KEEP
from rrdstore.testing.trees import Call, Tree, below, by_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.testing.merges import Rules
    from rrdstore.testing.past import Outcome


class Branching(Changes):
    """Forks, merges, deletions; tags and pins."""

    @rule(origin=calls.branch, name=calls.named, keep=st.none() | st.sampled_from(KEEPS))
    def fork(self, origin: int, name: str, keep: str | None) -> None:
        """A branch from the head of another."""
        source = self.store.branch(self.living(origin))
        if not self.refused(name, keep or BRANCH_KEEP, lambda: source.fork(name, keep)):
            source.fork(name, keep)
            self.flush()
            self.model.fork(source.name, name, keep)

    @rule(name=calls.named, keep=st.sampled_from(KEEPS))
    def create_branch(self, name: str, keep: str) -> None:
        """A branch of nothing, or the one that there is."""
        if name in self.model.names:
            assert self.store.branch(name, create=True).name == name
        elif not self.refused(name, keep, lambda: self.store.branch(name, create=True, keep=keep)):
            made = self.unless_full(lambda: self.store.branch(name, create=True, keep=keep))
            self.flush()
            if made:
                self.follow(lambda: self.model.create(name, keep))
                self.compare(name, made.head)

    def refused(self, name: str, keep: str, make: Callable[[], object]) -> bool:
        """Whether a new branch must be refused; and then, that it is."""
        if name in self.model.names:
            refusal((rrdstore.Exists, rrdstore.LimitReached), make)
            self.flush()
            return True
        limit, kept = self.store.ledger.storage.max_branches, self.kept()
        lines = [line for line in self.model.lines.values() if line.id]
        used = sum(line.alive or not kept.isdisjoint(line.own) for line in lines)
        slots = self.store.ledger.storage.max_slots
        if (limit and used >= limit) or (slots and self.model.slots() + retention.most(keep) > slots):
            refusal(rrdstore.LimitReached, make)
            self.flush()
            return True
        return False

    @rule(where=calls.branch)
    def delete_branch(self, where: int) -> None:
        """Delete a branch; main cannot be."""
        name = self.living(where)
        if name == "main":
            refusal(rrdstore.ReadOnly, lambda: self.store.delete_branch(name))
        else:
            self.store.delete_branch(name)
            self.model.delete(name)
        self.flush()

    @rule(into=calls.branch, other=calls.branch)
    def merge(self, into: int, other: int) -> None:
        """Any branch into any other."""
        self.merge_on(self.living(into), self.living(other))

    @rule(into=calls.branch, other=calls.branch, which=calls.some, rules=calls.rules)
    def merge_an_older_commit(self, into: int, other: int, which: int, rules: Rules) -> None:
        """Any kept commit of any branch, or that it has from another, into any branch."""
        target, source = self.living(into), self.living(other)
        line, kept = self.model.line(source), self.kept()
        own = sorted(kept.intersection(line.own)) if which % 4 else []
        reached = own or [number for number in sorted(kept) if self.model.is_ancestor(number, line.head)]
        self.merge_on(target, source, reached[which % len(reached)], rules)

    @rule(into=calls.branch, ours=st.lists(calls.change, max_size=2), theirs=st.lists(calls.change, max_size=2),
          which=calls.some)  # fmt: skip
    def merge_past_each_other(self, into: int, ours: list[Call], theirs: list[Call], which: int) -> None:
        """Two branches merge what the other had before it merged theirs, as two that cannot see each other do."""
        pair = self.pair(into)
        if pair is None:
            return
        for name, edits in zip(pair, (ours, theirs), strict=True):
            for edit in edits:
                (self.set_on if edit[0] == "set" else self.remove_on)(name, edit)
        heads = [self.model.line(name).head for name in pair]
        snapshot = self.store.branch(pair[1]).at(self.id(heads[1]))
        self.model.open.append(heads[1])
        self.merge_on(pair[1], pair[0])
        if which % 3 == 0:
            self.set_on(pair[which % 2], ("set", "/p", b"%d" % which, None))
        self.merge_on(*pair, heads[1])
        snapshot.close()
        self.ended.append(heads[1])

    @rule(into=calls.branch, ours=st.lists(calls.change, max_size=3), theirs=st.lists(calls.change, max_size=3),
          gap=calls.gaps, both=st.booleans())  # fmt: skip
    def diverge_and_merge(self, into: int, ours: list[Call], theirs: list[Call], gap: float, both: bool) -> None:
        """Two branches of which one was forked from the other, changes on both, and a merge or two."""
        pair = self.pair(into)
        if pair is None:
            return
        for name, edits in zip(pair, (ours, theirs), strict=True):
            for edit in edits:
                (self.set_on if edit[0] == "set" else self.remove_on)(name, edit)
                self.clock.advance(gap)
        self.merge_on(*pair)
        if both:
            self.merge_on(pair[1], pair[0])

    def pair(self, which: int) -> tuple[str, str] | None:
        """A fork and its upstream, either first; None if there is none."""
        names = self.model.names
        pairs = [(a, b) for a in names for b in names if a != b and self.model.paired(a, b)]
        return pairs[which % len(pairs)] if pairs else None

    def merge_on(self, into: str, other: str, at: int | None = None, rules: Rules = (), tries: int = 3) -> None:
        """Merge one into the other: the tree, the conflicts, or the refusal are the model's."""
        target, when = self.store.branch(into), None if at is None else self.id(at)
        before, theirs = self.model.head(into), self.model.commits[at] if at else self.model.head(other)
        new = into == other or not self.model.is_ancestor(theirs.number, before.number)
        if new and self.model.carrier(into, other, theirs.number) is None:
            refusal(rrdstore.Unmergeable, lambda: target.merge(other, at=when, rules=rules))
            self.flush()
            return
        self.flush()
        # It is held meanwhile, so that pressure does not take it.
        self.model.open.append(theirs.number)
        tried = self.unless_full(
            lambda: merged(target, other, when, rules), lambda: self.model.open.remove(theirs.number)
        )
        if tried is None:
            return
        commit, refused = tried
        if refused:
            self.model.open.remove(theirs.number)
            outcome = self.model.merge(into, other, at=at, rules=rules)
            assert set(refused.paths) == outcome.clashes
            assert {clash.path for clash in refused.clashes} == outcome.clashes
            last = self.model.last
            self.take_theirs(into, sorted(outcome.clashes), theirs.tree, whole=tries < 3)
            if tries and self.model.last > last and theirs.number in self.kept():  # else there was no room for it
                self.merge_on(into, other, at, rules, tries - 1)
            return
        assert commit is not None
        new = commit.number > before.number
        seen = microseconds(commit.time) if new else None

        def act() -> Outcome:
            outcome = self.model.merge(into, other, seen=seen, at=at, rules=rules)
            self.model.open.remove(theirs.number)
            return outcome

        outcome = self.follow(act)
        assert not outcome.clashes, "merged, and expected a conflict"
        assert new == (outcome.made is not None)
        if new:
            if commit.number > before.number and commit.number - 1 not in self.ids:
                ledger = self.store.ledger
                self.ids[commit.number - 1] = ledger.id(ledger.history.graph.records[commit.number - 1])
            self.compare(into, commit)

    def take_theirs(self, into: str, clashes: list[str], theirs: Tree, *, whole: bool) -> None:
        """Resolve conflicts as a user does: by making the places what the other side has, or all below them too."""
        for path in clashes:
            wanted = below(theirs, path)
            if (not wanted or whole) and path != "/" and path in self.model.head(into).tree:
                self.remove_on(into, ("remove", path))
            for place in sorted(wanted, key=by_names) if path not in self.model.head(into).tree else [path]:
                if wanted:
                    self.set_on(into, ("set", place, *wanted[place]))

    @rule(where=calls.branch, keep=st.sampled_from(KEEPS))
    def tune(self, where: int, keep: str) -> None:
        """Another policy for a branch, tried dry first: what is lost is what the plan says, and goes at once."""
        name = self.living(where)
        if self.model.line(name).buried:
            return  # how tombstones go over to other tiers is asked in tests/policy
        self.flush()
        kept, slots = self.kept(), self.store.ledger.storage.max_slots
        if slots and self.model.slots() - retention.most(self.model.line(name).keep) + retention.most(keep) > slots:
            refusal(rrdstore.LimitReached, lambda: self.store.tune(name, keep))
            return
        dry = self.store.tune(name, keep, dry_run=True)
        assert self.kept() == kept
        done = self.store.tune(name, keep)
        if self.model.line(name).keep != keep:
            self.model.tune(name, keep)
        assert (done.keep, done.drop) == (dry.keep, dry.drop)
        assert {self.id(number) for number in kept - self.model.kept()} == set(done.drop)
        assert self.store.branch(name).keep == keep

    # Tags and pins

    @rule(which=calls.some, tag=st.sampled_from("tuvw"))
    def tag(self, which: int, tag: str) -> None:
        """Name a kept commit."""
        number = self.pick(which)
        if tag in self.model.tags:
            refusal(rrdstore.Exists, lambda: self.store.tag(tag, self.id(number)))
        else:
            self.store.tag(tag, self.id(number))
            self.model.tags[tag] = number
        self.flush()

    @rule(tag=st.sampled_from("tuvw"))
    def untag(self, tag: str) -> None:
        """Forget a name."""
        if tag in self.model.tags:
            self.store.untag(tag)
            del self.model.tags[tag]
        else:
            refusal(rrdstore.NotFound, lambda: self.store.untag(tag))
        self.flush()

    @rule(which=calls.some)
    def pin(self, which: int) -> None:
        """Pin a kept commit."""
        number = self.pick(which)
        limit = self.store.ledger.storage.max_pins
        if limit and len(self.model.pins) >= limit and number not in self.model.pins:
            refusal(rrdstore.LimitReached, lambda: self.store.pin(self.id(number)))
        else:
            self.store.pin(self.id(number))
            self.model.pins.add(number)
        self.flush()

    @precondition(lambda self: self.model.pins)
    @rule(which=calls.some)
    def unpin(self, which: int) -> None:
        """Leave a pinned commit to the tiers."""
        number = sorted(self.model.pins)[which % len(self.model.pins)]
        self.store.unpin(self.id(number))
        self.model.pins.discard(number)
        self.flush()


def merged(
    into: rrdstore.Branch, other: str, at: str | None, rules: Rules
) -> tuple[rrdstore.Commit | None, rrdstore.Conflict | None]:
    """The commit of a merge, or its conflict."""
    try:
        return into.merge(other, at=at, rules=rules), None
    except rrdstore.Conflict as refused:
        return None, refused
