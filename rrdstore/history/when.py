"""Moments as people write them: "2h ago", "@1700000000", ISO 8601.

    when     := "now" | duration | "@" seconds | ISO date or date and time | datetime | microseconds
    duration := ["-"] (number unit)+ ["ago"]          unit: s m h d w M y, as in policies

Rule: a duration always looks back from `now`; a month is a twelfth of a year of 365 days. What
has no time zone is UTC. What begins like a moment and is none raises InvalidWhen; what does not
look like one (an id, a tag) is None, the caller's, who has looked for a tag of that name before.
Cost: O(length of the text).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from rrdstore.errors import InvalidWhen

_SECOND = 1_000_000
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_628_000, "y": 31_536_000}
_LIMIT = 1 << 63
"""Microseconds beyond which no store counts."""
_MAX_TEXT = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_PART = r"[0-9]+(?:\.[0-9]+)?[smhdwMy]"
_PARTS = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdwMy])")
_DURATION = re.compile(rf"-?{_PART}(?: *{_PART})*(?: +ago)?")
_UNIX = re.compile(r"@-?[0-9]+(?:\.[0-9]+)?")
_LIKE_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_LIKE_PAST = re.compile(r"[-@].*|.*\sago", re.DOTALL)
_EXPECTED = "a moment such as '2h ago', '1d12h', '@1700000000', '2026-01-31' or '2026-01-31T12:00:00Z'"


def parse_when(when: str | datetime | int, now: int) -> int | None:
    """The moment `when`, in microseconds since the epoch, UTC; None for text that is some other name.

    `now` is what durations are taken from; an int is microseconds already. Raises InvalidWhen.
    """
    if isinstance(when, datetime):
        return _micros(when)
    if isinstance(when, str):
        return _bounded(when, _read(when.strip(), now))
    if isinstance(when, bool):
        raise InvalidWhen(str(when), _EXPECTED)
    return _bounded(str(when), when)


def _read(text: str, now: int) -> int | None:
    if text == "now":
        return now
    if not text or (len(text) > _MAX_TEXT and (_LIKE_PAST.fullmatch(text) or _LIKE_DATE.match(text))):
        raise InvalidWhen(text[:_MAX_TEXT], _EXPECTED)
    if len(text) > _MAX_TEXT:
        return None
    if _DURATION.fullmatch(text):
        return now - sum(int(Fraction(number) * _SECONDS[unit] * _SECOND) for number, unit in _PARTS.findall(text))
    if _UNIX.fullmatch(text):
        return int(Fraction(text[1:]) * _SECOND // 1)
    if _LIKE_DATE.match(text):
        try:
            return _micros(datetime.fromisoformat(text))
        except ValueError:
            raise InvalidWhen(text, "an ISO 8601 date, or date and time, that exists") from None
    if _LIKE_PAST.fullmatch(text):
        raise InvalidWhen(text, _EXPECTED)
    return None


def _micros(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _bounded(text: str, micros: int | None) -> int | None:
    if micros is not None and abs(micros) >= _LIMIT:
        raise InvalidWhen(text, "a moment within 292,000 years of 1970")
    return micros
