"""Replays against the batch plan, and forecasts against runs at the pace they are for."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdstore.policy import DEFAULT, Policy, Rings, forecast, parse, plan, replay
from tests.policy.strategies import DAY, SECOND, histories, policies

NOW = 1_767_225_600 * SECOND  # 2026-01-01


@given(policies(), histories())
def test_a_replay_is_the_plan_of_the_whole_history(policy, commits):
    made = replay(policy, reversed(commits))
    expected = plan(policy, commits)
    assert {number for _, number in made.kept} == set(expected.keep)
    assert made.picks == expected.picks
    assert (made.commits, made.first, made.last) == (len(commits), min(commits)[0], max(commits)[0])
    assert len(made.kept) <= made.most <= policy.slots
    most = max(len(plan(policy, commits[:count]).keep) for count in range(1, len(commits) + 1))
    assert made.most == most


@given(policies(), histories())
def test_the_gaps_told_are_the_largest_that_lost_something(policy, commits):
    made = replay(policy, commits)
    borders = sorted({*made.kept, commits[0], commits[-1]})
    expected = []
    for before, after in pairwise(borders):
        inside = [commit for commit in commits if before <= commit < after or commit == after == commits[-1]]
        dropped = sum(commit not in made.kept for commit in inside)
        if dropped:
            expected.append((after[0] - before[0], dropped))
    told = [(gap.end - gap.start, gap.dropped) for gap in made.gaps]
    assert [length for length, _ in told] == sorted((length for length, _ in expected), reverse=True)[:5]
    assert set(told) <= set(expected)
    assert sum(dropped for _, dropped in expected) == made.commits - len(made.kept)


def test_nothing_made_is_nothing_kept():
    made = replay(parse("last:3 1m:1h"), [])
    assert (made.commits, made.kept, made.most, made.first, made.last, made.reach, made.gaps) == (
        0,
        (),
        0,
        None,
        None,
        0,
        (),
    )
    assert len(made.lines(20)) == 4


def test_a_replay_is_drawn_one_line_a_tier_and_all_together():
    made = replay(parse("last:3 1m:10m"), [(NOW + second * SECOND, second) for second in range(0, 600, 7)])
    lines = made.lines(30, ascii_only=True)
    assert [line.split()[0] for line in lines[:3]] == ["last:3", "1m:10m", "together"]
    assert lines[2].split()[2] == f"{len(made.kept)}/13"
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("every", [3, 61, 922, 28_800])
@pytest.mark.parametrize("text", [DEFAULT, "last:10 1m:1h 1h:2d", "4c:10 64c:20", "last:5 1h:1d", "last:3 *:8"])
def test_what_is_foreseen_at_a_pace_is_what_a_run_at_that_pace_keeps(text, every):
    """Commits at irregular times, `every` seconds on average, till all tiers are full; then what is kept on average."""
    policy, chance = parse(text), Random(7)
    made = forecast(policy, 100, tree=5000, every=every * SECOND)
    full = int(max((tier.covers or 0) for tier in made.tiers) / (every * SECOND)) * 2 + 2_000
    if full > 25_000:
        return  # years at seconds apart
    rings, rt, kept = Rings(policy), NOW, []
    for number in range(1, full + 2_001):
        rt += int(chance.expovariate(1 / every) * SECOND) + 1
        rings.offer(rt, number)
        if number > full and not number % 50:
            kept.append(len(rings.kept))
    assert [fill.used for fill, tier in zip(rings.fill(), made.tiers, strict=True) if tier.covers] == [
        tier.slots for tier in made.tiers if tier.covers
    ], "in the long run every slot is in use"
    average = sum(kept) / len(kept)
    assert abs(made.kept - average) < 2 + 0.05 * average
    assert made.expected == 5000 + 100 * made.kept
    assert made.bytes == 5000 + 100 * policy.slots


@settings(max_examples=60)
@given(policies(), st.integers(-(10**15), 4 * 10**15))
def test_since_is_the_border_of_the_oldest_bucket_by_the_calendar(policy: Policy, now: int):
    for tier, of in zip(forecast(policy, now=now).tiers, policy.tiers, strict=True):
        if tier.reach is None:
            assert tier.since is None
            continue
        assert tier.since is not None
        step = of.step
        assert step.bucket(now) - step.bucket(tier.since) == of.rows - 1
        assert step.start(step.bucket(tier.since)) == tier.since


def test_since_of_months_and_years():
    def since(text: str, year: int) -> int | None:
        return forecast(parse(text), now=year).tiers[0].since

    leap = 1_709_208_000 * SECOND  # 2024-02-29T12:00Z
    assert since("1M:1y", leap) == 1_677_628_800 * SECOND  # 2023-03-01
    assert since("1y:5y", leap) == 1_577_836_800 * SECOND  # 2020-01-01
    assert since("1d:2d", leap) == 1_709_078_400 * SECOND  # 2024-02-28
    assert since("1d:2d", leap + DAY) == 1_709_164_800 * SECOND  # 2024-02-29, the day before March


@pytest.mark.parametrize("wrong", [{"bytes_per_commit": -1}, {"tree": -1}, {"every": 0}])
def test_a_forecast_of_what_cannot_be(wrong):
    with pytest.raises(ValueError, match="expected at least"):
        forecast(parse("last:1"), **wrong)
