"""The tests can fail: two rules broken on purpose, of those of bench/mutants.py, which breaks all of them."""

import pytest

import rrdstore
from bench.mutants import caught, check, copied, failing
from bench.mutations import MUTATIONS


@pytest.mark.skipif(rrdstore.BUILD == "compiled", reason="compiled, a source that is changed changes nothing")
@pytest.mark.parametrize("name", ["the largest gap goes first", "time stands still while the wall clock is behind"])
def test_a_rule_that_is_broken_fails_a_test(name):
    mutation = next(each for each in MUTATIONS if each.name == name)
    _, by_rule = caught(mutation, machine=False)
    assert by_rule.startswith(("policy/", "history/"))


def test_and_one_that_is_not_fails_none(tmp_path):
    copied(None, tmp_path)
    assert failing(tmp_path, ["history/test_clock.py"]) == ""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_what_a_mutation_changes_is_there(mutation):
    check(mutation)


def test_every_rule_is_broken():
    assert {each.rule for each in MUTATIONS} == set(range(1, 13))
