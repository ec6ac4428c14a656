"""Draws the pictures of tiers, from policies themselves: `python docs/pictures/draw.py` writes the SVGs beside it.

Nothing is sketched: a policy is fed a history, and what its rings keep is what is drawn. A test compares the
committed files with what this gives.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import log
from pathlib import Path

from rrdstore.policy import DEFAULT, Policy, Rings, parse

SECOND = 1_000_000
MINUTE, HOUR, DAY, YEAR = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND, 365 * 86_400 * SECOND

INK, SOFT, FAINT, GONE, PAPER = "#1f2933", "#66737f", "#dde3e8", "#c3ccd4", "#ffffff"
COLOURS = ("#d1495b", "#e07a3f", "#d9a62e", "#6a994e", "#2a9d8f", "#33709e", "#6d4c91")
"""One a tier, from the finest to the coarsest: warm is recent."""

AGES = (
    ("0.1 s", SECOND // 10),
    ("1 s", SECOND),
    ("10 s", 10 * SECOND),
    ("1 min", MINUTE),
    ("10 min", 10 * MINUTE),
    ("1 h", HOUR),
    ("6 h", 6 * HOUR),
    ("1 d", DAY),
    ("1 w", 7 * DAY),
    ("1 mon", YEAR // 12),
    ("1 y", YEAR),
)

STYLE = f"""
text {{ font-family: ui-sans-serif, system-ui, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; fill: {INK} }}
.code {{ font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace }}
.soft {{ fill: {SOFT}; font-size: 12px }}
.head {{ font-size: 17px; font-weight: 600 }}
"""


@dataclass
class Canvas:
    """An SVG under construction: elements in painting order."""

    width: int
    height: int
    title: str

    def __post_init__(self) -> None:
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start", fill: str = "") -> None:
        """Words, in a class of the style."""
        colour = f' style="fill:{fill}"' if fill else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{colour}>{words}</text>')

    def lines(
        self, places: list[tuple[float, float]], length: float, colour: str, width: float, opacity: float = 1
    ) -> None:
        """Upright lines from each place down."""
        self._strokes("".join(f"M{x:.1f} {y:.1f}v{length:g}" for x, y in places), colour, width, opacity)

    def dots(self, places: list[tuple[float, float]], colour: str, size: float, opacity: float = 1) -> None:
        """Dots: strokes of no length with round ends."""
        self._strokes(
            "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places), colour, size, opacity, " stroke-linecap='round'"
        )

    def _strokes(self, path: str, colour: str, width: float, opacity: float, more: str = "") -> None:
        if path:
            self.parts.append(
                f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}" opacity="{opacity:g}" fill="none"{more}/>'
            )

    def band(self, x: float, y: float, width: float, height: float, colour: str, opacity: float) -> None:
        """A rounded rectangle."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}" rx="5" fill="{colour}"'
            f' opacity="{opacity:g}"/>'
        )

    def __str__(self) -> str:
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        paper = f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="10" fill="{PAPER}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
                f"<title>{self.title}</title>",
                f"<style>{STYLE}</style>",
                f'{paper} stroke="{FAINT}"/>',
                *self.parts,
                "</svg>\n",
            ]
        )


