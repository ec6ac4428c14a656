"""CONTROL walk: all below a node in few answers, cut here by the page alone; then by the client, in a process."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from tests.daemon.conversation import Peer, fresh_daemon
from xsadapter.client import RequestError
from xsadapter.engine.daemon import Daemon

UNSENT = 0xFFFF
NAMES = st.text("ab-_09", min_size=1, max_size=3)
SIZES = st.sampled_from([0, 1, 40, 2000, 4000, 4080])
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/top/" + "/".join(names)), SIZES)


def part(payload, permissions=False):
    """Level, name, value, list of each node: None for what was not sent."""
    columns = 3 if permissions else 2
    count = struct.unpack_from("=I", payload)[0]
    numbers = struct.unpack_from(f"={count * columns}H", payload, 4)
    rest = payload[4 + 2 * count * columns :]
    names = []
    for _ in range(count):
        name, _, rest = rest.partition(b"\0")
        names.append(name.decode())
    found = []
    for at in range(count, count * columns):
        length = 0 if numbers[at] == UNSENT else numbers[at]
        found.append(None if numbers[at] == UNSENT else rest[:length])
        rest = rest[length:]
    assert rest == b""
    return list(zip(numbers[:count], names, found[:count], found[count:] or [None] * count, strict=True))


def walked(peer, *words):
    """All parts, and in how many."""
    parts = [peer.ask("CONTROL", b"".join(word.encode() + b"\0" for word in ("walk", *words)))]
    while parts[-1] != bytes(4):
        assert isinstance(parts[-1], bytes), parts[-1]
        parts.append(peer.ask("CONTROL", b"walk\0"))
    return [node for payload in parts for node in part(payload, "permissions" in words)], len(parts) - 1


def seen(peer, path, level=1):
    """The same, by DIRECTORY, READ and GET_PERMS."""
    found = []
    for name in peer.ask("DIRECTORY", path.encode() + b"\0").split(b"\0")[:-1]:
        below = f"{path.rstrip('/')}/{name.decode()}".encode() + b"\0"
        found.append((level, name.decode(), peer.ask("READ", below), peer.ask("GET_PERMS", below)))
        found += seen(peer, below[:-1].decode(), level + 1)
    return found


@settings(deadline=None, max_examples=40)
@given(TREES, st.sampled_from(["/", "/top"]))
def test_it_tells_what_asking_for_each_node_tells(tree, top):
    daemon = fresh_daemon()
    peer = Peer(daemon)
    peer.ask("MKDIR", b"/top\0")
    for path, size in tree.items():
        peer.ask("WRITE", path.encode() + b"\0" + b"v" * (size - len(path)))
    truth = seen(peer, top)
    for what in ("values", "permissions"):
        nodes, parts = walked(peer, top, what)
        assert [node[:2] for node in nodes] == [node[:2] for node in truth]
        for (_, _, value, listed), (_, name, real, entries) in zip(nodes, truth, strict=True):
            assert value == real or (value is None and 4 * 2 + len(name) + len(real) + len(entries) > 4096 - 8)
            assert listed == (entries if what == "permissions" and value is not None else None)
        assert parts <= 1 + sum(len(node[1]) + len(node[2]) + len(node[3]) + 7 for node in truth) // 2048
    daemon.store.close()


def test_what_is_the_daemons_own_is_left_out(peer):
    assert [name for _, name, *_ in walked(peer, "/", "values")[0]] == ["tool", "xenstored"]


def test_it_is_of_one_moment(peer, other):
    for number in range(300):
        peer.ask("WRITE", b"/a/%03d\0" % number + bytes(20))
    first = part(peer.ask("CONTROL", b"walk\0/a\0values\0"))
    other.ask("WRITE", b"/a/299\0changed")
    other.ask("WRITE", b"/a/zzz\0new")
    other.ask("RM", b"/a/298\0")
    nodes = list(first)
    while more := part(peer.ask("CONTROL", b"walk\0")):
        nodes += more
    assert [(name, value) for _, name, value, _ in nodes] == [(f"{number:03}", bytes(20)) for number in range(300)]


def test_it_tells_the_past(daemon, peer):
    peer.ask("WRITE", b"/a/b\0one")
    then = daemon.branch.head.id
    peer.ask("WRITE", b"/a/b\0two")
    peer.ask("WRITE", b"/a/c\0three")
    assert walked(peer, "/a", "values", then)[0] == [(1, "b", b"one", None)]


def test_the_end_is_told_as_often_as_it_is_asked_for(peer):
    assert peer.ask("CONTROL", b"walk\0") == bytes(4)
    peer.ask("MKDIR", b"/a\0")
    assert peer.ask("CONTROL", b"walk\0/a\0values\0") == bytes(4)
    assert peer.ask("CONTROL", b"walk\0") == bytes(4)


def test_a_second_one_ends_the_first(peer):
    for number in range(1000):
        peer.ask("WRITE", b"/a/%03d\0" % number)
    peer.ask("CONTROL", b"walk\0/\0values\0")
    assert len(walked(peer, "/tool", "values")[0]) == 1
    assert peer.ask("CONTROL", b"walk\0") == bytes(4)


@pytest.mark.parametrize("how", ["to its end", "another begins", "the connection ends", "refused"])
def test_the_commit_that_it_shows_is_kept_until_it_ends(how):
    daemon = Daemon(rrdstore.memory(keep="last:256"))  # of which no commit stays for being the last of its second
    daemon.begin("boot")
    peer = Peer(daemon)
    for number in range(300):
        peer.ask("WRITE", b"/a/%03d\0" % number + bytes(20))
    kept = daemon.branch.head.id
    peer.ask("CONTROL", b"walk\0/a\0values\0")
    for number in range(700):
        peer.ask("WRITE", b"/b\0%d" % number)
    assert kept in {commit.id for commit in daemon.branch.log()}
    if how == "to its end":
        while peer.ask("CONTROL", b"walk\0") != bytes(4):
            pass
    elif how == "another begins":
        walked(peer, "/tool", "values")
    elif how == "the connection ends":
        daemon.disconnect(peer.connection)
    else:
        assert peer.ask("CONTROL", b"walk\0/nothing\0values\0") == "ENOENT"
    again = Peer(daemon)
    for number in range(700):
        again.ask("WRITE", b"/b\0%d" % number)
    assert (kept in {commit.id for commit in daemon.branch.log()}) == (how == "refused")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"/nothing\0values\0", "ENOENT"),
        (b"/tool\0", "EINVAL"),
        (b"/tool\0all\0", "EINVAL"),
        (b"/tool//\0values\0", "EINVAL"),
        (b"/tool\0values\0never\0", "EINVAL"),
        (b"/tool\0values\0\xff\0", "EINVAL"),
        (b"/tool\0values\x000s\0more\0", "EINVAL"),
    ],
)
def test_what_means_nothing(peer, words, error):
    assert peer.ask("CONTROL", b"walk\0" + words) == error


def test_it_is_not_for_guests(guest):
    assert guest.ask("CONTROL", b"walk\0/\0values\0") == "EACCES"


def test_the_client_walks(client):
    large = b"\0" * 4060
    with client.pipeline() as pipe:
        for number in range(3000):
            pipe.write(f"/test/{number:04}/x", b"%d" % number)
    client.write("/test/0001/large", large)
    found = list(client.walk("/test"))
    assert len(found) == 6001
    assert found[0] == ("/test/0000", b"")
    assert dict(found)["/test/2999/x"] == b"2999"
    assert dict(found)["/test/0001/large"] == large
    then = client.control("history", "commit", "0s")
    client.write("/test/0001/large", b"small")
    assert dict(client.walk("/test", then))["/test/0001/large"] == large
    assert client.read("/test/0001/large") == b"small"
    with pytest.raises(RequestError, match="ENOENT"):
        client.walk("/test/nothing")


def test_others_may_be_asked_meanwhile(client):
    client.write("/test/a", b"1")
    client.write("/test/b", b"2")
    assert [(path, client.read(path)) for path, _ in client.walk("/test")] == [("/test/a", b"1"), ("/test/b", b"2")]


def test_where_a_walk_stops_early_nothing_is_left(client):
    for name in "abc":
        client.write(f"/test/{name}", b"x")
    assert next(client.walk("/test")) == ("/test/a", b"x")
    assert client.list("/test") == ["a", "b", "c"]
