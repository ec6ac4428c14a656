"""The incremental rings against `plan()`, which computes the same from the definitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.policy import DEFAULT, Policy, Rings, parse, plan
from tests.policy.strategies import SECOND, histories, policies


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, int]]:
    """A history as replicas might bring it: some late, some twice, or in no order at all."""
    commits = draw(histories())
    match draw(st.sampled_from(["in order", "shuffled", "late", "twice"])):
        case "shuffled":
            return draw(st.permutations(commits))
        case "late":
            late = draw(st.sets(st.sampled_from(commits)))
            return [c for c in commits if c not in late] + sorted(late) + commits[-1:]
        case "twice":
            return [c for commit in commits for c in [commit, *draw(st.lists(st.sampled_from(commits), max_size=1))]]
    return commits


def check(rings: Rings, policy: Policy, offered: list[tuple[int, int]]) -> None:
    expected = plan(policy, offered)
    assert set(rings.kept) == set(expected.keep)
    assert rings.picks() == expected.picks


@given(policies(), arrivals())
def test_rings_keep_what_the_plan_keeps_at_every_instant(policy: Policy, offered: list[tuple[int, int]]) -> None:
    rings, kept = Rings(policy), set()
    for count, (rt, number) in enumerate(offered, 1):
        gone = rings.offer(rt, number)
        assert len(set(gone)) == len(gone)
        kept.add(number)
        kept.difference_update(gone)
        assert kept == set(rings.kept) == set(plan(policy, offered[:count]).keep)
        assert len(kept) <= policy.slots
        assert rings.holds(number) == (number not in gone)


@given(policies(), arrivals())
def test_slots_agree_with_the_plan(policy: Policy, offered: list[tuple[int, int]]) -> None:
    rings = Rings(policy)
    for rt, number in offered:
        rings.offer(rt, number)
    check(rings, policy, offered)
    for fill, picks in zip(rings.fill(), rings.picks(), strict=True):
        assert 0 <= fill.used <= fill.rows
        assert (fill.oldest, fill.newest) == ((picks[0][0], picks[-1][0]) if picks else (None, None))


@given(policies(), histories(), st.data())
def test_order_means_nothing(policy: Policy, commits: list[tuple[int, int]], data: st.DataObject) -> None:
    one, other = Rings(policy), Rings(policy)
    for commit in commits:
        one.offer(*commit)
    for commit in data.draw(st.permutations(commits)):
        other.offer(*commit)
    assert one.picks() == other.picks()
    assert set(one.kept) == set(other.kept)
    assert one.state() == other.state()


@given(policies(), arrivals(), st.sets(st.integers(0, 200)))
def test_looking_changes_nothing(policy: Policy, offered: list[tuple[int, int]], looks: set[int]) -> None:
    """Looking settles the lazily held newest commit; what follows must not notice."""
    looked, left_alone = Rings(policy), Rings(policy)
    for index, commit in enumerate(offered):
        assert set(looked.offer(*commit)) == set(left_alone.offer(*commit))
        if index in looks:
            looked.fill()
            looked.reasons(commit[1])
    assert looked.picks() == left_alone.picks()


@given(policies(), arrivals())
def test_reasons_agree_with_the_plan(policy: Policy, offered: list[tuple[int, int]]) -> None:
    rings = Rings(policy)
    for commit in offered:
        rings.offer(*commit)
    expected = plan(policy, offered)
    for _, number in offered:
        assert rings.reasons(number) == expected.keep.get(number, ())


@given(policies(), histories())
def test_a_reason_never_promises_too_much(policy: Policy, commits: list[tuple[int, int]]) -> None:
    """What has a reason stays at least as long as it says, whatever comes, if it comes in order."""
    rings, promises = Rings(policy), {}
    for rt, number in commits:
        for gone in rings.offer(rt, number):
            until, more = promises.pop(gone, (rt, number))
            assert until is None or rt >= until
            assert more is None or number >= more
        for kept in rings.kept:
            best = promises.get(kept, (None, None))
            for reason in rings.reasons(kept):
                if reason.until is not None:
                    best = (max(reason.until, best[0] or reason.until), best[1])
                if reason.commits is not None:
                    best = (best[0], max(number + reason.commits, best[1] or 0))
            promises[kept] = best


@given(policies(), histories(), st.integers(1, 4000 * 86_400 * SECOND))
def test_an_idle_store_loses_nothing(policy: Policy, commits: list[tuple[int, int]], idle: int) -> None:
    """However long the pause, the next commit takes at most one slot of each tier, and the spread may double."""
    rings = Rings(policy)
    for commit in commits:
        rings.offer(*commit)
    before = rings.picks()
    rings.offer(commits[-1][0] + idle, commits[-1][1] + 1)
    for tier, old, new in zip(policy.tiers, before, rings.picks(), strict=True):
        if not str(tier).startswith("*"):
            assert len(set(old) - set(new)) <= 1


def test_ten_years_one_commit_a_minute_reach_four_weeks() -> None:
    """Aligned buckets do not starve: a 24x1h 30x1d grid reaches 29 days back, where sliding ones reach one.

    Sampled: a minute each in the last 70 days only, a commit in 7 hours before.
    """
    rings = Rings(parse("24x1h 30x1d"))
    year = 365 * 86_400
    times = [*range(0, 10 * year - 70 * 86_400, 7 * 3600), *range(10 * year - 70 * 86_400, 10 * year, 60)]
    for number, second in enumerate(times):
        rings.offer(second * SECOND, number)
        if number % 1000 == 0:
            assert len(rings.kept) <= 54
    hours, days = rings.fill()
    now = times[-1] * SECOND
    assert (hours.used, days.used) == (24, 30)
    assert now - days.oldest >= 28 * 86_400 * SECOND
    assert now - hours.oldest >= 22 * 3600 * SECOND


def test_the_default_policy_fills_to_its_bound_and_no_further() -> None:
    policy = parse(DEFAULT)
    rings, number, rt = Rings(policy), 0, 1_600_000_000 * SECOND
    gaps = [(400, 86_400), (100, 3600), (200, 60), (400, 1), (400, 0)]
    for commits, gap in gaps:
        for _ in range(commits):
            rt, number = rt + gap * SECOND + 1, number + 1
            rings.offer(rt, number)
            assert len(rings.kept) <= policy.slots
    assert [fill.used for fill in rings.fill()][:5] == [256, 300, 120, 48, 30]
