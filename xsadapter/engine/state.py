"""The daemon's whole state beside the tree, as a value: what a daemon that takes over is told.

Rules
1. A State and the tree of its boot are all that a daemon needs to go on as if it had never stopped. What is not
   in it is derived (the watch trie; accounts and places, unless it says them) or may begin anew (turns, counts,
   when the log was told what).
2. `describe` takes it between two requests and changes nothing; `restore` is for a daemon that has its tree and no
   clients yet. Quotas refuse nothing of what is restored; it is charged all the same.
3. A transaction that nothing was asked in goes on from the tree as it is now, and so does one whose requests are told
   and have the same outcomes there (`repeating`). Any other is doomed: its requests are answered from the tree as it is
   now, and its END is EAGAIN, so that its client begins again and never half of it is committed.
4. What a guest is still to be told and was not made into messages (`telling`) is in it as the changes themselves; of
   what it was being told, the whole.
5. Bytes are kept as they are: requests that were not carried out as `input`, with the one that waits for its turn
   before them, but for what a ring holds yet and will be read there; messages that were not sent as `output`, of
   which `begun` says that the first is the rest of one.
6. Watches are in the order in which they were registered, over all connections: events keep that order.

Cost: O(state).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine.columns import NO_DOMAINS, NO_RINGS, Known, Rings, is_plain
from xsadapter.engine.columns import domains as domains_of
from xsadapter.engine.columns import rings as rings_of
from xsadapter.engine.connection import RING
from xsadapter.engine.events import tell, tell_unread, telling_again
from xsadapter.engine.failures import met
from xsadapter.engine.repeating import Repeated, repeat, repeated
from xsadapter.engine.transactions import Transaction
from xsadapter.wire import FrameReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.domains import Charged, Domain
    from xsadapter.engine.events import Effect
    from xsadapter.engine.telling import Owed

_INDEXES: Final = 1 << 32
"""The indexes of a ring count modulo that."""


@dataclass(frozen=True, slots=True)
class DomainState:
    """A domain that is known."""

    domid: int
    unique: int
    features: int
    limits: tuple[tuple[str, int], ...]
    target: int | None = None
    shut: bool = False
    """Its shutdown has been told."""
    charged: Charged | None = None
    """What it has of the tree, if whoever is told need not count it."""


@dataclass(frozen=True, slots=True)
class TransactionState:
    """An open transaction; `used` if anything was asked in it, and what, if whoever is told is to ask it again."""

    number: int
    used: bool = False
    asked: tuple[Repeated, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A client: a ring if its `peer` is RING, otherwise a socket."""

    serial: int
    domid: int
    peer: str
    privileged: bool
    port: int = 0
    """The event channel that a ring was introduced with."""
    ignored: bool = False
    next_transaction: int = 1
    transactions: tuple[TransactionState, ...] = ()
    input: bytes = b""
    output: tuple[bytes, ...] = ()
    begun: bool = False
    owed: tuple[Owed, ...] = ()
    """What it is to be told when it has read what waits; one object for all whom it is due to."""

    @property
    def ring(self) -> bool:
        """Whether it is a domain's ring."""
        return self.peer == RING


_PLAIN: Final = ConnectionState(0, 0, RING, False)
"""What `took` is told of a ring in columns."""


@dataclass(frozen=True, slots=True)
class WatchState:
    """A watch: the canonical path, and whether it was given relative to the connection's home."""

    serial: int
    """The connection's."""
    path: str
    token: bytes
    depth: int | None = None
    relative: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """All of it; `limits` is what new domains begin with, `serial` the last one given to a connection."""

    limits: tuple[tuple[str, int], ...] = ()
    serial: int = 0
    domains: tuple[DomainState, ...] = ()
    connections: tuple[ConnectionState, ...] = ()
    watches: tuple[WatchState, ...] = ()
    rings: Rings = NO_RINGS
    """Connections of which nothing is to be said but what is in columns, and domains."""
    known: Known = NO_DOMAINS

    @property
    def uniques(self) -> dict[int, int]:
        """Who each domain is, by its number. O(domains)."""
        found = dict(zip(self.known.domids, self.known.uniques, strict=True))
        return found | {known.domid: known.unique for known in self.domains}


