"""The language of policies: text to tiers and back.

    policy := tier (sep tier)*           sep: blanks, "," or "|"
    tier   := "last:" N                  the N newest commits by (retention time, number)
            | STEP ":" SPAN ["@first"]   one commit per aligned STEP, for SPAN; a plain integer is rows
            | N "x" STEP ["@first"]      the same, grid spelling
            | "*:" N                     N commits spread over the whole life, and the first
    STEP   := int (s m h d w M y) | int "c"          SPAN := int (s m h d w M y) | int

Rule: `str(parse(text))` is canonical, and parsing that gives an equal policy. A span is rounded
down to whole steps (`1w:1y` is 52 weeks). Nothing is guessed: what is not in the grammar raises
PolicyError with the part at fault, what was found and what was expected; where two tiers
contradict each other both are quoted as they were written.
Cost: O(length of the text). Prior art: RRDtool's RRA lines, zrepl's grid, restic's --keep-*.
"""

from __future__ import annotations

import re

from rrdstore.errors import PolicyError
from rrdstore.policy.policy import MAX_SLOTS, Count, Every, Last, Policy, Spread, Tier, check, shorten
from rrdstore.policy.step import UNITS, Step

__all__ = ["BRANCH_DEFAULT", "DEFAULT", "Count", "Every", "Last", "Policy", "Spread", "Step", "Tier", "parse"]

DEFAULT = "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64"
"""What a store keeps of its main branch unless told otherwise: at most 871 commits."""
BRANCH_DEFAULT = "last:32 1m:1h"
"""What any other branch keeps unless told otherwise."""

MAX_TEXT = 1024
"""The longest policy text, in characters."""
_DIGITS = 12  # longer than any number that could pass, short enough to read at once

_SEPARATOR = re.compile(r"[ \t\r\n]*[,|][ \t\r\n]*|[ \t\r\n]+")
_NUMBER = re.compile(r"[0-9]+")
_STEP = re.compile(r"([0-9]+)([smhdwMyc])")
_GRID = re.compile(r"([0-9]+)x(.*)")
_FORMS = "last:N, STEP:SPAN, NxSTEP or *:N"
_A_STEP = "a number and one of s m h d w M y, or c for commits"
_A_SPAN = "a span such as 2h or 30d, or a number of rows"


def parse(text: str) -> Policy:
    """The policy that `text` says. Raises PolicyError; never anything else for a str."""
    if len(text) > MAX_TEXT:
        raise PolicyError(shorten(text), f"{len(text)} characters", f"at most {MAX_TEXT}")
    stripped = text.strip(" \t\r\n")
    words = _SEPARATOR.split(stripped) if stripped else []
    if "" in words:
        raise PolicyError(shorten(stripped), "nothing beside a separator", "a tier")
    written = tuple((_tier(word), word) for word in words)
    check(written)
    return Policy(tuple(tier for tier, _ in written))


def _tier(word: str) -> Tier:
    body, at, pick = word.partition("@")
    if at and pick != "first":
        raise PolicyError(shorten(word), shorten(f"'@{pick}'"), "'@first' or nothing: the last of a step is the rule")
    grid = _GRID.fullmatch(body)
    if grid:
        return _stepped(word, grid[2], grid[1], first=bool(at))
    head, colon, tail = body.partition(":")
    if not colon or not head:
        raise PolicyError(shorten(word), f"no {'step' if colon else 'tier'}", _FORMS)
    if head in {"last", "*"}:
        if at:
            raise PolicyError(shorten(word), "'@first'", f"'@first' on steps only, not on {head!r}")
        rows = _rows(word, tail)
        return Last(rows) if head == "last" else Spread(rows)
    if head == "all":
        raise PolicyError(shorten(word), "'all'", "a bound: 'all' is not constant space, last:N or 1s:10m is")
    return _stepped(word, head, tail, first=bool(at))


def _stepped(word: str, head: str, tail: str, *, first: bool) -> Every | Count:
    step = _STEP.fullmatch(head)
    if not step:
        raise PolicyError(shorten(word), f"a step {shorten(head)!r}", _A_STEP)
    count = _int(word, step[1], "a step")
    if step[2] == "c":
        return Count(count, _rows(word, tail), first)
    unit = Step(count, step[2])
    if _NUMBER.fullmatch(tail):
        return Every(unit, _rows(word, tail), first)
    span = _STEP.fullmatch(tail)
    if not span or span[2] == "c":
        raise PolicyError(shorten(word), f"a span {shorten(tail)!r}", _A_SPAN)
    rows = _int(word, span[1], "a span") * UNITS[span[2]] // unit.length
    if rows < 1:
        raise PolicyError(shorten(word), f"a span of {tail}", f"one as long as the step, {head}")
    return Every(unit, rows, first)


def _rows(word: str, digits: str) -> int:
    if not _NUMBER.fullmatch(digits):
        raise PolicyError(shorten(word), f"{shorten(digits)!r} commits to keep", f"a number, 1 to {MAX_SLOTS}")
    return _int(word, digits, "a number of commits to keep")


def _int(word: str, digits: str, what: str) -> int:
    """`digits` as a number of at least 1, of bounded length."""
    if len(digits) > _DIGITS:
        raise PolicyError(shorten(word), f"{what} with {len(digits)} digits", f"at most {_DIGITS}")
    number = int(digits)
    if number < 1:
        raise PolicyError(shorten(word), f"{what} of {digits}", "at least 1")
    return number
