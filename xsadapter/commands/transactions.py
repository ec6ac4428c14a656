"""TRANSACTION_START and TRANSACTION_END.

Rules
1. Transactions do not nest: START inside one is EBUSY.
2. END with anything but "T" or "F" is EINVAL and leaves the transaction open; without one it is
   ENOENT; otherwise the transaction is gone, whatever the answer.
3. Where three quarters of the snapshots that a store has room for are taken, the oldest transactions of guests give way
   to a START.
"""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

from xsadapter.engine.bearing import bear_transaction
from xsadapter.engine.flow import is_due
from xsadapter.engine.notices import Notice
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
    taken, most = daemon.store.leases
    if 4 * taken >= 3 * most:
        _make_room(daemon, taken, most)
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


def _make_room(daemon: Daemon, taken: int, most: int) -> None:
    """Have a sixteenth of them free again, as far as guests have them. O(connections), once in so many."""
    guests = (connection for connection in daemon.connections.values() if not connection.privileged)
    open_ = ((guest, each) for guest in guests for each in guest.transactions.values() if not each.gave_way)
    for guest, transaction in nsmallest(most // 16, open_, key=lambda pair: pair[1].began):
        transaction.give_way()
        if is_due(guest.domain, "gave-way", daemon.flow):
            what = f"an open transaction gave way, as {taken} of {most} snapshots were taken"
            daemon.notices.append(Notice(f"{guest.author}: {what}"))
