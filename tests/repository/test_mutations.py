"""Every rule that bench breaks on purpose can still be broken: the text that a mutation changes is there, once.

Whether a test catches each is what bench/mutants.py, bench/attacks.py and bench/takeovers.py show, in half an hour.
"""

import pytest

from bench.attacks import ATTACKS, missing
from bench.mutants import check
from bench.mutations import MUTATIONS
from bench.takeovers import TAKEOVERS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.rule}: {mutation.name}")
def test_a_mutation_of_the_engine_can_be_made(mutation):
    check(mutation)


@pytest.mark.parametrize("attack", [*ATTACKS, *TAKEOVERS], ids=lambda attack: attack.name)
def test_a_mutation_of_the_daemon_can_be_made(attack):
    assert missing(attack) == ""
