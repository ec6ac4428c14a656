"""Clients in a process of their own: a process may have 20,000 descriptors, four daemons' 10,000 clients are more."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from bench.race import Lap

_FORK = multiprocessing.get_context("fork")


class Lapping(Protocol):
    """What `Apart` can carry: it has a lap, and an end."""

    lap: Callable[[], Lap]

    def close(self) -> None: ...


class Apart:
    """What `make` returns, made and run in a child on the same core; whose error is raised here."""

    def __init__(self, make: Callable[[], Lapping]) -> None:
        self._here, there = _FORK.Pipe()
        self._process = _FORK.Process(target=_serve, args=(make, self._here, there), daemon=True)
        self._process.start()
        there.close()
        self._told()

    def lap(self) -> Lap:
        """One lap of it."""
        self._here.send(True)
        return self._told()

    def close(self) -> None:
        """End it."""
        self._here.close()
        self._process.join()

    def _told(self) -> Lap:
        try:
            found = self._here.recv()
        except EOFError:
            raise RuntimeError("the process of the clients has ended") from None
        if isinstance(found, Exception):
            raise found
        return found


def _serve(make: Callable[[], Lapping], here: Connection, there: Connection) -> None:
    here.close()  # the parent's end: as long as it is open here too, its closing is not seen
    try:
        made = make()
        there.send(None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        there.send(error)
        return
    try:
        while True:
            there.recv()
            there.send(made.lap())
    except EOFError:
        made.close()
