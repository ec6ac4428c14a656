"""Requests so plain that they pass the handlers, inside a transaction.

Rule: they are a privileged client's. What they read, change and answer is what the handlers would, and it is they that
are asked when the transaction is replayed. Whatever is more than that, an error too, is left to them, and nothing has
been changed then. So is the first request of a transaction, from which on it counts as used.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from xsadapter.commands import HANDLERS
from xsadapter.wire import HEADER, PAYLOAD_MAX

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.view import View
    from xsadapter.wire import Frame


def answered_within(daemon: Daemon, connection: Connection, frame: Frame) -> bool:
    """Whether one was so plain that it is answered now."""
    kind, request, number, payload = frame
    plain, transaction = daemon.within.get(kind), connection.transactions.get(number)
    if plain is None or transaction is None or not transaction.requests or transaction.gave_way:
        return False
    try:
        reply = plain(daemon, transaction, payload)
    except Exception:  # noqa: BLE001 - the long way tells
        return False
    if reply is None or len(reply) > PAYLOAD_MAX:
        return False
    transaction.requests.append((partial(_asked, daemon, connection, kind, payload), False, reply, frame))
    output = connection.output
    if not output:
        daemon.flow.waiting.append(connection)
    output.append(HEADER.pack(kind, request, number, len(reply)) + reply)
    connection.operations += 1
    daemon.kinds[kind] += 1
    if daemon.flow.touched.any:
        daemon.flow.touched.asked[connection.serial] = connection
    return True


def _asked(daemon: Daemon, connection: Connection, kind: int, payload: bytes, view: View) -> bytes:
    """The same asked of the handlers; RequestError."""
    operation, handler = HANDLERS[kind]
    return handler(daemon, connection, view, operation.cut(payload))
