"""What is kept, as lines of text: tiers by age, and one day as it was seen again and again.

Rule: a column is darker the more commits it holds, each shade standing for twice as many. Tiers are drawn with now
at the right and age growing to the left on a logarithmic scale; the day is drawn from midnight to midnight.
Pure; O(commits drawn + lines x width).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Final

from xsadapter.demo.day import DAY, HOUR, MINUTE, time_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xsadapter.demo.look import Look

WIDTH: Final = 72
"""Columns of each picture: 20 minutes each in a day."""
_MARGIN: Final = 9
_MICROSECONDS: Final = 1_000_000
_SHADES: Final = {False: "·▁▂▃▄▅▆▇█", True: ".:-=+*#%@"}
_AGES: Final = (
    ("10s", 10),
    ("1m", MINUTE),
    ("5m", 5 * MINUTE),
    ("30m", 30 * MINUTE),
    ("2h", 2 * HOUR),
    ("6h", 6 * HOUR),
    ("12h", 12 * HOUR),
)


@dataclass(frozen=True, slots=True)
class Pen:
    """How to draw: with blocks, or with ASCII only."""

    ascii_only: bool = False

    def tiers(self, look: Look) -> list[str]:
        """A line for each tier and one for the ages."""
        now = look.at
        oldest = max(10 * MINUTE, (now - look.kept[0]) // _MICROSECONDS)

        def column(age: float) -> int:
            return WIDTH - 1 - round(log(max(age, 1)) / log(oldest) * (WIDTH - 1))

        lines = [
            f"{tier.rule:<{_MARGIN}}"
            f"{self._bar(column((now - time) / _MICROSECONDS) for time in tier.times)}"
            f" {f'{len(tier.times)}/{tier.rows}':>9}"
            for tier in look.tiers
        ]
        ages = [(column(age) - len(name) + 1, name) for name, age in _AGES if age < oldest * 0.7]
        return [*lines, f"{'age':<{_MARGIN}}{_ruler([*ages, (WIDTH - 3, 'now')])}"]

    def day(self, looks: Sequence[Look], made: Iterable[int], midnight: int) -> list[str]:
        """A line for each look, one for all commits `made` (the time of each), and one for the hours."""

        def column(time: int) -> int:
            return min(WIDTH - 1, (time - midnight) * WIDTH // (DAY * _MICROSECONDS))

        lines = []
        for look in looks:
            seen = self._bar((column(time) for time in look.kept), until=column(look.at - 1) + 1)
            lines.append(f"{time_of((look.at - midnight) // _MICROSECONDS)[:5]:<{_MARGIN}}{seen} {len(look.kept):>9,}")
        everything = list(made)
        hours = [(hour * WIDTH // 24, f"{hour:02}") for hour in range(0, 24, 3)]
        return [
            *lines,
            f"{'made':<{_MARGIN}}{self._bar(map(column, everything))} {len(everything):>9,}",
            f"{'':<{_MARGIN}}{_ruler([*hours, (WIDTH - 2, '24')])}",
        ]

    def _bar(self, columns: Iterable[int], until: int = WIDTH) -> str:
        counts = [0] * WIDTH
        for column in columns:
            counts[max(0, min(column, WIDTH - 1))] += 1
        shades = _SHADES[self.ascii_only]
        drawn = "".join(shades[min(count.bit_length(), len(shades) - 1)] for count in counts[:until])
        return f"{drawn:<{WIDTH}}"


def _ruler(marks: Iterable[tuple[int, str]]) -> str:
    """Names at their columns; one that would touch the one before it is left out."""
    line = ""
    for at, name in sorted(marks):
        if at >= 0 and (not line or at > len(line)):
            line = f"{line:<{at}}{name}"
    return line
