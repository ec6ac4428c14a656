"""The policy as a value: its tiers, the rules that bind them together, and its canonical text.

Rule: within one kind (time, count) steps rise, each divides the next, and spans rise, so that a
coarser tier only ever keeps what reaches further back; weeks and days need not divide a month or
a year. At most one `last` and one `*`. `slots` bounds what the tiers keep, before the first write.
Canonical order: last, counts, times, `*`; canonical spans: the largest unit that says the same.
Cost: O(tiers).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from rrdstore.errors import PolicyError
from rrdstore.policy.step import UNITS, Step

MAX_SLOTS = 1 << 20
"""The most commits one policy may keep."""
MAX_TIERS = 32
MAX_COUNT = 1_000_000_000
"""The largest step of a count tier."""
MAX_SPAN = 10_000 * UNITS["y"]


@dataclass(frozen=True, slots=True)
class Last:
    """The `rows` newest commits, by (retention time, number)."""

    rows: int

    def __str__(self) -> str:
        return f"last:{self.rows}"


@dataclass(frozen=True, slots=True)
class Every:
    """One commit of each aligned `step`, for `rows` steps: the last of it, or with `first` the first."""

    step: Step
    rows: int
    first: bool = False

    def __str__(self) -> str:
        return f"{self.step}:{_span_text(self.step, self.rows)}{'@first' if self.first else ''}"

    @property
    def span(self) -> int:
        """Microseconds that the rows cover; of months and years nominally."""
        return self.step.length * self.rows


@dataclass(frozen=True, slots=True)
class Count:
    """One commit of each `step` numbers, for `rows` steps: the last of it, or with `first` the first."""

    step: int
    rows: int
    first: bool = False

    def __str__(self) -> str:
        return f"{self.step}c:{self.rows}{'@first' if self.first else ''}"

    @property
    def span(self) -> int:
        """Numbers that the rows cover."""
        return self.step * self.rows


@dataclass(frozen=True, slots=True)
class Spread:
    """`rows` commits spread over the whole life, and the first: the step doubles from one second on."""

    rows: int

    def __str__(self) -> str:
        return f"*:{self.rows}"


Tier: TypeAlias = Last | Every | Count | Spread

_ORDER: dict[type, int] = {Last: 0, Count: 1, Every: 2, Spread: 3}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a branch keeps: tiers in canonical order, whatever the order given.

    Raises PolicyError if the tiers contradict each other or keep too much.
    """

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        check(tuple((tier, str(tier)) for tier in self.tiers))
        object.__setattr__(self, "tiers", tuple(sorted(self.tiers, key=lambda tier: _ORDER[type(tier)])))

    def __str__(self) -> str:
        return " ".join(map(str, self.tiers))

    @property
    def slots(self) -> int:
        """The most commits that the tiers keep at any time."""
        return sum(slots_of(tier) for tier in self.tiers)

    @property
    def reach(self) -> int:
        """Microseconds that the longest time tier covers; 0 if there is none (the others promise no time)."""
        return max((tier.span for tier in self.tiers if isinstance(tier, Every)), default=0)


def slots_of(tier: Tier) -> int:
    """The most commits that one tier keeps: its rows, and for `*` the first commit besides."""
    return tier.rows + isinstance(tier, Spread)


def check(written: tuple[tuple[Tier, str], ...]) -> None:
    """Raise PolicyError unless the tiers, each with the text it was written as, make a policy."""
    whole = shorten(" ".join(text for _, text in written))
    if not 1 <= len(written) <= MAX_TIERS:
        raise PolicyError(whole, f"{len(written) or 'no'} tiers", f"1 to {MAX_TIERS} tiers, such as last:256 1m:2h")
    for tier, text in written:
        _check_alone(tier, text)
    for kind, name in ((Last, "last"), (Spread, "*")):
        same = [text for tier, text in written if isinstance(tier, kind)]
        if len(same) > 1:
            raise PolicyError(f"{same[0]} {same[1]}", f"{name!r} twice", f"one {name!r} tier at most")
    counts = [(tier, text) for tier, text in written if isinstance(tier, Count)]
    for (fine, a), (coarse, b) in pairwise(counts):
        _check_pair(f"{a} {b}", (f"{fine.step}c", fine.step, fine.span), (f"{coarse.step}c", coarse.step, coarse.span))
    times = [(tier, text) for tier, text in written if isinstance(tier, Every)]
    for (early, a), (late, b) in pairwise(times):
        exempt = bool(late.step.months) and not early.step.months
        fine_length, coarse_length = early.step.length, late.step.length
        _check_pair(
            f"{a} {b}", (str(early.step), fine_length, early.span), (str(late.step), coarse_length, late.span), exempt
        )
    slots = sum(slots_of(tier) for tier, _ in written)
    if slots > MAX_SLOTS:
        raise PolicyError(whole, f"{slots} commits to keep", f"at most {MAX_SLOTS}")


def _check_alone(tier: Tier, text: str) -> None:
    if not 1 <= tier.rows <= MAX_SLOTS:
        raise PolicyError(text, f"{shorten(str(tier.rows))} commits to keep", f"1 to {MAX_SLOTS}")
    if isinstance(tier, Count) and not 1 <= tier.step <= MAX_COUNT:
        raise PolicyError(text, f"a step of {shorten(str(tier.step))} commits", f"1 to {MAX_COUNT}")
    if isinstance(tier, Every) and tier.span > MAX_SPAN:
        raise PolicyError(text, f"a span of {shorten(str(tier.span // UNITS['y']))} years", "at most 10000 years")


def _check_pair(both: str, fine: tuple[str, int, int], coarse: tuple[str, int, int], exempt: bool = False) -> None:
    """Hold two neighbours of one kind, each given as (step text, step, span), to the rule above."""
    if coarse[1] <= fine[1]:
        raise PolicyError(both, f"a step of {coarse[0]} after one of {fine[0]}", f"a step longer than {fine[0]}")
    if coarse[1] % fine[1] and not exempt:
        raise PolicyError(both, f"a step of {coarse[0]} after one of {fine[0]}", f"a multiple of {fine[0]}")
    if coarse[2] <= fine[2]:
        raise PolicyError(
            both, "a second span that reaches no further than the first", "spans that rise with the steps"
        )


def _span_text(step: Step, rows: int) -> str:
    """The shortest span that means exactly `rows` steps: weeks may fill a year but for a few days."""
    length = step.length * rows
    if step.months:
        units: tuple[str, ...] = ("y", "M")
    elif step.unit == "w":
        years = -(-length // UNITS["y"])
        if years * UNITS["y"] // step.length == rows:
            return f"{years}y"
        units = ("w",)
    else:
        units = ("y", "w", "d", "h", "m", "s")
    unit = next(unit for unit in units if length % UNITS[unit] == 0)
    return f"{length // UNITS[unit]}{unit}"


def shorten(text: str) -> str:
    """At most 60 characters of `text`, for an error's sentence."""
    return text if len(text) <= 60 else text[:57] + "..."
