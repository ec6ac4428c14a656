"""Tiers as lines, and the forecast."""

from __future__ import annotations

import pytest

from rrdstore.policy import DEFAULT, Row, draw, forecast, parse
from tests.policy.strategies import DAY, SECOND


def test_lines_share_one_scale() -> None:
    now = 100 * DAY
    rows = [
        Row("last:3", [now, now - SECOND, now - 2 * SECOND], 3),
        Row("1d:9d", [now - day * DAY for day in range(9)], 9),
        Row("1M:1y", [], 12),
    ]
    lines = draw(rows, now, 40)
    assert lines[0] == f"last:3 {'·' * 37}▁·▂  3/3"
    assert [len(line) for line in lines[:3]] == [len(lines[0])] * 3
    assert lines[1].startswith("1d:9d  ▂▂▁")
    assert lines[2] == f"1M:1y  {'·' * 40} 0/12"
    assert "1d" in lines[3]
    assert "1w" in lines[3]


def test_more_commits_stand_higher_and_plain_text_can_say_so() -> None:
    rows = [Row(f"last:{count}", [0] * count, count) for count in (1, 2, 4, 300)]
    assert [line.split()[1][-1] for line in draw(rows, 0, 8)[:4]] == list("▁▂▃█")
    plain = draw(rows, 0, 8, ascii_only=True)
    assert [line.split()[1][-1] for line in plain[:4]] == list(":-=@")
    assert all(line.isascii() for line in plain)


def test_a_commit_from_the_future_stands_at_the_right_edge() -> None:
    assert draw([Row("x", [500 * SECOND], 1)], 0, 8)[0] == "x ·······▁ 1/1"


def test_nothing_to_draw() -> None:
    assert len(draw([], 0)) == 1


def test_too_narrow() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        draw([], 0, 7)


def test_forecast_of_the_default() -> None:
    result = forecast(parse(DEFAULT), 1000)
    assert (result.slots, result.reach, result.bytes) == (871, 364 * DAY, 871_000)
    assert [(tier.tier, tier.slots, tier.reach, tier.bytes) for tier in result.tiers][::6] == [
        ("last:256", 256, None, 256_000),
        ("*:64", 65, None, 65_000),
    ]
    assert result.tiers[4].reach == 30 * DAY
    assert sum(tier.slots for tier in result.tiers) == result.slots


def test_forecast_refuses_negative_bytes() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        forecast(parse("last:1"), -1)
