"""A few thousand malformed inputs of each of some seeds; bench/fuzz.py does millions."""

import random

import pytest

from tests.security.mutations import World


@pytest.mark.parametrize("seed", range(4))
def test_malformed_inputs(seed):
    world = World(random.Random(seed))
    for at in range(1500):
        world.once()
        if at % 300 == 299:
            world.check()
    world.close()
