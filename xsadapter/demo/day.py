"""The day: a table of deeds, the jobs that come and go, and one moment that depends on the seed alone.

Rule: the same seed gives the same day. Times are whole seconds since midnight; deeds come in order.
Cost: O(deeds log deeds).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 24 * HOUR

VICTIM: Final = "db1"
"""The domain whose disk goes wrong. It runs all day."""

What = Literal["boot", "start", "stop", "crash", "leave", "arrive", "wrong"]


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that happens to a domain, or to the host."""

    at: int
    what: What
    name: str

    @property
    def is_job(self) -> bool:
        """Whether it is one of many alike, not worth a line."""
        return self.name.startswith("ci-")


_TABLE: Final[tuple[tuple[str, What, str], ...]] = (
    ("00:00:10", "boot", "xen7"),
    ("00:01:00", "start", VICTIM),
    ("00:02:10", "start", "web1"),
    ("00:02:50", "start", "web2"),
    ("00:04:30", "start", "mail1"),
    ("01:30:00", "start", "backup1"),
    ("03:42:20", "stop", "backup1"),
    ("06:30:00", "start", "web3"),
    ("06:30:40", "start", "web4"),
    ("08:15:10", "leave", "mail1"),
    ("09:50:00", "arrive", "build1"),
    ("11:21:30", "crash", "web2"),
    ("13:05:00", "arrive", "mail1"),
    ("15:30:00", "leave", "web1"),
    ("17:45:20", "arrive", "web1"),
    ("19:10:00", "stop", "build1"),
    ("20:00:00", "stop", "web3"),
    ("20:00:50", "stop", "web4"),
    ("22:10:00", "start", "backup1"),
    ("23:31:40", "stop", "backup1"),
)
_JOBS: Final = range(7 * HOUR, 18 * HOUR + 30 * MINUTE, 25 * MINUTE)
_JOB_LASTS: Final = (12 * MINUTE, 21 * MINUTE)
_WRONG: Final = (20 * MINUTE, 23 * HOUR + 50 * MINUTE)


def seconds_of(text: str) -> int:
    """Seconds since midnight of "HH:MM" or "HH:MM:SS"; ValueError for anything else."""
    parts = text.split(":")
    if len(parts) not in {2, 3} or not all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"found {text!r}, expected a time of day as HH:MM or HH:MM:SS")
    hours, minutes, seconds = (*map(int, parts), 0)[:3]
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(f"found {text!r}, expected a time of day from 00:00 to 23:59:59")
    return hours * HOUR + minutes * MINUTE + seconds


def time_of(seconds: float) -> str:
    """A moment of the day as "HH:MM:SS", the end of it as "24:00:00"."""
    whole = int(seconds)
    return f"{whole // HOUR:02}:{whole // MINUTE % 60:02}:{whole % 60:02}"


def duration(seconds: float) -> str:
    """How long something took, in the two largest units: "34m 8s"."""
    whole = int(seconds)
    parts = [f"{whole // size % top}{unit}" for size, top, unit in ((HOUR, 1000, "h"), (MINUTE, 60, "m"), (1, 60, "s"))]
    shown = [part for part in parts if not part.startswith("0")]
    return " ".join(shown[:2]) or "0s"


def deeds(seed: int) -> tuple[Deed, ...]:
    """All that happens in the day of this seed, in order."""
    chance = Random(seed)
    found = [Deed(seconds_of(at), what, name) for at, what, name in _TABLE]
    for number, start in enumerate(_JOBS, 1):
        begin = start + chance.randrange(5 * MINUTE)
        found += [
            Deed(begin, "start", f"ci-{number}"),
            Deed(begin + chance.randint(*_JOB_LASTS), "stop", f"ci-{number}"),
        ]
    found.append(Deed(chance.randint(*_WRONG), "wrong", VICTIM))
    return tuple(sorted(found, key=lambda deed: deed.at))
