"""TRANSACTION_START and TRANSACTION_END.

Rules
1. Transactions do not nest: START inside one is EBUSY.
2. END with anything but "T" or "F" is EINVAL and leaves the transaction open; without one it is
   ENOENT; otherwise the transaction is gone, whatever the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine.bearing import bear_transaction
from xsadapter.engine.transactions import Transaction
from xsadapter.engine.turns import Later
from xsadapter.errors import RequestError
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.view import View


def transaction_start(daemon: Daemon, connection: Connection, view: View, _: None) -> bytes:
    """The new transaction's id; EBUSY."""
    if view is not connection.live:
        raise RequestError("EBUSY")
    if not connection.privileged:
        bear_transaction(connection)
    if daemon.update.gathers and not connection.transactions:
        daemon.update.delayed.append(connection)
        raise Later
    daemon.turns.start(connection)
    opened = Transaction(daemon.head, connection)
    number = connection.take_transaction_id()
    connection.transactions[number] = opened
    daemon.flow.touched.connection(connection.serial)
    daemon.turns.started(connection, opened.touched)
    return b"%d\0" % number


def transaction_end(daemon: Daemon, connection: Connection, view: View, verdict: bytes) -> bytes:
    """Commit or abort; EINVAL, ENOENT, EAGAIN, ENOSPC."""
    if verdict not in {b"T", b"F"}:
        raise RequestError("EINVAL")
    number = next((number for number, opened in connection.transactions.items() if opened is view), None)
    if number is None:
        raise RequestError("ENOENT")
    transaction = connection.transactions[number]
    try:
        if verdict == b"T":
            transaction.commit()
        else:
            transaction.abort()
    except Later:
        raise
    except Exception:
        connection.transactions.pop(number, None)
        daemon.flow.touched.connection(connection.serial)
        raise
    connection.transactions.pop(number, None)
    daemon.flow.touched.connection(connection.serial)
    return OK
