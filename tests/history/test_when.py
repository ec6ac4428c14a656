"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import InvalidWhen
from rrdstore.history.when import parse_when

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
HOUR, DAY = 3_600 * SECOND, 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOMENTS = [
    ("now", NOW),
    ("2h ago", NOW - 2 * HOUR),
    ("2h", NOW - 2 * HOUR),
    ("-2h", NOW - 2 * HOUR),
    (" 2h  ago ", NOW - 2 * HOUR),
    ("90s", NOW - 90 * SECOND),
    ("1d12h", NOW - DAY - 12 * HOUR),
    ("1d 12h ago", NOW - DAY - 12 * HOUR),
    ("1.5h", NOW - HOUR - HOUR // 2),
    ("5m", NOW - 300 * SECOND),
    ("12M", NOW - 365 * DAY),
    ("1y", NOW - 365 * DAY),
    ("1w", NOW - 7 * DAY),
    ("0s", NOW),
    ("@0", 0),
    ("@1700000000", NOW),
    ("@1700000000.25", NOW + 250_000),
    ("@0.1000001", 100_000),
    ("@-1", -SECOND),
    ("@-0.0000001", -1),
    ("1970-01-02", DAY),
    ("1970-01-01T01:00", HOUR),
    ("1970-01-01 01:00:00", HOUR),
    ("1970-01-01T01:00:00Z", HOUR),
    ("1970-01-01T01:00:00.000001Z", HOUR + 1),
    ("1970-01-01T01:00:00+02:00", -HOUR),
    (datetime(1970, 1, 2, tzinfo=UTC), DAY),
    (datetime(1970, 1, 2), DAY),  # noqa: DTZ001 - naive is UTC: that is the test
    (datetime(1970, 1, 2, tzinfo=timezone(timedelta(hours=2))), DAY - 2 * HOUR),
    (12345, 12345),
    (-1, -1),
]


@pytest.mark.parametrize(("when", "micros"), MOMENTS, ids=[str(when) for when, _ in MOMENTS])
def test_moments(when: str | datetime | int, micros: int) -> None:
    assert parse_when(when, NOW) == micros


@pytest.mark.parametrize(
    "name", ["12-0a1b2c3d", "12", "12-0a", "2024-01020304", "v1.0", "main", "ago", "2x", "h", "x" * 99]
)
def test_other_names_are_left_to_the_caller(name: str) -> None:
    assert parse_when(name, NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "@", "@x", "@1e9", "@nan", "@inf", "-", "-2", "-2x", "2x ago", "two hours ago", "2 hours ago",
        "2h2 ago", "2024-13-01", "2024-02-30", "2024-01-01T25:00", "2024-01-01 noon", "@" + "9" * 63, "9" * 50 + "y",
        "@" + "1" * 500, "-" * 500, True, 1 << 63, -(1 << 63),
    ],
    ids=lambda text: str(text)[:20],
)  # fmt: skip
def test_what_begins_like_a_moment_and_is_none_is_refused(text: str | int) -> None:
    with pytest.raises(InvalidWhen) as caught:
        parse_when(text, NOW)
    assert caught.value.expected
    assert len(str(caught.value)) < 250


@given(st.datetimes(timezones=st.just(UTC)))
def test_iso_text_means_the_moment(moment: datetime) -> None:
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    assert parse_when(moment.isoformat(), NOW) == micros
    assert parse_when(moment.replace(tzinfo=None).isoformat(" "), NOW) == micros
    assert parse_when(moment, NOW) == micros
    assert parse_when(f"@{micros // SECOND}.{micros % SECOND:06d}", NOW) == micros or micros < 0


@given(st.text(max_size=80) | st.text("0123456789smhdwMy@-. ago:TZ", max_size=80))
def test_any_text_is_a_moment_a_name_or_refused(text: str) -> None:
    try:
        micros = parse_when(text, NOW)
    except InvalidWhen:
        return
    assert micros is None or abs(micros) < 1 << 63
