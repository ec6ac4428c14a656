"""Steps: the lengths of time a policy is made of, and the aligned buckets they cut time into.

Rule: buckets are aligned to 1970-01-01T00:00Z, `s m h d w` by plain division, `M` and `y` by the
UTC calendar. `m` is a minute and `M` a month, as in RRDtool. Weeks begin on a Thursday, as the
epoch did: a bucket needs a fixed border, not a familiar one.
Where a month or a year is only a length (a span, a comparison) a year is 365 days and a month a
twelfth of it. Times are int microseconds since the epoch, UTC, negative ones included.
Cost: O(1) each. Prior art: RRDtool's steps and units.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

SECOND = 1_000_000
DAY = 86_400 * SECOND

UNITS = {
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": DAY,
    "w": 7 * DAY,
    "M": 365 * DAY // 12,
    "y": 365 * DAY,
}
"""Microseconds of each unit; of `M` and `y` nominally."""

_CALENDAR = {"M": 1, "y": 12}
_EPOCH = date(1970, 1, 1).toordinal()
_ERA_DAYS, _ERA_MONTHS = 146_097, 4_800  # after 400 years the Gregorian calendar repeats, weekdays too


@dataclass(frozen=True, slots=True)
class Step:
    """A count of one unit: `Step(5, "m")` is five minutes.

    It is normalised to the largest unit that says the same: `Step(60, "s") == Step(1, "m")`.
    Raises ValueError for a count below 1 or a unit that is not one of `s m h d w M y`.
    """

    count: int
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in UNITS or self.count < 1:
            raise ValueError(f"no step: {self.count!r} {self.unit!r}")
        for unit in ("y", "M") if self.unit in _CALENDAR else ("w", "d", "h", "m", "s"):
            count, rest = divmod(self.length, UNITS[unit])
            if rest == 0:
                object.__setattr__(self, "count", count)
                object.__setattr__(self, "unit", unit)
                break

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def length(self) -> int:
        """Microseconds; of months and years nominally."""
        return self.count * UNITS[self.unit]

    @property
    def months(self) -> int:
        """Months in the step if its buckets follow the calendar, else 0."""
        return self.count * _CALENDAR.get(self.unit, 0)

    def bucket(self, rt: int) -> int:
        """The bucket that time `rt` falls into; bucket 0 begins at the epoch."""
        if self.unit in _CALENDAR:
            return _month(rt) // self.months
        return rt // self.length

    def start(self, bucket: int) -> int:
        """When `bucket` begins; it ends where the next one begins."""
        if self.unit in _CALENDAR:
            return _first_of(bucket * self.months)
        return bucket * self.length


def _month(rt: int) -> int:
    """The calendar month of `rt`, counted from January 1970."""
    eras, days = divmod(rt // DAY, _ERA_DAYS)
    day = date.fromordinal(_EPOCH + days)
    return eras * _ERA_MONTHS + (day.year - 1970) * 12 + day.month - 1


def _first_of(month: int) -> int:
    """When `month`, counted from January 1970, begins."""
    eras, rest = divmod(month, _ERA_MONTHS)
    years, index = divmod(rest, 12)
    return (eras * _ERA_DAYS + date(1970 + years, index + 1, 1).toordinal() - _EPOCH) * DAY
