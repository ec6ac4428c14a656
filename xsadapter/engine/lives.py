"""Domains that come and go: introduction, shutdown, release, death.

Rules
1. Whoever is named or introduced by a number is known by its unique id from then on, in the tree too, so
   that a daemon that is started again buries who died meanwhile, whoever has the number by then.
2. The first introduction maps the ring, makes the connection, tells @introduceDomain, and lets the
   guest begin. Another one binds a new event channel and begins the ring anew, without an event; it
   also brings back a ring that its guest broke.
3. A shutdown tells @releaseDomain once, and again only after RESUME. Dying alone means nothing.
4. Death (the hypervisor does not know the domain, or knows another one by its number) and RELEASE:
   every node it owns goes, with all below, whoever owns that (XSA-419), and every entry of it in other
   lists, in one commit; then its ring, watches and transactions, so that it is not told of its own end;
   then its records; then @releaseDomain is told. The root stays, and becomes domain 0's.
5. If the store refuses that commit, RELEASE is refused and nothing is done. A dead domain loses its ring
   all the same and its end is told, but it stays known, so that nobody with its number inherits anything,
   until the store takes it.
6. With `keep_orphans` its nodes stay and become domain 0's.
7. Clients of local sockets that are confined to a domain live and end with it.
8. As long as accounts are counted (`counting`) nobody is buried; whoever died meanwhile is when that is done.
9. What is done to one connection may end any other; nobody iterates over what may change (XSA-425).

Cost: a death is O(nodes in the areas that name the domain), never recursive in depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import rrdstore
from xsadapter.engine import private, specials
from xsadapter.engine.accounts import whole
from xsadapter.engine.connection import RING
from xsadapter.engine.events import tell
from xsadapter.engine.failures import met
from xsadapter.engine.index import apply
from xsadapter.engine.permissions import DEFAULT, Entry, entries, listed, owner, pack, without
from xsadapter.errors import RequestError
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.domains import Domain

AUTHOR = "xsadapter"


def introduce(daemon: Daemon, domid: int, port: int) -> None:
    """Serve a domain's ring; RequestError EINVAL if it cannot be mapped or bound."""
    domain = current(daemon, domid)
    if domain is None:
        raise RequestError("EINVAL")
    if domain.connection is not None:
        connection = domain.connection
        try:
            daemon.hypervisor.rebind(connection, port)
        except OSError as error:
            raise RequestError("EINVAL") from error
        connection.port = port
        daemon.restart(connection)
        return
    connection = daemon.connect(RING, domid, privileged=domid == 0)
    connection.port = port
    try:
        daemon.hypervisor.connect(connection, port, domain.features)
    except OSError as error:
        daemon.disconnect(connection)
        raise RequestError("EINVAL") from error
    domain.connection = connection
    domain.shut = False
    daemon.domains.touched.domain(domid)
    daemon.flow.touched.connection(connection.serial)
    if daemon.flow.trail.obj:
        daemon.flow.trail.domain("CREATE", domain)
    if domid:
        specials.tell(daemon.watches, daemon.head.tree, specials.INTRODUCE, domid)


def confine(daemon: Daemon, domid: int, peer: str) -> Connection | None:
    """A local client that is this domain, no less and no more; None if there is no such domain."""
    domain = current(daemon, domid)
    if domain is None:
        return None
    connection = daemon.connect(peer, domid, privileged=False)
    domain.clients.add(connection)
    return connection


def current(daemon: Daemon, domid: int) -> Domain | None:
    """The record of the domain that has this number now, the one before it buried; None if there is none.

    None too if that one cannot be buried yet.
    """
    life = daemon.domains.life(domid)
    known = daemon.domains.get(domid)
    if known is not None and domid and (life is None or life.unique != known.unique):
        if daemon.counting is not None:
            return None
        bury(daemon, known)
    if life is None:
        return None
    if domid and life.unique:
        _keep(daemon, domid, b"%d" % life.unique)
    return daemon.domains.record(domid)


def is_known(daemon: Daemon, domid: int) -> bool:
    """Whether the domain that has this number now is known, and there is nothing to be done for that."""
    if not domid:
        return True  # It never dies.
    known, life = daemon.domains.get(domid), daemon.domains.life(domid)
    if known is None or life is None or life.unique != known.unique:
        return False
    node = daemon.head.tree.get(private.domain_place(domid)) if life.unique else None
    return not life.unique or (node is not None and node.value == b"%d" % life.unique)


def resume(daemon: Daemon) -> None:
    """The daemon is started again on a tree: who was known by a number then is known by it now, or is buried."""
    tree = daemon.head.tree
    if private.DOMAINS in tree:
        for name in tree.list(private.DOMAINS):
            daemon.domains.record(int(name), int(tree.stat(private.domain_place(int(name))).value))


def _keep(daemon: Daemon, domid: int, unique: bytes) -> None:
    """Keep which domain has a number, with the tree: a commit when a domain becomes known."""
    place = private.domain_place(domid)
    node = daemon.head.tree.get(place)
    if node is None or node.value != unique:
        daemon.branch.set(place, unique, meta=DEFAULT, message=f"START of domain {domid}", author=AUTHOR)
        daemon.head.moved()


