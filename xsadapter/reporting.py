"""What the state machine wants logged, written to the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsadapter.engine.notices import Notice

_log = logging.getLogger("xsadapter")


def report(notices: list[Notice]) -> None:
    """Log all of them, and forget them."""
    for notice in notices:
        if notice.fault is None:
            _log.warning("%s", notice.text)
        else:
            _log.error("%s", notice.text, exc_info=notice.fault)
    notices.clear()
