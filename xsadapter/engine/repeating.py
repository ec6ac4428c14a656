"""Open transactions of a daemon that takes over: what was asked in one before is asked again.

Rules
1. A transaction is handed over as its requests and what came of each: an error's name, or a digest of the answer.
2. They are asked again, in order, in a transaction that begins with the tree as it is then. If the same comes of each,
   every answer that the client was given is one of that tree, so the transaction goes on as if it had begun now.
   Otherwise it is doomed: it answers from that tree and its own changes, and its END is EAGAIN.
3. A daemon that was killed hands nothing over, so a transaction that was used is doomed then: to write down each of its
   requests before the answer would cost every transaction what only few will need. C xenstored hands none over in any
   case, and waits until none is open.

Cost: O(requests of open transactions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from xsadapter.commands import HANDLERS
from xsadapter.engine.transactions import settled
from xsadapter.errors import RequestError
from xsadapter.operations import TransactionUse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import View

_DIGEST = 16


class Repeated(NamedTuple):
    """A request of a transaction, and what came of it."""

    kind: int
    payload: bytes
    outcome: str


def repeated(transaction: Transaction) -> tuple[Repeated, ...]:
    """What was asked in it, in order; nothing if its END is an error already."""
    return tuple(Repeated(kind, payload, _mark(outcome)) for kind, payload, outcome in transaction.asked)


def repeat(daemon: Daemon, connection: Connection, number: int, requests: Iterable[Repeated]) -> bool:
    """Ask all of that in a connection's new transaction; whether the same came of it."""
    transaction = connection.transactions[number]
    # No early end: what it has changed itself is to be seen in it, whether or not it can be committed.
    same = [_outcome(daemon, connection, transaction, number, each) == each.outcome for each in requests]
    return all(same)


def _outcome(
    daemon: Daemon, connection: Connection, transaction: Transaction, number: int, asked: Repeated
) -> str | None:
    found = HANDLERS.get(asked.kind)
    if found is None or found[0].transaction is not TransactionUse.USED:
        return None
    operation, handler = found
    connection.asked = (asked.kind, 0, number, asked.payload)
    try:
        arguments = operation.cut(asked.payload)

        def request(view: View) -> bytes:
            return handler(daemon, connection, view, arguments)

        reply = transaction.carry_out(request, len(asked.payload), operation.prefix_varies)
    except RequestError as error:
        return error.name
    except Exception:  # noqa: BLE001 - whatever it is, the daemon has to serve, and this transaction is to be begun again
        return None
    return _mark(settled(reply, operation.prefix_varies))


def _mark(outcome: bytes | str) -> str:
    return outcome if isinstance(outcome, str) else blake3(outcome).hexdigest(length=_DIGEST)
