"""Policies and histories for property tests. Small numbers, so that slots fill and buckets collide."""

from __future__ import annotations

from hypothesis import strategies as st

from rrdstore.policy import Count, Every, Last, Policy, Spread, Step

SECOND = 1_000_000
DAY = 86_400 * SECOND


@st.composite
def rising(draw, first_step, factors, most):
    """(step, rows) pairs whose steps divide each other and whose spans rise."""
    pairs, step, span = [], first_step, 0
    for factor in draw(st.lists(factors, max_size=most)):
        step *= factor
        rows = span // step + draw(st.integers(1, 6))
        span = step * rows
        pairs.append((step, rows))
    return pairs


@st.composite
def policies(draw) -> Policy:
    """Any mixture of tiers that makes a policy."""
    tiers = []
    if draw(st.booleans()):
        tiers.append(Last(draw(st.integers(1, 6))))
    counts = draw(rising(1, st.integers(2, 4), 2))
    tiers += [Count(step, rows, draw(st.booleans())) for step, rows in counts]
    times = draw(rising(1, st.sampled_from([2, 3, 10, 60]), 3))
    tiers += [Every(Step(step, "s"), rows, draw(st.booleans())) for step, rows in times]
    if times == [] or times[-1][0] * times[-1][1] < 20 * 86_400:
        months = draw(rising(1, st.sampled_from([1, 2, 6, 12]).filter(bool), 2))
        months = [pair for i, pair in enumerate(months) if i == 0 or pair[0] > months[i - 1][0]]
        tiers += [Every(Step(step, "M"), rows, draw(st.booleans())) for step, rows in months]
    if draw(st.booleans()) or not tiers:
        tiers.append(Spread(draw(st.integers(1, 8))))
    return Policy(tuple(tiers))


@st.composite
def histories(draw, most: int = 60) -> list[tuple[int, int]]:
    """(retention time, number) in order: bursts, pauses, equal times, sometimes before the epoch."""
    gap = st.one_of(st.just(0), st.integers(1, 3 * SECOND), st.integers(1, 90 * SECOND), st.integers(1, 40 * DAY))
    rt = draw(st.sampled_from([0, -100 * DAY, 1_700_000_000 * SECOND, 946_684_799 * SECOND]))
    number = draw(st.sampled_from([1, 1_000_003]))
    commits = []
    for step, jump in draw(st.lists(st.tuples(gap, st.integers(1, 3)), min_size=1, max_size=most)):
        rt, number = rt + step, number + jump
        commits.append((rt, number))
    return commits
