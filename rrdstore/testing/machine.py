"""A store driven at random beside the unbounded model, one operation a rule.

Rule: what the store does, the model does; every answer and every refusal is compared, and after each step what is
kept. A storage of your own is tested by three lines:

    class TestMine(StoreMachine.TestCase):
        def make(self):
            return MyHome()

Cost: some 30 steps an example; `examples` and `walks` say how many. Prior art: zarr.testing.stateful.
"""

from __future__ import annotations

import unittest
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import rrdstore
from rrdstore.testing import calls
from rrdstore.testing.branching import Branching
from rrdstore.testing.calls import KEEPS, RULES, content, refusal
from rrdstore.testing.homes import Home, MemoryHome
from rrdstore.testing.model import ModelStore
from rrdstore.testing.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable


class StoreMachine(Branching, RuleBasedStateMachine):
    """What every storage must do. `make` gives the home of a new store."""

    def __init__(self, make: Callable[[], Home] = MemoryHome) -> None:
        super().__init__()
        self.home: Home = make()

    @initialize(keep=st.sampled_from(KEEPS))
    def create(self, keep: str) -> None:
        """A store and its model."""
        self.clock = self.home.clock
        self.store = self.home.create(keep)
        self.model = ModelStore(keep, self.clock)
        self.model.rules = RULES
        self.configure()
        self.ids = {1: self.store.branch("main").head.id}
        self.transactions, self.snapshots, self.ended = [], [], []

    def configure(self) -> None:
        """The merge rules of a configuration are those of a process: given again at each opening."""
        self.store.ledger.config = replace(self.store.ledger.config, merge=rrdstore.merge_rules(RULES))

    def teardown(self) -> None:
        """One last look at everything."""
        try:
            if hasattr(self, "store"):
                self.everything_reads_as_it_did()
                self.store.close()
        finally:
            self.home.end()

    # Time and snapshots

    @rule(seconds=st.sampled_from([0.000001, 0.3, 1, 4, 11, 60, 7200]))
    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-7200, -30, -1, 1, 30, 7200]))
    def jump(self, seconds: float) -> None:
        """Somebody sets the time of day."""
        self.clock.jump_wall(seconds)

    @rule(where=calls.branch, which=calls.some)
    def open_snapshot(self, where: int, which: int) -> None:
        """Look at a kept commit and go on looking."""
        target = self.store.branch(self.living(where))
        if len(self.snapshots) < 4:
            number = self.pick(which)
            snapshot = target.at(self.id(number))
            assert snapshot.commit.number == number
            assert snapshot.exact
            self.model.open.append(number)
            self.snapshots.append((snapshot, number))

    @precondition(lambda self: self.snapshots)
    @rule(which=calls.some)
    def close_snapshot(self, which: int) -> None:
        """Stop looking."""
        snapshot, number = self.snapshots.pop(which % len(self.snapshots))
        assert content(snapshot.tree) == self.model.commits[number].tree
        snapshot.close()
        self.ended.append(number)

    # Storage

    @precondition(lambda self: self.home.presses)
    @rule(where=calls.branch, path=calls.path, length=st.integers(1, 4), fresh=st.integers(0, 255))
    def fill(self, where: int, path: str, length: int, fresh: int) -> None:
        """Large values, one after the other: bytes become short, and commits go beyond the policy."""
        # Beside each other: a large value with others below it is written again with each of them.
        for place in (path, *(f"{path[:2]}/{name}" for name in "defghij"))[: self.home.fills]:
            value = bytes([fresh]) * (length * self.home.presses)
            self.set_on(self.living(where), ("set", place, value, None))
            self.clock.advance(1)

    @rule()
    def tick(self) -> None:
        """Bring everything to the storage."""
        self.store.tick()
        self.flush()
        assert not self.store.unstored

    @rule(steps=st.integers(1, 3))
    def tick_a_little(self, steps: int) -> None:
        """A tick is begun, or goes on, and is left there: what comes next comes in the middle of it."""
        for _ in range(steps):
            if self.store.tick(0):
                break
        self.flush()

    @precondition(lambda self: self.home.reopens)
    @rule()
    def close_and_open(self) -> None:
        """Nothing is different afterwards."""
        self.leave()
        self.store.close()
        self.store = self.home.open()
        self.configure()
        assert not self.store.recovered
        self.everything_reads_as_it_did()

    @precondition(lambda self: self.home.reopens)
    @rule()
    def crash(self) -> None:
        """All that was acknowledged is in what a crash leaves; the store that crashed is not asked any more."""
        old, left = self.store, self.home
        self.home = left.image()
        self.clock = self.home.clock
        self.leave()
        self.store = self.home.open()
        self.configure()
        old.close()
        left.end()
        self.everything_reads_as_it_did()

    def leave(self) -> None:
        """What is open ends with the process."""
        self.model.reopened(self.clock)
        self.transactions.clear()
        self.snapshots.clear()
        self.ended.clear()
        self.model.open.clear()

    # What pressure took, and no tick has stored, comes back in a crash: a home that presses does not fail as well.
    @precondition(lambda self: self.home.fails and not self.home.presses)
    @rule()
    def fail_to_settle(self) -> None:
        """What the journal does not hold is undone if the tick fails; nothing else is."""
        main = self.store.branch("main")
        with self.home.failing() as failed:
            refusal(failed, lambda: main.set("/a", b"x" * 1000))
        self.flush()
        self.follow(lambda: None)  # what pressure thinned to make room for it is gone
        self.model.reopened()  # it has gone back to what the storage has
        self.everything_reads_as_it_did()

    @precondition(lambda self: self.home.fails)
    @rule(
        which=st.integers(0, 8),
        pick=calls.some,
        name=calls.named,
        tag=st.sampled_from("tuvw"),
        keep=st.sampled_from(KEEPS),
    )
    def change_while_ticks_fail(self, which: int, pick: int, name: str, tag: str, keep: str) -> None:
        """Branches, policies, tags and pins are in the journal: that nothing can be stored now is nothing to them."""
        operations: tuple[Callable[[], object], ...] = (
            lambda: self.fork(pick, name, None, None),
            lambda: self.create_branch(name, KEEPS[0]),
            lambda: self.delete_branch(pick),
            lambda: self.tag(pick, tag),
            lambda: self.untag(tag),
            lambda: self.pin(pick),
            lambda: self.model.pins and self.unpin(pick),
            lambda: self.tune(pick, keep),
            lambda: self.compact(pick, keep),
        )
        with nullcontext() if self.home.presses else self.home.failing():
            operations[which]()

    @precondition(lambda self: self.home.fails)
    @rule(which=st.integers(0, 9), pick=calls.some)
    def refuse_to_journal(self, which: int, pick: int) -> None:
        """What the journal does not take is refused, and has changed nothing."""
        store, main, commit = self.store, self.store.branch("main"), self.id(self.pick(pick))
        forks = sorted(self.model.names.keys() - {"main"})
        operations: tuple[Callable[[], object], ...] = (
            lambda: main.fork("new"),
            lambda: store.branch("new", create=True),
            lambda: store.delete_branch(forks[0]),
            lambda: store.tag("new", commit),
            lambda: store.untag(min(self.model.tags)),
            lambda: store.pin(commit),
            lambda: store.unpin(self.id(min(self.model.pins))),
            lambda: main.set("/a", b"1"),
            lambda: store.tune("main", other),
            lambda: store.compact("main", "last:1"),
        )
        other = next(keep for keep in KEEPS if rrdstore.policy.parse(keep) != rrdstore.policy.parse(main.keep))
        goes = store.plan("last:1", "main").drop
        there = (True, True, forks, True, self.model.tags, commit not in store.pins, self.model.pins, True, True, goes)
        if there[which]:
            with self.home.refusing() as refused:
                refusal((refused, rrdstore.LimitReached, rrdstore.StoreFull), operations[which])
            self.flush()
            self.follow(lambda: None)
            self.everything_reads_as_it_did()


