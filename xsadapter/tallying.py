"""When accounts are counted that a daemon which was started again has not counted yet.

Rule: a small tree at once; of a large one the rest in slices of 2 ms, between which the clients are served, with pauses
as long as these unless somebody waits for it. What cannot be read now is tried again after five seconds.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine.failures import met

if TYPE_CHECKING:
    from xsadapter.engine.daemon import Daemon
    from xsadapter.server import Server

_log = logging.getLogger("xsadapter")

AT_ONCE: Final = 5_000
"""Nodes, which take about 50 ms."""
_SLICE: Final = 0.002
_AGAIN: Final = 5.0
_NODES: Final = 64


class Tallying:
    """An errand, as long as there is a count."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._at = 0.0

    @property
    def at(self) -> float | None:
        """See Errand."""
        return None if self._daemon.counting is None else self._at

    def turn(self, _: Server) -> None:
        """Count for a while."""
        began = time.monotonic()
        try:
            while self._daemon.counting is not None and time.monotonic() < began + _SLICE:
                self._daemon.count(_NODES)
        except (OSError, rrdstore.StoreError) as error:
            _log.error("the accounts cannot be counted: %s", error)
            if isinstance(error, rrdstore.StoreError):
                met(self._daemon, error)
            self._at = time.monotonic() + _AGAIN
            return
        counting, now = self._daemon.counting, time.monotonic()
        if counting is None:
            _log.info("all accounts are counted")
        elif counting.wanted:
            self._at = now
        else:
            self._at = now + (now - began)
