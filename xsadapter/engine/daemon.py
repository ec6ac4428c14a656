"""The daemon's state, and the carrying out of one request.

Rules
1. Checks in this order: the operation is known (ENOSYS), the caller may ask (EACCES), the
   transaction is open (ENOENT), the payload can be cut (EINVAL); then the handler.
2. Nothing a client sends raises out of `step`, except FrameError, after which the connection is to
   be closed. A bug costs its request an EIO and leaves a notice. What a guest can provoke is told once in
   ten seconds.
3. A store from this boot is continued. A store from another boot, or a new one, gets a fresh tree
   in one commit on top of what it has: the old tree is history, not state. Indexes are mended, in one
   commit, in a tree that was made without them or with others, and in a small one whatever it says.
4. The accounts of a tree that is continued are those that the daemon before has told, or else are counted; of a large
   one while it is served (`counting`).

Cost of `step`: two table look-ups around the handler's.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from xsadapter.commands import AT_ONCE, AT_ONCE_SPARING, HANDLERS, SPARING, WITHIN, WITHIN_SPARING
from xsadapter.engine import lives, private
from xsadapter.engine.accounts import Accounts
from xsadapter.engine.connection import Connection
from xsadapter.engine.counting import Counting
from xsadapter.engine.domains import Domains
from xsadapter.engine.failures import failed
from xsadapter.engine.flow import Flow, Outstanding, is_due
from xsadapter.engine.guest import GuestConnection
from xsadapter.engine.head import Head
from xsadapter.engine.hypervisor import Alone
from xsadapter.engine.index import DEFAULT as INDEXES
from xsadapter.engine.index import Indexes
from xsadapter.engine.listings import Listings
from xsadapter.engine.metrics import Metrics
from xsadapter.engine.notices import Notice
from xsadapter.engine.permissions import DEFAULT
from xsadapter.engine.plain import answered
from xsadapter.engine.state import Resumed, restore, tell_again
from xsadapter.engine.troubles import Troubles
from xsadapter.engine.turns import Later, Turns
from xsadapter.engine.update import Update
from xsadapter.engine.view import Live, View
from xsadapter.engine.watches import Watches
from xsadapter.engine.within import answered_within
from xsadapter.errors import RequestError
from xsadapter.operations import NAMES, Kind, TransactionUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import rrdstore
    from xsadapter.engine.counting import Dispatch
    from xsadapter.engine.domains import Charged
    from xsadapter.engine.hypervisor import Hypervisor
    from xsadapter.engine.index import Projection
    from xsadapter.engine.state import Told

_INITIAL: Final = ("/tool", "/tool/xenstored")


class Daemon:
    """What all connections share. Not for more than one thread."""

    __slots__ = (
        "_dispatch",
        "accounts",
        "at_once",
        "branch",
        "connections",
        "counting",
        "domains",
        "flow",
        "head",
        "hypervisor",
        "keep_orphans",
        "kinds",
        "listings",
        "metrics",
        "past_listings",
        "relieve",
        "serial",
        "short",
        "store",
        "troubles",
        "turns",
        "unburied",
        "update",
        "watches",
        "within",
    )

    def __init__(
        self,
        store: rrdstore.Store,
        hypervisor: Hypervisor | None = None,
        quotas: Mapping[str, int] = MappingProxyType({}),
        indexes: Sequence[Projection] = INDEXES,
    ) -> None:
        """`quotas`: what a domain begins with, by name, where it is not the default. `indexes`: all there are to be."""
        self.hypervisor: Hypervisor = hypervisor or Alone()
        self.domains = Domains(self.hypervisor, quotas)
        self.accounts = Accounts(self.domains)
        self.watches = Watches()
        self.flow = Flow()
        self.domains.touched = self.flow.touched
        self.store = store
        self.turns = Turns(self.flow)
        self.head = Head(store, self.watches, self.accounts, self.turns, Indexes(indexes))
        self.branch = self.head.branch
        self.connections: dict[int, Connection] = {}
        self.keep_orphans = False
        """Whether the nodes of a dead domain become domain 0's instead of going with it."""
        self.listings = Listings()
        self.past_listings: dict[tuple[str, str], bytes] = {}
        """By commit and path."""
        self.unburied = False
        """Whether there is a dead domain whose end the store has refused."""
        self.metrics = Metrics()
        self.troubles = Troubles()
        self.kinds = self.metrics.kinds
        self.serial = 0
        """The last one given to a connection."""
        self.update = Update()
        self._dispatch: Dispatch = HANDLERS
        self.at_once, self.within = AT_ONCE, WITHIN
        self.short = False
        """Whether memory is short."""
        self.relieve: Callable[[], object] = lambda: None
        """Give back what memory the shell has in reserve."""
        self.counting: Counting | None = None
        """The count of the accounts, as long as there is one."""

    def run_short(self, short: bool) -> None:
        """Whether what takes more memory is refused."""
        self.short = short
        self.at_once = AT_ONCE_SPARING if short else AT_ONCE
        self.within = WITHIN_SPARING if short else WITHIN
        if self.counting is None:
            self._dispatch = SPARING if short else HANDLERS

    @property
    def operations(self) -> int:
        """Requests carried out so far."""
        return sum(self.kinds)

    @property
    def waiting(self) -> list[Connection]:
        """The connections with something to send."""
        return self.flow.waiting

    @property
    def notices(self) -> list[Notice]:
        """What the shell is to log."""
        return self.flow.notices

    def begin(
        self,
        boot: str,
        resumed: Resumed | None = None,
        told: Iterable[Told] = (),
        charges: Mapping[int, Charged] | None = None,
        at_once: int | None = None,
    ) -> bool:
        """Make the tree ready for clients; True if this boot's was there already.

        Then so is the state that is to be `resumed` with it, and changes that may not be `told` yet are told again;
        those of another boot are not looked at. `charges` are those of this very tree, if they are known, and then the
        caller is to `lives.scan`; otherwise they are counted, of so many nodes `at_once` (None: of all).
        """
        known = self.branch.tree.get(private.BOOT)
        continued = known is not None and known.value == boot.encode()
        if not continued:
            with self.branch.transaction(message="START a fresh tree", author=lives.AUTHOR) as change:
                for name in self.branch.tree.list("/"):
                    change.remove(f"/{name}")
                for path in ("/", *_INITIAL, private.ROOT):
                    change.set(path, b"", meta=DEFAULT)
                for name, meta in private.SPECIAL_LISTS.items():
                    change.set(private.special_place(name), b"", meta=meta)
                change.set(private.BOOT, boot.encode(), meta=DEFAULT)
                self.head.indexes.mend(change)
        self.head.moved()
        believed = charges is not None and continued
        if not believed:
            lives.resume(self)  # Who is told what each has is told who they are, too.
            if at_once is None:
                self.accounts.recount(self.head.tree)
            elif not (counting := Counting(self, HANDLERS)).go_on(at_once):
                self._dispatch = self.counting = counting
        if not self.head.indexes.marked(self.head.tree) or not (believed or self.counting):
            without = self.head.mend(lives.AUTHOR)
            if without:
                self.notices.append(Notice(without))
        if continued and resumed is not None:
            restore(self, *resumed)
            tell_again(self, told)
        if charges is None or not believed:
            lives.scan(self)
        else:
            self.accounts.charge(charges.items())
        return continued

    def count(self, nodes: int) -> None:
        """Go on with the count of the accounts, if there is one; StoreError."""
        counting = self.counting
        if counting is not None and counting.go_on(nodes):
            self.counting = None
            self.run_short(self.short)
            self.flow.resumed += counting.waited()
            lives.scan(self)

    def tick(self, seconds: float | None = None) -> bool:
        """Have the store bring what is kept to disk, or go on with that for so long; whether it is done. StoreError."""
        done = self.store.tick(seconds)
        # Stored, the same tree may be another object, whose parts can be dropped from memory.
        self.head.moved()
        if self.unburied:
            lives.scan(self)
        return done

    def connect(self, peer: str, domid: int = 0, privileged: bool = True, serial: int | None = None) -> Connection:
        """A new client, or with a `serial` one that was there before; `peer` says who it is, for the history."""
        if serial is None:
            serial = self.serial = self.serial + 1
        kind = Connection if privileged else GuestConnection
        connection = kind(serial, self.domains.record(domid), privileged, peer, self.flow)
        connection.identities = self.domains.identities(connection.domain)
        connection.live = Live(self.head, connection)
        self.connections[connection.serial] = connection
        self.flow.touched.connection(serial)
        if self.flow.trail.obj:
            self.flow.trail.object("CREATE", "connection", connection)
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Forget a client, its watches, its transactions and what waits for it; twice is no error."""
        if not connection.closed:
            connection.closed = True
            self.reset(connection)
            if self.flow.trail.obj:
                self.flow.trail.object("DESTROY", "connection", connection)
            self.turns.forget(connection)
            if self.update.owner is connection:
                self.update.clear(self)
            connection.clear()
            connection.domain.operations += connection.operations
            connection.domain.clients.discard(connection)
            del self.connections[connection.serial]
            self.flow.touched.connection(connection.serial)

    def restart(self, connection: Connection) -> None:
        """The client begins anew: nothing of what it had is left, and nothing half read or half sent."""
        if self.head.journal is not None:
            self.head.journal.began(connection)
        self.reset(connection)
        self.turns.forget(connection)
        connection.clear()
        connection.ignored = False

    def ignore(self, connection: Connection, why: str) -> None:
        """The client broke its ring: it is served no more, until it begins anew."""
        self.restart(connection)
        connection.ignored = True
        self.broke(connection, f"{why}; ignored")

    def broke(self, connection: Connection, why: str) -> None:
        """Tell that a client sent what is no protocol."""
        if self.flow.trail.acc:
            self.flow.trail.broke(connection, why, self.flow.now)
        if is_due(connection.domain, "broke", self.flow):
            self.notices.append(Notice(f"{connection.author}: {why}"))

    def reset(self, connection: Connection) -> None:
        """Forget all watches of a client and abort all its transactions."""
        self.watches.remove_all(connection)
        if connection.transactions:
            for transaction in connection.transactions.values():
                transaction.abort()
            connection.transactions.clear()
            self.flow.touched.connection(connection.serial)

    def expire(self) -> bool:
        """Drop the events that guests have not begun to read in time; whether any guest has something queued.

        O(connections).
        """
        waiting = False
        for connection in self.connections.values():
            if not connection.privileged and (connection.output or connection.behind):
                count = connection.expire(self.flow.now)
                if count and self.head.journal is not None:
                    self.head.journal.cut(connection)
                if count and is_due(connection.domain, "slow", self.flow):
                    self.notices.append(Notice(f"{connection.author}: {count} events were not read in time; dropped"))
                waiting = waiting or bool(connection.output) or connection.behind
        return waiting

    def step(self, connection: Connection) -> bool:
        """Carry out the next complete request of a client; False if there is none, or it has to wait. FrameError."""
        frame, flow = connection.held, self.flow
        waited = frame is not None
        if frame is None:
            frame = connection.reader.take()
            if frame is None:
                return False
            kind, request, transaction, payload = connection.asked = frame
            if connection.privileged and not flow.trail.io:
                if transaction:
                    if answered_within(self, connection, frame):
                        return True
                else:
                    plain = self.at_once.get(kind)
                    if plain is not None and answered(self, connection, plain, kind, request, payload):
                        return True
        else:
            connection.held = None
            kind, request, transaction, payload = connection.asked = frame
        flow.asking = connection
        if not connection.privileged:
            flow.cause = Outstanding(connection.domain)
        failure = b""
        try:
            reply = self._carry_out(connection, kind, transaction, payload)
        except Later:
            connection.held = frame
            if not waited:
                connection.since = flow.now
            return False
        except Exception as error:  # noqa: BLE001 - rule 2: a bug must not take the other clients down
            failure = failed(self, connection, frame, error)
            connection.reply(Kind.ERROR, request, transaction, failure)
        else:
            connection.reply(kind, request, transaction, reply)
        finally:
            flow.cause = flow.asking = None
        connection.operations += 1
        try:
            self.kinds[kind] += 1
        except IndexError:
            self.kinds[-1] += 1
        if waited:
            self.metrics.waits.took(flow.now - connection.since)
        if failure and self.head.journal is not None:
            self.head.journal.undo()
        if flow.touched.any:
            flow.touched.asked[connection.serial] = connection
        if self.domains.crossed:
            self.tell_crossed()
        if flow.trail.io:
            answer = failure.rstrip(b"\0").decode() or "OK"
            flow.trail.request(connection, NAMES.get(kind, str(kind)), transaction, payload, answer)
        return True

    def tell_crossed(self) -> None:
        """Say who is above his soft memory, or below it again, as soon as that is due."""
        for domain in self.domains.crossed.values():
            known = self.domains.get(domain.domid) is domain
            if known and domain.exceeds is not domain.above and is_due(domain, "soft-memory", self.flow):
                domain.above = not domain.above
                where = "above" if domain.above else "below"
                limit = domain.limits["soft-memory"]
                self.notices.append(
                    Notice(f"domain {domain.domid} is {where} its soft memory of {limit}: {domain.usage.memory} bytes")
                )
        self.domains.crossed.clear()

    def _carry_out(self, connection: Connection, kind: int, transaction: int, payload: bytes) -> bytes:
        found = self._dispatch.get(kind)
        if found is None:
            raise RequestError("ENOSYS")
        operation, handler = found
        if operation.privileged and not connection.privileged:
            raise RequestError("EACCES")
        if not transaction or operation.transaction is TransactionUse.IGNORED:
            return handler(self, connection, connection.live, operation.cut(payload))
        view = connection.transactions.get(transaction)
        if view is None:
            raise RequestError("ENOENT")
        arguments = operation.cut(payload)
        if operation.transaction is TransactionUse.LOOKED_UP:
            return handler(self, connection, view, arguments)

        def request(view: View) -> bytes:
            return handler(self, connection, view, arguments)

        return view.carry_out(request, len(payload), operation.prefix_varies)
