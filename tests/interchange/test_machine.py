"""The machine's stores go through a dump at random moments, and the restored one goes on beside the model."""

from __future__ import annotations

import json
from functools import partial
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from rrdstore import interchange
from rrdstore.testing import FileHome, JournalledHome, MemoryHome, NarrowHome, SmallFileHome, StoreMachine
from rrdstore.testing.walk import walk


def dumped(store):
    lines: list[str] = []
    interchange.dump(store, lines.append)
    return lines


def said(lines):
    """What a dump says, but for what is another file's: its epoch, size and slots."""
    first, *others = map(json.loads, lines[:-1])
    return {**first, "epoch": 0, "size": 0, "slots": 0}, others


def tiers(store):
    """What the tiers of each branch know besides the commits that they keep."""
    return {name: line.rings.state() for name, line in store.ledger.history.names.items()}


class Restoring(StoreMachine):
    """A machine whose store is exchanged for what was restored of its dump."""

    files = FileHome

    @rule(to_file=st.booleans())
    def dump_and_restore(self, to_file):
        """Nothing is different afterwards but where it lives; what was open ended with the old store."""
        self.leave()
        old, left, lines, before = self.store, self.home, dumped(self.store), tiers(self.store)
        self.files = type(left) if isinstance(left, FileHome) else self.files
        self.home = self.files() if to_file else MemoryHome()
        self.home.clock = self.clock
        if to_file:
            self.store = interchange.restore(self.home.path, lines, self.home.size, clock=self.clock)
        else:
            self.store = interchange.load(lines, clock=self.clock)
            assert json.loads(dumped(self.store)[0])["epoch"] == json.loads(lines[0])["epoch"]
        self.configure()
        old.close()
        left.end()
        assert said(dumped(self.store)) == said(lines)
        assert tiers(self.store) == before
        self.everything_reads_as_it_did()


HOMES = [MemoryHome, JournalledHome, FileHome, NarrowHome, SmallFileHome]
STEP = {"dump_and_restore": (2, lambda random: {"to_file": random.random() < 0.3})}


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.__name__)
def test_a_restored_store_goes_on_beside_the_model(home):
    @settings(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate], print_blob=True,
              suppress_health_check=list(HealthCheck), deadline=None)  # fmt: skip
    @given(seed=st.integers(0, 1 << 32))
    def go(seed):
        walk(Restoring(home), Random(seed), 120, STEP)

    go()


def test_the_same_in_short():
    how = settings(max_examples=15, stateful_step_count=20, print_blob=True, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(partial(Restoring, JournalledHome), settings=how)
