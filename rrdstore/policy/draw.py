"""Tiers as lines of text: how far back each one reaches, and how densely.

Rule: one line a tier; now is at the right, age grows to the left on a logarithmic scale that all
lines share; a column is filled by how many commits it holds. A last line names the ages.
Cost: O(commits drawn + tiers * width).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from rrdstore.policy.step import SECOND, UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHADES = {False: "·▁▂▃▄▅▆▇█", True: ".:-=+*#%@"}
_AGES = tuple(
    (text, UNITS[text[-1]] * int(text[:-1]))
    for text in ("1s", "10s", "1m", "10m", "1h", "6h", "1d", "1w", "1M", "1y", "10y", "100y", "1000y")
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its label, the retention times it shows (microseconds), and how many it could hold."""

    label: str
    times: Sequence[int]
    slots: int


def draw(rows: Iterable[Row], now: int, width: int = 64, *, ascii_only: bool = False) -> list[str]:
    """The rows and their scale as lines of `width` columns between label and fill.

    `now` is the retention time at the right edge. Raises ValueError for a width below 8.
    """
    if width < 8:
        raise ValueError(f"width: found {width}, expected at least 8 columns")
    lines = list(rows)
    oldest = max((now - min(row.times) for row in lines if row.times), default=SECOND)
    scale = _Scale(max(oldest, 10 * SECOND), width)
    margin = max((len(row.label) for row in lines), default=0)
    counts = [f"{len(row.times)}/{row.slots}" for row in lines]
    tail = max(map(len, counts), default=0)
    drawn = [
        f"{row.label:<{margin}} {_bar(row.times, now, scale, _SHADES[ascii_only])} {count:>{tail}}"
        for row, count in zip(lines, counts, strict=True)
    ]
    return [*drawn, f"{'':<{margin}} {scale.legend()}".rstrip()]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Ages from one second, at the right, to `oldest` microseconds, at the left, over `width` columns."""

    oldest: int
    width: int

    def column(self, age: int) -> int:
        share = log(max(age, SECOND) / SECOND) / log(self.oldest / SECOND)
        return max(0, self.width - 1 - round(share * (self.width - 1)))

    def legend(self) -> str:
        text = [" "] * self.width
        for label, age in _AGES:
            column = self.column(age)
            place = slice(column, column + len(label))
            if (
                age <= self.oldest
                and place.stop <= self.width
                and set(text[max(0, column - 1) : place.stop + 1]) == {" "}
            ):
                text[place] = label
        return "".join(text)


def _bar(times: Sequence[int], now: int, scale: _Scale, shades: str) -> str:
    counts = [0] * scale.width
    for time in times:
        counts[scale.column(now - time)] += 1
    # One commit is visible; from there each shade stands for twice as many.
    return "".join(shades[min(count.bit_length(), len(shades) - 1)] for count in counts)
