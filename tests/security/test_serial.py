"""Random concurrent conversations against a serial oracle: same replies, same tree, no needless EAGAIN.

Domain 0 twice and two guests, on few enough places that they meet all the time: rights that are revoked, parents that
are removed, the same node made twice, quotas that are reached and changed, targets that come and go, domains that die,
are released or introduced again, entries for domains that do not exist. The oracle (tests/daemon/model.py) carries a
transaction out again, whole, at its END, so it answers EAGAIN when a reply would be another one, and never else.
"""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import NUMBERS, Host, Peer, cut, fresh_daemon, pair, ring_of
from tests.daemon.model import Client, Model, levels
from tests.daemon.test_accounts import check
from tests.daemon.test_model import payload
from xsadapter.engine import lives, private
from xsadapter.wire import pack

NOBODY = 9
GUESTS = (5, 6)
LIMITS = {"nodes": 6, "watches": 2, "transactions": 2, "node-size": 60, "node-permissions": 3}
HOME = "/g"

places = st.sampled_from(["/g", "/g/a", "/g/b", "/g/a/b", "/g/a/c", "/g/a/b/c", "/g/b/c", "/", "/x", "/x/y"])
entry = st.tuples(st.sampled_from("nrwb"), st.sampled_from([0, 5, 5, 6, 6, NOBODY, 32757]))
lists = st.lists(entry.map(lambda pair: b"%b%d" % (pair[0].encode(), pair[1])), min_size=1, max_size=4).map(tuple)
values = st.sampled_from([b"", b"1", b"2", bytes(30), bytes(50)])
reads = st.tuples(st.sampled_from(["READ", "DIRECTORY", "GET_PERMS"]), places)
changes = st.one_of(
    st.tuples(st.just("WRITE"), places, values),
    st.tuples(st.just("WRITE"), places, values),
    st.tuples(st.just("MKDIR"), places),
    st.tuples(st.just("RM"), places),
    st.tuples(st.just("SET_PERMS"), places, lists),
)
watching = st.tuples(st.just("WATCH"), places, st.sampled_from([b"t", b"u"]), st.none() | st.integers(0, 2))
ends = st.tuples(st.just("TRANSACTION_END"), st.sampled_from([True, True, True, False]))
requests = st.one_of(reads, changes, changes, watching, st.just(("TRANSACTION_START",)), ends)
asked = st.tuples(st.integers(0, 3), requests, st.integers(0, 2))
aimed = st.tuples(st.just("aim"), st.sampled_from([(5, 6), (6, 5)]))
dead = st.tuples(st.sampled_from(["die", "release", "introduce_again", "resume"]), st.sampled_from(GUESTS))
limited = st.tuples(
    st.just("limit"),
    st.tuples(
        st.sampled_from(GUESTS),
        st.one_of(
            st.tuples(st.just("nodes"), st.sampled_from([3, 6, 9])),
            st.tuples(st.sampled_from(["watches", "transactions", "node-permissions"]), st.integers(1, 3)),
            st.tuples(st.just("node-size"), st.sampled_from([60, 90])),
        ),
    ),
)
steps = st.lists(st.one_of(asked, asked, asked, asked, asked, asked, asked, aimed, dead, limited), max_size=50)


