"""What can be read of a tree that is damaged, and a daemon that goes on with that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from tests.daemon.test_accounts import check
from xsadapter.engine import private
from xsadapter.engine.salvaging import copied, fill, salvage

places = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))


class Damaged:
    """A tree of which some nodes cannot be read, and some listings."""

    def __init__(self, tree, nodes, listings=()):
        self.tree, self.nodes, self.listings = tree, set(nodes), set(listings)

    def _read(self, path, ill):
        if path in ill:
            raise rrdstore.Corrupt("object 7", "checksum 1", "2")

    def get(self, path):
        found = self.tree.get(path)
        if found is not None:
            self._read(path, self.nodes)
        return found

    def stat(self, path):
        found = self.tree.stat(path)
        self._read(path, self.nodes)
        return found

    def list(self, path):
        self._read(path, self.listings)
        return self.tree.list(path)

    def descend(self, path):
        self.stat(path)
        return self._descended(path)

    def _descended(self, path):
        for below, node in self.tree.descend(path):
            self._read(below, self.nodes)
            yield below, node
            self._read(below, self.listings)


def under(path, tops):
    return any(f"{path}/".startswith(f"{top.rstrip('/')}/") for top in tops)


@given(st.lists(places, max_size=12), st.lists(places, max_size=3), st.lists(places, max_size=3))
def test_what_is_neither_ill_nor_below_what_is_comes_over_and_the_rest_is_named_once(there, nodes, listings):
    with rrdstore.memory() as store, rrdstore.memory() as other:
        main = store.branch("main")
        main.set("/z", b"")
        for number, path in enumerate(there):
            main.set(path, b"%d" % number)
        tree = Damaged(main.tree, nodes, listings)
        with other.branch("main").transaction() as change:
            lost = copied(tree, change, ["/"])
        have = {path: node.value for path, node in main.tree.descend("/")}
        ill = {path for path in (*nodes, *listings) if path in have}
        assert lost == sorted(path for path in ill if not under(path.rpartition("/")[0] or "//", ill))
        assert {path: node.value for path, node in other.branch("main").tree.descend("/")} == {
            path: value for path, value in have.items() if not under(path, ill)
        }


def test_it_is_served_without_what_is_lost_and_filled_in_later(daemon, peer, introduced, monkeypatch):
    for domid in (5, 6):
        assert peer.ask("WRITE", b"/local/domain/%d/name\0name" % domid) == b"OK\0"
        assert peer.ask("WRITE", b"/local/domain/%d/data/x\0%d" % (domid, domid)) == b"OK\0"
    assert introduced.ask("WRITE", b"data/mine\0value") == b"OK\0"
    assert peer.ask("SET_PERMS", b"/\0n0\0r5\0") == b"OK\0"
    number = peer.start()
    assert peer.ask("READ", b"/local/domain/6/name\0", number) == b"name"
    before = daemon.head.still()
    ill = Damaged(before, {"/local/domain/5", private.ROOT})
    monkeypatch.setattr(type(daemon.head), "still", lambda _: ill)
    left = daemon.store
    lost = salvage(daemon, memory := rrdstore.memory(), "boot")
    monkeypatch.undo()
    assert lost == [private.ROOT, "/local/domain/5"]
    assert (daemon.store, daemon.domains.get(5).usage.nodes) == (memory, 0)
    check(daemon)
    assert peer.ask("GET_PERMS", b"/\0") == b"n0\0r5\0"
    assert peer.ask("READ", b"/local/domain/5/name\0") == "ENOENT"
    assert peer.ask("READ", b"/@index/name/name\0") == b"6"
    assert peer.ask("TRANSACTION_END", b"T\0", number) == b"OK\0"
    assert memory.branch("main").get(private.domain_place(5)) == b"1005"
    assert peer.ask("WRITE", b"/local/domain/7/name\0seven") == b"OK\0"
    assert fill(daemon, before, lost, "another boot") == lost
    assert peer.ask("READ", b"/local/domain/5/name\0") == "ENOENT"
    assert fill(daemon, Damaged(before, {"/local/domain/5/data/x"}), lost, "boot") == ["/local/domain/5/data/x"]
    check(daemon)
    assert introduced.ask("READ", b"data/mine\0") == b"value"
    assert peer.ask("READ", b"/@index/name/name\0") == b"5"
    assert peer.ask("READ", b"/local/domain/7/name\0") == b"seven"
    assert peer.ask("READ", b"/local/domain/5/data/x\0") == "ENOENT"
    left.close()


@pytest.mark.parametrize("ill", ["/", "/local"])
def test_the_root_too_may_be_lost(daemon, peer, monkeypatch, ill):
    assert peer.ask("WRITE", b"/local/a\0x") == b"OK\0"
    before = daemon.head.still()
    monkeypatch.setattr(type(daemon.head), "still", lambda _: Damaged(before, {ill}))
    left = daemon.store
    lost = salvage(daemon, rrdstore.memory(), "boot")
    monkeypatch.undo()
    assert lost == [ill]
    assert peer.ask("DIRECTORY", b"/\0") == (b"" if ill == "/" else b"tool\0")
    assert fill(daemon, before, lost, "boot") == []
    assert peer.ask("READ", b"/local/a\0") == b"x"
    left.close()
