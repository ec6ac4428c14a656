"""Accounts that are not counted yet: a daemon that is started again on a large tree serves before it has counted it.

Rules
1. What is counted is the tree of the start, which is kept until then; what changes meanwhile is settled at once
   (`accounts`, rule 5). The sum is added in one go, so no account is ever half of it.
2. Until then what needs an account waits: whatever a guest's quota might refuse, what a domain's death needs to know
   (RELEASE, INTRODUCE, deaths that are found), and who asks for accounts by CONTROL. All else is served.
3. A part that cannot be loaded puts all of it off; it is then begun anew.

Cost: O(nodes) in all, so many at a time as the shell says; one dictionary look-up a request more meanwhile, and nothing
afterwards.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from xsadapter.engine.accounts import Tally
from xsadapter.engine.turns import Later
from xsadapter.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rrdstore
    from xsadapter.commands import Handler
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.operations import Operation

_GUESTS: Final = frozenset(
    (Kind.WATCH, Kind.TRANSACTION_START, Kind.TRANSACTION_END, Kind.WRITE, Kind.MKDIR, Kind.SET_PERMS)
)
_TOOLSTACK: Final = frozenset((Kind.INTRODUCE, Kind.RELEASE))
_CONTROL: Final = frozenset((b"check", b"domains", b"memreport", b"metrics", b"quota"))


class Dispatch(Protocol):
    """Who handles what."""

    def get(self, kind: int, /) -> tuple[Operation, Handler] | None:
        """The row and the handler of an operation; Later."""
        ...


class Counting:
    """The count of one daemon; stands in the place of its table of handlers until it is done."""

    __slots__ = ("_daemon", "_handlers", "_nodes", "_snapshot", "_tally", "_waiting")

    def __init__(self, daemon: Daemon, handlers: Dispatch) -> None:
        self._daemon, self._handlers = daemon, handlers
        self._waiting: dict[int, Connection] = {}
        self._snapshot: rrdstore.Snapshot = daemon.branch.at(str(daemon.head.number))
        self._begin()

    def moved(self) -> None:
        """The daemon goes on in another store: begin anew there."""
        self._snapshot = self._daemon.branch.at(str(self._daemon.head.number))
        self._begin()

    def _begin(self) -> None:
        self._tally = Tally(self._daemon.domains)
        self._nodes: Iterator[tuple[str, rrdstore.Node]] = self._snapshot.tree.descend("/")

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._waiting)

    def go_on(self, count: int) -> bool:
        """Count so many nodes more; whether that was all, and then they are charged. StoreError: it begins anew."""
        left, add = count, self._tally.add
        try:
            for path, node in islice(self._nodes, count):
                add(path, node)
                left -= 1
        except BaseException:
            self._begin()
            raise
        if not left:
            return False
        self._snapshot.close()
        self._daemon.accounts.charge(self._tally.charges())
        return True

    def waited(self) -> list[Connection]:
        """Those who may try again."""
        return [connection for connection in self._waiting.values() if not connection.closed]

    def get(self, kind: int, /) -> tuple[Operation, Handler] | None:
        """See Dispatch; Later for what needs an account."""
        connection = self._daemon.flow.asking
        if connection is not None and self._needs(connection, kind):
            self._waiting[connection.serial] = connection
            raise Later
        return self._handlers.get(kind)

    @staticmethod
    def _needs(connection: Connection, kind: int) -> bool:
        if not connection.privileged:
            return kind in _GUESTS
        if kind == Kind.CONTROL:
            return connection.asked[3].partition(b"\0")[0] in _CONTROL
        return kind in _TOOLSTACK
