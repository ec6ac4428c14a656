"""What a store will be, before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.policy import DEFAULT, forecast, parse
from rrdstore.series import parse_series
from rrdstore.storage.layout import least, plan
from rrdstore.store.consolidation import room_of
from rrdstore.store.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rrdstore.policy import Forecast


@dataclass(frozen=True, slots=True)
class Estimate:
    """A size and a policy, in figures. Bytes."""

    keep: str
    size: int
    least: int
    """The smallest size that this policy can have."""
    room: int
    """Bytes that the kept commits share; 0 if the size is too small."""
    series_paths: int
    """How many paths the series can record."""
    series_bytes: int
    """What they take of the size, beside `room`."""
    forecast: Forecast
    """The most commits and the reach of each tier; its bytes are room for each commit on average."""


def estimate(size: str | int, keep: str = DEFAULT, series: Iterable[str] = ()) -> Estimate:
    """What `create` would make of this size, policy and series; PolicyError, SeriesError. O(log size)."""
    policy, wanted = parse(keep), parse_size(size)
    declared = parse_series(series, policy)
    taken = room_of(declared)
    smallest = least(policy.slots, series=taken)
    room = plan(wanted, policy.slots, taken).room if wanted >= smallest else 0
    paths, each = (declared.columns, declared.bytes_per_path) if declared else (0, 0)
    made = forecast(policy, room // policy.slots)
    return Estimate(str(policy), wanted, smallest, room, paths, paths * each, made)
