"""What is recorded: patterns of paths, how many of each, and the rings they get.

Rule: series are declared when a store is created, as `PATTERN:PATHS`, and never change after that: a column for
each of PATHS paths, and in it a ring for each time tier (`STEP:SPAN`) of main's policy as it is then. Other
tiers have no rings: `last:N` and `Nc:N` are not of time, and the step of `*:N` changes. A path that two patterns
match belongs to the first. Space: 40 bytes a row of each ring, and one record, for each path.
Cost: O(patterns). Prior art: RRDtool's RRAs, which are fixed at creation too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.errors import InvalidPattern, PolicyError, SeriesError
from rrdstore.policy.grammar import parse
from rrdstore.policy.policy import Every
from rrdstore.tree.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rrdstore.policy.policy import Policy

MAX_PATHS = 1 << 20
MAX_PATTERNS = 64
MAX_TEXT = 2048
"""Bytes of all that is declared, as a row of the file says it."""
CELL = 40
"""Bytes of a row of one ring: four doubles, the bucket and how much of it is known."""
CELLS_A_ROW, ROW = 100, 4028
"""How the storage packs them: cells of a page, bytes for records in a page."""
PATH_BYTES = 255
"""The longest path that is recorded, in UTF-8."""
RECORD = 73 + PATH_BYTES
A_TIER = 48
"""Bytes of a column's record, and of each tier in it: what is not in a ring yet."""

_A_DECLARATION = "PATTERN:PATHS, such as /local/domain/*/memory/target:1000"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One pattern and how many paths of it are recorded at the same time."""

    pattern: str
    paths: int

    def __post_init__(self) -> None:
        if not 1 <= self.paths <= MAX_PATHS:
            raise SeriesError(str(self), f"{self.paths} paths", f"1 to {MAX_PATHS}")
        try:
            Pattern(self.pattern)
        except InvalidPattern as error:
            raise SeriesError(str(self), str(error), "a pattern of paths, such as /local/domain/*/name") from None

    def __str__(self) -> str:
        return f"{self.pattern}:{self.paths}"


@dataclass(frozen=True, slots=True)
class Declared:
    """All that is declared, and the tiers whose rings it gets. Fixed for the life of a store."""

    tiers: tuple[Every, ...]
    declarations: tuple[Declaration, ...]

    @property
    def columns(self) -> int:
        """How many paths can be recorded at the same time."""
        return sum(each.paths for each in self.declarations)

    @property
    def rows(self) -> int:
        """Rows of all rings of one column."""
        return sum(tier.rows for tier in self.tiers)

    @property
    def record(self) -> int:
        """Bytes of a column's record."""
        return RECORD + A_TIER * len(self.tiers)

    @property
    def cells(self) -> int:
        """Cells of all rings of all columns."""
        return self.rows * self.columns

    @property
    def bytes_per_path(self) -> int:
        """What one path takes, at most: its rows and its record, with what pages and checksums add."""
        return -(-self.rows * 4096 // CELLS_A_ROW) + 4096 // (ROW // self.record)

    def text(self) -> str:
        """The plan as text, for `from_text`."""
        return json.dumps(
            {"tiers": " ".join(map(str, self.tiers)), "series": [[d.pattern, d.paths] for d in self.declarations]},
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @classmethod
    def from_text(cls, text: str) -> Declared:
        """The plan of a text; SeriesError."""
        try:
            found = json.loads(text)
            tiers = tuple(tier for tier in parse(found["tiers"]).tiers if isinstance(tier, Every))
            declarations = tuple(Declaration(str(pattern), int(paths)) for pattern, paths in found["series"])
        except (ValueError, KeyError, TypeError, PolicyError) as error:
            raise SeriesError(text[:40], str(error), "what a store wrote of its series") from None
        return cls(tiers, declarations)


def parse_series(texts: Iterable[str | Declaration], policy: Policy) -> Declared | None:
    """What these `PATTERN:PATHS` declare for a store with this policy; None if there are none. SeriesError."""
    return planned([each if isinstance(each, Declaration) else _declaration(each) for each in texts], policy)


def planned(declarations: Sequence[Declaration], policy: Policy) -> Declared | None:
    """The plan of these declarations under a policy; None if there are none. SeriesError."""
    if not declarations:
        return None
    whole = " ".join(map(str, declarations))
    if len(declarations) > MAX_PATTERNS:
        raise SeriesError(whole, f"{len(declarations)} patterns", f"at most {MAX_PATTERNS}")
    patterns = [each.pattern for each in declarations]
    twice = next((pattern for pattern in patterns if patterns.count(pattern) > 1), None)
    if twice is not None:
        raise SeriesError(whole, f"{twice!r} twice", "each pattern once")
    tiers = tuple(tier for tier in policy.tiers if isinstance(tier, Every))
    if not tiers:
        raise SeriesError(whole, f"the policy {policy}", "one with a time tier, such as 1m:2h")
    made = Declared(tiers, tuple(declarations))
    if made.columns > MAX_PATHS:
        raise SeriesError(whole, f"{made.columns} paths in all", f"at most {MAX_PATHS}")
    if len(made.text().encode()) > MAX_TEXT:
        raise SeriesError(whole[:40], f"{len(made.text().encode())} bytes of patterns and tiers", f"at most {MAX_TEXT}")
    return made


def _declaration(text: str) -> Declaration:
    if not isinstance(text, str):
        raise TypeError(f"a series is text, not {type(text).__name__}")
    pattern, colon, paths = text.rpartition(":")
    if not colon or not paths.isdecimal() or not paths.isascii() or len(paths) > 9:
        raise SeriesError(text, f"{paths!r} as the number of paths" if colon else "no ':'", _A_DECLARATION)
    return Declaration(pattern, int(paths))
