"""CONTROL history: what a client can ask of the past through the socket. And START: which tree there is."""

import pytest

import rrdstore
from tests.daemon.conversation import Peer
from xsadapter.engine import private
from xsadapter.engine.daemon import Daemon


@pytest.fixture
def past(daemon, peer):
    """Three changes; the ids of their commits."""
    ids = []
    for value in (b"one", b"two\n", b"three"):
        peer.ask("WRITE", b"/a/b\0" + value)
        ids.append(daemon.branch.head.id)
    return ids


def lines(peer, *words):
    reply = peer.ask("CONTROL", b"".join(word.encode() + b"\0" for word in ("history", *words)))
    if isinstance(reply, str):
        return reply
    assert reply.endswith(b"\0")
    return reply[:-1].decode().splitlines()


def test_at(peer, past):
    assert lines(peer, "at", past[0], "/a/b")[1] == "one"
    assert lines(peer, "at", past[1], "/a/b")[1] == "two\\x0a"
    assert lines(peer, "at", "0s", "/a/b")[1] == "three"
    assert lines(peer, "at", past[0], "/a/b")[0].startswith(f"{past[0]}: from ")


def test_list_hides_what_is_the_daemons(peer, past):
    assert lines(peer, "list", past[0], "/")[1:] == ["a", "tool"]
    assert lines(peer, "list", past[0], "/a")[1:] == ["b"]


def test_a_listing_is_made_once_for_all_its_parts(daemon, peer, monkeypatch):
    for number in range(1200):
        peer.ask("MKDIR", b"/many/name-%04d\0" % number)
    made = []
    look = rrdstore.Snapshot.list
    monkeypatch.setattr(rrdstore.Snapshot, "list", lambda self, path: made.append(path) or look(self, path))
    commit = daemon.branch.head.id.encode()
    for _ in range(2):
        found = b""
        while not found.endswith(b"\0\0"):
            found += peer.ask("CONTROL", b"history\0names\0%b\0/many\0%d\0" % (commit, len(found)))
        assert found == b"".join(b"name-%04d\0" % number for number in range(1200)) + b"\0"
    assert made == ["/many"]
    # Only so many are remembered, and another commit's is another one.
    for number in range(10):
        peer.ask("RM", b"/many/name-%04d\0" % number)
        part = peer.ask("CONTROL", b"history\0names\0now\0/many\x000\0")
        assert part.startswith(b"name-%04d\0" % (number + 1))
    assert len(daemon.past_listings) == 8
    assert peer.ask("CONTROL", b"history\0names\0now\0/many\x001\0") == "EINVAL"


def test_log(peer, past):
    assert [line.split()[0] for line in lines(peer, "log", "/a/b")] == past[::-1]
    assert [line.split()[0] for line in lines(peer, "log", "/", "2")] == past[:0:-1]
    assert lines(peer, "log")[0].endswith(f"{peer.connection.author}: WRITE /a/b")
    assert lines(peer, "log", "/nothing") == ["OK"]


def test_diff(peer, past):
    peer.ask("RM", b"/a/b\0")
    peer.ask("MKDIR", b"/c\0")
    assert lines(peer, "diff", past[0], past[1]) == ["! /a/b"]
    assert lines(peer, "diff", past[1], "0s") == ["- /a/b", "+ /c"]


def test_explain_and_info(daemon, peer, past):
    assert all(line.startswith(f"{past[0]} is kept by ") for line in lines(peer, "explain", past[0]))
    assert f"commits made {daemon.store.info().commits}, kept " in lines(peer, "info")[1]
    assert f"built {rrdstore.BUILD}" in lines(peer, "info")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("at", "yesterday evening", "/a/b"), "EINVAL"),
        (("at", "0s", "a/b"), "EINVAL"),
        (("at", "0s", "/a//b"), "EINVAL"),
        (("at", "0s", "/no"), "ENOENT"),
        (("at", "0s"), "EINVAL"),
        (("list", "0s", "/no"), "ENOENT"),
        (("at", "999999-00000000", "/a/b"), "ENOENT"),
        (("log", "/", "x"), "EINVAL"),
        (("log", "/", "1", "2"), "EINVAL"),
        (("info", "more"), "EINVAL"),
        (("explain", "999999-00000000"), "ENOENT"),
        (("at", "\xe4", "/a/b"), "EINVAL"),
    ],
)
def test_what_is_refused(peer, past, words, name):
    assert lines(peer, *words) == name