@dataclass(frozen=True, slots=True)
class Told:
    """A change that is told to whoever watches once more, and how the client that asked for it is answered."""

    before: int
    """The number of the head before it."""
    effects: tuple[Effect, ...]
    serial: int = 0
    answer: bytes = b""
    """Nothing if it is answered already."""


Took = Callable[["Connection", ConnectionState], bool]
"""Whether the shell has what carries a connection's bytes."""
Resumed = tuple[State, Took]
"""What a daemon goes on with, and the shell's part in it."""


def describe(daemon: Daemon, *, handed: bool = False, columns: bool = False) -> State:
    """The state as it is now.

    `handed` over: with what was asked in transactions, and what each domain is charged for of this tree, if that is
    known. With `columns` those are in them that can be.
    """
    charged = handed and daemon.counting is None
    plain: list[Connection] = []
    special: Iterable[Connection] = daemon.connections.values()
    if columns:
        special = []
        for connection in daemon.connections.values():
            (plain if is_plain(connection) else special).append(connection)
    domains = () if columns else tuple(domain_state(domain, charged=charged) for domain in daemon.domains)
    connections = tuple(connection_state(connection, handed=handed) for connection in special)
    watches = sorted(
        (watch for connection in daemon.connections.values() for watch in connection.watches.values()),
        key=lambda watch: watch.serial,
    )
    return State(
        tuple(daemon.domains.limits.items()),
        daemon.serial,
        domains,
        connections,
        tuple(
            WatchState(watch.connection.serial, watch.path, watch.token, watch.depth, watch.strip > 0)
            for watch in watches
        ),
        rings_of(plain) if columns else NO_RINGS,
        domains_of(daemon.domains, charged=charged) if columns else NO_DOMAINS,
    )


def domain_state(domain: Domain, *, charged: bool = False) -> DomainState:
    """One domain's part of it."""
    return DomainState(
        domain.domid,
        domain.unique,
        domain.features,
        tuple(domain.limits.items()),
        domain.target,
        domain.shut,
        domain.charged if charged else None,
    )


def connection_state(connection: Connection, *, handed: bool = False) -> ConnectionState:
    """One connection's part of it."""
    came = connection.input
    if connection.peer == RING:
        came = came[: max(0, connection.let_go - connection.done)]
    return ConnectionState(
        connection.serial,
        connection.domid,
        connection.peer,
        connection.privileged,
        connection.port,
        connection.ignored,
        connection.next_transaction,
        tuple(
            TransactionState(number, transaction.used or transaction.doomed, repeated(transaction) if handed else ())
            for number, transaction in connection.transactions.items()
        ),
        came,
        tuple(map(bytes, connection.output)),
        connection.begun,
        tuple(late.telling.owed for late in connection.owed),
    )


def restore(daemon: Daemon, state: State, took: Took) -> None:
    """Make a daemon without clients what `state` says; `took` is asked whether the shell has what carries the bytes.

    If not, the connection ends at once, as one whose client has gone; a ring's stays, ignored, so that its domain's
    death is told. Domains that have died are not looked for: `lives.scan` comes after it.
    """
    daemon.domains.limits.update(state.limits)
    for known in state.domains:
        domain = daemon.domains.record(known.domid, known.unique)
        if domain.unique == known.unique:
            _domain(domain, known)
    for known in state.domains:
        domain, target = daemon.domains.record(known.domid), known.target
        if target is not None and domain.unique == known.unique and daemon.domains.get(target) is not None:
            daemon.domains.aim(domain, daemon.domains.record(target))
    _restore_columns(daemon, state.known, state.rings, took)
    uniques = state.uniques
    for client in state.connections:
        domain = daemon.domains.record(client.domid)
        if domain.unique == uniques.get(client.domid, domain.unique):
            _restore_connection(daemon, domain, client, took)
    for watch in state.watches:
        connection = daemon.connections.get(watch.serial)
        if connection is not None:
            strip = len(connection.home) + 1 if watch.relative else 0
            daemon.watches.add(connection, watch.path, watch.token, watch.depth, strip)
    daemon.serial = max(daemon.serial, state.serial)
    tellings = {id(owed): telling_again(daemon.watches, owed) for owed in _in_order(state.connections)}
    for client in state.connections:
        connection = daemon.connections.get(client.serial)
        if connection is not None:
            for owed in client.owed:
                connection.later(tellings[id(owed)])
            for opened in client.transactions:
                if opened.asked:
                    same = repeat(daemon, connection, opened.number, opened.asked)
                    connection.transactions[opened.number].doomed = not same


