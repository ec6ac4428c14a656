"""A clock that stands still until it is told.

Rule: nothing here reads the time, sleeps or depends on the machine: a test with it runs the same everywhere.
"""

from __future__ import annotations

SECOND = 1_000_000
"""Microseconds."""

START = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z: on a border of every step up to a day."""


class ManualClock:
    """A clock that stands still until it is told: give it to a store as `clock`.

    `start` is its first time of day, in microseconds since 1970-01-01T00:00Z. Its monotonic time begins at 0.
    """

    __slots__ = ("_monotonic", "_wall")

    def __init__(self, start: int = START) -> None:
        self._wall, self._monotonic = start, 0

    def wall(self) -> int:
        """The time of day, microseconds since 1970-01-01T00:00Z."""
        return self._wall

    def monotonic(self) -> int:
        """Microseconds that have passed; `jump_wall` is not among them."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, to the microsecond; ValueError if it would go back."""
        passed = _microseconds(seconds)
        if passed < 0:
            raise ValueError(f"time passes forwards, not by {seconds} s; jump_wall sets the time of day back")
        self._wall += passed
        self._monotonic += passed

    def jump_wall(self, seconds: float) -> None:
        """Set the time of day forwards or back, as an operator or a time server does; no time passes."""
        self._wall += _microseconds(seconds)


def _microseconds(seconds: float) -> int:
    return round(seconds * SECOND)
