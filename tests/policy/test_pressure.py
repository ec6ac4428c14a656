"""Byte pressure, tombstones, and going on from stored state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import Corrupt
from rrdstore.policy import Policy, Rings, parse, plan
from rrdstore.policy.tiers import state_limit
from tests.policy.strategies import SECOND, histories, policies


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[int, int] | str]:
    """Commits in an order that is mostly right, and moments of pressure between them."""
    commits = draw(histories(40))
    late = draw(st.sets(st.sampled_from(commits), max_size=8))
    events: list[tuple[int, int] | str] = []
    for commit in [*(c for c in commits if c not in late), *draw(st.permutations(sorted(late)))]:
        events.append(commit)
        events += ["relieve"] * draw(st.sampled_from([0, 0, 0, 1, 3]))
    return events


def live(rings: Rings, events: list[tuple[int, int] | str]) -> list[object]:
    """What each event gave; the newest commit is protected, as a head is."""
    seen: list[tuple[int, int]] = [(key) for picks in rings.picks() for key in picks]
    results: list[object] = []
    for event in events:
        if isinstance(event, str):
            results.append(rings.relieve({max(seen)[1]} if seen else set()))
        else:
            seen.append(event)
            results.append(set(rings.offer(*event)))
    return results


@given(policies(), lives(), st.data())
def test_restored_rings_go_on_as_if_never_stopped(
    policy: Policy, events: list[tuple[int, int] | str], data: st.DataObject
) -> None:
    middle = data.draw(st.integers(0, len(events)))
    rings = Rings(policy)
    live(rings, events[:middle])
    offered = [event for event in events[:middle] if not isinstance(event, str)]
    state = rings.state()
    assert len(state) <= state_limit(policy)
    times = {number: rt for rt, number in offered}
    # A store keeps more than the tiers ask for: tags, pins, other branches' fork points.
    besides = data.draw(st.sets(st.sampled_from(offered))) if offered else set()
    restored = Rings.restore(policy, state, {(times[number], number) for number in rings.kept} | besides)
    assert set(restored.kept) >= set(rings.kept)
    if not besides:
        assert set(restored.kept) == set(rings.kept)
    assert restored.picks() == rings.picks()
    assert restored.state() == state
    assert live(restored, events[middle:]) == live(rings, events[middle:])
    assert restored.picks() == rings.picks()
    assert restored.state() == rings.state()


@given(policies(), lives())
def test_pressure_frees_what_it_says_and_the_bound_holds(policy: Policy, events: list[tuple[int, int] | str]) -> None:
    rings, kept = Rings(policy), set()
    for event, result in zip(events, live(rings, events), strict=True):
        if isinstance(event, str):
            if result is not None:
                assert result in kept
                kept.discard(result)
        else:
            kept.add(event[1])
            kept -= result
        assert len(kept) <= policy.slots
    assert kept == set(rings.kept)


@given(policies(), histories(), st.data())
def test_what_pressure_took_never_comes_back(
    policy: Policy, commits: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Not by being offered again, nor does a late commit get a slot that the lost pick would have refused it."""
    late = data.draw(st.sets(st.sampled_from(commits), max_size=10))
    rings = Rings(policy)
    for commit in commits:
        if commit not in late:
            rings.offer(*commit)
    lost = {rings.relieve(()) for _ in range(data.draw(st.integers(1, 5)))}
    for commit in data.draw(st.permutations(commits)):
        rings.offer(*commit)
    assert not lost & set(rings.kept)
    for picks, unpressed in zip(rings.picks(), plan(policy, commits).picks, strict=True):
        assert set(picks) <= set(unpressed)


@given(policies(), histories())
def test_pressure_ends_with_only_the_protected(policy: Policy, commits: list[tuple[int, int]]) -> None:
    rings = Rings(policy)
    for commit in commits:
        rings.offer(*commit)
    protected = set(rings.kept) & {number for _, number in commits[::3]}
    freed = []
    while (number := rings.relieve(protected)) is not None:
        freed.append(number)
    assert set(rings.kept) == protected
    assert len(set(freed)) == len(freed)


def test_pressure_takes_the_smallest_relative_gap_of_the_fullest_tier() -> None:
    rings = Rings(parse("last:2 1m:10"))
    for number, minute in enumerate([0, 10, 20, 21, 22, 29]):
        rings.offer(minute * 60 * SECOND, number)
    # Minute 21 leaves 2 minutes between its neighbours, 8 minutes ago; 22 would leave 8, 7 ago; 20 11, 9 ago.
    # Minutes 0, 10 and 20 share ring position 0, so 20 is the tier's oldest and goes last.
    assert [number for _, number in rings.picks()[1]] == [2, 3, 4, 5]
    assert rings.relieve({5}) == 3
    assert rings.fill()[1].used == 3


