"""Aims: what was promised as a figure, and what was found of it.

Rule: a figure names the state it was found in (the tree's shape, how much of the store's room lives) and stands beside
its bar whether it meets it or not. Figures of time are of CPU unless they say wall, since those of a busy machine are
worth something too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """One promise: `found` is to be at most `bar`, or with `least` at least that; with no bar, for comparison."""

    what: str
    state: str
    found: float
    bar: float | None
    unit: str
    least: bool = False
    fill: str = ""
    """How full it was: what of the state was found, not chosen."""

    @property
    def met(self) -> str:
        """Whether it is kept."""
        if self.bar is None:
            return ""
        kept = self.found >= self.bar if self.least else self.found <= self.bar
        return "met" if kept else "**missed**"


def aims_table(aims: list[Aim]) -> str:
    """As Markdown."""
    lines = ["| aim | state | bar | found | |", "|-----|-------|----:|------:|-|"]
    for aim in aims:
        bar = "" if aim.bar is None else f"{'≥' if aim.least else '≤'} {figure(aim.bar)} {aim.unit}"
        state = ", ".join(filter(None, (aim.state, aim.fill)))
        lines.append(f"| {aim.what} | {state} | {bar} | {figure(aim.found)} {aim.unit} | {aim.met} |")
    return "\n".join(lines)


def figure(value: float) -> str:
    """Three digits, as people write them."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
