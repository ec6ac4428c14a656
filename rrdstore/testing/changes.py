"""Changes and transactions: the part of the machine that makes commits on a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import rrdstore
from rrdstore.testing import calls
from rrdstore.testing.calls import content, ended, engine_call, microseconds, refusal
from rrdstore.testing.questions import Questions
from rrdstore.testing.trees import Call, Serial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.testing.clock import ManualClock


AUTHORS = ("ann", "bob", "é")


class Changes(Questions):
    """Sets, removals, bursts, transactions."""

    clock: ManualClock
    transactions: list[tuple[rrdstore.Transaction, Serial, int]]
    """Each with its model and the id of its branch in the model."""

    def note(
        self,
        where: str,
        commit: rrdstore.Commit | None,
        edits: Iterable[Call],
        message: str,
        author: str = "",
        ends: int = 0,
    ) -> None:
        """Do to the model what the store has done; `ends` is the commit that a transaction stood on until then."""
        self.flush()
        if commit is None:
            return  # There was no room for it.
        seen, edits = microseconds(commit.time), list(edits)

        def act() -> None:
            self.model.commit(where, edits, message, author, seen=seen)
            self.let_go(ends)

        self.follow(act)
        self.compare(where, commit)

    def let_go(self, number: int) -> None:
        """A transaction does not stand on this commit any more; 0 is none."""
        if number:
            self.model.open.remove(number)

    def compare(self, where: str, commit: rrdstore.Commit) -> None:
        """The newest commit of a branch is the model's newest."""
        made = self.model.head(where)
        self.ids[made.number] = commit.id
        assert (commit.number, made.number) == (made.number, self.model.last)
        assert commit.parents == tuple(self.id(parent) for parent in made.parents)
        assert self.store.branch(where).head == commit
        assert content(self.store.branch(where).tree) == made.tree

    # Changes

    @rule(where=calls.branch, edit=calls.setting)
    def set(self, where: int, edit: Call) -> None:
        """Set a node."""
        self.set_on(self.living(where), edit)

    def set_on(self, name: str, edit: Call) -> None:
        """Set a node of the branch of that name."""
        _, path, value, meta = edit
        target = self.store.branch(name)
        commit = self.unless_full(
            lambda: target.set(path, value, meta=meta, message="set", author=AUTHORS[len(path) % 3])
        )
        self.note(name, commit, (edit,), "set", AUTHORS[len(path) % 3])

    @rule(where=calls.branch, edit=calls.removal)
    def remove(self, where: int, edit: Call) -> None:
        """Remove a node, if it is there."""
        self.remove_on(self.living(where), edit)

    def remove_on(self, name: str, edit: Call) -> None:
        """Remove a node of the branch of that name."""
        target = self.store.branch(name)
        if edit[1] in self.model.head(name).tree:
            self.note(name, self.unless_full(lambda: target.remove(edit[1])), (edit,), "")
        else:
            refusal(rrdstore.NotFound, lambda: target.remove(edit[1]))

    @rule(where=calls.branch, edits=st.lists(calls.setting, min_size=2, max_size=8), gap=calls.gaps)
    def burst(self, where: int, edits: list[Call], gap: float) -> None:
        """Several commits in a row."""
        name = self.living(where)
        for edit in edits:
            self.set_on(name, edit)
            self.clock.advance(gap)

    @rule(where=calls.branch, first=st.integers(0, 60), many=st.integers(25, 45), gone=st.booleans())
    def widen(self, where: int, first: int, many: int, gone: bool) -> None:
        """Many names in one place, one commit; sometimes less again."""
        name = self.living(where)
        edits: list[Call] = [("set", f"/w/n{n}", b"w", None) for n in range(first, first + many)]
        if gone:
            edits += [("remove", edit[1]) for edit in edits[5:]]
        tx = self.store.branch(name).transaction()
        for edit in edits:
            engine_call(tx, edit)
        self.note(name, self.unless_full(tx.commit), edits, "")

    # Transactions

    @rule(where=calls.branch)
    def start(self, where: int) -> None:
        """Open a transaction."""
        name = self.living(where)
        if len(self.transactions) < 3:
            tx = self.store.branch(name).transaction(message="tx")
            line = self.model.line(name)
            assert tx.start.number == line.head
            self.model.open.append(line.head)
            self.transactions.append((tx, Serial(self.model.head(name).tree), line.id))

    @rule(where=calls.branch, steps=st.lists(st.tuples(st.booleans(), calls.call), max_size=12))
    def interleave(self, where: int, steps: list[tuple[bool, Call]]) -> None:
        """Two transactions at once, from start to end."""
        if len(self.transactions) > 1:
            return
        first = len(self.transactions)
        self.start(where)
        self.start(where)
        for which, call in steps:
            self.call(first + which, [call])
        self.end(first + 1)
        self.end(first)

    @precondition(lambda self: self.transactions)
    @rule(which=calls.some, steps=st.lists(calls.call, min_size=1, max_size=5))
    def call(self, which: int, steps: list[Call]) -> None:
        """Read and write in an open transaction."""
        tx, serial, _ = self.transactions[which % len(self.transactions)]
        for call in steps:
            assert engine_call(tx, call) == serial.call(call), call
        assert content(tx.tree) == serial.tree

    @precondition(lambda self: self.transactions)
    @rule(which=calls.some)
    def abort(self, which: int) -> None:
        """End a transaction and do nothing of it."""
        tx, *_ = self.transactions.pop(which % len(self.transactions))
        tx.abort()
        self.model.open.remove(tx.start.number)

    @precondition(lambda self: self.transactions)
    @rule(which=calls.some)
    def end(self, which: int) -> None:
        """End a transaction: it commits if all its answers would be the same now."""
        tx, serial, ident = self.transactions.pop(which % len(self.transactions))
        line, stood = self.model.lines[ident], tx.start.number
        head = self.model.commits[line.head]
        tried = self.unless_full(lambda: ended(tx), lambda: self.let_go(stood))
        if tried is None:
            return
        commit, refused = tried
        if isinstance(refused, rrdstore.NotFound):
            assert not line.alive
            assert refused.what == "branch"
        elif refused:
            assert refused.paths
            assert all(serial.changed(path, head.tree) for path in refused.paths)
        else:
            assert line.alive
            assert serial.same_on(head.tree)
            if serial.edits:
                self.note(line.name, commit, serial.edits, "tx", ends=stood)
                return
            assert commit is not None
            assert commit.number == head.number
        self.let_go(stood)