def test_a_tombstone_yields_to_newer_commits() -> None:
    rings = Rings(parse("1m:3"))
    for number in range(3):
        rings.offer(number * 60 * SECOND, number)
    assert rings.relieve({2}) == 1
    assert rings.offer(60 * SECOND - 1, 7) == (0,)  # bucket 0: an ordinary late commit, and later than 0
    assert rings.offer(60 * SECOND, 0) == (0,)  # bucket 1, but before the pick that was lost
    assert rings.offer(61 * SECOND, 8) == ()  # bucket 1, after it
    assert len(rings.state()) == 26


def test_a_tombstone_in_a_first_tier_closes_its_bucket() -> None:
    rings = Rings(parse("1m:3@first"))
    for number, second in enumerate([10, 70, 130]):
        rings.offer(second * SECOND, number)
    assert rings.relieve({2}) == 1
    assert rings.offer(65 * SECOND, 7) == (7,)  # before the pick that was lost, and late
    assert rings.offer(75 * SECOND, 8) == (8,)
    assert rings.offer(245 * SECOND, 9) == ()  # the next commit of that ring position
    assert len(rings.state()) == 26


def test_the_step_of_a_spread_is_remembered() -> None:
    """Its picks alone would fit a finer step, and then the spread would double later than it should."""
    policy = parse("*:3")
    rings = Rings(policy)
    for second in range(4):
        rings.offer(second * SECOND, second)
    assert set(rings.kept) == {0, 1, 3}
    picks = [(second * SECOND, second) for second in (0, 1, 3)]
    assert Rings.restore(policy, rings.state(), picks).state() == rings.state()
    assert Rings.restore(policy, b"", picks).state() != rings.state()


def test_without_state_a_changed_policy_starts_from_what_is_kept() -> None:
    commits = [(second * SECOND, second) for second in range(500)]
    old = Rings(parse("last:100 1m:1h"))
    for commit in commits:
        old.offer(*commit)
    kept = [commit for commit in commits if old.holds(commit[1])]
    policy = parse("last:10 1m:1h *:4")
    assert set(Rings.restore(policy, b"", kept).kept) == set(plan(policy, kept).keep)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda state: state[:-1], "42 bytes"),
        (lambda state: state[:10], "10 bytes"),
        (lambda state: b"\x02" + state[1:], "version 2"),
        (lambda state: state[:1] + bytes(4) + state[5:], "policy 00000000"),
        (lambda state: state[:26] + b"\x05" + state[27:], "tier 5"),
        (lambda state: state[:26] + b"\x80" + state[27:], "on the first commit of last:5"),
    ],
)
def test_spoilt_state_is_refused(spoil, found: str) -> None:
    policy = parse("last:5")
    rings = Rings(policy)
    for number in range(5):
        rings.offer(number, number)
    rings.relieve({4})
    with pytest.raises(Corrupt) as caught:
        Rings.restore(policy, spoil(rings.state()), [])
    assert found in caught.value.found


@given(policies(), policies(), lives())
def test_fitted_rings_hold_what_the_plan_keeps_of_what_is_left(
    policy: Policy, other: Policy, events: list[tuple[int, int] | str]
) -> None:
    rings = Rings(policy)
    live(rings, events)
    kept = {key for picks in rings.picks() for key in picks}
    fitted = Rings.fitted(other, kept, rings)
    expected = plan(other, kept)
    assert set(fitted.kept) == set(expected.keep)
    assert fitted.picks() == expected.picks
    assert len(fitted.state()) <= state_limit(other)
    again = Rings.restore(other, fitted.state(), kept)
    assert (again.picks(), again.state()) == (fitted.picks(), fitted.state())


def test_what_pressure_took_does_not_come_back_with_another_policy() -> None:
    minute = 60 * SECOND
    rings = Rings(parse("1m:10m"))
    for number in range(10):
        rings.offer(number * minute, number + 1)
    taken = [rings.relieve({10}) for _ in range(5)]
    kept = {key for picks in rings.picks() for key in picks}
    for policy in ("1m:20m", "last:20 1m:10m", "*:12", "1m:10m@first"):
        fitted = Rings.fitted(parse(policy), kept, rings)
        for number in taken:
            assert number is not None
            fitted.offer((number - 1) * minute, number)
        assert set(fitted.kept) == {number for _, number in kept}, policy
