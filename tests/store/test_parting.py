"""No call lets a whole tree go at once, whatever let go of it last, and in the end all of it is gone."""

from __future__ import annotations

import gc
import sys

import pytest

import rrdstore
from rrdstore.store.ticks import NODES
from rrdstore.testing import ManualClock

DIRECTORIES, KEYS = 300, 20
WHOLE = 2 * DIRECTORIES * KEYS
"""Blocks of memory that a tree has at least: a leaf and its value."""
MOST = 1_500
"""Blocks that a commit frees at most, and what else there is between two slices."""
SLICE = 4 * NODES


@pytest.fixture(autouse=True)
def no_collector():
    """What the cyclic collector frees of others is not counted."""
    gc.disable()
    yield
    gc.enable()


class Watched:
    """What calls free, in blocks of memory."""

    def __init__(self):
        self.freed = []

    def __call__(self, call, *args, most=MOST):
        before = sys.getallocatedblocks()
        done = call(*args)
        self.freed.append(before - sys.getallocatedblocks())
        assert self.freed[-1] < most, call
        return done

    def commits(self, branch, many=200):
        for number in range(many):
            self(branch.set, "/n", b"%d" % number)
            self(branch.log)  # Somebody looks: the commit is history's at once, and no run's.

    def slices(self, store):
        while not self(store.tick, 0, most=SLICE):
            pass


def filled(branch):
    for begin in range(0, DIRECTORIES, 20):
        with branch.transaction() as change:
            for directory in range(begin, begin + 20):
                for key in range(KEYS):
                    change.set(f"/all/d{directory}/k{key}", b"%d of %d" % (key, directory))


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    if request.param == "memory":
        made = rrdstore.memory("last:4", clock=ManualClock())
    else:
        made = rrdstore.create(tmp_path / "s.rrdb", "8MiB", "last:4", clock=ManualClock(), sync="none")
    with made as store:
        filled(store.branch("main"))
        store.tick()
        yield store


def thinned(store, watched):
    main = store.branch("main")
    watched(main.remove, "/all")
    watched.commits(main)


def snapshot_closed(store, watched):
    main = store.branch("main")
    snapshot = main.at(main.head.id)
    tree = [path for path, _ in snapshot.tree.descend()]
    watched(main.remove, "/all")
    watched.commits(main, 9)
    store.tick()
    assert [path for path, _ in snapshot.tree.descend()] == tree
    watched(snapshot.close)


def branch_deleted(store, watched):
    main = store.branch("main")
    work = main.fork("work", "last:2")
    watched(main.remove, "/all")
    watched.commits(main, 9)
    watched(work.set, "/all/d7/more", b"x")
    store.tick()
    watched(store.delete_branch, "work")


def branch_of_its_own_deleted(store, watched):
    other = store.branch("other", create=True, keep="last:2")
    filled(other)
    watched(store.delete_branch, "other")


def deleted_branch_tagged(store, watched):
    other = store.branch("other", create=True, keep="last:2")
    filled(other)
    store.tag("here", other.head)
    watched(store.delete_branch, "other")
    watched.commits(store.branch("main"), 5)
    watched.slices(store)
    watched(store.untag, "here")


def transaction_aborted(store, watched):
    change = store.branch("main").transaction()
    for directory in range(DIRECTORIES):
        for key in range(KEYS):
            change.set(f"/new/d{directory}/k{key}", b"%d of %d" % (key, directory))
    watched(change.abort)


def gone_with_a_merge(store, watched):
    main = store.branch("main")
    work = main.fork("work", "last:1")
    work.remove("/all")
    watched(main.merge, "work", most=2 * MOST)
    watched(store.delete_branch, "work")


@pytest.mark.parametrize(
    "let_go",
    [
        thinned,
        snapshot_closed,
        branch_deleted,
        branch_of_its_own_deleted,
        deleted_branch_tagged,
        transaction_aborted,
        gone_with_a_merge,
    ],
)
@pytest.mark.parametrize("slices", [True, False], ids=["slices", "commits alone"])
def test_a_tree_that_nobody_wants_goes_in_pieces(store, let_go, slices):
    watched = Watched()
    let_go(store, watched)
    main = store.branch("main")
    if slices:
        watched.slices(store)
        watched.commits(main, 9)
        watched.slices(store)
    else:
        watched.commits(main)
    remains = store.ledger.history.parting.remains.parts
    assert not remains
    if store.info().size == 0 or slices:  # What is stored goes when a tick has ended.
        assert sum(watched.freed) > 0.9 * WHOLE  # What the commits between have left is in the sum, too.


def test_a_tree_replaced_bit_by_bit_goes_in_pieces_with_the_commits_between_thinned(store, monkeypatch):
    """Each commit has one value; what is between two kept ones is all of the tree. A run lets go of what it undoes."""
    monkeypatch.setattr("rrdstore.store.run.LONGEST", 64)
    monkeypatch.setattr("rrdstore.store.ledger.SLICE", 0)  # No time passes here, so a slice would be all of a tick.
    watched, main = Watched(), store.branch("main")
    # In a file a commit has a slice of a tick done when the journal is half full.
    most = SLICE if store.info().size else MOST
    store.tune("main", "1h:2")
    for hour in range(4):
        for directory in range(DIRECTORIES):
            for key in range(KEYS):
                value = b"%d of %d at %d" % (key, directory, hour)
                watched(main.set, f"/all/d{directory}/k{key}", value, most=most)
        store.ledger.clock.advance(3600)
        watched(main.set, "/hour", b"%d" % hour)
    watched.slices(store)
    assert not store.ledger.history.parting.remains.parts


def test_closing_leaves_nothing_behind(store):
    main = store.branch("main")
    main.remove("/all")
    for number in range(5):
        main.set("/n", b"%d" % number)
    ledger = store.ledger
    store.close()
    assert not ledger.history.parting.remains.parts
