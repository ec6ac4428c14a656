"""Histories from anywhere: texts, JSON, stores; and the facade's forecast and replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

import rrdstore
from rrdstore.policy import CHANGE, parse, plan
from rrdstore.store.history import micros
from rrdstore.testing import SECOND, ManualClock

GOOD = [
    ("1700000000", 1_700_000_000 * SECOND),
    ("@1700000000.5", 1_700_000_000 * SECOND + 500_000),
    ("-12", -12 * SECOND),
    (0.25, 250_000),
    (1_700_000_000, 1_700_000_000 * SECOND),
    ("2023-11-14T22:13:20Z", 1_700_000_000 * SECOND),
    ("2023-11-14 22:13:20", 1_700_000_000 * SECOND),
    ("2023-11-14", 1_699_920_000 * SECOND),
    (datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1_700_000_000 * SECOND),
    (datetime(2023, 11, 15, 0, 13, 20, tzinfo=timezone(timedelta(hours=2))), 1_700_000_000 * SECOND),
]


@pytest.mark.parametrize(("time", "expected"), GOOD, ids=str)
def test_a_time(time, expected):
    assert micros(time) == expected


@pytest.mark.parametrize(
    "time",
    ["", "2h", "2h ago", "now", "x", "1e400", "1/3", True, None, float("nan"), float("inf"), 10**13, "9" * 40, [1]],
)
def test_no_time(time):
    with pytest.raises(rrdstore.InvalidWhen):
        micros(time)


@pytest.mark.parametrize(
    "text",
    [
        "1700000060\n1700000000\n",
        "# of a repository\n\n 1700000060 \n@1700000000\n",
        '[1700000060, "2023-11-14T22:13:20Z"]',
        '[\n {"time": "2023-11-14T22:14:20Z", "id": "2-x"},\n {"time": 1700000000}\n]\n',
        '{"time": "2023-11-14T22:14:20Z"}\n{"time": 1700000000}\n',
        '"2023-11-14T22:14:20Z"\n1700000000\n',
    ],
)
def test_a_text_of_times(text):
    times = rrdstore.read_times(text.splitlines(keepends=True))
    assert sorted(map(micros, times)) == [1_700_000_000 * SECOND, 1_700_000_060 * SECOND]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\n2\nsoon\n", "t.txt, line 3: 'soon'"),
        ('{"time": 1}\n{"tim": 2}\n', "t.txt, line 2: None"),
        ('{"time": 1\n', "t.txt, line 1: None"),
        ("[1, true]", "t.txt, entry 2: True"),
        ("[1,\n", "t.txt, line 2"),
    ],
)
def test_a_line_that_is_no_time_is_named(text, said):
    with pytest.raises(rrdstore.InvalidWhen) as wrong:
        rrdstore.read_times(text.splitlines(keepends=True), "t.txt")
    assert said in str(wrong.value)


def test_a_replay_of_times_of_a_branch_and_of_a_store():
    clock = ManualClock()
    with rrdstore.memory("last:60", clock=clock) as store:
        main = store.branch("main")
        work = main.fork("work", "last:60")
        for number in range(50):
            clock.advance(33)
            main.set("/n", b"%d" % number)
            work.set("/n", b"%d" % number)
        times = [commit.time for commit in main.log()]
        expected = sorted(plan(parse("last:3 1m:20m"), main.keys).keep)
        for made in (rrdstore.replay("1m:20m last:3", store), rrdstore.replay("1m:20m last:3", main)):
            assert [number for _, number in made.kept] == expected
        by_time = rrdstore.replay("1m:20m last:3", times)
        assert [rt for rt, _ in by_time.kept] == [rt for rt, number in main.keys if number in expected]
        assert len(rrdstore.replay("last:4", store, "work").kept) == 4
        assert store.info().kept > 51
        with pytest.raises(rrdstore.PolicyError):
            rrdstore.replay("", times)
        with pytest.raises(rrdstore.NotFound):
            rrdstore.replay("last:1", store, "wrok")


def test_a_forecast_before_there_is_a_store():
    made = rrdstore.forecast("last:3 1m:1h", every=30, at="2026-01-01")
    assert (made.slots, made.bytes, made.kept) == (63, 63 * CHANGE, 62)
    assert made.tiers[1].since == micros("2025-12-31T23:01:00")
    assert rrdstore.forecast("last:3", change=10, tree=7).bytes == 37


def test_a_forecast_of_a_store_goes_by_what_it_has_seen(tmp_path):
    clock = ManualClock()
    with rrdstore.create(tmp_path / "s.rrdb", "4MiB", "last:50", clock=clock) as store:
        empty = store.forecast("last:10")
        assert (empty.slots, empty.kept) == (10, None)
        main = store.branch("main")
        for number in range(300):
            clock.advance(20)
            main.set(f"/dir/{number % 30}", b"%200d" % number)
        store.tick()
        made = store.forecast()
        assert made.tiers[0].covers == pytest.approx(50 * 20 * SECOND, rel=0.01)
        assert made.bytes == pytest.approx(store.info().live, rel=0.1)
        assert store.forecast("1m:1h").kept == 60
