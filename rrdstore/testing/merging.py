"""Merges and patches: the part of the machine that brings branches together.

Rule: the result, the conflicts and the refusals are those of the recursive merge over the whole graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import rule

import rrdstore
from rrdstore.testing import calls
from rrdstore.testing.calls import microseconds, refusal
from rrdstore.testing.changes import Changes
from rrdstore.testing.trees import Call, Tree, below, by_names

if TYPE_CHECKING:
    from rrdstore.testing.merges import Rules
    from rrdstore.testing.past import Outcome


class Merging(Changes):
    """Merges of heads, of older commits, past each other and by way of a third; patches."""

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

    @rule(into=calls.branch, edit=calls.setting, own=st.booleans(), back=st.booleans())
    def hand_on(self, into: int, edit: Call, own: bool, back: bool) -> None:
        """A branch takes from another what one between them has already, and then from that one too."""
        names = {line.id: name for name, line in self.model.names.items()}
        ways = [
            (names[a.id], names[b.id], names[c.id])
            for b in self.model.names.values()
            for a, _ in self.model.beside(b)
            for c, _ in self.model.beside(b)
            if a is not c
        ]
        if not ways:
            return
        target, between, source = ways[into % len(ways)]
        self.set_on(source, edit)
        self.merge_on(between, source)
        if own:
            self.set_on(target, ("set", "/own", b"%d" % into, None))
        self.merge_on(target, source)
        self.merge_on(*(between, target) if back else (target, between))

    @rule(into=calls.branch, other=calls.branch, which=calls.some)
    def patch(self, into: int, other: int, which: int) -> None:
        """What a branch has changed since any kept commit that it has."""
        target, source = self.living(into), self.living(other)
        head = self.model.line(source).head
        reached = [number for number in sorted(self.kept()) if self.model.is_ancestor(number, head)]
        since = reached[which % len(reached)]
        before = self.model.head(target)

        def act() -> rrdstore.Commit | rrdstore.Conflict:
            try:
                return self.store.branch(target).patch(source, self.id(since))
            except rrdstore.Conflict as refused:
                return refused

        done = self.unless_full(act)
        self.flush()
        if isinstance(done, rrdstore.Conflict):
            assert self.model.patch(target, source, since).clashes
        elif done is not None:
            seen = microseconds(done.time) if done.number > before.number else None
            outcome = self.follow(lambda: self.model.patch(target, source, since, seen))
            assert not outcome.clashes, "patched, and expected a conflict"
            assert (outcome.made is not None) == (done.number > before.number)
            if outcome.made:
                self.compare(target, done)


def merged(
    into: rrdstore.Branch, other: str, at: str | None, rules: Rules
) -> tuple[rrdstore.Commit | None, rrdstore.Conflict | None]:
    """The commit of a merge, or its conflict."""
    try:
        return into.merge(other, at=at, rules=rules), None
    except rrdstore.Conflict as refused:
        return None, refused
