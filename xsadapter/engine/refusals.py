"""What the store refuses, in names that clients know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine.flow import is_due
from xsadapter.engine.notices import Notice
from xsadapter.wire import ERROR_PAYLOADS

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.flow import Flow

_NAMES: Final[tuple[tuple[type[rrdstore.StoreError], str], ...]] = (
    (rrdstore.StoreFull, "ENOSPC"),
    (rrdstore.LimitReached, "ENOSPC"),
    (rrdstore.TooLarge, "E2BIG"),
    (rrdstore.Held, "EBUSY"),
    (rrdstore.ReadOnly, "EROFS"),
)
"""Any other of its errors is EIO."""


def told(connection: Connection, kind: int, error: rrdstore.StoreError, flow: Flow) -> bytes:
    """The payload that says so, and a notice; with a traceback where it is nothing that a store refuses."""
    name = next((name for known, name in _NAMES if isinstance(error, known)), "EIO")
    fault = error if name == "EIO" and not isinstance(error, rrdstore.Unwritable) else None
    # The connection may have ended while its request was carried out: then there is nobody to answer.
    if not connection.closed and is_due(connection.domain, name, flow):
        flow.notices.append(Notice(f"conn {connection.serial}: type {kind}: answered {name}: {error}", fault))
    return ERROR_PAYLOADS[name]
