"""The trail: who did what, record by record, while somebody wants to know.

Rules
1. What is recorded follows switches, by C xenstored's names:
       obj   connections, domains, watches and transactions that come and go
       io    every request and how it was answered
       wrl   conflicts, with both sides (C tells its write limit here; ours are turns, and conflicts)
       acc   what was refused to guests: by rights, by quotas; and rings and streams that they broke
       tdb   changes of the tree: who, what, where, in which commit
2. A change is recorded once it is committed, one record for each path that was named; a transaction's have its
   commit in common. Values are not recorded, but their sizes: they may be secrets.
3. A conflict names who could not commit and, for each path, who changed it last since that transaction began, as
   far back as the last 4,096 paths changed.
4. A guest may be refused as often as it likes: of each domain 20 refusals are recorded in ten seconds, and the next
   record says how many were left out.
5. Records of what guests do are marked, so that they can be kept apart: a guest must not be able to push out what
   the toolstack did.

The state machine only collects; the shell writes (`xsadapter.audit`). Cost: a test of a flag where nothing is
recorded; else O(1) a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from xsadapter.engine.notices import escaped
from xsadapter.engine.permissions import text
from xsadapter.engine.quotas import QUIET, QuotaError
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.domains import Domain
    from xsadapter.engine.head import Head
    from xsadapter.errors import RequestError

SWITCHES: Final = ("obj", "io", "wrl", "acc", "tdb")
DEFAULT: Final = frozenset(SWITCHES) - {"io"}
_RECENT: Final = 4096
_PATHS: Final = 4
_REFUSALS: Final = 20
_FORBIDDEN: Final = {"EACCES", "EPERM"}
_SHOWN: Final = 200
_REMOVED: Final = "RM"


class Record(NamedTuple):
    """One line of the trail: what it says, and whether it is of a guest's making."""

    guest: bool
    fields: dict[str, Any]


class Sink(Protocol):
    """Where records go."""

    @property
    def ready(self) -> bool:
        """Whether they have a place to go."""
        ...

    def open(self, path: str) -> None:
        """Write to this file from now on; OSError, and nothing has changed."""
        ...


class Nowhere:
    """No place for records."""

    ready = False

    def open(self, path: str) -> None:
        """Nothing can be opened."""
        raise FileNotFoundError(path)


class _Change(NamedTuple):
    """The last that became of a path."""

    order: int
    time: float
    author: str
    operation: str
    path: str
    commit: str


