"""The spelling of restic and borg against restic's documented procedure, done here on its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rrdstore.errors import PolicyError
from rrdstore.policy import Spelling, parse, plan, spelled

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PERIOD = {
    "hourly": lambda time: (time.date(), time.hour),
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: time.year,
}


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def restic(times: list[datetime], last: int, counts: dict[str, int], within: dict[str, timedelta]) -> set[datetime]:
    """What forget keeps: newest first, each rule takes the first of each period until it has its number.

    A rule that has not got its number at the end takes the oldest too.
    """
    ordered = sorted(times, reverse=True)
    kept = set(ordered[:last])
    kept |= {time for time in ordered if "" in within and time > ordered[0] - within[""]}
    for period, of in PERIOD.items():
        left, before = counts.get(period, 0), None
        for time in ordered:
            if left and (of(time) != before or time == ordered[-1]):
                kept.add(time)
                left -= 1
            before = of(time)
        if period in within:
            recent = [time for time in ordered if time > ordered[0] - within[period]]
            kept |= {time for at, time in enumerate(recent) if not at or of(time) != of(recent[at - 1])}
    return kept


def ours(times: list[datetime], asked: Spelling, *, history: bool = True) -> set[datetime]:
    by_number = dict(enumerate(sorted(times)))
    commits = [(micros(time), number) for number, time in by_number.items()]
    policy = spelled(asked, [rt for rt, _ in commits] if history else None).policy
    return {by_number[number] for number in plan(policy, commits).keep}


COUNTS = st.fixed_dictionaries(
    {}, optional={period: st.integers(1, 9) for period in ("hourly", "daily", "monthly", "yearly")}
)
GAPS = st.one_of(st.integers(1, 120), st.integers(1, 3000), st.integers(1, 100_000), st.integers(1, 900_000))
STARTS = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds


@st.composite
def pasts(draw) -> list[datetime]:
    """Times in order, minutes to months apart."""
    time, times = draw(STARTS), []
    for minutes in draw(st.lists(GAPS, min_size=1, max_size=40)):
        time += timedelta(minutes=minutes)
        times.append(time)
    return times


@given(pasts(), st.integers(0, 5), COUNTS, st.none() | st.integers(1, 4000))
def test_nothing_is_forgotten_that_restic_keeps(times, last, counts, hours):
    within = {} if hours is None else {"": f"{hours // 24}d{hours % 24}h", "daily": f"{hours}h"}
    if not (last or counts or within):
        last = 1
    lengths = dict.fromkeys(within, timedelta(hours=hours or 0))
    assert restic(times, last, counts, lengths) <= ours(times, Spelling(last, counts, within))


@settings(max_examples=25)
@given(
    STARTS,
    st.lists(st.integers(1, 59), min_size=1, max_size=30),
    st.integers(0, 40),
    st.integers(0, 60),
    st.fixed_dictionaries({"hourly": st.integers(1, 48), "daily": st.integers(1, 8)}),
)
@example(datetime(2024, 2, 28, 23, 10, tzinfo=UTC), [30], 0, 60, {"hourly": 24, "daily": 3})
def test_a_history_without_holes_is_thinned_as_restic_does(start, minutes, last, hours, counts):
    """Each hour has a commit, so each longer period has one: then both count the same periods."""
    times = []
    top = start.replace(minute=0, second=0, microsecond=0)
    for hour in range(24 * 10 + hours):
        times.append(top + hour * HOUR + timedelta(minutes=minutes[hour % len(minutes)] - 1))
        times.append(top + hour * HOUR + timedelta(minutes=59, seconds=hour % 60))
    expected = restic(times, last, counts, {})
    assert ours(times, Spelling(last, counts)) == expected
    assert ours(times, Spelling(last, counts), history=False) == expected


@settings(max_examples=40)
@given(STARTS, st.integers(500, 900), st.integers(1, 12), st.integers(1, 30))
def test_days_and_months_without_holes_are_thinned_as_restic_does(start, days, months, daily):
    times = [start + timedelta(days=day) for day in range(days)]
    counts = {"daily": daily, "monthly": months + 1}
    policy = spelled(Spelling(0, counts)).policy
    commits = [(micros(time), number) for number, time in enumerate(times)]
    kept = {times[number] for number in plan(policy, commits).keep}
    expected = restic(times, 0, counts, {})
    assert expected <= kept
    if str(policy) == f"1d:{policy.tiers[0].rows}d 1M:{months + 1}M":
        assert kept == expected


def test_weeks_are_cut_on_thursdays_and_nothing_else_is_different():
    times = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(70)]
    assert {time.weekday() for time in ours(times, Spelling(0, {"weekly": 5})) - {times[-1]}} == {2}
    assert {time.weekday() for time in restic(times, 0, {"weekly": 5}, {}) - {times[-1]}} == {6}
    shifted = [time - timedelta(days=3) for time in times]  # what is cut on Mondays, three days later, on Thursdays
    moved = {time + timedelta(days=3) for time in restic(shifted, 0, {"weekly": 5}, {})}
    assert ours(times, Spelling(0, {"weekly": 5})) == moved


def test_the_oldest_stays_while_there_are_too_few():
    times = [datetime(2026, 1, day, hour, tzinfo=UTC) for day in (1, 2, 3) for hour in (1, 13)]
    asked = Spelling(0, {"monthly": 4})
    assert ours(times, asked) == {times[0], times[-1]} == restic(times, 0, {"monthly": 4}, {})
    assert ours(times, asked, history=False) == {times[-1]}
    assert "oldest" in spelled(asked, [micros(time) for time in times]).notes[0]


@pytest.mark.parametrize(
    ("counts", "within", "policy", "notes"),
    [
        ({"hourly": 24, "daily": 7}, {}, "1h:1d 1d:1w", 0),
        ({"hourly": 48, "daily": 2}, {}, "1h:2d", 1),
        ({"daily": 31, "monthly": 1}, {}, "1d:31d", 1),
        ({"daily": 61, "monthly": 2}, {}, "1d:61d 1M:3M", 1),
        ({"weekly": 5, "monthly": 1}, {}, "1w:5w 1M:2M", 1),
        ({"monthly": 12, "yearly": 1}, {}, "1M:1y", 1),
        ({"monthly": 12, "yearly": 10}, {}, "1M:1y 1y:10y", 0),
        ({}, {"": "1h"}, "1s:1h", 0),
        ({"hourly": 2}, {"hourly": "1d"}, "1h:25h", 0),
        ({}, {"yearly": "2y"}, "1y:4y", 0),
    ],
)
def test_what_it_comes_to_without_a_history(counts, within, policy, notes):
    made = spelled(Spelling(3, counts, within))
    assert made.policy == parse(f"last:3 {policy}")
    assert len(made.notes) == notes


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Spelling(), "nothing to keep"),
        (Spelling(-1), "-1"),
        (Spelling(1, {"daily": -2}), "-2"),
        (Spelling(1, {}, {"": "5"}), "'5'"),
        (Spelling(1, {}, {"daily": "1w"}), "'1w'"),
        (Spelling(1, {}, {"": ""}), "''"),
    ],
)
def test_what_cannot_be_is_refused(asked, found):
    with pytest.raises(PolicyError) as wrong:
        spelled(asked)
    assert wrong.value.found == found


def test_within_goes_by_the_calendar():
    newest = datetime(2024, 3, 31, 12, tzinfo=UTC)  # a month earlier is the 31st of February: the 2nd of March
    times = [datetime(2024, 3, 2, 11, tzinfo=UTC), datetime(2024, 3, 2, 13, tzinfo=UTC), newest]
    assert ours(times, Spelling(0, {}, {"": "1m"})) == set(times[1:])


@given(STARTS, st.integers(0, 30), st.integers(0, 3), st.integers(0, 40), st.integers(0, 50))
def test_within_is_the_calendar_of_datetime_to_the_microsecond(newest, months, years, days, hours):
    month = newest.year * 12 + newest.month - 1 - months - 12 * years
    first = newest.replace(year=month // 12, month=month % 12 + 1, day=1)
    cut = first + timedelta(days=newest.day - 1 - days, hours=-hours)
    if cut == newest:
        return
    times = [cut, cut + timedelta(microseconds=1), newest]
    asked = Spelling(0, {}, {"": f"{years}y{months}m{days}d{hours}h"})
    assert str(spelled(asked, [micros(time) for time in times]).policy) == "last:2"
