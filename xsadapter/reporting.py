"""What the loop tells of what the state machine has collected: notices in the log, the trail in the audit log.

Rule: a notice is told once, a fault with where it happened; what nobody wants to know is forgotten.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsadapter.audit import Audit
    from xsadapter.engine.notices import Notice
    from xsadapter.engine.trail import Trail

_log = logging.getLogger("xsadapter")


def report(notices: list[Notice]) -> None:
    """Log all of them, and forget them."""
    for notice in notices:
        if notice.fault is None:
            _log.warning("%s", notice.text)
        else:
            _log.error("%s", notice.text, exc_info=notice.fault)
    notices.clear()


def write_down(trail: Trail, audit: Audit | None, *, reopening: bool) -> None:
    """Write the audit log, if there is one, and if that was asked for begin its file anew."""
    if audit is None:
        trail.records.clear()
        return
    audit.write()
    if reopening:
        audit.reopen()
