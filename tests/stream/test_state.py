"""A daemon's state as a stream, and a stream as a daemon's state."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from tests.daemon.conversation import NUMBERS, Host, Peer, ring_of
from tests.daemon.test_accounts import check
from tests.stream.test_codec import NOBODY, WRITTEN_BY_C
from xsadapter import stream
from xsadapter.engine import private
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.planting import plant
from xsadapter.engine.state import describe
from xsadapter.stream import beyond
from xsadapter.stream.incoming import hear
from xsadapter.stream.outgoing import Carriers, told
from xsadapter.wire import pack

OK = b"OK\0"


class House:
    """A daemon on a store, and who takes over from it by a stream."""

    def __init__(self):
        self.host, self.store = Host(), rrdstore.memory()
        self.daemon = Daemon(self.store, self.host)
        self.daemon.begin("boot")

    def carriers(self):
        sockets, ports, came_by = {}, {}, {}
        for serial, connection in self.daemon.connections.items():
            if connection.peer == "ring":
                ports[serial] = 1000 + connection.domid
            else:
                sockets[serial] = 100 + serial
                if not connection.privileged:
                    came_by[serial] = "/run/five:5"
        return Carriers(3, 4, 5, sockets, ports, {"/run/five:5": 6}, came_by)

    def left(self, *, whole, ours, columns=False):
        tree = self.daemon.head.tree if whole else None
        head = str(self.daemon.branch.head.id) if ours else None
        state = describe(self.daemon, handed=ours, columns=columns)
        return b"".join(stream.encode(told(state, self.carriers(), tree, head)))

    def taken_over(self, data, *, fresh):
        """Another daemon that goes on from a stream, in a store of its own or in this one."""
        heard = hear(stream.decode(data), lambda descriptor: f"pid {descriptor}")
        other = House.__new__(House)
        other.host, other.store = self.host, rrdstore.memory() if fresh else self.store
        other.daemon = Daemon(other.store, self.host)
        state = heard.state(other.daemon.domains.unique)
        if heard.nodes:
            plant(other.daemon, "boot", heard.nodes, state.uniques)
        assert other.daemon.begin("boot", (state, lambda _connection, _state: True), charges=heard.charges)
        other.heard = heard
        return other

    def tree(self):
        return {
            path: (node.value, node.meta)
            for path, node in self.daemon.head.tree.descend("/")
            if path not in {private.ROOT, private.DOMAINS}
        }


@pytest.fixture
def house():
    made = House()
    yield made
    made.store.close()


def in_order(state):
    domains = tuple(sorted(state.domains, key=lambda domain: domain.domid))
    connections = tuple(sorted(state.connections, key=lambda connection: connection.serial))
    return replace(state, domains=domains, connections=connections)


def lived_in(house):
    """With a guest, its stub domain, a confined client, watches of every form, transactions, and bytes on the way."""
    toolstack = Peer(house.daemon)
    for domid in (5, 6, 8):
        home = b"/local/domain/%d\0" % domid
        assert toolstack.ask("MKDIR", home) == OK
        assert toolstack.ask("SET_PERMS", home + b"n%d\0r7\0" % domid) == OK
        assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
    assert toolstack.ask("SET_TARGET", b"6\x005\0") == OK
    assert toolstack.ask("SET_QUOTA", b"5\0watches\x009\0") == OK
    assert toolstack.ask("SET_FEATURE", b"7\x002\0") == OK
    assert toolstack.ask("WRITE", b"/local/domain/5/name\0a\0b") == OK
    guest = ring_of(house.daemon, 5)
    for watch in (b"name\0relative\0", b"/local/domain/5\0deep\x001\0", b"@releaseDomain\0dead\0"):
        assert guest.ask("WATCH", watch) == OK
    assert toolstack.ask("WATCH", b"/\0all\0") == OK
    for peer in (guest, toolstack):
        assert peer.ask("TRANSACTION_START", b"\0") == b"1\0"
    assert guest.ask("WRITE", b"name\0c\xff", transaction=1) == OK
    toolstack.connection.reader.feed(pack(NUMBERS["READ"], 9, 0, b"/a\0")[:7])
    house.daemon.connect("pid 1 (one)", 5, privileged=False)
    guest.connection.event("/local/domain/5/name", b"x")
    toolstack.connection.event("/whole", b"y")
    toolstack.connection.event("/cut", b"z")
    guest.connection.sent(3)
    return toolstack, guest


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_our_own_code_goes_on_where_it_was(house, whole, columns):
    lived_in(house)
    before = describe(house.daemon)
    other = house.taken_over(house.left(whole=whole, ours=True, columns=columns), fresh=whole)
    assert len(other.heard.state(int).rings) == (2 if columns else 0)
    assert in_order(describe(other.daemon)) == in_order(before)
    assert other.tree() == house.tree()
    assert other.heard.carriers() == house.carriers()
    assert in_order(describe(other.daemon, handed=True)) == in_order(describe(house.daemon, handed=True))
    check(other.daemon)


def test_a_ring_is_in_columns_if_nothing_more_is_to_be_said_of_it(house):
    toolstack = Peer(house.daemon)
    for domid in range(1, 7):
        assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
    plain, unsent, opened, broken, half_read, waits = (ring_of(house.daemon, domid) for domid in range(1, 7))
    unsent.connection.event("/a", b"x")
    assert opened.ask("TRANSACTION_START", b"\0") == b"1\0"
    broken.connection.ignored = True
    half_read.connection.reader.feed(b"1234")
    half_read.connection.let_go = 4
    waits.connection.held = (NUMBERS["READ"], 1, 0, b"/a\0")
    state = describe(house.daemon, handed=True, columns=True)
    assert state.rings.serials == [plain.connection.serial]
    other = house.taken_over(house.left(whole=False, ours=True, columns=True), fresh=False)
    assert in_order(describe(other.daemon)) == in_order(describe(house.daemon))


def test_another_s_code_gets_what_the_stream_has(house):
    toolstack, guest = lived_in(house)
    records = list(stream.decode(house.left(whole=True, ours=False)))
    assert not [record for record in records if isinstance(record, stream.Foreign | stream.Transaction)]
    clients = {record.identifier: record for record in records if isinstance(record, stream.Connection)}
    assert sorted(clients) == [
        serial for serial, each in house.daemon.connections.items() if each.peer != "pid 1 (one)"
    ]
    assert clients[toolstack.connection.serial].unread == pack(NUMBERS["READ"], 9, 0, b"/a\0")[:7]
    ring = clients[guest.connection.serial]
    assert (ring.channel, ring.unique, ring.begun) == (stream.Ring(5, None, 1005), 1005, len(ring.unsent))
    assert [record for record in records if isinstance(record, stream.Watch)] == [
        stream.Watch(toolstack.connection.serial, b"/", b"all"),
        stream.Watch(guest.connection.serial, b"name", b"relative"),
        stream.Watch(guest.connection.serial, b"/local/domain/5", b"deep", 1),
        stream.Watch(guest.connection.serial, b"@releaseDomain", b"dead"),
    ]
    nodes = {record.path: record for record in records if isinstance(record, stream.Node)}
    assert list(nodes)[:3] == [b"/", b"@introduceDomain", b"@releaseDomain"]
    five = (stream.Permission("n", 5), stream.Permission("r", 7, stale=False))
    assert nodes[b"/local/domain/5/name"] == stream.Node(b"/local/domain/5/name", b"a\0b", five)


def test_the_indexes_come_with_the_tree_of_another_and_are_what_mending_makes(house):
    toolstack = Peer(house.daemon)
    for domid, name, vm in ((9, "web", "u1"), (10, "web", "u2"), (3, "web", ""), (7, "", "u1"), (70000, "db", "u3")):
        for key, value in (("name", name), ("vm", f"/vm/{vm}")):
            assert toolstack.ask("WRITE", f"/local/domain/{domid}/{key}\0{value}".encode()) == OK
    heard = hear(stream.decode(house.left(whole=True, ours=False)), str)
    daemon = Daemon(rrdstore.memory(), house.host)
    plant(daemon, "boot", heard.nodes, {})
    tree, indexes = daemon.head.tree, daemon.head.indexes
    assert indexes.marked(tree)
    assert list(indexes.differences(tree)) == []
    asked = Peer(daemon)
    assert asked.ask("READ", b"/@index/name/web\0") == b"3"
    assert asked.ask("DIRECTORY", b"/@index/name/web\0") == b"3\x009\x0010\0"
    daemon.store.close()


def test_another_s_code_knows_of_every_domain_that_a_node_names_and_of_none_later(house):
    """The newest it knows is the first it looks at."""
    toolstack = Peer(house.daemon)
    rings = (0, 9, 5, 6)
    for domid in rings:
        assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
    for path, permissions in (
        (b"/a", b"n0"),
        (b"/a/5", b"n5"),
        (b"/a/5/below", b"n0"),
        (b"/a/5/of nine".replace(b" ", b"-"), b"n9"),
        (b"/a/9", b"n9\0r5"),
        (b"/a/6", b"n0\0b6"),
        (b"/a/unknown", b"n0\0r77"),
    ):
        assert toolstack.ask("WRITE", path + b"\0x") == OK
        assert toolstack.ask("SET_PERMS", path + b"\0" + permissions + b"\0") == OK
    records = list(stream.decode(house.left(whole=True, ours=False)))
    newest, found = None, {}
    for record in records:
        if isinstance(record, stream.Connection) and isinstance(record.channel, stream.Ring):
            newest = record.channel.domid
        elif isinstance(record, stream.Node):
            found[record.path] = newest
    five = dict.fromkeys((b"/a/5", b"/a/5/below", b"/a/5/of-nine", b"/a/9"), 5)
    nobody = dict.fromkeys((b"/", b"/a", b"/a/unknown", b"@introduceDomain", b"@releaseDomain"), 0)
    assert {path: found[path] for path in (*five, *nobody, b"/a/6")} == {**five, **nobody, b"/a/6": 6}


def test_names_of_large_directories_go_to_another_s_code_before_what_is_below_them(house):
    toolstack = Peer(house.daemon)
    for number in range(150):
        for place in (
            b"/local/domain/%d/name",
            b"/local/domain/0/backend/%d/a/b",
            b"/small/%d" % (number % 9) + b"/%d",
        ):
            assert toolstack.ask("WRITE", place % number + b"\0x") == OK
    records = list(stream.decode(house.left(whole=True, ours=False)))
    paths = [record.path.decode() for record in records if isinstance(record, stream.Node)]
    clients = [path for path, _ in house.daemon.head.tree.descend("/") if not path.startswith(private.ROOT)]
    assert sorted(paths) == sorted([*clients, *private.SPECIAL_NAMES])
    at = {path: number for number, path in enumerate(paths)}
    assert all(at[path.rpartition("/")[0] or "/"] < at[path] for path in clients if path != "/")
    for top, below in (("/local/domain", "name"), ("/local/domain/0/backend", "a")):
        names = [path for path in clients if path.rpartition("/")[0] == top]
        assert len(names) >= 150
        assert max(map(at.get, names)) < min(at[f"{path}/{below}"] for path in names if f"{path}/{below}" in at)
    data = house.left(whole=True, ours=True)
    ours = [record.path.decode() for record in stream.decode(data) if isinstance(record, stream.Node)]
    assert [path for path in ours if not path.startswith("@")] == clients


def test_what_c_xenstored_left(house):
    house.host.lives[0] = None
    other = house.taken_over(WRITTEN_BY_C, fresh=True)
    state = describe(other.daemon)
    assert [(client.serial, client.peer, client.privileged) for client in state.connections] == [
        (1, "ring", True),
        (2, "pid 7", True),
        (3, "pid 8", True),
        (4, "pid 9", True),
    ]
    assert state.connections[3].output == (pack(0, 0, 0, OK),)
    assert [(watch.serial, watch.path, watch.token) for watch in state.watches] == [(2, "/a", b"/a"), (3, "/a", b"/a")]
    assert Peer(other.daemon).ask("READ", b"/a/b\0") == b"hello"
    assert Peer(other.daemon).ask("DIRECTORY", b"/\0") == b"a\0tool\0"
    check(other.daemon)


def test_a_transaction_of_another_s_ends_in_eagain(house):
    peer = Peer(house.daemon)
    data = list(stream.decode(house.left(whole=True, ours=False)))
    data.insert(5, stream.Transaction(peer.connection.serial, 77))
    other = house.taken_over(b"".join(stream.encode(data)), fresh=True)
    again = Peer.__new__(Peer)
    again.daemon, again.connection, again.request = other.daemon, other.daemon.connections[1], 1
    assert again.ask("TRANSACTION_END", b"T\0", transaction=77) == "EAGAIN"
    assert again.ask("TRANSACTION_START", b"\0") == b"78\0"


def test_messages_are_cut_by_their_headers_where_nobody_says_how(house):
    Peer(house.daemon)
    first, second = pack(2, 1, 0, b"one"), pack(2, 2, 0, b"second")
    data = [
        stream.Connection(1, stream.Socket(9), unsent=first[5:] + second + second[:9], begun=len(first) - 5),
        stream.Node(b"/", b"", NOBODY),
    ]
    (client,) = house.taken_over(b"".join(stream.encode(data)), fresh=True).heard.state(lambda _: 0).connections
    assert client.output == (first[5:], second, second[:9])
    assert client.begun


CONNECTION = stream.Connection(1, stream.Socket(5))
ROOT = stream.Node(b"/", b"", NOBODY)


def _rings(**columns):
    count = len(columns["serials"])
    return json.dumps({"rings": {"ports": [7] * count, "following": [1] * count, **columns}}).encode()


def _domains(**columns):
    known = {"domids": [5, 6], "uniques": [1, 2], "features": [0, 0], "limits": [0, 0], "kinds": [{"nodes": 9}]}
    return json.dumps({"known": {**known, **columns}}).encode()


WRONG = {
    "a watch of nobody": [stream.Watch(1, b"/a", b"t")],
    "a transaction of nobody": [stream.Transaction(1, 1)],
    "a connection twice": [CONNECTION, CONNECTION],
    "a watch on no path": [CONNECTION, stream.Watch(1, b"/a/", b"t")],
    "a node without its parent": [ROOT, stream.Node(b"/a/b", b"", NOBODY)],
    "a node of odd bytes": [ROOT, stream.Node(b"/a", b"", NOBODY), stream.Node(b"/a/b.c", b"", NOBODY)],
    "a node at no path": [stream.Node(b"a", b"", NOBODY)],
    "a record of ours that is no JSON": [stream.Foreign(beyond.KIND, b"{nojson}")],
    "a record of ours with other values": [stream.Foreign(beyond.KIND, b'{"clients":5}   ')],
    "a transaction of one number": [stream.Foreign(beyond.KIND, b'{"clients":{"1":{"transactions":[[1]]}}}')],
    "a domain that is no number": [stream.Foreign(beyond.KIND, b'{"domains":{"%":{}}}')],
    "a truth that is a number": [stream.Foreign(beyond.KIND, b'{"counted":1}')],
    "requests that are none": [stream.Foreign(beyond.KIND, b'{"clients":{"1":{"asked":{"1":[[2,"/a"]]}}}}')],
    "a payload of more than bytes": [
        stream.Foreign(beyond.KIND, b'{"clients":{"1":{"asked":{"1":[[2,"\\u0100","ENOENT"]]}}}}')
    ],
    "places that are a list": [stream.Foreign(beyond.KIND, b'{"domains":{"1":{"places":[1]}}}')],
    "columns of several lengths": [stream.Foreign(beyond.KIND, b'{"rings":{"serials":[1,2],"domids":[5]}}')],
    "a ring twice": [stream.Foreign(beyond.KIND, _rings(serials=[1, 2], domids=[5, 5]))],
    "a serial number twice": [stream.Foreign(beyond.KIND, _rings(serials=[1, 1], domids=[5, 6]))],
    "no numbers in a column": [stream.Foreign(beyond.KIND, _rings(serials=[1, 2], domids=[5, "6"]))],
    "truths in a column": [stream.Foreign(beyond.KIND, _rings(serials=[1, True], domids=[5, 6]))],
    "negative numbers in a column": [stream.Foreign(beyond.KIND, _rings(serials=[1, -2], domids=[5, 6]))],
    "a ring in columns and in a record": [stream.Foreign(beyond.KIND, _rings(serials=[1], domids=[5])), CONNECTION],
    "a ring in a record and in columns": [CONNECTION, stream.Foreign(beyond.KIND, _rings(serials=[1], domids=[5]))],
    "domains of no kind": [stream.Foreign(beyond.KIND, _domains(limits=[0, 1]))],
    "a domain in columns twice": [stream.Foreign(beyond.KIND, _domains(domids=[5, 5]))],
    "half of the charges": [stream.Foreign(beyond.KIND, _domains(nodes=[1, 2]))],
    "a target of nobody": [stream.Foreign(beyond.KIND, _domains(targets={"x": 5}))],
    "kinds of no limits": [stream.Foreign(beyond.KIND, _domains(kinds=[5]))],
    "a negative number": [stream.Foreign(beyond.KIND, b'{"domains":{"1":{"nodes":-1}}}')],
}


@pytest.mark.parametrize("records", WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(records):
    with pytest.raises(stream.StreamError, match=r"found .* expected "):
        hear(stream.decode(b"".join(stream.encode(records))), lambda _: "")


def test_a_record_of_ours_from_a_later_version_is_read():
    known = beyond.Beyond("7-abc", 9, {"1": beyond.Client(5)}, {"5": beyond.Domain(1005)})
    later = beyond.pack(known).body.rstrip(b"\0").replace(b'{"head"', b'{"newer":{"x":1},"head"')
    assert beyond.unpack(stream.Foreign(beyond.KIND, later)) == known
    assert beyond.unpack(stream.Foreign(beyond.KIND, b"{}")) == beyond.Beyond()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.binary(max_size=9)), max_size=8))
@settings(max_examples=30)
def test_the_tree_is_the_same_afterwards(written):
    house = House()
    toolstack = Peer(house.daemon)
    for first, second, value in written:
        toolstack.ask("WRITE", f"/{first}/{second}\0".encode() + value)
    other = house.taken_over(house.left(whole=True, ours=False), fresh=True)
    assert other.tree() == house.tree()
    check(other.daemon)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_accounts_are_told_and_not_counted_again(house, whole, columns):
    lived_in(house)
    data = house.left(whole=whole, ours=True, columns=columns)
    assert hear(stream.decode(data), str).charges == {domain.domid: domain.charged for domain in house.daemon.domains}
    house.daemon.counting = "not yet"
    assert hear(stream.decode(house.left(whole=whole, ours=True, columns=columns)), str).charges is None
    assert hear(stream.decode(house.left(whole=True, ours=False)), str).charges is None


def test_whatever_becomes_of_its_bytes_a_stream_is_read_or_refused(house):
    lived_in(house)
    columns = house.left(whole=True, ours=True, columns=True)
    whole = [house.left(whole=True, ours=True), columns, house.left(whole=True, ours=False), WRITTEN_BY_C]
    chance, read = random.Random(6), 0
    for _ in range(3000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data) - 8)
            match chance.randrange(4):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at : at + 4] = chance.choice((0, 1, 0x7FFF, 0xFFFF, 0xFFFFFFFF)).to_bytes(4, "little")
                case 2:
                    del data[at : at + chance.randint(1, 8)]
                case _:
                    other = chance.choice(whole)
                    data[at:at] = other[chance.randrange(len(other)) :][: chance.randint(1, 40)]
        try:
            heard = hear(stream.decode(bytes(data)), str)
        except stream.StreamError:
            continue
        heard.state(lambda _: 0)
        heard.carriers()
        assert heard.charges is None or heard.head is not None
        read += 1
    assert 30 < read < 2900
