"""The slewed clock: its formula, what a jump of the wall clock costs, and what a reopening does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.history.clock import Clock, RetentionClock, Stamp, SystemClock
from rrdstore.testing import ManualClock

SECOND = 1_000_000
DAY = 86_400 * SECOND
YEAR = 365 * DAY
START = 1_700_000_000 * SECOND


@dataclass
class Hands:
    """A clock whose hands are set by the test."""

    now: int = START
    since: int = 0

    def wall(self) -> int:
        return self.now

    def monotonic(self) -> int:
        return self.since

    def advance(self, micros: int) -> None:
        self.now += micros
        self.since += micros


def test_the_system_clock_is_a_clock() -> None:
    clock: Clock = SystemClock()
    first, second = clock.monotonic(), clock.monotonic()
    assert first <= second
    assert clock.wall() > 1_600_000_000 * SECOND


def test_while_the_clocks_agree_retention_time_is_the_time_of_day() -> None:
    hands = Hands()
    clock = RetentionClock(hands)
    assert clock.stamp() == Stamp(START, START)
    for step in (0, 1, 7, 3 * SECOND, YEAR):
        hands.advance(step)
        assert clock.stamp() == Stamp(hands.now, hands.now)


STEPS = st.lists(
    st.tuples(st.integers(0, 10 * DAY) | st.integers(0, 3), st.just(0) | st.integers(-10 * YEAR, 10 * YEAR))
)


@given(STEPS)
def test_the_formula(steps: list[tuple[int, int]]) -> None:
    """Against exact fractions, so that no half microsecond is lost however many commits there are."""
    hands = Hands()
    clock = RetentionClock(hands)
    last, before = Fraction(clock.stamp().rt), START
    for elapsed, jump in steps:
        hands.advance(elapsed)
        hands.now += jump
        stamp = clock.stamp()
        last = min(max(Fraction(hands.now), last + Fraction(elapsed, 2)), last + 2 * elapsed)
        assert stamp == Stamp(last // 1, hands.now)
        assert stamp.rt >= before
        before = stamp.rt


@given(st.integers(-10 * YEAR, 10 * YEAR), st.integers(1, DAY), st.integers(1, 50))
def test_a_jump_there_and_back_moves_borders_by_at_most_its_duration(jump: int, duration: int, commits: int) -> None:
    hands = Hands()
    clock = RetentionClock(hands)
    clock.stamp()
    hands.now += jump
    worst = 0
    for _ in range(commits):
        hands.advance(duration // commits)
        worst = max(worst, abs(clock.stamp().rt - (hands.now - jump)))
    hands.now -= jump
    for _ in range(2 * commits + 2):
        hands.advance(duration // commits + 1)
        worst = max(worst, abs(clock.stamp().rt - hands.now))
    assert worst <= duration
    assert clock.stamp().rt == hands.now


def test_a_wall_clock_that_is_behind_freezes_nothing_however_fast_the_commits() -> None:
    hands = Hands()
    clock = RetentionClock(hands)
    clock.stamp()
    hands.now -= YEAR
    for _ in range(1000):
        hands.advance(1)
        last = clock.stamp().rt
    assert last == START + 500


def test_asking_changes_nothing() -> None:
    hands = Hands()
    asked, left_alone = RetentionClock(hands), RetentionClock(hands)
    hands.now += YEAR
    for _ in range(5):
        hands.advance(SECOND)
        assert asked.now() == Stamp(START + 2 * (hands.since), hands.now)
    assert asked.stamp() == left_alone.stamp()


def test_reopened_after_a_while_it_goes_on_with_the_wall_clock() -> None:
    hands = Hands(START + YEAR)
    assert RetentionClock(hands, Stamp(START, START)).stamp() == Stamp(START + YEAR, START + YEAR)


def test_reopened_with_the_wall_clock_set_back_it_stands_and_then_slews() -> None:
    hands = Hands(START - YEAR)
    clock = RetentionClock(hands, Stamp(START, START))
    assert clock.stamp().rt == START
    hands.advance(10 * SECOND)
    assert clock.stamp().rt == START + 5 * SECOND


def test_reopened_while_ahead_of_the_wall_clock_it_goes_on_at_half_pace() -> None:
    hands = Hands(START + 10 * SECOND)
    clock = RetentionClock(hands, Stamp(START + DAY, START))
    assert clock.stamp().rt == START + DAY + 5 * SECOND


def test_the_time_while_closed_counts_once() -> None:
    hands = Hands(START + DAY)
    clock = RetentionClock(hands, Stamp(START + 100 * DAY, START))
    assert clock.stamp().rt == START + 100 * DAY + DAY // 2
    assert clock.stamp().rt == START + 100 * DAY + DAY // 2


def test_a_monotonic_clock_that_goes_back_is_taken_to_stand() -> None:
    hands = Hands(START, 10 * SECOND)
    clock = RetentionClock(hands)
    first = clock.stamp()
    hands.since = 0
    hands.now += SECOND
    assert clock.stamp().rt == first.rt


def test_a_stamp_that_came_to_nothing_is_as_none():
    manual = ManualClock()
    refused, other = RetentionClock(manual), RetentionClock(manual)
    manual.advance(5)
    refused.stamp()
    refused.unmade()
    manual.jump_wall(-7200)
    manual.advance(3)
    assert refused.stamp() == other.stamp()
