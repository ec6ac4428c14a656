"""CONTROL keep: another policy while the daemon serves; nothing waits for it, and it outlives a kill."""

import shutil

import pytest

import rrdstore
from tests.daemon.conversation import Host, Peer
from xsadapter.engine.daemon import Daemon


@pytest.fixture
def store(tmp_path):
    with rrdstore.create(tmp_path / "s.rrdb", "8MiB", "last:200 *:8", sync="none") as made:
        yield made


@pytest.fixture
def daemon(store):
    made = Daemon(store, Host())
    made.begin("boot")
    return made


@pytest.fixture
def peer(daemon):
    made = Peer(daemon)
    for number in range(100):
        made.ask("WRITE", b"/a\0%d" % number)
    return made


def keep(peer, *words):
    reply = peer.ask("CONTROL", b"".join(word.encode() + b"\0" for word in ("keep", *words)))
    return reply if isinstance(reply, str) else reply[:-1].decode().splitlines()


def numbers(store):
    return [commit.number for commit in store.branch("main").log()]


def test_it_is_told_tried_and_changed(store, daemon, peer):
    kept = numbers(store)
    assert keep(peer) == ["last:200 *:8"]
    said = keep(peer, "what-if", "last:20")
    assert said == ["policy last:200 *:8 -> last:20", f"{len(kept) - 20} commits would be dropped, {len(kept)} kept"]
    assert numbers(store) == kept
    assert not daemon.notices
    assert keep(peer, "last:20") == [said[0], f"{len(kept) - 20} commits dropped, 20 kept"]
    told = f"control: the history is kept by last:20: {len(kept) - 20} commits dropped"
    assert [notice.text for notice in daemon.notices] == [told]
    assert numbers(store) == kept[:20]
    assert keep(peer) == ["last:20"]


def test_once(store, peer):
    kept = numbers(store)
    assert keep(peer, "what-if", "once", "last:7") == [f"{len(kept) - 7} commits would be dropped, {len(kept)} kept"]
    assert keep(peer, "once", "last:7") == [f"{len(kept) - 7} commits dropped, 7 kept"]
    assert keep(peer, "once", "last:7") == ["0 commits dropped, 7 kept"]
    assert numbers(store) == kept[:7]
    assert keep(peer) == ["last:200 *:8"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("all:1h",), "EINVAL"),
        (("once", "last:0"), "EINVAL"),
        (("what-if",), "EINVAL"),
        (("twice", "last:3"), "EINVAL"),
        (("\xe4",), "EINVAL"),
        (("last:3", "once", "last:3", "more"), "EINVAL"),
        (("last:100000",), "ENOSPC"),
    ],
)
def test_what_is_refused_changes_nothing(store, peer, words, error):
    kept = numbers(store)
    assert keep(peer, *words) == error
    assert (numbers(store), keep(peer)) == (kept, ["last:200 *:8"])


def test_clients_are_served_before_anything_is_freed_and_a_kill_leaves_it(store, daemon, peer, tmp_path):
    daemon.tick()
    objects = store.info().objects
    keep(peer, "last:3")
    slices, done = 0, False
    while not done:
        assert peer.ask("READ", b"/a\0") == b"99"
        for end in ("", "-wal", "-ring"):
            shutil.copyfile(tmp_path / f"s.rrdb{end}", tmp_path / f"killed.rrdb{end}")
        with rrdstore.open(tmp_path / "killed.rrdb", sync="none") as left:
            assert (left.branch("main").keep, numbers(left)) == ("last:3", numbers(store))
            assert left.check() == []
        slices, done = slices + 1, daemon.tick(0)
    assert slices > 2
    assert store.info().objects < objects
