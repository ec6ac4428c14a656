"""Where nodes were found: right or not known, whatever is done, and priced as a walk of the tree prices it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from rrdstore.store.costs import leaf_cost, spot_cost
from rrdstore.testing import ManualClock
from rrdstore.tree.edit import way_to
from rrdstore.tree.node import FANOUT, Bucket, Node, Wide, name_hash
from rrdstore.tree.path import split

FEW = [f"/{a}/{b}/{c}" for a in "pq" for b in ("x", "y") for c in ("k", "l", "m/n")]
MANY = [f"/p/x/many/{n}" for n in range(40)]
"""More than a bucket holds, and so many that some removals make one of it again."""
DEEP = [f"/{a}/{n}/leaf" for a in ("p/wide", "q") for n in range(36)]

paths = st.sampled_from([*FEW, *MANY, *DEEP])
values = st.sampled_from([b"", b"1", b"four", bytes(60), bytes(190), bytes(400)])
places = st.sampled_from(["/p", "/p/x", "/p/x/many", "/p/wide", "/q", "/q/7"])
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["at", "at", "at", "set"]), paths, values),
        st.tuples(st.just("dir"), places, values),
        st.tuples(st.just("remove"), st.one_of(paths, places), st.just(b"")),
        st.tuples(st.sampled_from(["several", "transaction"]), st.lists(paths, min_size=2, max_size=4), values),
        st.tuples(st.sampled_from(["tree", "tick", "head", "second", "merge"]), st.none(), st.none()),
    ),
    min_size=1,
    max_size=40,
)


def container(root, key):
    """What the tree has where a place says that it is; None for nothing."""
    names = [one for one in key if isinstance(one, str)]
    node = root
    for name in names:
        node = rrdstore.Tree(node).get(f"/{name}") if node is not None else None
    kids = None if node is None else node.kids
    for index in key[len(names) :]:
        kids = kids.slots[index] if isinstance(kids, Wide) else None
    return kids


def bucket_of(root, names):
    """The bucket that the last of these names would stand in."""
    kids, left = container(root, names[:-1]), name_hash(names[-1])
    while isinstance(kids, Wide):
        kids, left = kids.slots[left & (FANOUT - 1)], left // FANOUT
    return kids


def do(main, store, clock, step):
    what, where, value = step
    if what == "at":
        spot = main.spot(split(where))
        if spot is None or not main.set_at(spot, value):
            main.set(where, value)
    elif what in ("set", "dir"):
        main.set(where, value)
    elif what == "remove":
        if where in main:
            main.remove(where)
    elif what == "several":
        edits = [(path, value, None) for path in where]
        main.change([*edits, (where[0], None, None)] if len(value) == 1 else edits)
    elif what == "transaction":
        with main.transaction() as tx:
            for path in where:
                tx.set(path, value)
    elif what == "merge":
        work = main.fork(f"w{clock.wall()}")
        work.set("/p/x/k", b"there")
        main.merge(work)
        store.delete_branch(work.name)
    elif what == "tick":
        store.tick()
    elif what == "second":
        clock.advance(1)
    else:
        _ = main.tree if what == "tree" else main.head


@pytest.mark.parametrize("in_file", [False, True], ids=["memory", "file"])
@given(steps)
def test_what_is_known_is_what_there_is(tmp_path_factory, in_file, some):
    clock = ManualClock()
    if in_file:
        store = rrdstore.create(
            tmp_path_factory.mktemp("p") / "s.rrdb", "8MiB", "last:4 1s:1m", sync="none", clock=clock
        )
    else:
        store = rrdstore.memory("last:4 1s:1m", clock=clock)
    with store:
        main, known, run = store.branch("main"), {}, store.ledger.run
        main.change([(path, b"first", None) for path in (*FEW, *MANY[:34], *DEEP)])
        for step in some:
            clock.advance(0.01)
            for path in (FEW[0], MANY[0], MANY[33], DEEP[0], DEEP[40]):
                if known.get(path) is None or known[path].node is None:
                    known[path] = main.spot(split(path))
            do(main, store, clock, step)
            root = main.now.root
            for path, spot in known.items():
                if spot is not None and spot.node is not None:
                    assert spot.node is main.now.get(path)
            if run.branch:
                for key, place in run.places._at.items():
                    assert place.container is container(root, key), key
                    assert isinstance(place.container, (Bucket, Wide))
                for path, spot in known.items():
                    priced = -1 if spot is None or spot.node is None else spot_cost(spot.place, root)
                    if priced >= 0:
                        assert priced + 7 == leaf_cost(way_to(root, split(path)).containers, 7)
                        assert spot.place.container is bucket_of(root, split(path))
        assert store.check() == []


def test_a_spot_outlives_what_does_not_concern_it():
    """A commit of another place, a tick, history that is told: who knows where a node is need not look again."""
    clock = ManualClock()
    with rrdstore.memory("last:4 1s:1m", clock=clock) as store:
        main = store.branch("main")
        main.change([(path, b"first", None) for path in (*FEW, *DEEP)])
        spot = main.spot(split(FEW[0]))
        for step in [
            ("set", FEW[1], b"1"),
            ("set", "/p/x/new", b"1"),
            ("remove", FEW[4], b""),
            ("several", DEEP[:3], b"4"),
            ("tree", None, None),
            ("head", None, None),
            ("tick", None, None),
            ("second", None, None),
            ("transaction", DEEP[:3], b"6"),
        ]:
            do(main, store, clock, step)
            assert isinstance(spot.node, Node), step
            number = store.ledger.number
            assert main.set_at(spot, b"now") == number + 1, step
        main.remove("/p/x")
        assert spot.node is None
        assert main.set_at(spot, b"now") == 0


def test_a_spot_is_of_its_branch():
    """A fork has the same tree: what is set there does not come to the spots of the branch that it is of."""
    with rrdstore.memory("last:4 1s:1m", clock=ManualClock()) as store:
        main = store.branch("main")
        main.change([(path, b"first", None) for path in FEW])
        spot = main.spot(split(FEW[0]))
        work = main.fork("work")
        own = work.spot(split(FEW[0]))
        assert own is not None
        assert work.set_at(own, b"other")
        assert own.node.value == b"other"
        assert spot.node is None or spot.node.value == b"first"
        work.change([(FEW[2], b"other", None)])
        main.set(FEW[1], b"then")
        for path in FEW:
            assert main.spot(split(path)).node is main.now.get(path)
        assert main.get(FEW[0]) == b"first"


@pytest.mark.parametrize("in_file", [False, True])
def test_by_a_place_that_does_not_stand_in_the_tree_nothing_is_set(tmp_path, in_file):
    """Whatever has gone wrong: what would be copied has to hang together up to the root."""
    store = rrdstore.create(tmp_path / "s.rrdb", "8MiB") if in_file else rrdstore.memory()
    with store:
        main = store.branch("main")
        main.change([(path, b"first", None) for path in (*FEW, *DEEP)])
        for above in ("/q/7/leaf", "/p/y/k"):
            spot, other = main.spot(split(FEW[0])), main.spot(split(above))
            _ = main.tree
            spot.place.above, spot.place.price = other.place, -1
            assert main.set_at(spot, b"lost") == 0
            assert main.get(FEW[0]) == b"first"
            again = main.spot(split(FEW[0]))
            assert main.set_at(again, b"first")
