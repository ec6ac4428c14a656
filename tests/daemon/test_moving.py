"""Another store under a daemon that serves: the same tree, no event, and transactions that cannot lie."""

import pytest

import rrdstore
from xsadapter.engine import private
from xsadapter.engine.moving import move


@pytest.fixture
def store():
    with rrdstore.memory() as made:
        main = made.branch("main")
        main.set("/local/domain/5/old", b"1")
        main.set("/tool", b"another value")
        main.set(private.BOOT, b"another boot")
        yield made


def nodes(branch):
    return {path: (node.value, node.meta) for path, node in branch.tree.descend("/")}


@pytest.mark.parametrize("count", [3, 4500])
def test_the_tree_is_the_same_and_nobody_is_told(daemon, peer, store, count):
    for number in range(count):
        peer.ask("WRITE", b"/a/%d/b\0%d" % (number, number))
    peer.ask("WATCH", b"/\0token\0")
    peer.events()
    before, commits = nodes(daemon.branch), store.info().commits
    move(daemon, store).close()
    assert nodes(daemon.branch) == nodes(store.branch("main")) == before
    assert (store.info().commits - commits == 1) == (count == 3)
    assert peer.events() == []
    assert [message.kind for message in peer.exchange("WRITE", b"/a/0/b\0new")] == ["EVENT", "WRITE"]
    assert store.branch("main").get("/a/0/b") == b"new"


def test_cut_short_it_is_no_tree_of_this_boot(daemon, peer, store, monkeypatch):
    for number in range(4500):
        peer.ask("WRITE", b"/a/%d/b\0%d" % (number, number))
    left = daemon.store
    transaction, made = type(store.branch("main")).transaction, []

    def refused(branch, **words):
        made.append(words)
        if len(made) == 3:
            raise rrdstore.Unwritable("there", "no room")
        return transaction(branch, **words)

    monkeypatch.setattr(type(store.branch("main")), "transaction", refused)
    with pytest.raises(rrdstore.Unwritable):
        move(daemon, store)
    monkeypatch.undo()
    assert daemon.store is left
    assert store.branch("main").get(private.BOOT) == b""
    assert peer.ask("READ", b"/a/6/b\0") == b"6"
    move(daemon, store)
    assert store.branch("main").get(private.BOOT) == left.branch("main").get(private.BOOT)
    left.close()


def test_transactions_go_on_but_for_one_that_has_read_what_is_not_so_any_more(daemon, peer, store):
    peer.ask("WRITE", b"/a\x001")
    stale, used, unused = (peer.start() for _ in range(3))
    assert peer.ask("READ", b"/a\0", stale) == b"1"
    assert peer.ask("WRITE", b"/stale\0x", stale) == b"OK\0"
    assert peer.ask("READ", b"/b\0", used) == "ENOENT"
    assert peer.ask("WRITE", b"/c\0x", used) == b"OK\0"
    assert peer.ask("WRITE", b"/a\x003") == b"OK\0"
    move(daemon, store).close()
    assert peer.ask("READ", b"/a\0", stale) == b"3"
    assert peer.ask("READ", b"/stale\0", stale) == b"x"
    assert peer.ask("TRANSACTION_END", b"T\0", stale) == "EAGAIN"
    assert peer.ask("READ", b"/c\0", used) == b"x"
    assert peer.ask("TRANSACTION_END", b"T\0", used) == b"OK\0"
    assert peer.ask("WRITE", b"/a\x002", unused) == b"OK\0"
    assert peer.ask("TRANSACTION_END", b"T\0", unused) == b"OK\0"
    assert [peer.ask("READ", path) for path in (b"/a\0", b"/c\0", b"/stale\0")] == [b"2", b"x", "ENOENT"]


def test_a_guest_s_transaction_is_charged_once(daemon, introduced, store):
    usage = daemon.domains.get(5).usage
    number = introduced.start()
    assert introduced.ask("WRITE", b"data\0x", number) == b"OK\0"
    before = usage.memory, usage.transactions
    move(daemon, store).close()
    assert (usage.memory, usage.transactions) == before
    assert introduced.ask("TRANSACTION_END", b"T\0", number) == b"OK\0"
    assert usage.transactions == 0


def test_a_store_that_takes_little_at_once_gets_it_in_pieces(daemon, peer, tmp_path):
    for number in range(400):
        peer.ask("WRITE", b"/a/%d/b\0" % number + bytes(500))
    before = nodes(daemon.branch)
    with rrdstore.create(tmp_path / "s.rrdb", "4MiB", "last:8") as small:
        move(daemon, small).close()
        assert nodes(small.branch("main")) == before
        assert small.info().commits > 2
        with rrdstore.memory() as last:
            move(daemon, last)
            assert nodes(last.branch("main")) == before
    daemon.store = rrdstore.memory()


def test_what_is_read_again_is_what_the_new_store_has(daemon, peer, store):
    for name in (b"/a/gone\0", b"/a/set\0"):
        peer.ask("WRITE", name + b"old")
        assert peer.ask("READ", name) == b"old"
    move(daemon, store).close()
    assert peer.ask("RM", b"/a/gone\0") == b"OK\0"
    assert peer.ask("READ", b"/a/gone\0") == "ENOENT"
    inside = peer.start()
    assert peer.ask("WRITE", b"/a/set\0new", inside) == b"OK\0"
    assert peer.ask("TRANSACTION_END", b"T\0", inside) == b"OK\0"
    assert peer.ask("READ", b"/a/set\0") == b"new"
