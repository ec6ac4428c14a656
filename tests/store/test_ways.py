"""Commits by a way that was looked at before, and of several places at once: both in place, and both taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore


@pytest.mark.parametrize("opened", [False, True])
def test_who_has_looked_and_then_had_history_told_of_all_sets_on(tmp_path, opened):
    """The run had ended between the two, and the commit was of no branch: the next look at history was a KeyError."""
    with rrdstore.create(tmp_path / "s.rrdb", "4MiB", "last:8") as store:
        main = store.branch("main")
        main.set("/a", b"1")
        if opened:
            main.set("/a", b"2")
        before, spot, way = store.ledger.number, main.spot(("a",)), main.way(("b",))
        _ = store.ledger.history
        assert main.make(["/b"], way, b"3", b"") == 0
        assert main.set_at(spot, b"3") == before + 1
        main.set("/a", b"4")
        assert (main.get("/a"), store.ledger.number - before) == (b"4", 2)
        assert next(iter(main.log())).number == store.ledger.number
        store.abandon()
    with rrdstore.open(tmp_path / "s.rrdb") as store:
        assert store.branch("main").get("/a") == b"4"
        assert store.check() == []


def test_a_way_of_another_moment_makes_nothing(tmp_path):
    """What was set meanwhile would be taken back by it, unseen."""
    with rrdstore.create(tmp_path / "s.rrdb", "4MiB", "last:8") as store:
        main = store.branch("main")
        main.set("/d/a", b"1")
        main.set("/d/b", b"1")
        way = main.way(("d", "c", "e"))
        assert way is not None
        main.set("/d/c", b"2")
        assert main.make(["/d/c/e", "/d/c"], way, b"3", b"") == 0
        assert (main.get("/d/c"), main.list("/d/c")) == (b"2", ())
        way = main.way(("d", "c"))
        assert way is not None
        assert main.make(["/d/c"], way, b"3", b"") == 0, "it is there"


def test_what_is_below_a_directory_that_is_set_with_other_places_is_as_it_was_then():
    """Put back, the directory would have had below it what later commits have made in place."""
    store = rrdstore.memory("last:8")
    main = store.branch("main")
    main.set("/d/a", b"1")
    main.set("/d/a", b"2")
    before = main.set("/d/a", b"3")
    main.change([("/d", b"own", None), ("/y", b"1", None)])
    main.set("/d/a", b"4")
    assert main.at(before.id).get("/d/a") == b"3"


def test_several_places_made_and_set_at_once_are_taken_back_one_by_one():
    store = rrdstore.memory("last:8")
    main = store.branch("main")
    main.set("/d/a", b"1")
    main.set("/d/a", b"2")
    before = main.set("/e", b"1")
    main.change([("/d/a", b"3", None), ("/e/f/g", b"1", None), ("/e", b"2", None), ("/h", b"1", None)])
    after = main.set("/e/f/g", b"2")
    then = main.at(before.id)
    assert (then.get("/d/a"), then.get("/e"), then.list("/e"), then.list("/")) == (b"2", b"1", (), ("d", "e"))
    now = main.at(after.id)
    assert (now.get("/d/a"), now.get("/e"), now.get("/e/f/g"), now.list("/")) == (b"3", b"2", b"2", ("d", "e", "h"))


def places_of(path):
    """A path and all above it, the lowest first."""
    return ["/" + "/".join(path[1:].split("/")[:level]) for level in range(path.count("/"), 0, -1)]


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=8), st.booleans())
def test_what_is_made_by_a_way_is_what_is_set(some, moved):
    ways, sets = rrdstore.memory(), rrdstore.memory()
    trees = []
    for store in (ways, sets):
        main = store.branch("main")
        tx, there = main.transaction(), set()
        for names in some:
            path = "/" + "/".join(names)
            way = tx.way(tuple(names))
            if way.node is not None:
                tx.note(path, "exists")
                tx.set(path, b"again")
            elif store is sets:
                tx.set(path, b"1", meta=b"m", parents=b"m")
            else:
                tx.make([place for place in places_of(path) if place not in there], way, b"1", b"m")
            there.update(places_of(path))
        if moved:
            main.set("/elsewhere", b"")
        tx.commit()
        trees.append([(path, node.value, node.meta, node.created) for path, node in main.tree.descend()])
    assert trees[0] == trees[1]


def test_what_is_made_by_a_way_was_missing_and_is_a_conflict_if_it_is_not(store):
    main = store.branch("main")
    main.set("/a/b", b"0")
    tx = main.transaction()
    with pytest.raises(ValueError, match="not missing"):
        tx.make(["/a/b"], tx.way(("a", "b")), b"", b"")
    with pytest.raises(ValueError, match="not missing"):
        tx.make(["/a/x/y"], tx.way(("a", "x", "y")), b"", b"")
    with pytest.raises(TypeError):
        tx.make(["/a/x"], tx.way(("a", "x")), "text", b"")
    assert tx.edits == ()
    tx.make(["/a/x/y", "/a/x"], tx.way(("a", "x", "y")), b"1", b"m")
    main.set("/a/x", b"theirs")
    with pytest.raises(rrdstore.Conflict) as conflict:
        tx.commit()
    assert conflict.value.paths == ("/a/x",)


def test_a_commit_of_a_transaction_is_one_that_others_join(store):
    """What comes after it has not to begin a run first, which takes five times as long."""
    main = store.branch("main")
    with main.transaction() as tx:
        tx.set("/a/b", b"1")
    spot = main.spot(("a", "b"))
    assert spot is not None
    assert main.set_at(spot, b"2")
