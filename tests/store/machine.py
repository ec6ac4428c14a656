"""A store driven at random beside the unbounded model, one operation a rule."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import rrdstore
from tests.store.calls import (
    KEEPS,
    branch,
    by_names,
    content,
    ended,
    engine_call,
    gaps,
    look,
    named,
    removal,
    setting,
    some,
)  # fmt: skip
from tests.store.homes import Home, JournalledHome
from tests.store.journalled import Failed
from tests.store.model import Line, Model, Serial, below, merged
from tests.store.questions import Questions


class StoreMachine(Questions, RuleBasedStateMachine):
    """What every storage must do; `home` is set by a subclass."""

    home: type[Home]

    @initialize(keep=st.sampled_from(KEEPS))
    def create(self, keep):
        self.at_home = self.home()
        self.clock = self.at_home.clock
        self.model = Model()
        self.store = self.at_home.create(keep)
        self.model.begin("main", keep, None)
        self.model.commit("main", self.store.branch("main").head, ())
        self.transactions: list[tuple[rrdstore.Transaction, Serial, Line]] = []
        self.snapshots: list[tuple[rrdstore.Snapshot, int]] = []
        self.ended: list[int] = []

    def teardown(self):
        if hasattr(self, "store"):
            try:
                self.everything_reads_as_it_did()
                self.store.close()
            finally:
                self.at_home.end()

    # Changes

    @rule(where=branch, edit=setting)
    def set(self, where, edit):
        where = self.living(where)
        self.set_on(where, edit)

    def set_on(self, where, edit):
        _, path, value, meta = edit
        made = self.store.branch(where).set(path, value, meta=meta, message="set", author="a")
        self.note(where, made, (edit,))

    @rule(where=branch, edit=removal)
    def remove(self, where, edit):
        where = self.living(where)
        self.remove_on(where, edit)

    def remove_on(self, where, edit):
        if edit[1] in self.model.head(where).tree:
            self.note(where, self.store.branch(where).remove(edit[1]), (edit,))
        else:
            with pytest.raises(rrdstore.NotFound):
                self.store.branch(where).remove(edit[1])

    @rule(where=branch, edits=st.lists(setting, min_size=2, max_size=8), gap=gaps)
    def burst(self, where, edits, gap):
        where = self.living(where)
        for edit in edits:
            self.set_on(where, edit)
            self.clock.advance(gap)

    @rule(where=branch, first=st.integers(0, 60), many=st.integers(25, 45), gone=st.booleans())
    def widen(self, where, first, many, gone):
        """Many names in one place, one commit; sometimes less again."""
        where = self.living(where)
        edits = [("set", f"/w/n{n}", b"w", None) for n in range(first, first + many)]
        if gone:
            edits += [("remove", edit[1]) for edit in edits[5:]]
        with self.store.branch(where).transaction() as tx:
            for edit in edits:
                engine_call(tx, edit)
        self.note(where, self.store.branch(where).head, edits)

    # Transactions

    @rule(where=branch)
    def start(self, where):
        where = self.living(where)
        if len(self.transactions) < 3:
            tx = self.store.branch(where).transaction(message="tx")
            line = self.model.line(where)
            assert tx.start.number == line.head
            self.model.open.append(line.head)
            self.transactions.append((tx, Serial(self.model.head(where).tree), line))

    @rule(where=branch, calls=st.lists(st.tuples(st.booleans(), setting | removal | look | look), max_size=12))
    def interleave(self, where, calls):
        """Two transactions at once, from start to end."""
        if len(self.transactions) > 1:
            return
        first = len(self.transactions)
        self.start(where)
        self.start(where)
        for which, call in calls:
            self.call(first + which, [call])
        self.end(first + 1)
        self.end(first)

    @precondition(lambda self: self.transactions)
    @rule(which=some, calls=st.lists(setting | removal | look | look, min_size=1, max_size=5))
    def call(self, which, calls):
        tx, serial, _ = self.transactions[which % len(self.transactions)]
        for call in calls:
            assert engine_call(tx, call) == serial.call(call), call
        assert content(tx.tree) == serial.tree

    @precondition(lambda self: self.transactions)
    @rule(which=some)
    def abort(self, which):
        tx, *_ = self.transactions.pop(which % len(self.transactions))
        tx.abort()
        self.model.open.remove(tx.start.number)

    @precondition(lambda self: self.transactions)
    @rule(which=some)
    def end(self, which):
        tx, serial, line = self.transactions.pop(which % len(self.transactions))
        head = self.model.commits[line.head]
        made, refusal = ended(tx)
        if isinstance(refusal, rrdstore.NotFound):
            assert not line.alive
            assert refusal.what == "branch"
        elif refusal:
            assert refusal.paths
            assert all(serial.changed(path, head.tree) for path in refusal.paths)
        else:
            assert line.alive
            assert serial.same_on(head.tree)
            if serial.edits:
                self.note(line.name, made, serial.edits)
                assert made.message == "tx"
            else:
                assert made.number == head.number
        self.model.open.remove(tx.start.number)

    # Branches

    @rule(origin=branch, where=named, keep=st.none() | st.sampled_from(KEEPS))
    def fork(self, origin, where, keep):
        origin = self.living(origin)
        if self.refused(where, lambda: self.store.branch(origin).fork(where, keep)):
            return
        self.store.branch(origin).fork(where, keep)
        self.flush()
        self.model.begin(where, keep or rrdstore.BRANCH_DEFAULT, origin)

    @rule(where=named, keep=st.sampled_from(KEEPS))
    def create_branch(self, where, keep):
        if where in self.model.names:
            assert self.store.branch(where, create=True).name == where
        elif not self.refused(where, lambda: self.store.branch(where, create=True, keep=keep)):
            made = self.store.branch(where, create=True, keep=keep)
            self.model.begin(where, keep, None)
            self.note(where, made.head, ())

    def refused(self, where, make) -> bool:
        """Whether a new branch must be refused; and then, that it is."""
        if where in self.model.names:
            with pytest.raises((rrdstore.Exists, rrdstore.LimitReached)):
                make()
            self.flush()
            return True
        limit = self.store.ledger.storage.max_branches
        kept = self.kept()
        used = sum(line.alive or not kept.isdisjoint(line.own) for line in self.model.lines.values())
        if limit and used >= limit:
            with pytest.raises(rrdstore.LimitReached):
                make()
            self.flush()
            return True
        return False

    @rule(where=branch)
    def delete_branch(self, where):
        where = self.living(where)
        if where == "main":
            with pytest.raises(rrdstore.ReadOnly):
                self.store.delete_branch(where)
        else:
            self.store.delete_branch(where)
            self.model.end(where)
        self.flush()

    @rule(into=branch, other=branch)
    def merge(self, into, other):
        self.merge_on(self.living(into), self.living(other))

    @rule(into=branch, ours=st.lists(setting | removal, max_size=3), theirs=st.lists(setting | removal, max_size=3),
          gap=gaps, both=st.booleans())  # fmt: skip
    def diverge_and_merge(self, into, ours, theirs, gap, both):
        """Two branches of which one was forked from the other, changes on both, and a merge or two."""
        names = self.model.names
        pairs = [(a, b) for a in names for b in names if a != b and self.model.paired(a, b)]
        if not pairs:
            return
        pair = pairs[into % len(pairs)]
        for where, edits in zip(pair, (ours, theirs), strict=True):
            for edit in edits:
                (self.set_on if edit[0] == "set" else self.remove_on)(where, edit)
                self.clock.advance(gap)
        self.merge_on(*pair)
        if both:
            self.merge_on(*reversed(pair))

    def merge_on(self, into, other):
        names = self.model.names
        target = self.store.branch(into)
        if into == other or not self.model.paired(into, other):
            with pytest.raises(rrdstore.Unmergeable):
                target.merge(other)
            self.flush()
            return
        ours, theirs = self.model.head(into), self.model.head(other)
        if self.model.is_ancestor(theirs.number, ours.number):
            assert target.merge(other).number == ours.number
            self.flush()
            return
        base = self.model.base_tree(self.model.bases(ours.number, theirs.number))
        tree, clashes = merged(base, ours.tree, theirs.tree)
        if clashes:
            with pytest.raises(rrdstore.Conflict) as refused:
                target.merge(other)
            assert set(refused.value.paths) == clashes
            self.flush()
            self.take_theirs(into, sorted(clashes), theirs.tree)
            self.merge_on(into, other)
            return
        self.note(into, target.merge(other), (), merged_in=theirs.number, tree=tree)
        for line, partner in ((names[into], names[other]), (names[other], names[into])):
            if line.upstream == partner.id:
                line.base = theirs.number

    def take_theirs(self, into, clashes, theirs):
        """Resolve conflicts as a user does: by making the places what the other side has."""
        for path in clashes:
            wanted = below(theirs, path)
            if not wanted:
                self.remove_on(into, ("remove", path))
            for place in sorted(wanted, key=by_names) if path not in self.model.head(into).tree else [path]:
                if wanted:
                    self.set_on(into, ("set", place, *wanted[place]))

    # Tags and pins

    @rule(which=some, tag=st.sampled_from("tuvw"))
    def tag(self, which, tag):
        number = self.pick(which)
        if tag in self.model.tags:
            with pytest.raises(rrdstore.Exists):
                self.store.tag(tag, self.model.commits[number].id)
        else:
            self.store.tag(tag, self.model.commits[number].id)
            self.model.tags[tag] = number
        self.flush()

    @rule(tag=st.sampled_from("tuvw"))
    def untag(self, tag):
        if tag in self.model.tags:
            self.store.untag(tag)
            del self.model.tags[tag]
        else:
            with pytest.raises(rrdstore.NotFound):
                self.store.untag(tag)
        self.flush()

    @rule(which=some)
    def pin(self, which):
        number = self.pick(which)
        limit = self.store.ledger.storage.max_pins
        if limit and len(self.model.pins) >= limit and number not in self.model.pins:
            with pytest.raises(rrdstore.LimitReached):
                self.store.pin(self.model.commits[number].id)
        else:
            self.store.pin(self.model.commits[number].id)
            self.model.pins.add(number)
        self.flush()

    @precondition(lambda self: self.model.pins)
    @rule(which=some)
    def unpin(self, which):
        number = sorted(self.model.pins)[which % len(self.model.pins)]
        self.store.unpin(self.model.commits[number].id)
        self.model.pins.discard(number)
        self.flush()

    # Time and snapshots

    @rule(seconds=st.sampled_from([0.000001, 0.3, 1, 4, 11, 60, 7200]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-7200, -30, -1, 1, 30, 7200]))
    def jump(self, seconds):
        self.clock.jump_wall(seconds)

    @rule(where=branch, which=some)
    def open_snapshot(self, where, which):
        where = self.living(where)
        if len(self.snapshots) < 4:
            number = self.pick(which)
            snapshot = self.store.branch(where).at(self.model.commits[number].id)
            assert snapshot.commit.number == number
            assert snapshot.exact
            self.model.open.append(number)
            self.snapshots.append((snapshot, number))

    @precondition(lambda self: self.snapshots)
    @rule(which=some)
    def close_snapshot(self, which):
        snapshot, number = self.snapshots.pop(which % len(self.snapshots))
        assert content(snapshot.tree) == self.model.commits[number].tree
        snapshot.close()
        self.ended.append(number)

    # Storage

    @rule()
    def tick(self):
        self.store.tick()
        self.flush()
        assert not self.store.unstored

    @precondition(lambda self: self.home.reopens)
    @rule()
    def close_and_open(self):
        self.leave()
        self.store.close()
        self.store = self.at_home.open()
        assert not self.store.recovered
        self.everything_reads_as_it_did()

    @precondition(lambda self: self.home.reopens)
    @rule()
    def crash(self):
        """All that was acknowledged is in what a crash leaves; the store that crashed is not asked any more."""
        old, left = self.store, self.at_home
        self.at_home = left.image()
        self.clock = self.at_home.clock
        self.leave()
        self.store = self.at_home.open()
        old.close()
        left.end()
        self.everything_reads_as_it_did()

    def leave(self):
        self.transactions.clear()
        self.snapshots.clear()
        self.ended.clear()
        self.model.open.clear()

    @precondition(lambda self: self.home is JournalledHome)
    @rule(which=st.integers(0, 6), pick=some, where=named)
    def fail_to_settle(self, which, pick, where):
        """What the journal does not hold is undone if the tick fails; nothing else is."""
        storage, store = self.at_home.storage, self.store
        commit = self.model.commits[self.pick(pick)].id
        if which == 3 and commit in store.pins:
            return  # no change, so no tick
        operations = {
            0: lambda: store.branch("main").fork("new"),
            1: lambda: store.branch("new", create=True),
            2: lambda: store.tag("new", commit),
            3: lambda: store.pin(commit),
            4: lambda: store.delete_branch(where),
            5: lambda: store.branch("main").set("/a", b"x" * 1000),
            6: lambda: store.untag("t"),
        }
        storage.fail_tick = True
        refusals = (Failed, rrdstore.NotFound, rrdstore.LimitReached, rrdstore.ReadOnly)
        with pytest.raises(refusals):
            operations[which]()
        storage.fail_tick = False
        self.flush()
        self.everything_reads_as_it_did()