class StoreTestCase(unittest.TestCase):
    """A test of one storage: `make` says where its stores live. Run by unittest and pytest alike."""

    examples: ClassVar[int] = 30
    """Short histories, of which a failing one is shrunk; of `steps` steps each."""
    steps: ClassVar[int] = 30
    walks: ClassVar[int] = 5
    """Long histories, seeded and not shrunk; of `strides` steps each."""
    strides: ClassVar[int] = 200

    def make(self) -> Home:
        """The home of a new store."""
        return MemoryHome()

    def test_a_store_is_its_model(self) -> None:
        """Short random histories."""
        how = settings(
            max_examples=self.examples, stateful_step_count=self.steps, print_blob=True, deadline=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        run_state_machine_as_test(partial(StoreMachine, self.make), settings=how)  # type: ignore[arg-type]  # any factory will do

    def test_and_stays_it_for_long(self) -> None:
        """Long ones."""

        @settings(
            max_examples=self.walks, phases=[Phase.explicit, Phase.reuse, Phase.generate], print_blob=True,
            deadline=None, suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(seed=st.integers(0, 1 << 32))
        def go(seed: int) -> None:
            walk(StoreMachine(self.make), Random(seed), self.strides)

        go()


StoreMachine.TestCase = StoreTestCase  # type: ignore[assignment]  # hypothesis would make one that knows no `make`