def tiers(policy: Policy) -> str:
    """What each tier of a policy keeps of three busy years, on a logarithmic axis of age."""
    now = 1_767_225_600 * SECOND
    rings = Rings(policy)
    # Every commit that could matter: 20 a second just now, and sparser where only coarser tiers reach.
    ages: list[int] = []
    for reach, step in ((3 * YEAR, DAY // 2), (40 * DAY, HOUR // 2), (3 * DAY, 10 * MINUTE), (5 * HOUR, 20 * SECOND)):
        ages += range(reach, 5 * MINUTE + 30 * SECOND, -step)
    ages += [*range(330 * SECOND, 15 * SECOND, -SECOND // 4), *range(15 * SECOND, 0, -SECOND // 20)]
    for number, age in enumerate(sorted(ages, reverse=True)):
        rings.offer(now - age, number)

    lane, left, right, top = 38, 132, 800, 106
    rows = rings.picks()
    canvas = Canvas(940, top + lane * (len(rows) + 1) + 52, f"What the policy {policy} keeps, by age")
    oldest, youngest = log(3.4 * YEAR), log(SECOND / 20)

    def place(time: int) -> float:
        return right - (right - left) * (log(now - time) - youngest) / (oldest - youngest)

    bottom = top + lane * (len(rows) + 1)
    canvas.text(28, 40, "The recent past in every detail, the distant past in coarser steps", "head")
    canvas.text(28, 64, str(policy), "code", fill=SOFT)
    canvas.text(912, 64, f"at most {policy.slots} commits", "soft", "end")
    canvas.lines([(place(now - age), top - 8) for _, age in AGES], bottom - top + 14, FAINT, 1)
    for label, age in AGES:
        canvas.text(place(now - age), bottom + 24, label, "soft", "middle")
    canvas.text(912, bottom + 24, "before now", "soft", "end")
    for index, (keys, fill) in enumerate(zip(rows, rings.fill(), strict=True)):
        y, colour = top + index * lane, COLOURS[index % len(COLOURS)]
        xs = [place(time) for time, _ in keys]
        canvas.band(min(xs) - 4, y, max(xs) - min(xs) + 8, lane - 10, colour, 0.13)
        canvas.lines([(x, y + 5) for x in xs], lane - 20, colour, 1.3, 0.85)
        canvas.text(left - 16, y + 19, fill.tier, "code", "end", colour)
        canvas.text(912, y + 19, f"{fill.used} of {fill.rows}", "soft", "end")
    y = top + len(rows) * lane
    union = sorted({key for keys in rows for key in keys})
    canvas.lines([(place(time), y + 3) for time, _ in union], lane - 16, INK, 0.9, 0.75)
    canvas.text(left - 16, y + 19, "together", "", "end")
    canvas.text(912, y + 19, f"{len(union)} commits", "soft", "end")
    return str(canvas)


def run(policy: Policy) -> str:
    """A run as it thins: each row is the same history a little later; every dot a commit, kept ones in colour."""
    chance = random.Random(7)
    hours, rows = 6, 18
    commits, time = [], 0
    while time < hours * HOUR:
        commits.append(time)
        time += int(chance.expovariate(1 / (30 if chance.random() < 0.6 else 200)) * SECOND) + 8 * SECOND
    left, right, top, lane = 96, 912, 128, 21
    bottom = top + rows * lane
    canvas = Canvas(940, bottom + 44, f"A run under the policy {policy}, as it thins")

    def place(time: int) -> float:
        return left + (right - left) * time / (hours * HOUR)

    canvas.text(28, 40, "A run as it thins: every dot is a commit, those still kept in colour", "head")
    canvas.text(28, 64, str(policy), "code", fill=SOFT)
    canvas.text(912, 64, f"{len(commits)} commits, at most {policy.slots} kept", "soft", "end")
    x = 28.0
    for index, tier in enumerate(policy.tiers):
        canvas.dots([(x + 4, 88)], _shade(index, len(policy.tiers)), 8)
        canvas.text(x + 14, 92, str(tier), "code soft")
        x += 14 + 7.3 * len(str(tier)) + 24
    canvas.dots([(x + 4, 88)], GONE, 4)
    canvas.text(x + 14, 92, "thinned", "soft")
    canvas.lines([(place(hour * HOUR), top - 10) for hour in range(hours + 1)], bottom - top + 8, FAINT, 1)
    for hour in range(hours + 1):
        canvas.text(place(hour * HOUR), bottom + 22, f"{hour}:00", "soft", "middle")
    canvas.text(72, bottom + 22, "seen at", "soft", "end")
    rings, number = Rings(policy), 0
    gone: list[tuple[float, float]] = []
    kept: dict[int, list[tuple[float, float]]] = {index: [] for index in range(len(policy.tiers))}
    for row in range(rows):
        seen = (row + 1) * hours * HOUR // rows
        y = top + row * lane
        while number < len(commits) and commits[number] <= seen:
            rings.offer(commits[number], number)
            number += 1
        finest = {key: index for index, keys in reversed(list(enumerate(rings.picks()))) for _, key in keys}
        for key in range(number):
            dot = (place(commits[key]), y)
            if key in finest:
                kept[finest[key]].append(dot)
            else:
                gone.append(dot)
        minutes = seen // MINUTE
        canvas.text(72, y + 4, f"{minutes // 60}:{minutes % 60:02}", "soft", "end")
    canvas.dots(gone, GONE, 3.5)
    for index, dots in reversed(kept.items()):
        canvas.dots(dots, _shade(index, len(policy.tiers)), 7)
    return str(canvas)


def tuned(before: Policy, after: Policy) -> str:
    """A branch whose policy is changed: what goes at once, and how the new tier fills from then on."""
    left, right, top, lane, days = 118, 800, 132, 30, 3
    rings, number = Rings(before), 0
    moments: list[tuple[str, list[tuple[str, list[int], int]], list[int]]] = []

    def feed(rings: Rings, until: int) -> None:
        nonlocal number
        while number * 4 * MINUTE < until:
            rings.offer(number * 4 * MINUTE, number)
            number += 1

    def seen(rings: Rings) -> list[tuple[str, list[int], int]]:
        pairs = zip(rings.picks(), rings.fill(), strict=True)
        return [(fill.tier, [rt for rt, _ in keys], fill.rows) for keys, fill in pairs]

    feed(rings, 2 * DAY)
    moments.append(("before", seen(rings), []))
    kept = {key for keys in rings.picks() for key in keys}
    rings = Rings.fitted(after, kept, rings)
    moments.append(("at once", seen(rings), [rt for rt, each in kept if each not in rings.kept]))
    for words, until in (("5 hours later", 2 * DAY + 5 * HOUR), ("a day later", 3 * DAY)):
        feed(rings, until)
        moments.append((words, seen(rings), []))
    height = top + sum(lane * len(rows) + 26 for _, rows, _ in moments)
    canvas = Canvas(940, height + 40, f"A branch that kept {before} is tuned to {after}")

    def place(time: int) -> float:
        return left + (right - left) * time / (days * DAY)

    canvas.text(28, 40, "A policy is changed: some goes at once, and a new tier fills from then on", "head")
    canvas.text(28, 64, f"{before}  \u2192  {after}", "code", fill=SOFT)
    canvas.dots([(32, 88)], GONE, 4)
    canvas.text(42, 92, "goes at once", "soft")
    canvas.lines([(place(hour * HOUR), top - 12) for hour in range(0, days * 24 + 1, 12)], height - top, FAINT, 1)
    canvas.lines([(place(2 * DAY), top - 22)], height - top + 10, INK, 1.2)
    canvas.text(place(2 * DAY), top - 28, "tuned here", "soft", "middle")
    for hour in range(0, days * 24 + 1, 12):
        canvas.text(place(hour * HOUR), height + 16, f"{hour} h", "soft", "middle")
    y = top
    for words, rows, gone in moments:
        canvas.text(28, y + 2, words, "soft")
        y += 14
        for index, (tier, times, slots) in enumerate(rows):
            colour = _shade(index, len(rows))
            canvas.text(left - 16, y + 13, tier, "code", "end", colour)
            if times:
                canvas.band(place(min(times)) - 4, y, place(max(times)) - place(min(times)) + 8, lane - 8, colour, 0.13)
            if index == len(rows) - 1:
                canvas.dots([(place(time), y + 11) for time in gone], GONE, 4)
            canvas.lines([(place(time), y + 4) for time in times], lane - 16, colour, 1.3, 0.85)
            canvas.text(912, y + 14, f"{len(times)} of {slots}", "soft", "end")
            y += lane
        y += 12
    return str(canvas)


def _shade(index: int, count: int) -> str:
    """The colour of a tier, spread over the palette if there are few."""
    return COLOURS[round(index * (len(COLOURS) - 1) / max(1, count - 1))]


def pictures() -> dict[str, str]:
    """File names and their content."""
    return {
        "tiers.svg": tiers(parse(DEFAULT)),
        "run.svg": run(parse("last:8 2m:20m 10m:2h *:12")),
        "tuned.svg": tuned(parse("last:60 1h:2d"), parse("last:12 10m:12h 2h:3d")),
    }


if __name__ == "__main__":
    for name, content in pictures().items():
        (Path(__file__).parent / name).write_text(content)