class Trail:
    """One for all connections of a daemon. `obj` and so on say what is recorded now."""

    __slots__ = ("_inside", "_order", "_recent", "acc", "changes", "io", "obj", "on", "records", "sink", "switches")

    def __init__(self) -> None:
        self.records: list[Record] = []
        """What the shell is to write."""
        self.sink: Sink = Nowhere()
        self.switches = set(DEFAULT)
        self.on = False
        self.obj = self.io = self.acc = self.changes = False
        self._recent: dict[str, _Change] = {}
        self._inside: dict[str, _Change] = {}
        """Of each directory, the last change of its list of names."""
        self._order = 0

    def turn(self, on: bool) -> None:
        """Record from now on what the switches say, or nothing, as long as there is no place for it."""
        self.on = on and self.sink.ready
        self._settle()

    def switch(self, name: str, on: bool) -> None:
        """Turn one switch; KeyError if there is none of this name."""
        if name not in SWITCHES:
            raise KeyError(name)
        (self.switches.add if on else self.switches.discard)(name)
        self._settle()

    def _settle(self) -> None:
        wanted = self.switches if self.on else set[str]()
        self.obj, self.io, self.acc = "obj" in wanted, "io" in wanted, "acc" in wanted
        self.changes = bool(wanted & {"tdb", "wrl"})
        if "wrl" not in wanted:
            self._recent.clear()
            self._inside.clear()

    def object(self, what: str, kind: str, connection: Connection, **more: str | int) -> None:
        """Something of a connection's came (CREATE) or went (DESTROY). Ask only if `obj`."""
        self._add("obj", connection, what, object=kind, **more)

    def domain(self, what: str, domain: Domain) -> None:
        """A domain was introduced, or is gone. Ask only if `obj`."""
        self.records.append(Record(False, {"log": "obj", "what": what, "object": "domain", "domain": domain.domid}))

    def request(self, connection: Connection, operation: str, transaction: int, payload: bytes, answer: str) -> None:
        """A request and the name of its error, or OK. Ask only if `io`."""
        self._add(
            "io",
            connection,
            operation,
            transaction=transaction,
            payload=escaped(payload[:_SHOWN]),
            bytes=len(payload),
            answer=answer,
        )

    def refused(self, connection: Connection, operation: str, payload: bytes, error: RequestError, now: float) -> None:
        """What a guest asked was refused, if that is worth a record. Ask only if `acc`."""
        if isinstance(error, QuotaError):
            why: dict[str, Any] = {"quota": error.quota, "limit": error.limit}
        elif error.name in _FORBIDDEN and not connection.privileged:
            why = {}
        else:
            return
        subject = escaped(payload.partition(b"\0")[0][:_SHOWN])
        self._bounded(
            connection, now, "REFUSED", {"operation": operation, "subject": subject, "error": error.name, **why}
        )

    def broke(self, connection: Connection, why: str, now: float) -> None:
        """A ring or a stream was not what it has to be. Ask only if `acc`."""
        self._bounded(connection, now, "BROKE", {"why": why})

    def sent_away(self, domid: int, why: str) -> None:
        """Somebody came by a client socket of a domain and was not let in. Ask only if `acc`, and not too often."""
        self.records.append(Record(True, {"log": "acc", "what": "SENT AWAY", "domain": domid, "why": why}))

    def _bounded(self, connection: Connection, now: float, what: str, fields: dict[str, Any]) -> None:
        pace = connection.domain.pace
        if now - pace.since >= QUIET:
            pace.since, pace.told = now, 0
        pace.told += 1
        if pace.told > _REFUSALS:
            pace.omitted += 1
            return
        if pace.omitted:
            fields["omitted"], pace.omitted = pace.omitted, 0
        self._add("acc", connection, what, **fields)

    def changed(
        self, connection: Connection | None, changes: Iterable[tuple[str, str]], head: Head, now: float
    ) -> None:
        """These (operation, path) were committed just now, by the daemon itself if by no connection.

        Ask only if `changes`.
        """
        commit = head.branch.head
        identifier, author = commit.id, commit.author
        for operation, path in changes:
            if "tdb" in self.switches:
                node = head.tree.get(path)
                more: dict[str, Any] = {"path": path, "commit": identifier}
                if node is not None:
                    more["bytes"] = len(node.value)
                    if operation == "SET_PERMS":
                        more["permissions"] = text(node.meta).rstrip(b"\0").decode("ascii").split("\0")
                if connection is None:
                    fields = {"log": "tdb", "what": operation, "author": author, "domain": 0}
                    self.records.append(Record(False, {**fields, **more}))
                else:
                    self._add("tdb", connection, operation, **more)
            if "wrl" in self.switches:
                self._remember(_Change(self._order, now, author, operation, path, identifier))

    def conflict(self, connection: Connection, paths: Iterable[str], began: float, requests: int) -> None:
        """A transaction with so many requests, begun then, could not be committed because of what became of these."""
        if "wrl" not in self.switches:
            return
        named = tuple(paths)
        against = [found for path in named[:_PATHS] if (found := self._last(path)) is not None and found.time >= began]
        self._add(
            "wrl",
            connection,
            "CONFLICT",
            requests=requests,
            paths=named[:_PATHS],
            more=max(0, len(named) - _PATHS),
            against=[
                {"author": each.author, "what": each.operation, "path": each.path, "commit": each.commit}
                for each in dict.fromkeys(against)
            ],
        )

    def _add(self, log: str, connection: Connection, what: str, **fields: Any) -> None:
        who = {"log": log, "what": what, "author": connection.author}
        whose = {"domain": connection.domid, "conn": connection.serial}
        self.records.append(Record(not connection.privileged, {**who, **whose, **fields}))

    def _remember(self, change: _Change) -> None:
        self._order += 1
        places = [(self._recent, change.path)]
        if change.operation != "SET_PERMS":
            places.append((self._inside, parent(change.path)))
        for known, path in places:
            known.pop(path, None)  # so that the oldest comes first
            known[path] = change
            if len(known) > _RECENT:
                del known[next(iter(known))]

    def _last(self, path: str) -> _Change | None:
        """The last change of a path: of itself, of the names in it, or the removal of something above it. O(levels)."""
        found = [self._recent.get(path), self._inside.get(path)]
        above = path
        while above != "/":
            above = parent(above)
            change = self._recent.get(above)
            if change is not None and change.operation == _REMOVED:
                found.append(change)
        return max((change for change in found if change is not None), default=None)
