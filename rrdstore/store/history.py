"""Histories that a policy is tried on: a store's, or a list of times from anywhere.

    history := one time a line, or JSON: a list of times, one time a line, or objects with a "time"
    time    := seconds since 1970 ("1700000000", "@1700000000", with decimals) | ISO 8601, UTC unless it says

Rule: what `git log --format=%ct`, `rrdstore log --json` and a spreadsheet's column give is read as it is; a
line that is no time is refused, InvalidWhen, with its number. Empty lines, and those that begin with `#`,
are none. Times may come in any order; commits are numbered in the order of time.
Cost: O(n log n).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any

from rrdstore.errors import InvalidWhen
from rrdstore.history.when import parse_when
from rrdstore.policy import Forecast, Replay, forecast, parse, replay
from rrdstore.series import parse_series
from rrdstore.store.branch import Branch
from rrdstore.store.config import MAIN
from rrdstore.store.consolidation import foretold
from rrdstore.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECOND = 1_000_000
_SECONDS = re.compile(r"@?-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_MOST = 10**12
"""Seconds that a time has at most."""
_EXPECTED = "seconds since 1970 or an ISO 8601 time"


def read_times(lines: Iterable[str], where: str = "times") -> list[datetime | int | float | str]:
    """The times that a text says, a line each or as JSON; InvalidWhen, naming `where` and the line."""
    text = list(lines)
    if next((line.lstrip()[:1] for line in text if line.strip()), "") == "[":
        try:
            document = json.loads("".join(text))
        except json.JSONDecodeError as fault:
            raise InvalidWhen(f"{where}, line {fault.lineno}", "a JSON list of times") from None
        return [_checked(_time(each), f"{where}, entry {number}") for number, each in enumerate(document, 1)]
    found = []
    for number, line in enumerate(text, 1):
        word = line.strip()
        if word and not word.startswith("#"):
            found.append(_checked(_time(_value(word)), f"{where}, line {number}"))
    return found


def _value(word: str) -> Any:
    if word[0] not in '{"':
        return word
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return None


def _time(value: Any) -> Any:
    return value.get("time") if isinstance(value, dict) else value


def _checked(value: Any, where: str) -> datetime | int | float | str:
    try:
        micros(value)
    except InvalidWhen:
        raise InvalidWhen(f"{where}: {value!r:.60}", _EXPECTED) from None
    return value  # type: ignore[no-any-return]  # what micros takes


def micros(time: datetime | int | float | str) -> int:
    """A time in microseconds: seconds as a number or text, ISO text, or a datetime. InvalidWhen."""
    moment: int | None = None
    if isinstance(time, bool) or not isinstance(time, datetime | int | float | str):
        raise InvalidWhen(repr(time), _EXPECTED)
    if isinstance(time, str):
        text = time.strip()
        moment = int(Fraction(text.removeprefix("@")) * _SECOND // 1) if _SECONDS.fullmatch(text) else None
    elif not isinstance(time, datetime) and isfinite(time) and abs(time) < _MOST:
        moment = int(Fraction(time) * _SECOND // 1)
    if moment is None and isinstance(time, datetime | str):
        dated = isinstance(time, datetime) or time.strip()[4:5] == "-"
        moment = parse_when(time, 0) if dated else None
    if moment is None:
        raise InvalidWhen(str(time), _EXPECTED)
    return moment


def tried(keep: str, history: Store | Branch | Iterable[datetime | int | float | str], branch: str = MAIN) -> Replay:
    """What the policy `keep` would have kept of a history; PolicyError, InvalidWhen, NotFound.

    `history` is a store (the kept commits of `branch`), a branch, or times: seconds since 1970 as a number or
    text, ISO 8601 text, or datetimes, in any order. About 1 µs a commit.
    """
    policy = parse(keep)
    if isinstance(history, Store):
        history = history.branch(branch)
    if isinstance(history, Branch):
        return replay(policy, history.keys)
    return replay(policy, [(time, number) for number, time in enumerate(sorted(map(micros, history)), 1)])


def foreseen(
    keep: str,
    *,
    every: float | None = None,
    change: int | None = None,
    tree: int = 0,
    at: datetime | int | float | str | None = None,
    series: Iterable[str] = (),
) -> Forecast:
    """What the policy `keep` will cost and how far it will reach, before there is a store.

    `every` is the seconds between two commits on average, `change` the bytes that a kept commit takes (measured for
    a change of one key if not given), `tree` those of the newest tree, `at` the moment that calendars start from,
    `series` what is to be recorded, as for `create`. PolicyError, SeriesError, ValueError. O(tiers).
    """
    policy = parse(keep)
    given = {} if change is None else {"bytes_per_commit": change}
    micros_between = None if every is None else round(every * _SECOND)
    made = forecast(policy, **given, tree=tree, every=micros_between, now=None if at is None else micros(at))
    paths, path = foretold(parse_series(series, policy), policy)
    return replace(made, series_paths=paths, series_bytes=path)
