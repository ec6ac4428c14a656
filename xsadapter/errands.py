"""What the loop does now and then beside serving.

Rule: an errand says when it is to be called next, and is asked that at each turn of the loop: so it must be cheap.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xsadapter.server import Server


class Errand(Protocol):
    """Something that has its time; `at` is when, in monotonic seconds, None is not now."""

    @property
    def at(self) -> float | None:
        """When next."""
        ...

    def turn(self, server: Server) -> None:
        """Do it."""
        ...


class Errands:
    """All of a server's."""

    __slots__ = ("_all",)

    def __init__(self, errands: Sequence[Errand] = ()) -> None:
        self._all = tuple(errands)

    def add(self, errand: Errand) -> None:
        """One more, unless it is there."""
        if errand not in self._all:
            self._all = (*self._all, errand)

    def remove(self, errand: Errand) -> None:
        """One less, if it is there."""
        self._all = tuple(each for each in self._all if each is not errand)

    def turn(self, server: Server, now: float) -> float | None:
        """Do those that are due; when the next is."""
        first, again = None, False
        for errand in self._all:
            at = errand.at
            if at is not None and now >= at:
                errand.turn(server)
                again = True
            if at is not None and (first is None or at < first):
                first = at
        return min((at for errand in self._all if (at := errand.at) is not None), default=None) if again else first


class EachSecond:
    """What is called about once a second, with the monotonic time."""

    def __init__(self, call: Callable[[float], None]) -> None:
        self._call = call
        self.at = 0.0

    def turn(self, _: Server) -> None:
        """See Errand."""
        now = time.monotonic()
        self.at = now + 1
        self._call(now)


class Once:
    """What is called one time, when a moment has come."""

    def __init__(self, errands: Errands, at: float, call: Callable[[], None]) -> None:
        self._errands, self._call = errands, call
        self.at: float | None = at
        errands.add(self)

    def turn(self, _: Server) -> None:
        """See Errand."""
        self.at = None
        self._errands.remove(self)
        self._call()


_LEAST: Final = 1.0
_MOST: Final = 60.0


class Again:
    """Trying something until it succeeds, in 1, 2, 4 ... and at most 60 seconds; no errand as long as it works."""

    def __init__(self, errands: Errands, attempt: Callable[[Server], bool]) -> None:
        self._errands, self._attempt = errands, attempt
        self._pause = _LEAST
        self.at: float | None = None

    def begin(self) -> None:
        """It does not work; if that is known already, nothing changes."""
        if self.at is None:
            self._pause = _LEAST
            self.at = time.monotonic() + self._pause
            self._errands.add(self)

    def soon(self) -> None:
        """It may work now, if it did not."""
        if self.at is not None:
            self._pause, self.at = _LEAST, time.monotonic()

    def turn(self, server: Server) -> None:
        """See Errand."""
        if self._attempt(server):
            self.at = None
            self._errands.remove(self)
        else:
            self._pause = min(_MOST, 2 * self._pause)
            self.at = time.monotonic() + self._pause
