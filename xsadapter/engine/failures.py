"""What a client is answered when its request came to nothing, and who else is told.

Rule: what was refused has a name that clients know. What the store refuses is told in the log, what guests are refused
goes to the trail; what a guest can provoke is told once in ten seconds. A bug costs its request an EIO and leaves a
notice with where it happened; where there is no memory it is an ENOMEM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine.flow import is_due
from xsadapter.engine.notices import Notice, escaped
from xsadapter.errors import RequestError
from xsadapter.operations import NAMES
from xsadapter.wire import ERROR_PAYLOADS

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.wire import Frame

_STORE_ERRORS: Final[tuple[tuple[type[rrdstore.StoreError], str], ...]] = (
    (rrdstore.StoreFull, "ENOSPC"),
    (rrdstore.LimitReached, "ENOSPC"),
    (rrdstore.TooLarge, "E2BIG"),
    (rrdstore.Held, "EBUSY"),
    (rrdstore.ReadOnly, "EROFS"),
)
"""What the store refuses, in names that clients know; any other of its errors is EIO."""


def failed(daemon: Daemon, connection: Connection, frame: Frame, error: Exception) -> bytes:
    """The payload of the error that is the answer to a request."""
    kind, _, _, payload = frame
    if isinstance(error, RequestError):
        return _refused(daemon, connection, kind, payload, error)
    if isinstance(error, rrdstore.StoreError):
        return _refused_by_store(daemon, connection, kind, error)
    connection.late.clear()
    daemon.head.moved()  # Where the store was interrupted it is what it has written down: maybe with what was asked.
    if isinstance(error, MemoryError):
        daemon.relieve()
        return ERROR_PAYLOADS["ENOMEM"]
    if is_due(connection.domain, "bug", daemon.flow):
        what = f"conn {connection.serial}: type {kind} {escaped(payload[:80])}"
        daemon.notices.append(Notice(f"{what}: answered EIO after a bug", error))
    return ERROR_PAYLOADS["EIO"]


def _refused(daemon: Daemon, connection: Connection, kind: int, payload: bytes, error: RequestError) -> bytes:
    if error.name == "EAGAIN":
        daemon.metrics.conflicts += 1
        connection.domain.conflicts += 1
    trail = daemon.flow.trail
    if trail.acc:
        trail.refused(connection, NAMES.get(kind, str(kind)), payload, error, daemon.flow.now)
    return ERROR_PAYLOADS[error.name]


def met(daemon: Daemon, error: rrdstore.StoreError, what: str = "") -> None:
    """The store failed at something that nobody asked for; damage is known from now on (`cli.refuge` mends it)."""
    if isinstance(error, rrdstore.Corrupt):
        daemon.troubles.damage = str(error)
    if what:
        daemon.notices.append(Notice(f"{what}: {error}"))


def _refused_by_store(daemon: Daemon, connection: Connection, kind: int, error: rrdstore.StoreError) -> bytes:
    daemon.head.moved()
    if isinstance(error, rrdstore.Corrupt):
        daemon.troubles.damage = str(error)
    name = next((name for known, name in _STORE_ERRORS if isinstance(error, known)), "EIO")
    fault = error if name == "EIO" and not isinstance(error, rrdstore.Unwritable) else None
    # The connection may have ended while its request was carried out: then there is nobody to answer.
    if not connection.closed and is_due(connection.domain, name, daemon.flow):
        daemon.notices.append(Notice(f"conn {connection.serial}: type {kind}: answered {name}: {error}", fault))
    return ERROR_PAYLOADS[name]