def scan(daemon: Daemon) -> None:
    """Look at every known domain, the hypervisor having said that some changed. O(known domains).

    Who changes after the look is what it says next. What the store cannot tell now is looked at again after a tick.
    """
    daemon.unburied = False
    try:
        _look(daemon)
    except rrdstore.StoreError as error:
        daemon.unburied = True
        met(daemon, error, "who has died is not known")


def _look(daemon: Daemon) -> None:
    shut = False
    lives = daemon.domains.living()
    for domain in daemon.domains:
        if not domain.domid or daemon.domains.get(domain.domid) is not domain:
            continue
        life = lives.get(domain.domid)
        if life is None or life.unique != domain.unique:
            if daemon.counting is not None:
                continue
            try:
                bury(daemon, domain)
            except rrdstore.StoreError as error:
                daemon.unburied = True
                if daemon.head.journal is not None:
                    daemon.head.journal.undo()
                served = domain.introduced or domain.clients
                met(daemon, error, f"the end of domain {domain.domid} is put off" if served else "")
                if served:
                    _end(daemon, domain)
        elif life.shutdown and domain.introduced and not domain.shut:
            domain.shut = shut = True
            daemon.domains.touched.domain(domain.domid)
            specials.tell(daemon.watches, daemon.head.tree, specials.RELEASE, domain.domid, bare=False)
    if shut:
        specials.tell_bare(daemon.watches, daemon.head.tree, specials.RELEASE)


def bury(daemon: Daemon, domain: Domain) -> None:
    """The domain is gone: nothing of it stays but history. StoreError, and nothing is done."""
    _remove(daemon, domain)
    daemon.domains.aim(domain, None)
    for domid in list(domain.servants):
        daemon.domains.aim(daemon.domains.record(domid), None)
    daemon.domains.forget(domain)
    _end(daemon, domain)
    if daemon.flow.trail.obj:
        daemon.flow.trail.domain("DESTROY", domain)


def _end(daemon: Daemon, domain: Domain) -> None:
    """Its ring ends, and with it every client that is confined to it, and that is told."""
    connection, domain.connection = domain.connection, None
    if connection is not None:
        daemon.hypervisor.disconnect(connection)
        daemon.disconnect(connection)
    for client in list(domain.clients):
        daemon.disconnect(client)
        daemon.flow.ended.append(client)
    if connection is not None:
        specials.tell(daemon.watches, daemon.head.tree, specials.RELEASE, domain.domid)


def _remove(daemon: Daemon, domain: Domain) -> None:
    """Take its nodes and entries out of the tree, in one commit."""
    before = daemon.head.still()
    removed, listed_ = _found(before, domain, keep=daemon.keep_orphans)
    special = {
        place: node
        for place in map(private.special_place, private.SPECIAL_NAMES)
        if (node := before.get(place)) is not None and domain.domid in listed(node.meta).named
    }
    place = private.domain_place(domain.domid)
    if not removed and not listed_ and not special and place not in before:
        return
    journal = daemon.head.journal
    if journal is not None:
        journal.burial([(path, True) for path in removed])
    with daemon.branch.transaction(message=f"END of domain {domain.domid}", author=AUTHOR) as change:
        for path in removed:
            apply(change, daemon.head.indexes.removed(before, path))
            change.remove(path)
        for path, node in (*listed_.items(), *special.items()):
            change.set(path, node.value, meta=_without(node.meta, domain.domid))
        if place in before:
            change.remove(place)
    daemon.head.moved()
    daemon.accounts.changed(daemon.store.diff(before, daemon.head.tree))
    if daemon.flow.trail.changes:
        changes = [("RM", path) for path in removed] + [("SET_PERMS", path) for path in listed_]
        daemon.flow.trail.changed(None, changes, daemon.head, daemon.flow.now)
    tell(daemon.watches, ((path, True) for path in removed), before, daemon.head.tree)


def _found(tree: rrdstore.Tree, domain: Domain, *, keep: bool) -> tuple[list[str], dict[str, rrdstore.Node]]:
    """The topmost nodes that it owns, and the nodes outside of them whose lists name it."""
    owned: set[str] = set()
    named: dict[str, rrdstore.Node] = {}
    for path, node in _named(tree, domain):
        if owner(node.meta) == domain.domid and path != "/" and not keep:
            owned.add(path)
        elif domain.domid in listed(node.meta).named:
            named[path] = node
    tops = [path for path in owned if not _below(path, owned)]
    return sorted(tops), {path: node for path, node in named.items() if not _below(path, owned)}


def _named(tree: rrdstore.Tree, domain: Domain) -> Iterator[tuple[str, rrdstore.Node]]:
    """Every node in the areas that name it."""
    for place in list(domain.places):
        if whole(place, domain):
            yield from tree.descend(place)
        else:
            yield place, tree.stat(place)


def _below(path: str, tops: set[str]) -> bool:
    while path != "/":
        path = parent(path)
        if path in tops:
            return True
    return False


def _without(meta: bytes, domid: int) -> bytes:
    if owner(meta) != domid:
        return without(meta, domid)
    first, *rest = entries(meta)
    return pack((Entry(first.rights, 0), *(entry for entry in rest if entry.domid != domid)))
