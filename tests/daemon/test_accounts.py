"""Every counter is what a recount finds, whatever was done; nothing of a dead domain is left.

Nodes, memory (nodes, watches, queued messages, transactions), watches, transactions, outstanding requests, and where in
the tree a domain is named.
"""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rrdstore import StoreFull
from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from xsadapter.engine import lives, permissions
from xsadapter.engine.message import Message
from xsadapter.wire import pack

HOMES = {5: b"/local/domain/5", 6: b"/local/domain/6"}
PLACES = [b"/a", b"/a/b", b"/c", b"/local/domain/5/x", b"/local/domain/5/x/y", b"/local/domain/6/z", b"/v/w/x/y/z/1/2"]
LISTS = [b"n0\0", b"n5\0", b"b0\0r5\0", b"b6\0w5\0", b"n5\0b6\0", b"w0\0r7\0"]

DEEDS = (
    *("kill", "introduce", "reuse", "close", "take", "take", "take a bit", "expire", "ignore", "restart", "aim"),
    *("few nodes", "little memory", "any", "store is full"),
)

places = st.sampled_from(PLACES)
requests = st.one_of(
    st.tuples(st.sampled_from([11]), places, st.binary(max_size=30)),
    st.tuples(st.sampled_from([12, 13]), places, st.just(b"")),
    st.tuples(st.just(14), places, st.sampled_from(LISTS)),
    st.tuples(st.just(4), places, st.just(b"token\0")),
    st.tuples(st.just(5), places, st.just(b"token\0")),
    st.tuples(st.just(6), st.just(b""), st.just(b"")),
    st.tuples(st.just(7), st.sampled_from([b"T", b"F"]), st.just(b"")),
    st.tuples(st.just(21), st.just(b""), st.just(b"")),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0, 5, 6]), requests, st.integers(0, 2)),
        st.tuples(st.sampled_from([0, 5, 6]), requests, st.integers(0, 2)),
        st.tuples(
            st.sampled_from(DEEDS),
            st.sampled_from([5, 6]),
        ),
    ),
    max_size=40,
)


def recount(daemon):
    """Nodes, memory and watches of each domain, from what there is."""
    found = {}

    def usage(domid):
        return found.setdefault(domid, [0, 0, 0, 0])

    for path, node in daemon.branch.tree.descend("/"):
        if not path.startswith("/.xsadapter"):
            entries = permissions.entries(node.meta)
            if entries[0].domid == permissions.ANY_DOMAIN:
                continue
            name = len(path) - path.rfind("/")
            mine = usage(entries[0].domid)
            mine[0] += 1
            mine[1] += 16 + 8 * len(entries) + len(node.value) + len(path) + name
    for connection in daemon.connections.values():
        mine = usage(connection.domid)
        for path, token in connection.watches:
            mine[2] += 1
            mine[1] += len(path) + len(token)
        if not connection.privileged:
            mine[1] += sum(256 + len(message) for message in connection.output)
            mine[1] += sum(late.telling.cost for late in connection.owed)
            mine[1] += sum(opened._memory for opened in connection.transactions.values())
            mine[3] += len(connection.transactions)
    return found


def outstanding(daemon):
    """Of each domain, how many requests have something queued, for whomever; each knows how many messages."""
    queued = Counter(
        message.cause
        for connection in daemon.connections.values()
        for message in connection.output
        if isinstance(message, Message) and message.cause is not None
    )
    for connection in daemon.connections.values():
        if not connection.privileged:
            queued.update(late.cause for late in connection.owed if late.cause is not None)
    assert all(cause.left == count for cause, count in queued.items())
    return Counter(cause.domain for cause in queued)


def check(daemon):
    found, waiting = recount(daemon), outstanding(daemon)
    for domain in daemon.domains:
        usage = domain.usage
        nodes, memory, watches, transactions = found.pop(domain.domid, [0, 0, 0, 0])
        assert (usage.nodes, usage.watches) == (nodes, watches), domain.domid
        if domain.domid:
            assert usage.transactions == transactions
        assert usage.memory == memory, domain.domid
        assert usage.outstanding == waiting[domain]
        for name in ("nodes", "memory", "watches", "transactions", "outstanding"):
            assert getattr(domain.maxima, name) >= getattr(usage, name), name
        assert sum(domain.places.values()) == sum(
            domain.domid in permissions.listed(node.meta).named
            for path, node in daemon.branch.tree.descend("/")
            if domain.domid and not path.startswith("/.xsadapter")
        )
    assert not found


def refuse(*_, **__):
    raise StoreFull.__new__(StoreFull)


@settings(max_examples=200)
@given(steps)
def test_counters_are_what_a_recount_finds(taken):
    host = Host()
    daemon = fresh_daemon(host)
    peers, full, commit = {0: Peer(daemon)}, False, daemon.branch._ledger.commit
    for domid, home in HOMES.items():
        peers[0].ask("MKDIR", home + b"\0")
        peers[0].ask("SET_PERMS", home + b"\0n%d\0" % domid)
    for step in taken:
        if isinstance(step[0], int):
            domid, (kind, first, rest), transaction = step
            if domid in peers:
                peer = peers[domid]
                inside = transaction if transaction in peer.connection.transactions else 0
                if not peer.connection.ignored:
                    peer.feed(pack(kind, 1, inside, first + b"\0" + rest))
                if domid == 0:
                    peer.take()
        elif step[0] == "introduce":
            host.lives.pop(step[1], None)
            if peers[0].ask("INTRODUCE", b"%d\x001\x001\0" % step[1]) == b"OK\0":
                peers[step[1]] = ring_of(daemon, step[1])
        elif step[0] == "kill":
            host.kill(step[1])
            lives.scan(daemon)
            peers.pop(step[1], None)
            assert full or daemon.domains.get(step[1]) is None
        elif step[0] == "reuse":
            host.reuse(step[1])
            lives.scan(daemon)
            peers.pop(step[1], None)
        elif step[0] == "store is full":
            full = not full
            daemon.branch._ledger.commit = refuse if full else commit
        elif step[0] == "expire":
            daemon.flow.now += 15
            daemon.expire()
        elif step[0] in {"few nodes", "little memory", "any"}:
            nodes, memory = {"few nodes": (3, 0), "little memory": (0, 400), "any": (0, 0)}[step[0]]
            peers[0].ask("SET_QUOTA", b"%d\0nodes\0%d\0" % (step[1], nodes))
            peers[0].ask("SET_QUOTA", b"%d\0memory\0%d\0" % (step[1], memory))
        elif step[1] in peers:
            connection = peers[step[1]].connection
            waiting = sum(256 + len(message) for message in connection.output)
            if step[0] == "close":
                if peers[0].ask("RELEASE", b"%d\0" % step[1]) == b"OK\0":
                    peers.pop(step[1], None)
            elif step[0] == "aim":
                peers[0].ask("SET_TARGET", b"%d\0%d\0" % (step[1], 11 - step[1]))
            elif step[0] in {"ignore", "restart"}:
                daemon.ignore(connection, "for a test")
                if step[0] == "restart":
                    daemon.restart(connection)
            else:
                connection.sent(waiting if step[0] == "take" else waiting // 2)
        check(daemon)
    daemon.branch._ledger.commit = commit
    for domid in (5, 6):
        if domid in peers:
            peers[domid].connection.sent_all()
            assert daemon.domains.get(domid).usage.outstanding == 0
        host.kill(domid)
    lives.scan(daemon)
    check(daemon)
    assert {domain.domid for domain in daemon.domains} <= {0, 7}
    assert not [notice for notice in daemon.notices if notice.fault]
