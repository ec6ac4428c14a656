"""Which rows are given, and which columns paths get."""

import numpy as np
import pytest

from rrdstore.errors import SeriesError
from rrdstore.policy import parse
from rrdstore.policy.step import Step
from rrdstore.series import Recording, parse_series
from rrdstore.series.fetch import choose, divides, fetch
from rrdstore.series.ring import Cell, rings
from rrdstore.tree.pattern import Pattern

S = 1_000_000
NOW = 1_000_000_000 * S


def recording(*declared, policy="1s:5m 1m:2h 1h:2d 1M:1y"):
    return Recording(parse_series(declared, parse(policy)), ())


@pytest.mark.parametrize(
    ("ago", "step", "tier"),
    [
        (None, None, 0), (299, None, 0), (300, None, 0), (302, None, 1), (7200 - 61, None, 1), (7300, None, 2),
        (86400, None, 2), (86400 * 3, None, 3), (86400 * 9999, None, 3), (10, "1m", 0), (400, "1m", 1), (10, "30s", 0),
        (9999, "30s", 0), (None, "1h", 2), (None, "30s", 0), (None, "2h", 2), (86400 * 9, "1d", 2), (10, "1M", 0),
        (None, "1y", 3), (None, "1M", 3),
    ],
)  # fmt: skip
def test_the_tier_that_is_read(ago, step, tier):
    found = rings(recording("/a:1").declared)
    since = None if ago is None else NOW - ago * S
    assert choose(found, NOW, since, None if step is None else Step(int(step[:-1]), step[-1])) == tier


def test_a_step_that_no_tier_divides_is_refused():
    found = rings(recording("/a:1", policy="10s:5m 1m:2h").declared)
    with pytest.raises(SeriesError, match="10s, 1m"):
        choose(found, NOW, None, Step(15, "s"))


def test_which_steps_divide_which():
    yes = [("1s", "1m"), ("1h", "1M"), ("1d", "1y"), ("1M", "1y"), ("1w", "1w"), ("7d", "1w")]
    no = [("1w", "1M"), ("1w", "1y"), ("1M", "1d"), ("7s", "1m"), ("1M", "400d"), ("5M", "1y"), ("7h", "1M")]
    for pairs, wanted in ((yes, True), (no, False)):
        for fine, coarse in pairs:
            steps = [Step(int(text[:-1]), text[-1]) for text in (fine, coarse)]
            assert divides(*steps) is wanted, (fine, coarse)


def test_rows_are_all_that_are_over_and_reach_as_far_as_the_ring():
    made = recording("/a:1")
    made.feed(NOW - 10_000 * S, [("/a", b"5", None)])
    found = fetch(made, made.columns, "last", NOW + S // 2)
    assert found.values.shape == (300, 1)
    times = found.times.astype(np.int64)
    assert times[0] == NOW - 300 * S
    assert times[-1] == NOW - S
    assert set(np.diff(times)) == {S}
    assert (found.values == 5).all()
    part = fetch(made, made.columns, "last", NOW, since=NOW - 10 * S + 1, until=NOW - 3 * S)
    assert part.times.astype(np.int64).tolist() == [NOW - n * S for n in range(10, 3, -1)]
    assert fetch(made, made.columns, "last", NOW, since=NOW + 99 * S).values.shape == (0, 1)
    assert fetch(made, [], "last", NOW, since=NOW - 5 * S).values.shape == (5, 0)


def test_ten_years_of_rest_close_ten_years_of_buckets_at_once():
    made = recording("/a:1")
    made.feed(NOW, [("/a", b"5", None)])
    made.feed(NOW + 86400 * 3650 * S, [("/a", b"6", None)])
    assert len(made.cells) == 4
    found = fetch(made, made.columns, "average", NOW + 86400 * 3650 * S, step=Step(1, "M"))
    assert (found.values[-12:] == 5).all()


def test_the_longest_absent_column_is_used_again_and_the_surplus_counted():
    made = recording("/a/*:2", "/b/**:1")
    made.feed(NOW, [("/a/1", b"1", None), ("/a/2", b"2", None), ("/a/3", b"3", None), ("/b/x/y", b"9", None)])
    assert [(fill.used, fill.present, fill.surplus) for fill in made.fill()] == [(2, 2, 1), (1, 1, 0)]
    made.feed(NOW + S, [("/a/2", None, None)])
    made.feed(NOW + 2 * S, [("/a/1", None, None)])
    made.feed(NOW + 3 * S, [("/a/3", b"4", None)])
    assert [column.path for column in made.matching(Pattern("/a/*"))] == ["/a/1", "/a/3"]
    made.feed(NOW + 4 * S, [("/a/1", b"5", None)])
    made.feed(NOW + 5 * S, [("/a/2", b"6", None)])
    assert [(fill.used, fill.present, fill.surplus) for fill in made.fill()] == [(2, 2, 2), (1, 1, 0)]
    found = fetch(made, made.matching(Pattern("/a/1")), "last", NOW + 6 * S)
    assert found.values[:, 0].tolist()[:2] == [1, 1]
    assert np.isnan(found.values[2:4, 0]).all()
    assert found.values[4:, 0].tolist() == [5, 5]


def test_what_another_path_left_in_a_column_is_not_shown():
    made = recording("/a/*:1")
    for n in range(10):
        made.feed(NOW + n * S, [("/a/1", b"%d" % n, None)])
    made.feed(NOW + 10 * S, [("/a", None, None), ("/a/2", b"77", None)])
    found = fetch(made, made.columns, "last", NOW + 12 * S, since=NOW)
    assert found.paths == ("/a/2",)
    assert np.isnan(found.values[:10, 0]).all()
    assert found.values[10:, 0].tolist() == [77, 77]


def test_of_one_commit_only_the_outcome_counts():
    made = recording("/a/*:3")
    made.feed(NOW, [("/a/1", b"1", None), ("/a/1", b"2", None), ("/a/2", b"3", None), ("/a", None, None),
                    ("/a/1", b"4", None)])  # fmt: skip
    assert [(column.path, column.value) for column in made.columns if column.path] == [("/a/1", 4)]


def test_a_path_too_long_to_be_recorded_is_counted():
    made = recording("/**:3")
    made.feed(NOW, [("/" + "x" * 255, b"1", None), ("/" + "x" * 254, b"1", None)])
    assert made.fill()[0].surplus == 1
    assert made.fill()[0].used == 1


def test_known_time_of_a_microsecond_in_a_month_is_not_none():
    cell = Cell(5, 1 / (30 * 86400 * S), 2.0, 2.0, 2.0, 1.0)
    assert 0 < Cell.decode(cell.encode()).known < 1e-9
    assert Cell.decode(cell._replace(known=0.0).encode()).known == 0


def test_an_unknown_consolidation_is_refused():
    made = recording("/a:1")
    with pytest.raises(SeriesError, match="average, min, max, last"):
        fetch(made, made.columns, "median", NOW)
