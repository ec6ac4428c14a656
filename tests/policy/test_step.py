"""Buckets against Python's own calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.policy import Step

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes naive bounds
STEPS = st.builds(Step, st.integers(1, 40), st.sampled_from("smhdwMy"))


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(MOMENTS)
def test_months_and_years_follow_the_calendar(moment: datetime) -> None:
    rt = micros(moment)
    assert Step(1, "M").bucket(rt) == (moment.year - 1970) * 12 + moment.month - 1
    assert Step(1, "y").bucket(rt) == moment.year - 1970
    assert Step(1, "M").start(Step(1, "M").bucket(rt)) == micros(
        moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    )


@given(STEPS, st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_moment_lies_in_its_bucket_and_in_no_other(step: Step, rt: int) -> None:
    bucket = step.bucket(rt)
    assert step.start(bucket) <= rt < step.start(bucket + 1)
    assert step.bucket(step.start(bucket)) == bucket
    assert step.bucket(step.start(bucket) - 1) == bucket - 1


@given(STEPS)
def test_bucket_zero_begins_at_the_epoch(step: Step) -> None:
    assert step.start(0) == 0


@pytest.mark.parametrize(
    ("count", "unit", "text"),
    [(60, "s", "1m"), (90, "s", "90s"), (48, "h", "2d"), (14, "d", "2w"), (24, "M", "2y"), (30, "d", "30d")],
)
def test_a_step_is_normalised(count: int, unit: str, text: str) -> None:
    assert str(Step(count, unit)) == text


@pytest.mark.parametrize(("count", "unit"), [(0, "s"), (-1, "m"), (1, "c"), (1, "")])
def test_no_step(count: int, unit: str) -> None:
    with pytest.raises(ValueError, match="no step"):
        Step(count, unit)


@given(MOMENTS, st.integers(1, 400))
def test_steps_of_several_months_begin_on_the_first_of_a_month_of_datetime(moment: datetime, count: int) -> None:
    step, rt = Step(count, "M"), micros(moment)
    months = (moment.year - 1970) * 12 + moment.month - 1
    bucket = step.bucket(rt)
    assert bucket == months // count
    year, month = divmod(bucket * count, 12)
    if 1 <= 1970 + year <= 9999:
        assert step.start(bucket) == micros(datetime(1970 + year, month + 1, 1, tzinfo=UTC))


@given(st.integers(1, 9998))
def test_a_year_has_its_leap_day_and_a_february_its_end(year: int) -> None:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    one, month = Step(1, "y"), Step(1, "M")
    assert one.start(year - 1969) - one.start(year - 1970) == (365 + leap) * 86_400_000_000
    february = (year - 1970) * 12 + 1
    assert month.start(february + 1) - month.start(february) == (28 + leap) * 86_400_000_000
