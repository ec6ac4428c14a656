"""When memory runs out: what asks for more is refused before anything breaks.

Rules
1. Some address space is kept in reserve. Where a limit of the process (RLIMIT_AS) leaves less than that, requests that
   make the daemon larger are answered ENOMEM, until there is twice as much; reading, removing, events and ticks go on.
2. Where memory runs out all the same, the reserve is given back at once: the request is answered ENOMEM, and what it
   had begun is taken back with what there is now. The reserve is taken again when that can be.

A limit of the control group ends the process, as a kill does. Cost: a look at /proc/self/statm four times a second
under a limit, and once in a second a system call without.
"""

from __future__ import annotations

import logging
import mmap
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xsadapter.engine.daemon import Daemon
    from xsadapter.server import Server

_log = logging.getLogger("xsadapter")

RESERVE: Final = 16 << 20
_OFTEN: Final = 0.25
_SELDOM: Final = 1.0
_STATM: Final = Path("/proc/self/statm")
_TROUBLE: Final = "memory"


class Scarcity:
    """An errand of one daemon's."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._reserve: mmap.mmap | None = None
        self.at: float = 0.0
        daemon.relieve = self.relieve

    def relieve(self) -> None:
        """Memory ran out: give back the reserve, and have what takes more refused."""
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None
        self._refuse("memory has run out")

    def turn(self, _: Server | None) -> None:
        """Look at how much is left."""
        limit, _hard = resource.getrlimit(resource.RLIMIT_AS)
        unlimited = limit == resource.RLIM_INFINITY
        self.at = time.monotonic() + (_SELDOM if unlimited else _OFTEN)
        self._daemon.store.ledger.relieve = self.relieve
        if self._reserve is None:
            try:
                self._reserve = mmap.mmap(-1, RESERVE)
            except (OSError, MemoryError):
                return
        left = RESERVE * 4 if unlimited else limit - _size()
        if left < RESERVE:
            self._refuse(f"of {limit >> 20} MiB of memory {max(0, left) >> 20} are left")
        elif self._daemon.short and left > 2 * RESERVE:
            _log.warning("there is memory again")
            self._daemon.run_short(False)
            self._daemon.troubles.end(_TROUBLE)

    def _refuse(self, why: str) -> None:
        if not self._daemon.short:
            what = f"{why}: what takes more is refused (ENOMEM)"
            _log.error("%s", what)
            self._daemon.troubles.begin(_TROUBLE, what, self._daemon.flow.now)
        self._daemon.run_short(True)


def _size() -> int:
    """Bytes of address space."""
    return int(_STATM.read_bytes().split()[0]) * mmap.PAGESIZE
