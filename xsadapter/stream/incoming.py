"""Records as a daemon's state.

Rules
1. A stream of ours says all. Of another's is taken what it says: a socket is a privileged client of domain 0, a ring is
   its domain's with the features that a DOMAIN_DATA names, or all; an open transaction is used, so its END is EAGAIN.
2. A record that refers to a connection that did not come before it is refused, and so is a connection that comes twice,
   a path that is none, and a node whose parent did not come before it.
3. What was cut between two messages is put together again: the first `begun` bytes are the rest of one.

Cost: O(stream).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from xsadapter.engine import telling
from xsadapter.engine.connection import RING
from xsadapter.engine.domains import FEATURES, Charged
from xsadapter.engine.permissions import DEFAULT, Entry, listed, pack
from xsadapter.engine.quotas import ALIASES, QUOTAS
from xsadapter.engine.repeating import Repeated
from xsadapter.engine.state import ConnectionState, DomainState, State, TransactionState, WatchState
from xsadapter.errors import RequestError
from xsadapter.paths import ABSOLUTE_MAX, NAME, canonical, canonical_or_special, is_special, parent
from xsadapter.stream import beyond
from xsadapter.stream.outgoing import Carriers
from xsadapter.stream.records import (
    CONNECTION,
    NAMES,
    NODE,
    TRANSACTION,
    WATCH,
    Connection,
    Domain,
    Foreign,
    Global,
    Node,
    Permission,
    Quotas,
    Ring,
    Socket,
    StreamError,
    Transaction,
    Watch,
)
from xsadapter.wire import HEADER, HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xsadapter.stream.records import Record

_PLAIN: Final = re.compile(NAME.pattern.decode()).fullmatch
_RIGHTS: Final = {"n": 0, "r": 1, "w": 2, "b": 3}


class Heard:
    """What a stream says, as far as it was heard."""

    def __init__(self, peer: Callable[[int], str]) -> None:
        """`peer` knows who is at the other end of a descriptor."""
        self._peer = peer
        self.nodes: dict[str, tuple[bytes, bytes]] = {}
        """Value and list of each node and special name, parents first; none: the tree is in the store."""
        self._metas: dict[tuple[Permission, ...], bytes] = {}
        self._permissions: tuple[Permission, ...] = ()
        self._meta = DEFAULT
        """Those of the node that came last: of nodes that lie together most have the same."""
        self._shared = Global()
        self._limits: tuple[tuple[str, int], ...] = ()
        self._beyond: beyond.Beyond | None = None
        self._owed: list[telling.Owed] = []
        self._rings: dict[int, int] = {}
        """Of those in columns, whose each is."""
        self._connections: dict[int, Connection] = {}
        self._transactions: dict[int, list[int]] = {}
        self._watches: list[WatchState] = []
        self._domains: dict[int, Domain] = {}
        self._number = 0

    @property
    def head(self) -> str | None:
        """The commit that a stream of ours goes on from; None for another's."""
        return None if self._beyond is None else self._beyond.head

    def _wrong(self, kind: int, found: str, expected: str) -> StreamError:
        return StreamError(f"record {self._number} ({NAMES[kind]})", 0, found, expected)

    def _known(self, kind: int, connection: int) -> Connection:
        try:
            return self._connections[connection]
        except KeyError:
            raise self._wrong(kind, f"connection {connection}", "one of a record before it") from None

    def _client(self, record: Connection) -> beyond.Client:
        if self._beyond is not None:
            found = self._beyond.clients.get(str(record.identifier))
            if found is not None:
                return found
        if isinstance(record.channel, Ring):
            domid = record.channel.domid
            return beyond.Client(domid, RING, domid == 0, record.channel.port)
        return beyond.Client(peer=self._peer(record.channel.descriptor))

    def _connection(self, record: Connection) -> None:
        if record.identifier in self._connections or record.identifier in self._rings:
            raise self._wrong(CONNECTION, f"connection {record.identifier} again", "each once")
        self._connections[record.identifier] = record

    def _watch(self, record: Watch) -> None:
        domid = self._rings.get(record.connection)
        if domid is None:
            domid = self._client(self._known(WATCH, record.connection)).domid
        home = f"/local/domain/{domid}"
        try:
            path = canonical_or_special(record.path, home)
        except RequestError:
            raise self._wrong(WATCH, f"path {record.path!r}", "a path") from None
        relative = not record.path.startswith((b"/", b"@"))
        self._watches.append(WatchState(record.connection, path, record.token, record.depth, relative))

    def _transaction(self, record: Transaction) -> None:
        self._known(TRANSACTION, record.connection)
        self._transactions.setdefault(record.connection, []).append(record.identifier)

    def _node(self, record: Node) -> None:
        if record.transaction:
            return
        try:
            path = record.path.decode("ascii") if record.path.startswith(b"@") else canonical(record.path, "/")
        except (RequestError, UnicodeDecodeError):
            raise self._wrong(NODE, f"path {record.path!r}", "an absolute path") from None
        if path != "/" and not is_special(path) and parent(path) not in self.nodes:
            raise self._wrong(NODE, f"{path} without its parent", "its parent before it")
        self._given(record.permissions)
        self.nodes[path] = record.value, self._meta

    def _given(self, permissions: tuple[Permission, ...]) -> None:
        meta = self._metas.get(permissions)
        if meta is None:
            entries = tuple(Entry(_RIGHTS[entry.letter], entry.domid, entry.stale) for entry in permissions)
            meta = self._metas[permissions] = pack(entries) if entries else DEFAULT
        self._permissions, self._meta = permissions, meta

    def take_all(self, stream: Iterable[Record]) -> None:
        """All records of a stream; StreamError."""
        nodes, plain = self.nodes, _PLAIN
        for self._number, record in enumerate(stream):
            if record.__class__ is not Node:
                self._take(record)
                continue
            path, value, permissions, _, transaction, _ = record
            spelled = path.decode("latin-1")
            above, _, name = spelled.rpartition("/")
            if above in nodes and above[0] == "/" and plain(name) and len(spelled) <= ABSOLUTE_MAX and not transaction:
                # Below a path that was looked at: of half a million nodes all but a few.
                if permissions is not self._permissions:
                    self._given(permissions)
                nodes[spelled] = value, self._meta
            else:
                self._node(record)

    def _take(self, record: Record) -> None:
        match record:
            case Global():
                self._shared = record
            case Connection():
                self._connection(record)
            case Watch():
                self._watch(record)
            case Transaction():
                self._transaction(record)
            case Quotas():
                self._limits = _limits(record.per_domain)
            case Domain():
                self._domains[record.domid] = record
            case Foreign(beyond.KIND, _):
                self._beyond = beyond.unpack(record)
                self._rings = self._beyond.rings.homes()
                if not self._rings.keys().isdisjoint(self._connections):
                    raise self._wrong(CONNECTION, "a connection again, in columns", "each once")

    @property
    def charges(self) -> dict[int, Charged] | None:
        """What each domain has of the tree of `head`; None if that is not said."""
        if self._beyond is None or not self._beyond.counted:
            return None
        if self._beyond.known:
            return dict(self._beyond.known.charges)
        known = self._beyond.domains.items()
        return {int(domid): Charged(each.nodes, each.stored, each.places) for domid, each in known}

    def state(self, life: Callable[[int], int]) -> State:
        """The daemon's state beside the tree; `life` knows a domain's unique id, 0 if there is none."""
        if self._beyond is not None:
            self._owed = [*map(_owed, self._beyond.owed)]
        clients = tuple(self._state_of(record) for record in self._connections.values())
        serial = max(self._connections, default=0)
        if self._beyond is not None:
            serial = max(serial, self._beyond.serial)
        ours = self._beyond or beyond.Beyond()
        return State(
            self._limits, serial, tuple(self._domains_of(life)), clients, tuple(self._watches), ours.rings, ours.known
        )  # fmt: skip

    def _state_of(self, record: Connection) -> ConnectionState:
        known = self._client(record)
        used = {number: bool(asked) for number, asked in known.transactions}
        opened = self._transactions.get(record.identifier, [])
        return ConnectionState(
            record.identifier,
            known.domid,
            known.peer,
            known.privileged,
            known.port,
            known.ignored,
            known.next_transaction if self._beyond is not None else max(opened, default=0) + 1,
            tuple(
                TransactionState(number, used.get(number, True), _asked(known.asked.get(str(number), [])))
                for number in opened
            ),
            record.unread,
            _messages(record.unsent, record.begun, known.cuts),
            record.begun > 0,
            tuple(self._owed[number] for number in known.owed),
        )

    def _domains_of(self, life: Callable[[int], int]) -> Iterable[DomainState]:
        rings = {
            record.channel.domid: record for record in self._connections.values() if isinstance(record.channel, Ring)
        }
        ours = self._beyond.domains if self._beyond is not None else {}
        there = set(self._beyond.known.domids) if self._beyond is not None else set()
        for domid in dict.fromkeys((*self._domains, *rings, *map(int, ours))):
            if domid in there:
                continue
            told, ring, known = self._domains.get(domid), rings.get(domid), ours.get(str(domid))
            limits = _limits(told.limits) if told is not None else self._limits
            features = told.features if told is not None and (told.features or known is not None) else FEATURES
            if known is not None:
                yield DomainState(domid, known.unique, features, limits, known.target, known.shut)
                continue
            unique = ring.unique if ring is not None and ring.unique is not None else life(domid)
            target = ring.channel.target if ring is not None and isinstance(ring.channel, Ring) else None
            yield DomainState(domid, unique, features, limits, target or None)

    def carriers(self) -> Carriers:
        """What carried the bytes."""
        columns = (self._beyond or beyond.Beyond()).rings
        sockets, came_by = {}, {}
        ports = dict(zip(columns.serials, columns.channels, strict=False))
        for serial, record in self._connections.items():
            if isinstance(record.channel, Socket):
                sockets[serial] = record.channel.descriptor
                listener = self._client(record).listener
                if listener:
                    came_by[serial] = listener
            else:
                ports[serial] = record.channel.port
        ours = self._beyond or beyond.Beyond()
        return Carriers(
            self._shared.listener, self._shared.events, ours.pipe, sockets, ports, ours.listeners, came_by,
            ours.generation, ours.far,
        )  # fmt: skip


