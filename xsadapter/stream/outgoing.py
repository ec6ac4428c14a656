"""A daemon's state as records.

Rules
1. Connections, then watches in the order of registration over all of them, then nodes, parents first, then domains; to
   another program in the order of `stages`, where a client's watches follow it.
2. For our own code a record of ours goes with them (`beyond`). For any other a confined client of a local socket is
   left out, since it would be taken for a privileged one; so are open transactions, which no other continues.
3. Nor does another program know of what guests are to be told later: each watch of such a one tells its own path.
4. Version 1 has no quotas and no domains: C xenstored 4.17 ends at a record that it does not know.
5. Of the tree goes what clients can see, `/` first, and the lists of the special names.

Cost: O(state), O(nodes) if the tree goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from xsadapter.engine import private, telling
from xsadapter.engine.connection import event_message
from xsadapter.engine.permissions import LETTERS, listed
from xsadapter.stream import beyond
from xsadapter.stream.records import (
    Connection,
    Domain,
    Global,
    Node,
    Permission,
    Quotas,
    Record,
    Ring,
    Socket,
    Transaction,
    Watch,
)
from xsadapter.stream.stages import staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import rrdstore
    from xsadapter.engine.state import ConnectionState, DomainState, State

_RELATIVE: Final = len("/local/domain//")


@dataclass(frozen=True, slots=True)
class Carriers:
    """What carries bytes: descriptors and ports, as the shell has them."""

    listener: int | None = None
    events: int | None = None
    pipe: int | None = None
    sockets: Mapping[int, int] = field(default_factory=dict)
    """By the connection's serial number."""
    ports: Mapping[int, int] = field(default_factory=dict)
    """The daemon's end of each ring's event channel, by the connection's serial number."""
    client_sockets: Mapping[str, int] = field(default_factory=dict)
    """Listening ones, by what they are for: PATH:DOMID[:UID]."""
    came_by: Mapping[int, str] = field(default_factory=dict)
    """The client socket that a connection came by, by its serial number."""
    generation: int = 0
    """Of what is written down of all that (`recovery.inherited`); 0 if nothing is that can be gone on with."""
    far: int = 0
    """How many bytes any ring has moved since that was begun."""


def told(
    state: State, carriers: Carriers, tree: rrdstore.Tree | None, ours: str | None, version: int = 2
) -> Iterator[Record]:
    """The records; with the nodes of `tree`. `ours`: the reader is our code, and goes on from that commit."""
    yield Global(carriers.listener, carriers.events)
    if version > 1:
        yield Quotas(state.limits)
    if ours is not None:
        yield beyond.pack(_beyond(state, carriers, ours))
    clients = {client.identifier: client for client in _clients(state, carriers, everybody=ours is not None)}
    rings = state.rings.homes()
    homes = {client.serial: client.domid for client in state.connections} | rings
    watches: list[Watch] = []
    for watch in state.watches:
        if watch.serial in clients or watch.serial in rings:
            path = watch.path[_RELATIVE + len(str(homes[watch.serial])) :] if watch.relative else watch.path
            watches.append(Watch(watch.serial, path.encode("ascii"), watch.token, watch.depth))
    nodes = () if tree is None else _nodes(tree.descend("/"), tree)
    if ours is None:
        of: dict[int, list[Watch]] = {}
        for each in watches:
            of.setdefault(each.connection, []).append(each)
        yield from staged(clients.values(), of, nodes)
    else:
        yield from clients.values()
        yield from watches
        for known in state.connections:
            for opened in known.transactions:
                yield Transaction(known.serial, opened.number)
        yield from nodes
    if version > 1:
        for domain in state.domains:
            yield Domain(domain.domid, domain.features, domain.limits)


def _instead(state: State) -> Iterator[tuple[int, bytes]]:
    """Whom the watches of guests that are behind are to tell, and what: to look at all of it."""
    behind = {client.serial: client.domid for client in state.connections if client.owed}
    for watch in state.watches:
        if watch.serial in behind:
            home = f"/local/domain/{behind[watch.serial]}/" if watch.relative else ""
            yield watch.serial, event_message(watch.path.removeprefix(home), watch.token)[1]


def _clients(state: State, carriers: Carriers, *, everybody: bool) -> Iterator[Connection]:
    further: dict[int, bytes] = {}
    for serial, message in () if everybody else _instead(state):
        further[serial] = further.get(serial, b"") + message
    uniques = state.uniques
    targets = {domain.domid: domain.target for domain in state.domains}
    for client in state.connections:
        if client.ring:
            port = carriers.ports.get(client.serial, 0)
            channel: Ring | Socket = Ring(client.domid, targets.get(client.domid), port)
        elif client.serial in carriers.sockets and (everybody or client.privileged):
            channel = Socket(carriers.sockets[client.serial])
        else:
            continue
        yield Connection(
            client.serial,
            channel,
            client.input,
            b"".join(client.output) + further.get(client.serial, b""),
            len(client.output[0]) if client.begun and client.output else 0,
            uniques.get(client.domid) if client.ring else None,
        )


def _nodes(nodes: Iterable[tuple[str, rrdstore.Node]], tree: rrdstore.Tree) -> Iterator[Node]:
    for path, node in nodes:
        if not path.startswith(private.ROOT):
            yield Node(path.encode(), node.value, _entries(node.meta))
        if path == "/":
            for name in private.SPECIAL_NAMES:
                special = tree.get(private.special_place(name))
                if special is not None:
                    yield Node(name.encode(), b"", _entries(special.meta))


@lru_cache(maxsize=1 << 16)
def _entries(meta: bytes) -> tuple[Permission, ...]:
    return tuple(Permission(chr(LETTERS[entry.rights][0]), entry.domid, entry.stale) for entry in listed(meta).entries)


def _beyond(state: State, carriers: Carriers, head: str) -> beyond.Beyond:
    owed = {id(each): each for client in state.connections for each in client.owed}
    numbers = {known: number for number, known in enumerate(owed)}
    return beyond.Beyond(
        head,
        state.serial,
        {
            str(client.serial): _client(client, carriers, [numbers[id(each)] for each in client.owed])
            for client in state.connections
        },
        {str(domain.domid): _known(domain) for domain in state.domains},
        dict(carriers.client_sockets),
        carriers.pipe,
        bool(state.known.nodes) or (bool(state.domains) and all(each.charged is not None for each in state.domains)),
        carriers.generation,
        carriers.far,
        replace(state.rings, channels=[carriers.ports.get(serial, 0) for serial in state.rings.serials]),
        state.known,
        [*map(telling.written, owed.values())],
    )


def _known(domain: DomainState) -> beyond.Domain:
    nodes, stored, places = (0, 0, {}) if domain.charged is None else domain.charged
    return beyond.Domain(domain.unique, domain.target, domain.shut, nodes, stored, dict(places))


def _client(client: ConnectionState, carriers: Carriers, owed: list[int]) -> beyond.Client:
    return beyond.Client(
        client.domid,
        client.peer,
        client.privileged,
        client.port,
        client.ignored,
        client.next_transaction,
        [[opened.number, int(opened.used)] for opened in client.transactions],
        carriers.came_by.get(client.serial, ""),
        [len(message) for message in client.output],
        {
            str(opened.number): [[each.kind, each.payload.decode("latin-1"), each.outcome] for each in opened.asked]
            for opened in client.transactions
            if opened.asked
        },
        owed,
    )
