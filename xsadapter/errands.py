"""What the loop does now and then beside serving.

Rule: an errand says when it is to be called next, and is asked that at each turn of the loop: so it must be cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    @property
    def at(self) -> float | None:
        """When the first of them is due."""
        first = None
        for errand in self._all:
            at = errand.at
            if at is not None and (first is None or at < first):
                first = at
        return first

    def turn(self, server: Server, now: float) -> None:
        """Do those that are due."""
        for errand in self._all:
            at = errand.at
            if at is not None and now >= at:
                errand.turn(server)
