"""Every counter is what a recount finds, whatever was done; nothing of a dead domain is left."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from xsadapter.engine import lives, permissions
from xsadapter.wire import pack

HOMES = {5: b"/local/domain/5", 6: b"/local/domain/6"}
PLACES = [b"/a", b"/a/b", b"/c", b"/local/domain/5/x", b"/local/domain/5/x/y", b"/local/domain/6/z", b"/v/w/x/y/z/1/2"]
LISTS = [b"n0\0", b"n5\0", b"b0\0r5\0", b"b6\0w5\0", b"n5\0b6\0", b"w0\0r7\0"]

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
        st.tuples(st.sampled_from(["kill", "introduce", "take", "take a bit", "close"]), st.sampled_from([5, 6])),
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
            mine[1] += sum(map(len, connection.output))
            mine[3] += len(connection.transactions)
    return found


def check(daemon):
    found = recount(daemon)
    for domain in daemon.domains:
        usage = domain.usage
        nodes, memory, watches, transactions = found.pop(domain.domid, [0, 0, 0, 0])
        assert (usage.nodes, usage.watches) == (nodes, watches), domain.domid
        if domain.domid:
            assert usage.transactions == transactions
        if not transactions:
            assert usage.memory == memory, domain.domid
        assert sum(domain.places.values()) == sum(
            domain.domid in permissions.listed(node.meta).named
            for path, node in daemon.branch.tree.descend("/")
            if domain.domid and not path.startswith("/.xsadapter")
        )
    assert not found


@settings(max_examples=150)
@given(steps)
def test_counters_are_what_a_recount_finds(taken):
    host = Host()
    daemon = fresh_daemon(host)
    peers = {0: Peer(daemon)}
    for domid, home in HOMES.items():
        peers[0].ask("MKDIR", home + b"\0")
        peers[0].ask("SET_PERMS", home + b"\0n%d\0" % domid)
    for step in taken:
        if isinstance(step[0], int):
            domid, (kind, first, rest), transaction = step
            if domid in peers:
                peer = peers[domid]
                inside = transaction if transaction in peer.connection.transactions else 0
                peer.feed(pack(kind, 1, inside, first + b"\0" + rest))
                if domid == 0:
                    peer.take()
        elif step[0] == "introduce":
            host.lives.pop(step[1], None)
            peers[0].ask("INTRODUCE", b"%d\x001\x001\0" % step[1])
            peers[step[1]] = ring_of(daemon, step[1])
        elif step[0] == "kill":
            host.kill(step[1])
            lives.scan(daemon)
            peers.pop(step[1], None)
            assert daemon.domains.get(step[1]) is None
        elif step[0] == "close" and step[1] in peers:
            peers[0].ask("RELEASE", b"%d\0" % step[1])
            peers.pop(step[1], None)
        elif step[1] in peers:
            connection = peers[step[1]].connection
            waiting = sum(map(len, connection.output))
            connection.sent(waiting if step[0] == "take" else waiting // 2)
        check(daemon)
    for domid in (5, 6):
        if domid in peers:
            peers[domid].connection.sent_all()
            assert daemon.domains.get(domid).usage.outstanding == 0
        host.kill(domid)
    lives.scan(daemon)
    check(daemon)
    assert {domain.domid for domain in daemon.domains} <= {0, 7}
    assert not [notice for notice in daemon.notices if notice.fault]
