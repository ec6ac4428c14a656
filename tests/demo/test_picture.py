"""Pictures of tiers and days."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.testing import START
from xsadapter.demo.day import DAY, HOUR
from xsadapter.demo.look import Look, Tier
from xsadapter.demo.picture import WIDTH, Pen

SECOND = 1_000_000
SHADES = "·▁▂▃▄▅▆▇█"
ages = st.lists(st.integers(0, DAY - 1), min_size=1, max_size=200)


def seen(at: int, kept: list[int], rule: str = "1m:2h") -> Look:
    """A look at `at` seconds after midnight, at commits so many seconds after midnight."""
    times = tuple(sorted(START + second * SECOND for second in kept))
    return Look(START + at * SECOND, len(kept), times, 500, (Tier(rule, times, 120), Tier("*:64", (), 65)), {})


def bar(line: str) -> str:
    return line[9 : 9 + WIDTH]


@given(ages)
def test_a_tiers_line_shows_each_commit_and_no_other(kept):
    line, empty, ruler = Pen().tiers(seen(DAY, kept))
    assert line.startswith("1m:2h ")
    assert line.endswith(f" {len(kept)}/120")
    shades = bar(line)
    assert len(shades) == WIDTH
    assert set(shades) <= set(SHADES)
    assert 1 <= sum(shade != "·" for shade in shades) <= len(set(kept))
    assert sum((1 << SHADES.index(shade)) - 1 for shade in shades) >= min(len(kept), 255)
    assert set(bar(empty)) == {"·"}
    assert ruler.startswith("age")
    assert ruler.endswith("now")


def test_old_is_left_and_new_is_right():
    line, *_ = Pen().tiers(seen(DAY, [0, DAY]))
    assert bar(line) == "▁" + "·" * (WIDTH - 2) + "▁"


def test_a_shade_is_twice_as_many():
    for count, shade in ((1, "▁"), (2, "▂"), (3, "▂"), (4, "▃"), (127, "▇"), (128, "█"), (5000, "█")):
        line, *_ = Pen().tiers(seen(DAY, [0, *[DAY] * count]))
        assert bar(line)[-1] == shade


def test_a_days_line_ends_where_it_was_looked_at():
    looks = [seen(6 * HOUR, [0, 6 * HOUR - 1]), seen(DAY, [0, 20 * 60, DAY - 1, DAY])]
    six, end, made, ruler = Pen().day(looks, [START + 60 * SECOND, START + DAY * SECOND], START)
    assert bar(six) == "▁" + "·" * 16 + "▁" + " " * 54
    assert bar(end) == "▁▁" + "·" * 69 + "▂"
    assert bar(made) == "▁" + "·" * 70 + "▁"
    assert (six[:5], end[:5], made[:4]) == ("06:00", "24:00", "made")
    assert [bar(ruler)[hour * 3 : hour * 3 + 2] for hour in (0, 3, 12, 21)] == ["00", "03", "12", "21"]


@given(ages, st.integers(HOUR, DAY))
def test_ascii_is_enough_if_it_must_be(kept, at):
    look = seen(at, [second % at for second in kept])
    pen = Pen(ascii_only=True)
    for line in (*pen.tiers(look), *pen.day([look], look.kept, START)):
        assert line.isascii()
        assert len(line) <= 97