def test_help_names_every_verb(peer):
    reply = peer.ask("CONTROL", b"help\0")
    assert isinstance(reply, bytes)
    for word in (b"help\t\n", b"print\t<string>", b"history\tinfo|log", b"at <when> <path>"):
        assert word in reply


def test_print_is_for_the_log(daemon, peer):
    peer.ask("CONTROL", b"print\0to the\x1b log\0")
    assert [notice.text for notice in daemon.notices] == ["control: to the\\x1b log"]


def test_a_long_answer_is_cut_after_a_line(daemon, peer):
    for number in range(100):
        peer.ask("WRITE", b"/some/where/%d\0" % number)
    found = lines(peer, "log", "/", "100")
    assert found[-1].startswith("... cut")
    assert found[-2].endswith(": WRITE /some/where/" + found[-2].rpartition("/")[2])
    assert len("\n".join(found)) > 3500
    peer.ask("WRITE", b"/long\0" + bytes(2000))
    assert "cut" in lines(peer, "at", "0s", "/long")[-1]


def test_one_boot_continues_and_another_begins_anew():
    store = rrdstore.memory()
    first = Daemon(store)
    assert first.begin("boot 1") is False
    peer = Peer(first)
    peer.ask("WRITE", b"/a/b\0v")
    peer.ask("SET_PERMS", b"@releaseDomain\0n0\0r7\0")
    before = first.branch.head

    again = Daemon(store)
    assert again.begin("boot 1") is True
    assert again.branch.head == before
    assert Peer(again).ask("READ", b"/a/b\0") == b"v"
    assert Peer(again).ask("GET_PERMS", b"@releaseDomain\0") == b"n0\0r7\0"

    other = Daemon(store)
    assert other.begin("boot 2") is False
    assert other.branch.head.number == before.number + 1
    assert Peer(other).ask("DIRECTORY", b"/\0") == b"tool\0"
    assert Peer(other).ask("GET_PERMS", b"@releaseDomain\0") == b"n0\0r32757\0"
    with other.branch.at(before.id) as snapshot:
        assert snapshot.get("/a/b") == b"v"
    assert other.branch.tree.stat(private.BOOT).value == b"boot 2"


@pytest.mark.parametrize(
    ("error", "name", "is_bug"),
    [
        (rrdstore.StoreFull(10, 0), b"ENOSPC\0", False),
        (rrdstore.LimitReached("snapshots", 3), b"ENOSPC\0", False),
        (rrdstore.TooLarge("a change", 10, 3), b"E2BIG\0", False),
        (rrdstore.Held("file", "process 3"), b"EBUSY\0", False),
        (rrdstore.ReadOnly("store"), b"EROFS\0", False),
        (rrdstore.Corrupt("segment 3", "x", "y"), b"EIO\0", True),
    ],
)
def test_what_the_store_refuses_has_a_name_for_clients_and_a_line_in_the_log(monkeypatch, error, name, is_bug):
    daemon = Daemon(rrdstore.memory())
    daemon.begin("boot")
    peer = Peer(daemon)

    def refuse(*_):
        raise error

    operation, _ = daemon._dispatch[11]
    monkeypatch.setitem(daemon._dispatch, 11, (operation, refuse))
    [reply] = peer.exchange("WRITE", b"/a\0v")
    assert (reply.kind, reply.payload) == ("ERROR", name)
    [notice] = daemon.notices
    assert str(error) in notice.text
    assert (notice.fault is not None) == is_bug
