"""Nodes that were read before are found again where they are, whatever came between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from rrdstore.testing import ManualClock
from tests.daemon.conversation import NUMBERS, Peer
from xsadapter.engine import private
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.plain import in_a_row
from xsadapter.wire import HEADER_SIZE, pack

PATHS = [f"/{a}/{b}/{c}".encode() for a in "pq" for b in ("x", "y") for c in ("k", "l", "many/7")]
MANY = [b"/p/x/many/%d" % number for number in range(40)]
"""More than a bucket holds."""

at = st.sampled_from([*PATHS, *MANY[:9], b"/p", b"/p/x", b"/p/x/many"])
writes = st.tuples(st.just("WRITE"), at, st.sampled_from([b"1", b"2", b"three", bytes(300)]))
others = st.one_of(
    st.tuples(st.sampled_from(["RM", "MKDIR", "READ"]), at),
    st.tuples(st.sampled_from(["tick", "still", "START", "END", "one more", "one more"])),
    st.tuples(st.just("SET_PERMS"), at),
)
steps = st.lists(st.one_of(writes, writes, others), max_size=40)


def read(peer, path):
    """The value as one of a row of READs gets it; None if the handlers are to tell."""
    peer.connection.reader.feed(pack(NUMBERS["READ"], 1, 0, path + b"\0"))
    if not in_a_row(peer.daemon, peer.connection, 1):
        assert peer.connection.reader.take() is not None
        return None
    (message,) = peer.connection.output
    peer.connection.sent_all()
    return message[HEADER_SIZE:]


@pytest.fixture(scope="module", params=["memory", "file", "small"])
def make(request, tmp_path_factory):
    """A store; of one that has little memory parts are dropped at each tick."""
    place = tmp_path_factory.mktemp(request.param)
    count = iter(range(1 << 30))

    def made():
        if request.param == "memory":
            return rrdstore.memory(clock=ManualClock())
        more = {"memory": "64KiB"} if request.param == "small" else {}
        rrdstore.create(path := place / f"{next(count)}.rrdb", "8MiB", clock=ManualClock()).close()
        return rrdstore.open(path, clock=ManualClock(), **more)

    return made


@given(steps)
def test_what_is_read_again_is_what_is_there(make, some):
    with make() as store:
        daemon = Daemon(store)
        daemon.begin("a boot")
        toolstack, other = Peer(daemon), Peer(daemon)
        open_one, there = 0, 30
        for path in MANY[:there]:
            toolstack.ask("WRITE", path + b"\0full")
        for step in some:
            what, *arguments = step
            if what == "tick":
                daemon.tick()
            elif what == "still":
                daemon.head.still()
            elif what == "START":
                open_one = open_one or other.start()
            elif what == "END":
                if open_one:
                    other.ask("TRANSACTION_END", b"T\0", open_one)
                open_one = 0
            elif what == "one more":
                toolstack.ask("WRITE", MANY[there] + b"\0new")
                there = (there + 1) % len(MANY)
            else:
                path, value = arguments[0], b"\0".join(arguments[1:])
                payload = path + b"\0" + (b"n0\0" if what == "SET_PERMS" else value)
                inside = open_one and len(value) == 1
                (other if inside else toolstack).ask(what, payload, open_one if inside else 0)
            tree = daemon.branch.now
            for path in (*PATHS, *MANY[:9], b"/p"):
                node = tree.get(path.decode())
                found = read(toolstack, path)
                assert found == (None if node is None or len(node.value) > 4096 else node.value), (step, path)


def test_a_value_is_found_where_it_was_until_it_is_gone():
    daemon = Daemon(rrdstore.memory(clock=ManualClock()))
    daemon.begin("a boot")
    peer = Peer(daemon)
    for path in PATHS:
        peer.ask("WRITE", path + b"\0one")
    peer.ask("WRITE", PATHS[0] + b"\0two")
    read(peer, PATHS[0])
    spots = dict(daemon.head.spots)
    assert list(spots) == [PATHS[0] + b"\0"]
    peer.ask("WRITE", PATHS[0] + b"\0six")
    assert daemon.head.spots == spots
    assert spots[PATHS[0] + b"\0"].node.value == b"six"
    peer.ask("WRITE", b"/p/new\0")
    peer.ask("RM", PATHS[1] + b"\0")
    assert spots[PATHS[0] + b"\0"].node.value == b"six"
    peer.ask("RM", PATHS[0] + b"\0")
    assert spots[PATHS[0] + b"\0"].node is None
    assert private.NAME not in daemon.head.spots


@pytest.mark.parametrize(
    "payload",
    [b"/.xsadapter/boot\0", b"/odd.name\0", b"/p//x/k\0", b"/p/x/k/\0", b"//p/x/k\0", b"/p/x/k", b"p/x/k\0", b"\0"],
)
def test_what_no_client_may_spell_is_not_found(payload):
    store = rrdstore.memory(clock=ManualClock())
    daemon = Daemon(store)
    daemon.begin("a boot")
    peer = Peer(daemon)
    peer.ask("WRITE", PATHS[0] + b"\0one")
    store.branch("main").set("/odd.name", b"made by another")
    deep = "/" + "/".join("d" * 200 for _ in range(3))
    store.branch("main").set(deep, b"long")
    daemon.head.moved()
    assert daemon.head.find(payload) is None
    assert daemon.head.find(deep.encode() + b"\0") is None, "left to the handlers"
    assert daemon.head.find(PATHS[0] + b"\0").value == b"one"
    assert peer.ask("READ", deep.encode() + b"\0") == b"long"


def test_those_that_are_known_stay_but_not_for_ever(monkeypatch):
    monkeypatch.setattr("xsadapter.engine.head._SPOTS", 2)
    monkeypatch.setattr("xsadapter.engine.head._MISSED", 5)
    daemon = Daemon(rrdstore.memory(clock=ManualClock()))
    daemon.begin("a boot")
    peer = Peer(daemon)
    for path in PATHS:
        peer.ask("WRITE", path + b"\0one")
    for path in PATHS[:7]:
        read(peer, path)
    assert [*daemon.head.spots] == [path + b"\0" for path in PATHS[:2]]
    for path in PATHS[7:9]:
        read(peer, path)
    assert [*daemon.head.spots] == [PATHS[8] + b"\0"]


def test_no_more_are_remembered_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr("xsadapter.engine.head._SPOTS", 3)
    daemon = Daemon(rrdstore.memory(clock=ManualClock()))
    daemon.begin("a boot")
    peer = Peer(daemon)
    for path in PATHS:
        peer.ask("WRITE", path + b"\0one")
    for path in PATHS:
        assert read(peer, path) == b"one"
        assert len(daemon.head.spots) <= 3
