"""A store with no room left in itself: the daemon starts on it, and goes without what has no room."""

from __future__ import annotations

import pytest

import rrdstore
from tests.daemon.conversation import Peer
from xsadapter.engine import private
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
