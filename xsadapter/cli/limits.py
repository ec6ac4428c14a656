"""What a host's daemon asks of the system for itself, as who starts the stock one does for that.

Rules
1. As many descriptors as $XENSTORED_MAX_OPEN_FDS says, or as the system gives: five for a guest are common. Never fewer
   than it had.
2. The memory of others is taken first: the score is -10 x $XENSTORED_OOM_MEM_THRESHOLD, or -500; unless whoever started
   the daemon has chosen one.
3. What is refused is said in the log; the daemon serves with what it has.
"""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path
from typing import Final

_log = logging.getLogger("xsadapter")

_SCORE: Final = Path("/proc/self/oom_score_adj")
_MOST: Final = Path("/proc/sys/fs/nr_open")
_THRESHOLD: Final = 50
_LEAST_SCORE: Final = -1000


def raise_limits() -> None:
    """Do so."""
    _descriptors()
    _memory()


def _descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = os.environ.get("XENSTORED_MAX_OPEN_FDS", "")
    try:
        most = int(_MOST.read_text())
    except (OSError, ValueError):
        most = hard
    wanted = min(int(asked), most) if asked.isdigit() else most
    for limits in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
        if limits[0] <= soft:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (OSError, ValueError) as error:
            _log.info("%d descriptors are not given: %s", limits[0], error)
        else:
            return


def _memory() -> None:
    asked = os.environ.get("XENSTORED_OOM_MEM_THRESHOLD", "")
    score = max(_LEAST_SCORE, -10 * (int(asked) if asked.isdigit() else _THRESHOLD))
    try:
        if int(_SCORE.read_text()) == 0:
            _SCORE.write_text(f"{score}\n")
    except (OSError, ValueError) as error:
        _log.info("memory is taken from this daemon as from others: %s", error)
