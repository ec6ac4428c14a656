"""The whole facade at random against the unbounded model, on every storage: short and shrunk, long and seeded."""

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.store.homes import HOMES
from tests.store.machine import StoreMachine
from tests.store.wander import wander

SHORT = {"memory": 30, "journalled": 30, "file": 8}
LONG = {"memory": 6, "journalled": 8, "file": 5}
MACHINES = {name: type(name.title(), (StoreMachine,), {"home": home}) for name, home in HOMES.items()}


@pytest.mark.parametrize("storage", sorted(MACHINES))
def test_a_store_is_its_model(storage):
    run_state_machine_as_test(
        MACHINES[storage],
        settings=settings(max_examples=SHORT[storage], stateful_step_count=30, print_blob=True),
    )


@pytest.mark.parametrize("storage", sorted(MACHINES))
def test_and_stays_it_for_long(storage):
    @settings(max_examples=LONG[storage], phases=[Phase.explicit, Phase.reuse, Phase.generate], print_blob=True)
    @given(seed=st.integers(0, 1 << 32))
    def go(seed):
        wander(MACHINES[storage](), Random(seed), 200)

    go()
