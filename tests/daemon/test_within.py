"""Requests so plain that they pass the handlers, inside a transaction: what takes that way, and that it is the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.conversation import NUMBERS, Host, Peer, fresh_daemon
from xsadapter.engine.plain import in_a_row
from xsadapter.wire import pack

OK = b"OK\0"
DOMIDS = (0, 3, 4)


@pytest.fixture
def client():
    peer = Peer(fresh_daemon())
    for path in (b"/a/b/leaf", b"/local/domain/1/name"):
        assert peer.ask("WRITE", path + b"\0one") == OK
    for domid in DOMIDS:
        peer.daemon.domains.record(domid)
    return peer


def opened(peer):
    """A transaction in which something was asked: the first request takes the long way."""
    number = peer.start()
    peer.ask("READ", b"/a\0", number)
    return number


def test_what_a_creation_asks_in_a_transaction_passes_the_handlers_and_nothing_else_does(client):
    number = opened(client)
    client.daemon._dispatch = {}
    for request, answer in [
        (("WRITE", b"/a/b/leaf\0two"), OK),
        (("WRITE", b"/a/b/leaf\0" + bytes(4000)), OK),
        (("WRITE", b"/a/c/d\0new"), OK),
        (("MKDIR", b"/a/e\0"), OK),
        (("MKDIR", b"/a/c\0"), OK),
        (("SET_PERMS", b"/a/c\0n3\0r4\0"), OK),
        (("GET_PERMS", b"/a/c\0"), b"n3\0r4\0"),
        (("READ", b"/a/c/d\0"), b"new"),
        (("READ", b"/a/b/leaf\0"), bytes(4000)),
        (("DIRECTORY", b"/a\0"), b"b\0c\0e\0"),
    ]:
        assert client.ask(*request, number) == answer, request
    for request in [
        ("WRITE", b"/local/domain/1/name\0two"),
        ("WRITE", b"/@index/new\0"),
        ("WRITE", b"a/b\0"),
        ("WRITE", b"/a/b"),
        ("MKDIR", b"/@index/name\0"),
        ("MKDIR", b"/a/b"),
        ("READ", b"/none\0"),
        ("READ", b"/a\0\0"),
        ("SET_PERMS", b"/none\0n3\0"),
        ("SET_PERMS", b"/a\0"),
        ("SET_PERMS", b"/a\0w\0"),
        ("SET_PERMS", b"/a\0n32757\0"),
        ("GET_PERMS", b"@releaseDomain\0"),
        ("DIRECTORY", b"/\0"),
        ("RM", b"/a/b\0"),
    ]:
        assert client.ask(*request, number) == "ENOSYS", request


def test_the_first_request_and_those_of_no_transaction_do_not(client):
    number = client.start()
    client.daemon._dispatch = {}
    assert client.ask("WRITE", b"/a/b/leaf\0two", number) == "ENOSYS"
    assert client.ask("WRITE", b"/a/b/leaf\0two", number + 1) == "ENOSYS"


def test_where_memory_is_short_nothing_is_made_or_set_in_a_transaction(client):
    number = opened(client)
    client.daemon.run_short(True)
    for request in [("WRITE", b"/a/b/leaf\0two"), ("MKDIR", b"/a/x\0"), ("SET_PERMS", b"/a\0n3\0")]:
        assert client.ask(*request, number) == "ENOMEM"
    assert client.ask("READ", b"/a/b/leaf\0", number) == b"one"
    client.daemon.run_short(False)
    assert client.ask("WRITE", b"/a/b/leaf\0two", number) == OK


def test_a_row_goes_on_inside_a_transaction_and_ends_where_there_is_more_to_it(client):
    number = opened(client)
    some = [
        ("READ", 0, b"/a/b/leaf\0"),
        ("WRITE", number, b"/a/b/leaf\0two"),
        ("MKDIR", number, b"/a/x\0"),
        ("READ", 0, b"/a/b/leaf\0"),
        ("READ", number, b"/a/b/leaf\0"),
        ("RM", number, b"/a/x\0"),
        ("READ", number, b"/a/b/leaf\0"),
    ]
    frames = [pack(NUMBERS[kind], at, inside, payload) for at, (kind, inside, payload) in enumerate(some)]
    client.connection.reader.feed(b"".join(frames))
    client.daemon.flow.waiting.clear()
    assert in_a_row(client.daemon, client.connection, 2) == 2
    before = client.daemon.operations
    assert [(each.request, each.transaction, each.payload) for each in client.take()] == [
        (0, 0, b"one"),
        (1, number, OK),
    ]
    assert in_a_row(client.daemon, client.connection, 10) == 3
    assert client.daemon.operations == before + 3
    assert [each.payload for each in client.take()] == [OK, b"one", b"two"]
    assert client.daemon.step(client.connection)
    assert client.daemon.step(client.connection)
    assert not client.daemon.step(client.connection)
    assert [each.payload for each in client.take()] == [OK, b"two"]


def test_who_is_not_known_or_has_died_is_looked_at_by_the_handler():
    host = Host()
    client = Peer(fresh_daemon(host))
    number = opened(client)
    client.ask("MKDIR", b"/a\0", number)
    assert client.ask("SET_PERMS", b"/a\0n3\0", number) == OK, "who was not known is now"
    handlers, client.daemon._dispatch = client.daemon._dispatch, {}
    assert client.ask("SET_PERMS", b"/a\0n3\0r0\0", number) == OK
    assert client.ask("SET_PERMS", b"/a\0n4\0", number) == "ENOSYS"
    host.kill(3)
    assert client.ask("SET_PERMS", b"/a\0n3\0", number) == "ENOSYS"
    client.daemon._dispatch = handlers
    assert client.ask("SET_PERMS", b"/a\0n3\0", number) == "ENOENT"
    host.reuse(3)
    client.daemon._dispatch = {}
    assert client.ask("SET_PERMS", b"/a\0n3\0", number) == "ENOSYS"


def test_a_guest_is_asked_for_its_rights(client):
    guest = Peer(client.daemon, 5, privileged=False)
    number = guest.start()
    guest.ask("READ", b"/a\0", number)
    assert guest.ask("WRITE", b"/a/b/leaf\0two", number) == "EACCES"
    assert guest.ask("READ", b"/a/b/leaf\0", number) == "EACCES"


NAMES = [b"a", b"b", b"c", b"name", b"vm", b"local", b"domain", b"3", b"@index"]
paths = st.lists(st.sampled_from(NAMES), max_size=5).map(lambda names: b"/" + b"/".join(names))
ends = st.sampled_from([b"\0", b"\0", b"\0", b"\0", b"", b"\0\0"])
written = st.tuples(paths, st.sampled_from([b"", b"one", bytes(200)])).map(lambda parts: b"%b\0%b" % parts)
listed = st.tuples(paths, st.integers(2, 4), st.integers(3, 4), ends).map(lambda parts: b"%b\0n%d\0r%d%b" % parts)
named = st.tuples(paths, ends).map(b"".join)
asked = st.one_of(
    st.tuples(st.just("WRITE"), written),
    st.tuples(st.just("MKDIR"), named),
    st.tuples(st.just("SET_PERMS"), listed),
    st.tuples(st.sampled_from(["READ", "GET_PERMS", "DIRECTORY"]), named),
    st.tuples(st.just("RM"), paths.map(lambda path: path + b"\0")),
)
requests = st.tuples(st.sampled_from([0, 1, 1, 1, 1]), asked)
"""By whom: another client, or the one with the transaction."""


def known(daemon):
    """All that is to be the same: tree, accounts, and what history says."""
    tree = [(path, node.value, node.meta, node.created, node.modified) for path, node in daemon.head.tree.descend("/")]
    accounts = {
        domid: (domain.stored, domain.usage.nodes, dict(domain.places))
        for domid in DOMIDS
        for domain in [daemon.domains.record(domid)]
    }
    return tree, accounts, [(each.number, each.author, each.message) for each in daemon.branch.log()]


def recounted(daemon):
    """What each domain has by the tree alone."""
    for domid in DOMIDS:
        daemon.domains.record(domid).uncharge()
    daemon.accounts.recount(daemon.head.tree)
    return known(daemon)[1]


@given(st.lists(st.tuples(st.lists(requests, max_size=12), st.sampled_from([b"T", b"T", b"T", b"F"])), max_size=4))
def test_what_passes_the_handlers_is_what_they_would_have_made_of_it(transactions):
    sides = []
    for handled in (False, True):
        daemon = fresh_daemon()
        mine, other, watcher = Peer(daemon), Peer(daemon), Peer(daemon)
        watcher.ask("WATCH", b"/a\0token\0")
        daemon.flow.trail.io = handled  # What is recorded goes to the handlers.
        sides.append((mine, other, watcher))
    for some, verdict in transactions:
        numbers = [mine.start() for mine, _, _ in sides]
        for who, request in some:
            if not who and sides[0][1].daemon.turns.held:
                continue  # It might have to wait.
            answers = [
                (mine if who else other).exchange(*request, number if who else 0)
                for (mine, other, _), number in zip(sides, numbers, strict=True)
            ]
            assert answers[0] == answers[1], request
        ends = [mine.exchange("TRANSACTION_END", verdict + b"\0", number)
                for (mine, _, _), number in zip(sides, numbers, strict=True)]  # fmt: skip
        assert ends[0] == ends[1]
        assert sides[0][2].events() == sides[1][2].events()
    found = [known(mine.daemon) for mine, _, _ in sides]
    assert found[0] == found[1]
    assert found[0][1] == recounted(sides[0][0].daemon)
