"""A repair keeps what only a net has: the commits, and the branches, tags and pins."""

import sqlite3

import pytest

import rrdstore
from rrdstore.testing import ManualClock
from tests.storage.conftest import foreign


def damaged(path):
    """Something for a repair to do, that nothing else is told by."""
    connection = sqlite3.connect(path, isolation_level=None)
    row = connection.execute("SELECT d FROM segm WHERE id = 1").fetchone()[0]
    connection.execute("UPDATE segm SET d = ? WHERE id = 1", (bytes([row[0] ^ 1]) + row[1:],))
    connection.close()


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "s.rrdb")
    with rrdstore.create(path, "4MiB", "last:30", clock=ManualClock(), sync="none") as store:
        main = store.branch("main")
        for n in range(150):
            main.set(f"/d{n % 7}/k{n}", b"value %d" % n)
        main.fork("work", "last:4").set("/w", b"1")
        main.fork("gone", "last:4").set("/g", b"1")
        main.fork("met", "last:4")
        store.tag("old", main.head)
        store.tag("moved", main.head)
        store.pin(main.head)
    return path


def values(branch):
    return {path: node.value for path, node in branch.tree.descend()}


def test_branches_tags_and_pins_of_a_net_outlive_a_repair(path):
    with rrdstore.open(path, clock=ManualClock(), sync="none") as store:
        main = store.branch("main")
        with foreign(path):
            for n in range(40):
                main.set(f"/d{n % 7}/k{n}", b"again %d" % n)
                if n == 10:
                    late = main.fork("late", "last:3")
                    later = late.fork("later", "last:3")
                if n > 10:
                    late.set("/l", b"%d" % n)
            bare = store.branch("bare", create=True, keep="last:2")
            bare.set("/b", b"1")
            short = main.fork("short")
            store.tag("of one deleted", short.set("/s", b"1"))
            store.delete_branch("short")
            store.delete_branch("gone")
            store.branch("met").set("/m", b"1")
            main.merge("met")
            store.untag("old")
            store.untag("moved")
            store.tag("moved", main.head)
            store.unpin(min(store.pins))
            store.pin(late.head)
            assert store.ledger.holding.put_off(gains=False)
            later.set("/after", b"the net")
            store.tag("after", later.head)
            wanted = {name: (branch.head.number, values(branch)) for name, branch in store.branches.items()}
            tags, pins = {name: commit.number for name, commit in store.tags.items()}, store.pins
            store.ledger.storage._container.close()
            store.ledger.storage._journal.close()
            store.ledger.storage._closed = store.ledger.closed = True
    damaged(path)
    made = rrdstore.repair(path, clock=ManualClock())
    assert {one.what for one in made.lost} == {"merge base"}, [str(one) for one in made.lost]
    with rrdstore.open(path, clock=ManualClock()) as again:
        assert {name: (b.head.number, values(b)) for name, b in again.branches.items()} == wanted
        assert {name: commit.number for name, commit in again.tags.items()} == tags
        assert again.pins == pins
        assert again.check() == []
        main = again.branch("main")
        with pytest.raises(rrdstore.Unmergeable):  # The base that the tables have is from before the merge.
            main.merge("met")
        main.merge("late")
        assert main.get("/l") == b"39"
        assert again.branch("later").get("/after") == b"the net"
