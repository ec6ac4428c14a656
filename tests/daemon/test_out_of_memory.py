"""A request that fails for want of memory, after it was written down: whoever asks then sees what the store has."""

import pytest

import rrdstore
from rrdstore.storage.writer import RingWriter
from tests.daemon.conversation import Peer
from xsadapter.engine.daemon import Daemon


@pytest.fixture
def daemon(tmp_path):
    store = rrdstore.create(tmp_path / "s.rrdb", "8MiB")
    made = Daemon(store)
    made.begin("boot")
    yield made
    store.close()


@pytest.mark.parametrize(
    ("operation", "payload"),
    [
        ("WRITE", b"/a/b\0new"),
        ("WRITE", b"/a/c/d\0new"),
        ("MKDIR", b"/a/c\0"),
        ("SET_PERMS", b"/a/b\0n0\0r5\0"),
        ("RM", b"/a/b\0"),
        ("RM", b"/a\0"),
    ],
)
def test_who_asks_after_it_sees_what_the_store_has(daemon, monkeypatch, operation, payload):
    peer = Peer(daemon)
    for path in (b"/a", b"/a/b", *(b"/a/%d" % n for n in range(100))):
        peer.ask("WRITE", path + b"\0old")
    assert peer.ask("READ", b"/a/b\0") == b"old"

    def short(does):
        def journalled(*entry):
            does(*entry)
            raise MemoryError  # The short way and, tried again, the long one.

        return journalled

    with monkeypatch.context() as memory:
        for name in ("append", "write"):
            memory.setattr(RingWriter, name, short(getattr(RingWriter, name)))
        assert peer.ask(operation, payload) == "ENOMEM"
    tree = daemon.store.branch("main").tree
    changed = {path: (node.value, node.meta) for path, node in tree.descend("/a")} if "/a" in tree else {}
    for path in (b"/a/b", b"/a/c", b"/a/c/d", b"/a/7"):
        known = changed.get(path.decode())
        assert peer.ask("READ", path + b"\0") == ("ENOENT" if known is None else known[0])
    names = b"".join(name.encode() + b"\0" for name in tree.list("/a")) if "/a" in tree else "ENOENT"
    assert peer.ask("DIRECTORY", b"/a\0") == names
    assert peer.ask("WRITE", b"/a/e\0after") == b"OK\0"
    assert daemon.store.branch("main").get("/a/e") == b"after"