def hear(records: Iterable[Record], peer: Callable[[int], str]) -> Heard:
    """All of a stream; StreamError."""
    heard = Heard(peer)
    heard.take_all(records)
    return heard


def _owed(changes: list[list[Any]]) -> telling.Owed:
    found = telling.read(changes)
    for change in found:
        for each in change.lists:
            try:
                listed(each)
            except (RequestError, IndexError):
                raise StreamError("record of ours", 0, f"list {each[:80]!r}", "entries such as r0") from None
    return found


@lru_cache(maxsize=64)
def _limits(told: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """Those that are known here, by our names."""
    return tuple((ALIASES.get(name, name), value) for name, value in told if ALIASES.get(name, name) in QUOTAS)


def _asked(told: list[list[Any]]) -> tuple[Repeated, ...]:
    return tuple(Repeated(kind, payload.encode("latin-1"), outcome) for kind, payload, outcome in told)


def _messages(unsent: bytes, begun: int, cuts: list[int]) -> tuple[bytes, ...]:
    """The messages that wait: as they were cut, or else by what their headers say."""
    if cuts and sum(cuts) == len(unsent):
        lengths = cuts
    else:
        lengths, at = [begun] if begun else [], begun
        while at < len(unsent):
            size = len(unsent) - at
            if size >= HEADER_SIZE:
                size = min(size, HEADER_SIZE + HEADER.unpack_from(unsent, at)[3])
            lengths.append(size)
            at += size
    found, at = [], 0
    for length in lengths:
        found.append(unsent[at : at + length])
        at += length
    return tuple(found)
