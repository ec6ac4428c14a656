"""What seldom comes to pass: trees that cannot be read, indexes without room, events that grow old half told."""

from types import SimpleNamespace

import pytest

import rrdstore
from tests.daemon.conversation import Peer
from tests.daemon.test_accounts import check
from xsadapter.engine.events import tell_unread
from xsadapter.engine.index import Indexes, Projection
from xsadapter.engine.troubles import Troubles

OK = b"OK\0"


@pytest.fixture
def guest(daemon, peer):
    for payload in (b"/local/domain/5\0", b"/local/domain/5/x\0"):
        assert peer.ask("MKDIR", payload) == OK
    assert peer.ask("SET_PERMS", b"/local/domain/5/x\0r5\0") == OK
    return Peer(daemon, 5, privileged=False)


def test_of_trees_that_cannot_be_read_domain_0_is_told_all_that_may_have_been(daemon, peer, guest):
    for path in (b"/", b"/a", b"/a/b/c", b"/b"):
        assert peer.ask("WATCH", path + b"\0" + path + b"\0") == OK
        assert guest.ask("WATCH", path + b"\0" + path + b"\0") == OK
    peer.take()
    guest.take()
    tell_unread(daemon.watches, [("/a", True), ("/.xsadapter/boot", False), ("/b/x", False)])
    assert guest.events() == []
    assert peer.events() == [
        (b"/a/b/c", b"/a/b/c"),
        *((b"/a", place) for place in (b"/", b"/a")),
        *((b"/b/x", place) for place in (b"/", b"/b")),
    ]


def test_indexes_too_large_for_a_commit_are_made_in_several(daemon, peer, monkeypatch):
    for domid in range(7, 11):
        peer.ask("WRITE", b"/local/domain/%d/name\0web%d" % (domid, domid))
    asked, mend = [], Indexes.mend

    def too_large(self, change, most=None):
        asked.append(most)
        if most is None:
            raise rrdstore.TooLarge.__new__(rrdstore.TooLarge)
        return mend(self, change, 1)

    monkeypatch.setattr(Indexes, "mend", too_large)
    with daemon.branch.transaction() as change:
        change.remove("/.xsadapter/index")
    daemon.head.moved()
    assert daemon.head.mend("test") == ""
    assert len(asked) > 3
    assert peer.ask("READ", b"/@index/name/web7\0") == b"7"


def test_without_room_for_indexes_nobody_is_found_and_all_else_is_served(daemon, peer, monkeypatch):
    def full(*_):
        raise rrdstore.StoreFull.__new__(rrdstore.StoreFull)

    monkeypatch.setattr(Indexes, "mend", full)
    monkeypatch.setattr(rrdstore.StoreFull, "__str__", lambda _: "full")
    assert "nobody is found" in daemon.head.mend("test")
    assert peer.ask("READ", b"/@index/name/web\0") == "ENOENT"
    assert peer.ask("WRITE", b"/local/domain/7/name\0web") == OK
    assert "/.xsadapter/index" not in daemon.head.tree


def test_what_is_half_told_grows_old_like_all_else(daemon, peer, guest):
    daemon.flow.touched.on = True
    for number in range(100):
        assert guest.ask("WATCH", b"/local/domain/5/x\0%d\0" % number) == OK
    peer.ask("SET_QUOTA", b"5\0watches\x000\0")
    for number in range(100, 300):
        assert guest.ask("WATCH", b"/local/domain/5/x\0%d\0" % number) == OK
    guest.take()
    connection = guest.connection
    connection.reader.feed(b"")
    assert peer.ask("SET_PERMS", b"/local/domain/5/x\0r5\0") == OK
    assert connection.behind
    assert connection.output
    daemon.flow.now += 21
    assert daemon.expire() is False
    assert not connection.behind
    assert guest.events() == []
    check(daemon)
    daemon.flow.touched.clear()
    daemon.flow.touched.on = False


def test_a_spelling_that_is_no_index_is_told():
    with pytest.raises(ValueError, match="expected NAME="):
        Projection.parse("/local/domain/*/name")


@pytest.mark.parametrize("lost", [None, 1_700_000_000_000_000])
def test_that_the_store_is_held_is_a_trouble(lost):
    troubles = Troubles()
    troubles.begin("disk", "the disk is full", 1.0)
    held = SimpleNamespace(by="pid 7", since=1_600_000_000_000_000, lost_since=lost)
    first, second = troubles.told(SimpleNamespace(held=held), 4.0)
    assert ("journalled" if lost is None else "lost by a kill") in first
    assert second == "the disk is full (for 3 s)"
    assert troubles.lossy(SimpleNamespace(held=held)) is (lost is not None)
    troubles.end("disk")
    assert list(troubles.told(SimpleNamespace(held=None), 4.0)) == []


def test_a_conflict_is_no_line_if_that_is_switched_off(daemon, peer):
    trail = daemon.flow.trail
    trail.sink = SimpleNamespace(ready=True)
    trail.turn(True)
    trail.switch("wrl", False)
    peer.ask("WRITE", b"/k\x001")
    number = peer.start()
    assert peer.ask("READ", b"/k\0", number) == b"1"
    Peer(daemon).ask("WRITE", b"/k\x002")
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    assert not [record for record in trail.records if record.fields["log"] == "wrl"]
