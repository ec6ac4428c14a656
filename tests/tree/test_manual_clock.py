"""The manual clock of the shipped test kit."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from rrdstore.testing import START, ManualClock


def test_it_stands_still_until_it_is_told() -> None:
    clock = ManualClock()
    assert [clock.wall(), clock.wall(), clock.monotonic(), clock.monotonic()] == [START, START, 0, 0]
    assert datetime.fromtimestamp(START / 1_000_000, UTC) == datetime(2026, 1, 1, tzinfo=UTC)


def test_time_that_passes_counts_for_both_and_a_jump_for_one() -> None:
    clock = ManualClock(start=5)
    clock.advance(1.5)
    assert (clock.wall(), clock.monotonic()) == (1_500_005, 1_500_000)
    clock.jump_wall(-2)
    assert (clock.wall(), clock.monotonic()) == (-499_995, 1_500_000)
    clock.jump_wall(3600)
    clock.advance(0.000001)
    assert (clock.wall(), clock.monotonic()) == (3_599_500_006, 1_500_001)


def test_time_does_not_pass_backwards() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="forwards"):
        clock.advance(-1)
    assert (clock.wall(), clock.monotonic()) == (START, 0)


@given(st.lists(st.integers(0, 10**6)))
def test_many_small_steps_lose_nothing(steps: list[int]) -> None:
    clock = ManualClock()
    for step in steps:
        clock.advance(step / 1_000_000)
    assert clock.monotonic() == sum(steps) == clock.wall() - START


def test_a_store_takes_its_time_from_it() -> None:
    clock = ManualClock()
    with rrdstore.memory(clock=clock) as store:
        clock.advance(90)
        commit = store.branch("main").set("/a", b"1")
    assert commit.wall == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)
