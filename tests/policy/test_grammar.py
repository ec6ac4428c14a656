"""The language: what it means, its canonical form, and every refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import PolicyError
from rrdstore.policy import BRANCH_DEFAULT, DEFAULT, Count, Every, Last, Policy, Spread, Step, parse
from rrdstore.policy.policy import MAX_SLOTS
from tests.policy.strategies import policies


def test_the_default_keeps_871_commits() -> None:
    policy = parse(DEFAULT)
    assert policy.slots == 871
    assert policy.tiers == (
        Last(256),
        Every(Step(1, "s"), 300),
        Every(Step(1, "m"), 120),
        Every(Step(1, "h"), 48),
        Every(Step(1, "d"), 30),
        Every(Step(1, "w"), 52),
        Spread(64),
    )
    assert policy.reach == 364 * 86_400 * 1_000_000


def test_the_defaults_are_canonical() -> None:
    assert str(parse(DEFAULT)) == DEFAULT
    assert str(parse(BRANCH_DEFAULT)) == BRANCH_DEFAULT


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("24x1h", "1h:1d"),
        ("1h:24", "1h:1d"),
        ("24x1h|30x1d", "1h:1d 1d:30d"),
        ("1h:1d,1d:30d", "1h:1d 1d:30d"),
        (" 1h:1d ,\t1d:30d\n", "1h:1d 1d:30d"),
        ("*:8 1h:1d last:5", "last:5 1h:1d *:8"),
        ("1h:1d 16c:64", "16c:64 1h:1d"),
        ("64x16c", "16c:64"),
        ("60s:120m", "1m:2h"),
        ("05m:060m", "5m:1h"),
        ("7d:364d", "1w:1y"),
        ("52x1w", "1w:1y"),
        ("53x1w", "1w:53w"),
        ("12x1M", "1M:1y"),
        ("18x1M", "1M:18M"),
        ("12M:10y", "1y:10y"),
        ("1d:1M", "1d:30d"),
        ("1d:365d", "1d:1y"),
        ("7m:1h", "7m:56m"),
        ("1m:2h@first", "1m:2h@first"),
        ("120x1m@first", "1m:2h@first"),
        ("16c:4@first", "16c:4@first"),
        ("1w:8w 1M:1y 1y:9y", "1w:8w 1M:1y 1y:9y"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@given(policies())
def test_canonical_text_parses_to_the_same_policy(policy: Policy) -> None:
    assert parse(str(policy)) == policy
    assert str(parse(str(policy))) == str(policy)


@given(policies(), st.data())
def test_separators_and_order_of_kinds_mean_nothing(policy: Policy, data: st.DataObject) -> None:
    words = str(policy).split(" ")
    separators = data.draw(
        st.lists(st.sampled_from([" ", ",", "|", " , ", "\n", "| "]), min_size=len(words), max_size=len(words))
    )
    assert parse("".join(f"{word}{sep}" for word, sep in zip(words, separators, strict=True)).strip(" ,|\n")) == policy
    assert parse(" ".join(sorted(words, key=lambda word: word.startswith("last"))) + "  ") == policy


@given(st.integers(1, 20_000), st.sampled_from("smhdwMy"), st.integers(1, 600))
def test_every_step_and_row_count_has_a_text(count: int, unit: str, rows: int) -> None:
    step = Step(count, unit)
    if step.length * rows <= 10_000 * Step(1, "y").length:
        assert parse(str(Every(step, rows))).tiers == (Every(step, rows),)


REFUSED = [
    # text, the part at fault, found, expected
    ("", "", "no tiers", "1 to 32 tiers"),
    ("   ", "", "no tiers", "1 to 32 tiers"),
    (",", ",", "nothing beside a separator", "a tier"),
    ("1m:1h,,1h:1d", "1m:1h,,1h:1d", "nothing beside a separator", "a tier"),
    ("1m:1h |", "1m:1h |", "nothing beside a separator", "a tier"),
    ("all:10m", "all:10m", "'all'", "not constant space"),
    ("last", "last", "no tier", "last:N"),
    ("last:0", "last:0", "0", "at least 1"),
    ("last:", "last:", "'' commits to keep", "a number"),
    ("last:-3", "last:-3", "'-3' commits", "a number"),
    ("last:1h", "last:1h", "'1h' commits", "a number"),
    ("last:3@first", "last:3@first", "'@first'", "on steps only"),
    ("*:4@first", "*:4@first", "'@first'", "on steps only"),
    ("1m:1h@last", "1m:1h@last", "'@last'", "'@first' or nothing"),
    ("1m:1h@", "1m:1h@", "'@'", "'@first' or nothing"),
    (":1h", ":1h", "no step", "STEP:SPAN"),
    ("1q:1h", "1q:1h", "a step '1q'", "s m h d w M y"),
    ("m:1h", "m:1h", "a step 'm'", "s m h d w M y"),
    ("1.5h:2d", "1.5h:2d", "a step '1.5h'", "s m h d w M y"),
    ("٣m:1h", "٣m:1h", "a step '٣m'", "s m h d w M y"),
    ("1m:", "1m:", "a span ''", "2h or 30d"),
    ("1m:2x", "1m:2x", "a span '2x'", "2h or 30d"),
    ("1m:16c", "1m:16c", "a span '16c'", "2h or 30d"),
    ("16c:2h", "16c:2h", "'2h' commits", "a number"),
    ("0m:1h", "0m:1h", "a step of 0", "at least 1"),
    ("1m:0", "1m:0", "0", "at least 1"),
    ("0x1m", "0x1m", "0", "at least 1"),
    ("24x", "24x", "a step ''", "s m h d w M y"),
    ("24x1h:1d", "24x1h:1d", "a step '1h:1d'", "s m h d w M y"),
    ("1h:30m", "1h:30m", "a span of 30m", "as long as the step, 1h"),
    ("1M:4w", "1M:4w", "a span of 4w", "as long as the step, 1M"),
    ("last:2 last:3", "last:2 last:3", "'last' twice", "at most"),
    ("*:2 1m:1h *:3", "*:2 *:3", "'*' twice", "at most"),
    ("1h:2d 1m:9d", "1h:2d 1m:9d", "a step of 1m after one of 1h", "longer than 1h"),
    ("60s:1h 1m:2h", "60s:1h 1m:2h", "a step of 1m after one of 1m", "longer than 1m"),
    ("2m:30m 5m:1h", "2m:30m 5m:1h", "a step of 5m after one of 2m", "a multiple of 2m"),
    ("1m:1h last:3 1h:1h", "1m:1h 1h:1h", "reaches no further", "spans that rise"),
    ("1d:364d 1w:1y", "1d:364d 1w:1y", "reaches no further", "spans that rise"),
    ("5M:2y 1y:9y", "5M:2y 1y:9y", "a step of 1y after one of 5M", "a multiple of 5M"),
    ("4c:9 6c:9", "4c:9 6c:9", "a step of 6c after one of 4c", "a multiple of 4c"),
    ("4c:9 8c:4", "4c:9 8c:4", "reaches no further", "spans that rise"),
    ("last:1000000000", "last:1000000000", "1000000000 commits", "1 to 1048576"),
    ("last:600000 *:600000", "last:600000 *:600000", "1200001 commits", "at most 1048576"),
    ("1s:40d", "1s:40d", "3456000 commits", "1 to 1048576"),
    ("last:" + "9" * 50, "last:" + "9" * 50, "50 digits", "at most 12"),
    ("9999999999c:2", "9999999999c:2", "9999999999 commits", "1 to 1000000000"),
    ("1y:99999y", "1y:99999y", "99999 years", "at most 10000 years"),
    (" ".join(["1m:1h"] * 33), "1m:1h 1m:1h 1m:1h 1m:1h 1m:1h 1m:1h 1m:1h 1m:1h 1m:1h 1m:...", "33 tiers", "1 to 32"),
    ("x" * 5000, "x" * 57 + "...", "5000 characters", "at most 1024"),
]


@pytest.mark.parametrize(("text", "part", "found", "expected"), REFUSED, ids=[row[0][:24] for row in REFUSED])
def test_refusals_say_what_was_found_and_expected(text: str, part: str, found: str, expected: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text)
    assert caught.value.text == part
    assert found in caught.value.found
    assert expected in caught.value.expected
    assert len(str(caught.value)) < 300


@given(st.text(max_size=60) | st.text(alphabet="last:*@first0123456789smhdwMycx ,|", max_size=60))
def test_any_text_parses_or_is_refused_typed(text: str) -> None:
    try:
        policy = parse(text)
    except PolicyError:
        return
    assert parse(str(policy)) == policy
    assert 1 <= policy.slots <= MAX_SLOTS


def test_tiers_put_together_by_hand_are_checked_too() -> None:
    with pytest.raises(PolicyError, match="a multiple of 2m"):
        Policy((Every(Step(2, "m"), 10), Every(Step(3, "m"), 10)))
    with pytest.raises(PolicyError, match="0 commits"):
        Policy((Last(0),))
    with pytest.raises(PolicyError, match="1 to 1000000000"):
        Policy((Count(0, 3),))
    assert Policy((Spread(2), Count(4, 2), Last(1))).tiers == (Last(1), Count(4, 2), Spread(2))
