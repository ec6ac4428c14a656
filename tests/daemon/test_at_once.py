"""Requests so plain that they pass the handlers: what takes that way, and what must not."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.conversation import NUMBERS, Peer, cut, fresh_daemon
from xsadapter.engine.plain import in_a_row
from xsadapter.wire import FrameError, pack

OK = b"OK\0"


@pytest.fixture
def client():
    daemon = fresh_daemon()
    peer = Peer(daemon)
    for path in (b"/a/b/leaf", b"/local/domain/1/name"):
        assert peer.ask("WRITE", path + b"\0one") == OK
    return peer


def test_a_small_leaf_is_read_and_replaced_past_the_handlers_and_nothing_else_is(client):
    client.daemon._dispatch = {}
    assert client.ask("WRITE", b"/a/b/leaf\0two") == OK
    assert client.ask("READ", b"/a/b/leaf\0") == b"two"
    for payload in (b"/a/b\0", b"/@index/new\0", b"a/b/leaf\0", b"/a/b/leaf"):
        assert client.ask("WRITE", payload) == "ENOSYS"
    assert client.ask("WRITE", b"/a/b/leaf\0" + bytes(4000)) == "ENOSYS"
    assert client.ask("READ", b"/a/b/leaf\0") == b"two"


def test_where_memory_is_short_a_leaf_is_read_and_not_replaced(client):
    client.daemon.run_short(True)
    assert client.ask("WRITE", b"/a/b/leaf\0two") == "ENOMEM"
    assert client.ask("READ", b"/a/b/leaf\0") == b"one"
    client.daemon.run_short(False)
    assert client.ask("WRITE", b"/a/b/leaf\0two") == OK


def test_a_watch_and_the_account_know_of_what_was_replaced(client):
    assert client.ask("WATCH", b"/a\0token\0") == OK
    client.ask("SET_PERMS", b"/a/b/leaf\0n3\0")
    client.take()
    before = client.daemon.domains.record(3).stored
    client.daemon._dispatch = {}
    messages = client.exchange("WRITE", b"/a/b/leaf\0longer by some")
    assert [message.payload for message in messages] == [b"/a/b/leaf\0token\0", OK]
    assert client.daemon.domains.record(3).stored == before + len(b"longer by some") - len(b"one")


PAYLOADS = (b"/a/b/leaf\0", b"/a/b\0", b"/\0", b"/none\0", b"a\0", b"/a/b/leaf", b"/long\0", b"\0", b"/@index/name/x\0")
WRITTEN = (*PAYLOADS, b"/new/one\0", b"/local/domain/1/name\0", b"/local/domain/2/name\0", b"/@index/new\0", b"//\0")
IDS = st.sampled_from([0, 0, 0, 7])
READS = st.tuples(st.just("READ"), st.sampled_from(PAYLOADS), IDS)
WRITES = st.tuples(
    st.just("WRITE"),
    st.builds(
        bytes.__add__, st.sampled_from(WRITTEN), st.sampled_from([b"two", b"", b"three", bytes(300), bytes(4090)])
    ),
    IDS,
)
LISTED = (b"/a\0", b"/\0", b"/none\0", b"a\0", b"/a/b/leaf\0", b"/@index/name\0", b"\0", b"", b"/wide\0")
OFFSETS = (
    b"0\0",
    b"2\0",
    b"1\0",
    b"99\0",
    b"02\0",
    b"00000000000\0",
    b"4294967296\0",
    b"-1\0",
    b"\0",
    b"0",
    b"0\0\0",
    b"4090\0",
)
PARTS = st.tuples(
    st.just("DIRECTORY_PART"),
    st.builds(bytes.__add__, st.sampled_from(LISTED), st.sampled_from(OFFSETS)),
    st.sampled_from([0, 0, 0, 7]),
)
COME_AND_GONE = st.sampled_from([("WRITE", b"/a/new\0", 0), ("RM", b"/a/new\0", 0), ("MKDIR", b"/a/made\0", 0)])
OTHERS = st.sampled_from([
    ("DIRECTORY", b"/a\0", 0), ("READ", bytes(4097), 0), ("RM", b"/a/b/leaf\0", 0), ("WATCH", b"/a\0token\0", 0),
    ("WATCH", b"/new\0other\0", 0), ("SET_PERMS", b"/a/b/leaf\0n3\0", 0), ("UNWATCH", b"/a\0token\0", 0),
])  # fmt: skip


def frames(some):
    return [pack(NUMBERS[kind], number, transaction, payload) for number, (kind, payload, transaction) in some]


def carried_out(peer, pieces, most):
    """What comes back, with what is plain in a row first if there may be any; whether the stream is broken."""
    broken = False
    try:
        for piece in pieces:
            peer.connection.reader.feed(piece)
            while True:
                waits, peer.connection.output = peer.connection.output, []
                again = in_a_row(peer.daemon, peer.connection, most) if most else 0
                peer.connection.output[:0] = waits
                if not again and not peer.daemon.step(peer.connection):
                    break
    except FrameError:
        broken = True
    return peer.take(), broken, peer.daemon.operations


@given(
    st.lists(st.one_of(READS, WRITES, WRITES, PARTS, PARTS, COME_AND_GONE, OTHERS), max_size=16),
    st.integers(1, 64),
    st.lists(st.integers(1, 90)),
)
def test_what_comes_in_a_row_is_done_and_answered_as_each_by_itself_would_be(some, most, cuts):
    stream = b"".join(frames(enumerate(some)))
    ends = [0, *(end for end in accumulate(cuts) if end < len(stream)), len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(ends)]
    found = []
    for allowed in (0, most):
        peer = Peer(fresh_daemon())
        other = Peer(peer.daemon)
        wide = [(b"/wide/%0250d" % number, b"") for number in range(20)]
        for path, value in (
            (b"/a/b/leaf", b"one"),
            (b"/long", bytes(4000)),
            (b"/local/domain/1/name", b"one"),
            *wide,
        ):
            assert peer.ask("WRITE", path + b"\0" + value) == OK
        for path in (b"/a/b/leaf", b"/new"):
            other.ask("WATCH", path + b"\0theirs\0")
        other.take()
        if not allowed:
            peer.daemon.at_once = {}
        carried = carried_out(peer, pieces, allowed)
        head = peer.daemon.head
        tree = [(path, node.value, node.meta, node.created, node.modified) for path, node in head.tree.descend("/")]
        accounts = [(domid, peer.daemon.domains.record(domid).stored) for domid in (0, 3)]
        log = [(each.number, each.author, each.message) for each in peer.daemon.branch.log()]
        found.append((carried, other.take(), tree, accounts, log, peer.daemon.kinds))
    assert found[0] == found[1]


def test_parts_of_a_directory_are_answered_in_a_row_as_by_the_handler(client):
    for number in range(20):
        client.ask("WRITE", b"/wide/%0250d\0" % number)
    plain = client.daemon.at_once
    for change in (None, ("WRITE", b"/wide/%0250d\0" % 7000), ("RM", b"/wide/%0250d\0" % 3), ("MKDIR", b"/wide/0\0")):
        if change:
            assert client.ask(*change) == OK
        for offset in (
            b"0",
            b"251",
            b"4016",
            b"5020",
            b"3",
            b"99999",
            b"002",
            b"4294967296",
            b"00000000251",
            b"",
            b"-1",
        ):
            payload = b"/wide\0" + offset + b"\0"
            client.daemon.at_once = {}
            wanted = client.ask("DIRECTORY_PART", payload)
            client.daemon.at_once = plain
            client.connection.reader.feed(pack(NUMBERS["DIRECTORY_PART"], 1, 0, payload))
            done = in_a_row(client.daemon, client.connection, 9)
            assert done == (not isinstance(wanted, str)), offset
            assert done or client.daemon.step(client.connection)
            assert [message.payload.rstrip(b"\0") for message in client.take()] == [
                wanted.encode() if isinstance(wanted, str) else wanted.rstrip(b"\0")
            ]
    assert len(client.daemon.head.listed) == 1


def test_so_many_and_no_more_are_answered_in_a_row_and_none_behind_what_waits(client):
    client.connection.reader.feed(b"".join(frames((at, ("READ", b"/a/b/leaf\0", 0)) for at in range(5))))
    client.daemon.flow.waiting.clear()
    assert in_a_row(client.daemon, client.connection, 3) == 3
    assert in_a_row(client.daemon, client.connection, 3) == 0, "three answers wait"
    assert client.daemon.flow.waiting == [client.connection]
    assert [message.request for message in client.take()] == [0, 1, 2]
    assert in_a_row(client.daemon, client.connection, 3) == 2
    assert [message.payload for message in cut(b"".join(client.connection.output))] == [b"one", b"one"]


def test_whoever_is_to_know_of_every_request_is_told_of_all(client):
    client.daemon.flow.trail.io = True
    client.connection.reader.feed(b"".join(frames([(1, ("READ", b"/a/b/leaf\0", 0))])))
    assert in_a_row(client.daemon, client.connection, 3) == 0


NAMES = [b"a", b"b", b"c", b"name", b"vm", b"local", b"domain", b"@index"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5).map(lambda names: b"/" + b"/".join(names))
requests = st.one_of(
    st.tuples(
        st.just("WRITE"), st.builds(b"%b\0%b".__mod__, st.tuples(paths, st.sampled_from([b"", b"one", b"v" * 200])))
    ),
    st.tuples(st.just("SET_PERMS"), st.builds(b"%b\0n%d\0r%d\0".__mod__, st.tuples(paths, st.just(3), st.just(4)))),
    st.tuples(st.just("RM"), paths.map(lambda path: path + b"\0")),
    st.tuples(st.just("WATCH"), paths.map(lambda path: path + b"\0t\0")),
)


@given(st.lists(requests, min_size=1, max_size=25))
def test_what_is_made_past_the_handlers_is_what_they_make(asked):
    plain, handled = Peer(fresh_daemon()), Peer(fresh_daemon())
    handled.daemon.flow.trail.io = True  # What is recorded goes to the handlers.
    for request in asked:
        found, wanted = plain.exchange(*request), handled.exchange(*request)
        assert found == wanted, request
    trees = [
        [(path, node.value, node.meta, node.created, node.modified) for path, node in one.daemon.head.tree.descend("/")]
        for one in (plain, handled)
    ]
    assert trees[0] == trees[1]
    accounts = [
        {domid: (domain.stored, domain.usage.nodes, domain.places) for domid in (0, 3, 4)
         for domain in [one.daemon.domains.record(domid)]}
        for one in (plain, handled)
    ]  # fmt: skip
    assert accounts[0] == accounts[1]
    logs = [[(each.number, each.author, each.message) for each in one.daemon.branch.log()] for one in (plain, handled)]
    assert logs[0] == logs[1]


def test_whose_change_tells_nobody_is_known_until_a_watch_comes_and_not_of_too_many(client, monkeypatch):
    monkeypatch.setattr("xsadapter.engine.watches._SILENT", 2)
    other, watches = Peer(client.daemon), client.daemon.watches
    other.ask("WATCH", b"/elsewhere\0t\0")
    other.take()
    paths = [b"/a/b/leaf", b"/a/b/two", b"/a/b/three"]
    for path in paths[1:]:
        client.ask("WRITE", path + b"\0one")

    def write(path):
        client.connection.reader.feed(b"".join(frames([(1, ("WRITE", path + b"\0two", 0))])))
        assert in_a_row(client.daemon, client.connection, 1) == 1
        client.take()

    for path in paths:
        write(path)  # It is found by then.
    watches.silent.clear()
    for path in paths[:2]:
        write(path)
    assert watches.silent == {path + b"\0" for path in paths[:2]}
    write(paths[2])
    assert watches.silent == {paths[2] + b"\0"}
    other.ask("WATCH", b"/a/b\0u\0")
    other.take()
    write(paths[2])
    assert other.events() == [(paths[2], b"u")]
