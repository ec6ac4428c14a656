"""When the store is ticked.

Rule: two seconds after somebody was served it is looked whether there is a commit that is not stored, and if there
is one a tick begins; it works in slices of 1 ms, with a pause after each in which the clients have nine tenths of the
time. What a tick stores is the same for many commits as for few where they change the same directories, and the newest
256 are stored each for itself: at 2,000 WRITEs a second each bears 40 µs of it, and 70 if ticks are four times as many.
A store that cannot be written now keeps what was answered in its journal, or in memory, and is asked again after 1, 2,
4 and at most every 30 seconds.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import rrdstore

if TYPE_CHECKING:
    from xsadapter.engine.daemon import Daemon

_log = logging.getLogger("xsadapter")

_AFTER: Final = 2.0
_AGAIN: Final = 1.0
_LONGEST: Final = 30.0
_SLICE: Final = 0.001
_PAUSE: Final = 9


class Ticking:
    """The timer of a daemon's store. `at` is when it is due, in monotonic seconds; None is never."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._done = True
        self.at: float | None = time.monotonic() + _AFTER
        self._again = _AGAIN

    def last(self) -> None:
        """Store what is left."""
        try:
            self._daemon.tick()
        except (OSError, rrdstore.StoreError) as error:
            _log.error("not everything can be stored: %s", error)

    def served(self, now: float) -> None:
        """Somebody was served, so there may be something to store. O(1), as it is asked once a turn."""
        if self.at is None:
            self.at = now + _AFTER

    def turn(self) -> None:
        """Store a slice: it is due."""
        self.at = None
        if self._done and not self._daemon.store.unstored:
            return
        began = time.monotonic()
        try:
            self._done = self._daemon.tick(_SLICE)
        except (OSError, rrdstore.StoreError) as error:
            if isinstance(error, rrdstore.Corrupt):
                self._daemon.troubles.damage = str(error)
            if self._again == _AGAIN:
                _log.error("storing is put off: %s", error)
            self.at = time.monotonic() + self._again
            self._again = min(_LONGEST, 2 * self._again)
            return
        now = time.monotonic()
        self._daemon.metrics.slices.took(now - began)
        if self._done:
            self._again = _AGAIN
        else:
            self.at = now + _PAUSE * (now - began)
