"""Bisection over thinned history, against looking at every commit."""

from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from rrdstore.testing import ManualClock
from xsadapter.demo.bisection import bisect


def history(steps: list[int], wrong: int, keep: str) -> rrdstore.Store:
    """A store in which the key goes wrong at the given of its commits, `steps` seconds apart."""
    clock = ManualClock()
    store = rrdstore.memory(keep, clock=clock)
    for index, step in enumerate(steps):
        clock.advance(step)
        store.branch("main").set("/key" if index == wrong else "/other", b"bad")
    return store


@given(st.data(), st.sampled_from(["last:3 *:8", "last:1 10s:1m *:4", "1s:2s *:2", "last:256"]))
def test_the_break_lies_in_the_interval_and_it_is_the_least_that_is_known(data, keep):
    steps = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=120))
    wrong = data.draw(st.integers(0, len(steps) - 1))
    with history(steps, wrong, keep) as store:
        main = store.branch("main")
        commits = [*main.log()][::-1]
        asked = []

        def is_broken(commit: rrdstore.Commit) -> bool:
            asked.append(commit)
            return "/key" in store.tree(commit)

        found = bisect(commits, is_broken)
        # The store's own commit has number 1.
        assert found.holds(wrong + 2)
        assert found.candidates == found.broken.number - found.good.number
        assert found.broken == next(commit for commit in commits if "/key" in store.tree(commit))
        assert commits.index(found.broken) == commits.index(found.good) + 1
        assert len(found.questions) <= ceil(log2(len(commits)))
        assert len(asked) == len(found.questions) + 2
        assert [question.left for question in found.questions] == sorted(
            (question.left for question in found.questions), reverse=True
        )


def test_a_kept_commit_is_found_exactly():
    with history([1] * 50, 20, "last:256") as store:
        found = bisect([*store.branch("main").log()][::-1], lambda commit: "/key" in store.tree(commit))
        assert (found.broken.number, found.candidates) == (22, 1)
        assert not found.holds(21)
        assert not found.holds(23)


@pytest.mark.parametrize(("first", "last"), [(True, True), (False, False), (True, False)])
def test_without_a_good_beginning_and_a_broken_end_it_is_refused(first, last):
    with history([1], 0, "last:8") as store:
        old, new = [*store.branch("main").log()][::-1]
        with pytest.raises(ValueError, match="the first of them good and the last broken"):
            bisect([old, new], {old: first, new: last}.__getitem__)
        with pytest.raises(ValueError, match="at least two commits"):
            bisect([new], lambda _: True)