class World:
    """The daemon and the oracle, asked the same."""

    def __init__(self):
        self.host = Host()
        self.host.kill(NOBODY)
        self.daemon, self.model = fresh_daemon(self.host), Model()
        self.model.nobody.add(NOBODY)
        for name in self.daemon.domains.limits:
            self.daemon.domains.limits[name] = LIMITS.get(name, 0)
        self.peers = [Peer(self.daemon), Peer(self.daemon), None, None]
        self.early = []
        """Events that the toolstack was sent with the reply to what it asked for."""
        self.clients = [Client(0, True), Client(0, True), None, None]
        for domid in GUESTS:
            self.introduce(domid)
        self.ask(0, ("MKDIR", HOME))
        self.ask(0, ("SET_PERMS", HOME, (b"n5", b"b6")))

    def introduce(self, domid):
        at = GUESTS.index(domid) + 2
        assert self.peers[0].ask("INTRODUCE", b"%d\x001\x007\0" % domid) == b"OK\0"
        self.peers[at] = ring_of(self.daemon, domid)
        self.clients[at] = Client(domid, False, limits=dict(LIMITS))

    def client(self, domid):
        return self.clients[GUESTS.index(domid) + 2]

    def exchange(self, peer, operation, data, transaction):
        """All that comes back. If the request has to wait for another's turn, that one has slept too long."""
        peer.feed(pack(NUMBERS[operation], 1, transaction, data))
        if peer.connection.held is not None:
            event("waited")
            self.daemon.flow.now += 1
            self.daemon.turns.expire()
            peer.feed(b"")
        found = cut(b"".join(peer.connection.output))
        peer.connection.sent_all()
        return found

    def ask(self, number, request, transaction=0):
        operation, *arguments = request
        peer, client = self.peers[number], self.clients[number]
        found = self.exchange(peer, operation, payload(operation, arguments), transaction)
        given = (*arguments, 0) if operation == "WATCH" else tuple(arguments)
        expected = self.model.ask(client, operation, given, transaction)
        [reply] = [message for message in found if message.kind != "EVENT"]
        got = reply.payload[:-1].decode() if reply.kind == "ERROR" else reply.payload
        assert got == expected, (number, request, transaction)
        told = [pair(message) for message in found if message.kind == "EVENT"]
        assert told == client.events + client.late, request
        client.events.clear()
        client.late.clear()
        self.compare_events()
        return got

    def compare_events(self):
        early, self.early = self.early, []
        for peer, client in zip(self.peers, self.clients, strict=True):
            if peer is not None:
                assert early + peer.events() == client.events
                client.events.clear()
            early = []

    def told(self, operation, domid):
        """The toolstack asks, and nobody is told but of what goes with the domain."""
        found = self.exchange(self.peers[0], operation, b"%d\0" % domid, 0)
        assert [message.payload for message in found if message.kind != "EVENT"] == [b"OK\0"]
        self.early = [pair(message) for message in found if message.kind == "EVENT"]

    def resume(self, domid):
        self.told("RESUME", domid)

    def limit(self, domid, quota):
        """Not while it has a transaction open: what was borne once is not judged by a smaller limit."""
        name, value = quota
        if not self.client(domid).transactions:
            assert self.peers[0].ask("SET_QUOTA", b"%d\0%b\0%d\0" % (domid, name.encode(), value)) == b"OK\0"
            self.client(domid).limits[name] = value

    def introduce_again(self, domid):
        """Its ring begins anew: watches and transactions are gone, and all else is as it was."""
        assert self.peers[0].ask("INTRODUCE", b"%d\x001\x007\0" % domid) == b"OK\0"
        again = self.client(domid)
        self.model.watches = [watch for watch in self.model.watches if watch.client is not again]
        again.transactions.clear()

    def release(self, domid):
        """It goes as if it had died, but it is the same that comes again."""
        self.go(domid, lambda: self.told("RELEASE", domid))

    def aim(self, domid, target):
        assert self.peers[0].ask("SET_TARGET", b"%d\0%d\0" % (domid, target)) == b"OK\0"
        self.client(domid).target = target

    def die(self, domid):
        """And another domain comes with the number."""
        self.host.reuse(domid)
        self.go(domid, lambda: lives.scan(self.daemon))

    def go(self, domid, how):
        how()
        gone, model = self.client(domid), self.model
        model.watches = [watch for watch in model.watches if watch.client is not gone]
        before, after = model.tree, dict(model.tree)
        own = {path for path, (_, entries) in before.items() if entries[0][1:] == b"%d" % domid and path != "/"}
        tops = [path for path in own if not any((levels(other, path) or 0) > 0 for other in own)]
        for path, (value, entries) in before.items():
            if any(levels(top, path) is not None for top in tops):
                del after[path]
            elif any(entry[:1].islower() and entry[1:] == b"%d" % domid for entry in entries):
                first = entries[0][:1] + b"0" if path == "/" and entries[0][1:] == b"%d" % domid else entries[0]
                after[path] = (value, (first, *(each for each in entries[1:] if each[1:] != b"%d" % domid)))
        model.tree = after
        at = GUESTS.index(domid) + 2
        self.peers[at] = None
        model.tell([(path, True) for path in sorted(tops)], before)
        # Whoever had its rights until then could read what goes with it, and is told.
        for client in self.clients:
            if client.target == domid:
                client.target = None
        self.compare_events()
        self.introduce(domid)

    def take(self, step):
        if isinstance(step[0], str):
            deed, what = step
            event(deed)
            getattr(self, deed)(*what) if isinstance(what, tuple) else getattr(self, deed)(what)
            return
        number, request, choice = step
        open_ones = self.clients[number].transactions
        transaction = 0
        if open_ones and request[0] not in {"WATCH", "TRANSACTION_START"}:
            transaction = [*open_ones, 0, *open_ones][choice % (2 * len(open_ones) + 1)]
        reply = self.ask(number, request, transaction)
        if isinstance(reply, str) or transaction:
            event(f"{request[0]} {'in a transaction' if transaction else 'outside'}: {str(reply)[:8]}")

    def compare_trees(self):
        assert not [notice for notice in self.daemon.notices if notice.fault]
        found = {
            path: (node.value, tuple(node.meta.split(b"\0")[:-1]))
            for path, node in self.daemon.branch.tree.descend("/")
            if not path.startswith(private.ROOT)
        }
        assert found == self.model.tree
        check(self.daemon)


@settings(max_examples=150)
@given(steps)
def test_conversations_are_as_if_each_transaction_had_run_at_its_end(taken):
    world = World()
    for step in taken:
        world.take(step)
    world.compare_trees()


@settings(max_examples=300)
@given(
    st.integers(2, 3),
    st.lists(changes, max_size=4),
    st.lists(st.one_of(reads, changes, changes), min_size=1, max_size=4),
    st.lists(
        st.one_of(asked.filter(lambda step: not step[1][0].startswith("TRANS")), asked, aimed, dead, limited),
        min_size=1,
        max_size=3,
    ),
)
def test_one_transaction_of_a_guest_among_all_that_can_happen(who, first, inside, meanwhile):
    world = World()
    for request in first:
        world.ask(0, request)
    transaction = int(world.ask(who, ("TRANSACTION_START",))[:-1])
    for request in inside:
        world.ask(who, request, transaction)
    for step in meanwhile:
        world.take(step)
    event(str(world.ask(who, ("TRANSACTION_END", True), transaction)))
    world.compare_trees()
