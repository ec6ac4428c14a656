"""Trees larger than the memory they may take: walked whole, written all over, and never more nodes than said."""

import gc
import weakref
from random import Random
from threading import Thread

import pytest

import rrdstore
from rrdstore.history.commit import Record
from rrdstore.storage.budget import LEAST, NODE
from rrdstore.testing import ManualClock
from rrdstore.tree.node import Bucket, Node, Stub, Wide

PARTS = (Node, Bucket, Wide, Record)
PASSED = (*PARTS, dict)
"""And what has nothing else in it, which the collector then passes by as well."""
NODES = 12_000
BUDGET = LEAST
MOST = BUDGET // NODE
SLACK = 700
"""Nodes of what is under way: a tick's changes and their path, a part being walked, and those of no store."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "s.rrdb"
    values = {}
    with rrdstore.create(path, "24MiB", "last:8", sync="none", clock=ManualClock()) as store:
        for first in range(0, NODES, 400):
            with store.branch("main").transaction() as tx:
                for n in range(first, first + 400):
                    name = f"/d{n // 400}/wide/k{n}"
                    values[name] = b"value %d" % n
                    tx.set(name, values[name])
    return path, values


def nodes():
    """How many there are; below all else, as the collector may pass them by (rrdstore/native.py)."""
    gc.collect()
    found = {}
    pending = [part for one in gc.get_objects() for part in gc.get_referents(one) if isinstance(part, PASSED)]
    pending = [part for part in pending if isinstance(part, PARTS) or not gc.is_tracked(part)]
    while pending:
        part = pending.pop()
        if id(part) not in found:
            found[id(part)] = part
            if isinstance(part, dict):
                pending += [one for one in part.values() if isinstance(one, PARTS)]
            elif isinstance(part, Record):
                pending.append(part.root)
            elif isinstance(part, Node):
                pending.append(part.kids)
            elif part is not None and not isinstance(part, Stub):
                pending += part.names.values() if isinstance(part, Bucket) else part.slots
    return sum(isinstance(part, Node) for part in found.values())


def read(tree, found):
    found.update((path, node.value) for path, node in tree.descend("/") if not node.children)


def leaves(branch):
    return {path: node.value for path, node in branch.tree.descend("/") if node.kids is None and node.value}


def test_without_a_budget_all_that_was_reached_stays(made):
    path, values = made
    with rrdstore.open(path, readonly=True, clock=ManualClock()) as store:
        before = nodes()
        assert leaves(store.branch("main")) == values
        assert nodes() - before > NODES


@pytest.mark.parametrize("readonly", [True, False])
def test_a_tree_far_larger_than_the_budget_is_walked_whole(made, readonly):
    path, values = made
    before = nodes()
    with rrdstore.open(path, readonly=readonly, sync="none", memory=BUDGET, clock=ManualClock()) as store:
        main, seen, most = store.branch("main"), {}, 0
        for n, (name, node) in enumerate(main.tree.descend("/")):
            if node.value:
                seen[name] = node.value
            if not n % 3_000:
                most = max(most, nodes() - before)
        assert seen == values
        assert store.info().memory - BUDGET == store.ledger.storage._layout.memory < 64 << 20
        assert MOST // 3 < most <= MOST + SLACK
        random, near = Random(1), list(values)[:3_000]
        for _ in range(1_000):
            name = random.choice(near)
            assert main.get(name) == values[name]
        assert nodes() - before <= MOST + SLACK


def test_the_digest_of_a_tree_far_larger_than_the_budget(made):
    path, _ = made
    with rrdstore.open(path, readonly=True, clock=ManualClock()) as store:
        expected = store.branch("main").head.digest
    before = nodes()
    with rrdstore.open(path, readonly=True, memory=BUDGET, clock=ManualClock()) as store:
        assert store.branch("main").head.digest == expected
        assert nodes() - before <= MOST + SLACK


def test_a_tree_far_larger_than_the_budget_is_written_all_over(made, tmp_path):
    path, values = made
    copy = tmp_path / "s.rrdb"
    for end in ("", "-ring"):
        copy.with_name("s.rrdb" + end).write_bytes(path.with_name("s.rrdb" + end).read_bytes())
    values, random, before, most = dict(values), Random(2), nodes(), 0
    names = list(values)
    with rrdstore.open(copy, sync="none", memory=BUDGET, clock=ManualClock()) as store:
        main = store.branch("main")
        old = dict(values)
        for n in range(3_000):
            name = random.choice(names)
            if n % 10 == 9:
                if name in values:
                    del values[name]
                    main.remove(name)
            else:
                values[name] = b"again %d" % n
                main.set(name, values[name])
            if n % 40 == 39:
                store.tick(None if n % 80 == 39 else 0.0)
            # What the reader below has in hand, and how far it is by then, is not the store's.
            if n % 500 == 499 and not 1_500 <= n < 2_000:
                most = max(most, nodes() - before)
            if n == 1_500:
                snapshot, held = main.at(main.head.id), dict(values)
                found = {}
                # What another thread reads meanwhile is not taken from under it.
                reading = Thread(target=read, args=(snapshot.tree, found))
                reading.start()
            if n == 2_000:
                reading.join()
                assert {name: value for name, value in found.items() if value} == held
                snapshot.close()
                del snapshot
        store.tick()
        assert leaves(main) == values
        assert old != values
        assert store.check() == []
        assert most <= MOST + 2 * SLACK
    with rrdstore.open(copy, readonly=True) as store:
        assert leaves(store.branch("main")) == values


def test_what_a_budget_cannot_be():
    for memory in ("much", -1, 0):
        with pytest.raises(rrdstore.InvalidSize):
            rrdstore.open("nowhere", memory=memory)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("readonly", [True, False])
def test_a_store_that_nobody_holds_any_more_is_gone_with_its_trees(made, readonly, closed):
    path, _ = made
    before = nodes()
    store = rrdstore.open(path, readonly=readonly, sync="none", clock=ManualClock())
    storage, tree = weakref.ref(store.ledger.storage), store.branch("main").tree
    assert tree.get("/d3/wide/k1203").value == b"value 1203"
    assert nodes() - before > 10
    assert not [one for one in gc.get_referents(storage()._loader) if one is storage()]
    if closed:
        store.close()
    del store
    gc.collect()
    assert tree.list("/d3/wide")[0] == "k1200", "a tree holds what it is loaded from"
    if not closed:
        assert tree.get("/d4/wide/k1600").value == b"value 1600"
    del tree
    assert nodes() - before == 0
    assert storage() is None
