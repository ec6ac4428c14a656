"""One handler for each operation, one file a family; the table of who handles what.

Rule: a handler gets the daemon, the connection, the view (live or of a transaction) and its cut
arguments, and returns the reply's payload or raises RequestError. It never touches output, except
through events. Handlers are found here by the name in their operation's row; a row whose handler
is missing is found at import, not when a client asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from xsadapter.commands import (
    control,
    directory,
    domains,
    features,
    nodes,
    permissions,
    quotas,
    transactions,
    watches,
)
from xsadapter.errors import RequestError
from xsadapter.operations import OPERATIONS, Kind, Operation

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import View

Handler = Callable[["Daemon", "Connection", "View", Any], bytes]
"""Any: what the operation's own argument rule returns."""

_FAMILIES: Final = (control, directory, domains, features, nodes, permissions, quotas, transactions, watches)


def _handler(operation: Operation) -> Handler:
    for family in _FAMILIES:
        found: Handler | None = getattr(family, operation.handler, None)
        if found is not None:
            return found
    raise LookupError(f"{operation.name}: no family of commands defines {operation.handler!r}")


AtOnce = Callable[["Daemon", "Connection", bytes], bytes | None]
AT_ONCE: Final[dict[int, AtOnce]] = {
    Kind.READ: nodes.read_at_once,
    Kind.DIRECTORY_PART: directory.directory_part_at_once,
    Kind.WRITE: nodes.write_at_once,
}
"""What carries out the plainest of an operation's requests: a privileged client's, in no transaction, with nothing to
write down beside the tree. They give None to whatever else it is, of which nothing has been done then."""

Within = Callable[["Daemon", "Transaction", bytes], bytes | None]
WITHIN: Final[dict[int, Within]] = {
    Kind.DIRECTORY: directory.directory_within,
    Kind.READ: nodes.read_within,
    Kind.GET_PERMS: permissions.get_perms_within,
    Kind.WRITE: nodes.write_within,
    Kind.MKDIR: nodes.mkdir_within,
    Kind.SET_PERMS: permissions.set_perms_within,
}
"""The same in a transaction. What they have looked at before they give None the handlers look at, too."""

HANDLERS: Final[dict[int, tuple[Operation, Handler]]] = {
    operation.number: (operation, _handler(operation)) for operation in OPERATIONS
}


def _refused(*_: object) -> bytes:
    raise RequestError("ENOMEM")


_GROWING: Final = (
    Kind.WRITE, Kind.MKDIR, Kind.SET_PERMS, Kind.WATCH, Kind.TRANSACTION_START, Kind.INTRODUCE, Kind.SET_TARGET,
)  # fmt: skip

SPARING: Final = HANDLERS | {kind: (HANDLERS[kind][0], _refused) for kind in _GROWING}
"""The same where memory is short: what would take more of it is refused."""
AT_ONCE_SPARING: Final = {kind: plain for kind, plain in AT_ONCE.items() if kind not in _GROWING}
WITHIN_SPARING: Final = {kind: plain for kind, plain in WITHIN.items() if kind not in _GROWING}
