"""The oracle itself, held to small cases worked out by hand and to what it promises of any case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.policy import Policy, Reason, parse, plan
from tests.policy.strategies import SECOND, histories, policies

MINUTE = 60 * SECOND


def seconds(*times: int) -> list[tuple[int, int]]:
    """Commits at these seconds, numbered by them."""
    return [(time * SECOND, time) for time in times]


KEPT = [
    # policy, seconds of the commits, what stays
    ("last:2", [1, 2, 3], [2, 3]),
    ("1m:2", [0, 10, 70, 80, 130, 140], [80, 140]),
    ("1m:2@first", [0, 10, 70, 80, 130, 140], [70, 130]),
    ("1m:2", [0, 10, 500], [500]),  # bucket 8 takes ring position 0, which bucket 0 had
    ("1m:3", [0, 10, 500], [10, 500]),
    ("10c:2", [5, 9, 12, 25], [12, 25]),
    ("10c:2@first", [5, 9, 12, 13, 25], [12, 25]),
    ("*:2", [0, 1, 2, 3], [0, 1, 3]),
    ("*:2", [0, 1, 2, 3, 4], [0, 3, 4]),
    ("*:1", [3, 5], [3, 5]),
    ("*:1", [-2, 5], [-2, 5]),
    ("last:1 1m:2 *:1", [0, 30, 61, 62], [0, 30, 62]),
]


@pytest.mark.parametrize(("policy", "times", "stays"), KEPT)
def test_what_stays(policy: str, times: list[int], stays: list[int]) -> None:
    assert sorted(plan(parse(policy), seconds(*times)).keep) == stays


def test_months_and_years() -> None:
    january, february, leap_day, march = 0, 2_678_400, 68_169_600, 68_256_000  # of 1970, 1970, 1972, 1972
    commits = seconds(january, february - 1, february, leap_day, march - 1, march)
    assert sorted(plan(parse("1M:30M"), commits).keep) == [february - 1, february, march - 1, march]
    assert sorted(plan(parse("1y:9y@first"), commits).keep) == [january, leap_day]


def test_what_is_always_kept_keeps_its_reasons_beside_the_tiers() -> None:
    result = plan(parse("last:2 1m:3"), seconds(0, 50, 55, 70, 130, 131), {50: "tag v1", 55: "pin", 999: "head of x"})
    assert result.keep[50] == (Reason("tag v1"),)
    assert result.keep[55] == (Reason("1m:3m", 0, MINUTE, until=3 * MINUTE), Reason("pin"))
    assert sorted(result.keep) == [50, 55, 70, 130, 131]
    assert result.drop == {0: 55}


REASONS = [
    # policy, seconds, which commit, its reasons
    ("last:3", [1, 2], 1, [Reason("last:3", commits=2)]),
    ("last:3", [1, 2], 2, [Reason("last:3", commits=3)]),
    ("1m:3", [10, 70], 10, [Reason("1m:3m", 0, MINUTE, until=3 * MINUTE)]),
    ("1m:3", [10, 70], 70, [Reason("1m:3m", MINUTE, 2 * MINUTE, commits=1)]),
    ("1m:3@first", [10, 70], 70, [Reason("1m:3m@first", MINUTE, 2 * MINUTE, until=4 * MINUTE)]),
    ("10c:3", [5, 17], 5, [Reason("10c:3", commits=13)]),
    ("10c:3", [5, 17], 17, [Reason("10c:3", commits=1)]),
    ("10c:3@first", [5, 17], 17, [Reason("10c:3@first", commits=23)]),
    # Two buckets in use, at 0 and 2; a third row is free, so buckets 3 and 4 have to come.
    ("*:3", [0, 2], 0, [Reason("*:3, the first of all"), Reason("*:3", 0, SECOND, until=4 * SECOND)]),
    ("*:3", [0, 2], 2, [Reason("*:3", 2 * SECOND, 3 * SECOND, commits=1)]),
]


@pytest.mark.parametrize(("policy", "times", "which", "reasons"), REASONS)
def test_reasons(policy: str, times: list[int], which: int, reasons: list[Reason]) -> None:
    assert plan(parse(policy), seconds(*times)).keep[which] == tuple(reasons)


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Reason("tag v1"), "tag v1"),
        (Reason("last:3", commits=1), "last:3 until the next commit at the earliest"),
        (Reason("10c:3", commits=13), "10c:3 until 13 more commits at the earliest"),
        (
            Reason("1m:3m", 0, MINUTE, until=3 * MINUTE),
            "1m:3m [1970-01-01 00:00:00Z to 1970-01-01 00:01:00Z) until 1970-01-01 00:03:00Z at the earliest",
        ),
        (Reason("1y:9000y", until=1 << 62), "1y:9000y until @4611686018427 at the earliest"),
    ],
)
def test_a_reason_is_a_sentence(reason: Reason, sentence: str) -> None:
    assert str(reason) == sentence


@given(policies(), histories(), st.sets(st.integers(0, 60)))
def test_keep_and_drop_are_disjoint_and_complete(
    policy: Policy, commits: list[tuple[int, int]], indexes: set[int]
) -> None:
    always = {commits[index][1]: "tag" for index in indexes if index < len(commits)}
    result = plan(policy, commits, always)
    assert result.keep.keys() | result.drop.keys() == {number for _, number in commits}
    assert not result.keep.keys() & result.drop.keys()
    assert all(result.keep.values())
    tiers_keep = {number for picks in result.picks for _, number in picks}
    assert result.keep.keys() == tiers_keep | always.keys()
    assert set(result.drop.values()) <= tiers_keep
    assert len(result.keep) <= policy.slots + len(always)


@given(policies(), histories())
def test_planning_again_what_is_kept_drops_nothing(policy: Policy, commits: list[tuple[int, int]]) -> None:
    """Idempotent but for the spread, whose step may be finer for fewer commits, and keep more: never less."""
    kept = plan(policy, commits).keep
    assert not plan(policy, [commit for commit in commits if commit[1] in kept]).drop


def test_the_winner_is_the_nearest_of_those_that_hold_its_slots() -> None:
    # Commit 5 lost minute 0 to 50, and its hour to 3000: 50 is nearer.
    assert plan(parse("1m:60 1h:90"), seconds(5, 50, 3000)).drop == {5: 50}


def test_nothing_to_plan() -> None:
    result = plan(parse("last:2 1m:1h"), [])
    assert (result.keep, result.drop, result.picks) == ({}, {}, ((), ()))
