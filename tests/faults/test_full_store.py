"""A store with no room left in itself: the daemon starts on it, and goes without what has no room."""

from __future__ import annotations

import pytest

import rrdstore
from tests.daemon.conversation import Host, Peer
from xsadapter.engine import lives, private
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.index import DEFAULT, Projection

BOOT = "this boot"


@pytest.fixture
def store(tmp_path):
    with rrdstore.create(tmp_path / "s.rrdb", "4MiB", "last:2") as made:
        yield made


def filled(store):
    """Until not even a kibibyte has room."""
    main = store.branch("main")
    for size in (40_000, 4_000, 1_000):
        number = 0
        with pytest.raises(rrdstore.StoreFull):  # noqa: PT012 - which of them is refused is the question
            while number < 1000:
                main.set(f"/big/{size}/{number}", bytes(size))
                number += 1


def test_an_index_that_has_no_room_is_gone_without_and_made_when_there_is(store):
    Daemon(store).begin(BOOT)
    daemon = Daemon(store)
    assert daemon.begin(BOOT)
    toolstack = Peer(daemon)
    for number in range(1, 300):
        toolstack.ask("WRITE", b"/local/domain/%d/name\0web%d" % (number, number))
    filled(store)
    again = Daemon(store, indexes=(*DEFAULT, Projection.parse("other=/local/domain/*/name")))
    assert again.begin(BOOT)
    assert ["nobody is found at /@index" in notice.text for notice in again.notices] == [True]
    peer = Peer(again)
    assert peer.ask("READ", b"/local/domain/7/name\0") == b"web7"
    assert peer.ask("READ", b"/@index/name/web7\0") == "ENOENT"
    assert private.INDEXED not in store.branch("main").tree
    assert peer.ask("RM", b"/big\0") == b"OK\0"
    assert peer.ask("WRITE", b"/local/domain/7/name\0seven") == b"OK\0"
    last = Daemon(store)
    assert last.begin(BOOT)
    assert Peer(last).ask("READ", b"/@index/name/seven\0") == b"7"
    assert last.notices == []


def pinned(store):
    """Until nothing at all is taken, deleting apart: what is there is pinned, so no thinning gives room."""
    main = store.branch("main")
    store.pin(main.head)
    filled(store)
    with pytest.raises(rrdstore.StoreFull):  # noqa: PT012 - likewise
        for size in range(0, 60_000, 20):
            main.set("/pad", bytes(size))
    store.pin(main.head)


def test_deleting_and_dying_work_in_it(store):
    """An RM of a name that others have too, a transaction of one, and the end of a domain."""
    daemon = Daemon(store, host := Host())
    daemon.begin(BOOT)
    toolstack = Peer(daemon)
    for number in range(1, 30):
        toolstack.ask("WRITE", b"/local/domain/%d/name\0same" % number)
    for domid in (30, 31):
        home = b"/local/domain/%d\0" % domid
        assert toolstack.ask("WRITE", home[:-1] + b"/name\0same") == b"OK\0"
        assert toolstack.ask("SET_PERMS", home + b"n%d\0" % domid) == b"OK\0"
        assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == b"OK\0"
    assert toolstack.ask("SET_PERMS", b"/tool\0n0\0r30\0") == b"OK\0"
    pinned(store)
    assert toolstack.ask("WRITE", b"/local/domain/1/name\0another and longer than it was") == "ENOSPC"
    for number in range(1, 29):
        assert toolstack.ask("RM", b"/local/domain/%d/name\0" % number) == b"OK\0"
        assert toolstack.ask("READ", b"/@index/name/same\0") == b"%d" % (number + 1)
    number = toolstack.start()
    assert toolstack.ask("RM", b"/local/domain/29\0", number) == b"OK\0"
    assert toolstack.ask("TRANSACTION_END", b"T\0", number) == b"OK\0"
    assert toolstack.ask("RELEASE", b"30\0") == b"OK\0"
    assert toolstack.ask("READ", b"/@index/name/same\0") == b"31"
    assert toolstack.ask("GET_PERMS", b"/tool\0") == b"n0\0"
    host.kill(31)
    lives.scan(daemon)
    assert daemon.domains.get(31) is None
    assert toolstack.ask("READ", b"/@index/name/same\0") == "ENOENT"


def test_another_boot_begins_in_it_for_it_takes_the_old_tree_away(store):
    Daemon(store).begin(BOOT)
    pinned(store)
    kept = store.pins
    daemon = Daemon(store)
    assert not daemon.begin("another boot")
    assert Peer(daemon).ask("DIRECTORY", b"/\0") == b"tool\0"
    assert store.pins == kept