def _in_order(clients: Iterable[ConnectionState]) -> list[Owed]:
    """All that guests are owed, each once, in an order that is each guest's: they are numbered so."""
    every: dict[int, Owed] = {}
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for client in clients:
        for at, owed in enumerate(client.owed):
            every[id(owed)] = owed
            sorter.add(id(owed), *(id(each) for each in client.owed[at - 1 : at]))
    try:
        return [every[each] for each in sorter.static_order()]
    except CycleError:  # Of a daemon that had mixed it up.
        return [*every.values()]


def _restore_columns(daemon: Daemon, known: Known, rings: Rings, took: Took) -> None:
    domains, kinds = daemon.domains, known.kinds
    begins = [kind == domains.limits for kind in kinds]
    for domid, unique, features, kind in zip(known.domids, known.uniques, known.features, known.limits, strict=True):
        domain = domains.record(domid, unique)
        domain.features = features
        if not begins[kind]:
            domain.limits.update(kinds[kind])
    for domid in known.shut:
        domains.record(domid).shut = True
    for aimed, target in known.targets.items():
        if domains.get(target) is not None:
            domains.aim(domains.record(int(aimed)), domains.record(target))
    for serial, domid, port, following in zip(rings.serials, rings.domids, rings.ports, rings.following, strict=True):
        domain = domains.record(domid)
        connection = domain.connection = daemon.connect(RING, domid, domid == 0, serial)
        connection.port, connection.next_transaction = port, following
        if took(connection, _PLAIN):
            connection.reader = FrameReader(connection.let_go % _INDEXES)
        else:
            connection.ignored = True


def tell_again(daemon: Daemon, changes: Iterable[Told]) -> None:
    """Queue the events of changes, and the answers, as if they had just been made. O(effects)."""
    for change in changes:
        try:
            tell(daemon.watches, change.effects, _tree(daemon, change.before), daemon.head.tree)
        except rrdstore.StoreError as error:
            met(daemon, error, "what was changed last is told to domain 0 alone")
            tell_unread(daemon.watches, change.effects)
        connection = daemon.connections.get(change.serial)
        if connection is not None and change.answer:
            connection.resume_output((change.answer,), begun=connection.begun)


def _tree(daemon: Daemon, number: int) -> rrdstore.Tree:
    """The tree that was the head's, or the nearest there is."""
    try:
        return daemon.branch.at(str(number)).tree
    except rrdstore.Thinned as thinned:
        return daemon.head.tree if thinned.before is None else daemon.branch.at(thinned.before).tree


def _domain(domain: Domain, known: DomainState) -> None:
    domain.features, domain.shut = known.features, known.shut
    domain.limits.update(known.limits)


def _restore_connection(
    daemon: Daemon,
    domain: Domain,
    client: ConnectionState,
    took: Took,
) -> None:
    connection = daemon.connect(client.peer, client.domid, client.privileged, client.serial)
    connection.port, connection.ignored = client.port, client.ignored
    if client.ring:
        domain.connection = connection
    elif not client.privileged:
        domain.clients.add(connection)
    if not took(connection, client):
        if client.ring:
            connection.ignored = True
        else:
            daemon.disconnect(connection)
        return
    for known in client.transactions:
        opened = Transaction(daemon.head, connection)
        opened.doomed = known.used
        connection.transactions[known.number] = opened
    connection.next_transaction = client.next_transaction
    if client.ring:
        connection.reader = FrameReader((connection.let_go - len(client.input)) % _INDEXES)
    connection.reader.feed(client.input)
    if client.ring:
        connection.let_go = connection.reader.taken + len(client.input)
    connection.resume_output(client.output, begun=client.begun)
