"""The run: what it takes and holds, and what it leaves to history."""

from random import Random

import pytest

import rrdstore
from rrdstore.errors import InvalidPath
from rrdstore.store.joining import EDITS, NODES
from rrdstore.testing import ManualClock
from rrdstore.tree.node import SMALL


def test_removals_and_several_changes_are_appended_if_they_are_little():
    with rrdstore.memory("last:100", clock=ManualClock()) as store:
        main, run = store.branch("main"), store.ledger.run
        for n in range(100):
            main.set(f"/many/{n}", b"")
        for n in range(NODES // 2):
            main.set(f"/few/{n}/below", b"")
        main.change([("/few/7", None, None), ("/index/7", b"7", b"n0")])
        main.remove("/few/8")
        main.remove("/few/9/below")
        assert len(run.records) == 100 + NODES // 2 + 2
        main.remove("/many/7")
        assert len(run.records) == 100 + NODES // 2 + 3
        for much in (
            [("/many", None, None)],
            [("/a", b"1", None), ("/b", b"v" * (SMALL + 1), None)],
            [(f"/c/{n}/d", b"", None) for n in range(EDITS + 1)],
        ):
            main.set("/e", b"")
            main.change(much)
            assert run.records == []


def test_a_run_holds_no_tree_of_what_cannot_stay():
    with rrdstore.memory("last:5", clock=ManualClock()) as store:
        main, run = store.branch("main"), store.ledger.run
        main.set("/a", b"")
        for n in range(30):
            main.change([(f"/a/{n}", b"", None), ("/b", None, None)])
            main.set("/b", b"")
        roots = [record.root for record in run.records]
        assert len(roots) == 60
        assert sum(root is not None for root in roots) < 7
        undone = {id(undo.old) for undo in run._undo if undo.depth < 0}
        assert len(undone) < 9
        assert [commit.number for commit in main.log()] == [62, 61, 60, 59, 58]
        assert [len(main.at(str(n)).list("/a")) for n in (62, 60, 58)] == [30, 29, 28]
        assert ["/b" in main.at(str(n)).tree for n in range(62, 57, -1)] == [True, False, True, False, True]


@pytest.mark.parametrize("seed", range(3))
def test_what_a_run_reserves_is_a_bound_and_a_close_one(tmp_path, seed):
    random, taken, reserved = Random(seed), 0, 0
    with rrdstore.create(tmp_path / "s.rrdb", "64MiB", "last:4000", sync="none", clock=ManualClock()) as store:
        main, ledger = store.branch("main"), store.ledger
        main.set("/begun", b"")
        for _ in range(60):
            store.tick()
            live, appended = store.info().live, 0
            for _ in range(random.choice((1, 2, 30))):
                width, size = random.choice((5, 33, 40, 600)), random.choice((0, 1, 60, 190, 193, 900, 5000))
                path = "/" + "/".join(f"n{random.randrange(width)}" for _ in range(random.randrange(1, 5)))
                main.set(path, random.randbytes(size), meta=random.choice((None, b"n0")))
                appended += bool(ledger.run.records)
            room = ledger.room.reserved
            store.tick()
            grown = store.info().live - live
            assert grown <= room, f"seed {seed}"
            taken, reserved = taken + grown, reserved + room
        assert appended
        assert reserved < 2.2 * taken


def test_a_run_goes_on_with_what_is_to_be_let_go_of():
    with rrdstore.memory("last:3", clock=ManualClock()) as store:
        main = store.branch("main")
        with main.transaction() as tx:
            for n in range(4_000):
                tx.set(f"/many/{n % 40}/{n}", b"")
        main.set("/a", b"")
        main.remove("/many")
        for n in range(5):
            main.set("/a", b"%d" % n)
        main.log()
        remains = store.ledger.history.parting.remains
        main.set("/a", b"after")
        assert remains.parts
        for n in range(200):
            main.set("/a", b"%d" % n)
        assert len(store.ledger.run.records) == 200
        assert not remains.parts


def test_what_a_run_refuses_leaves_no_trace_in_the_clock(tmp_path):
    times = []
    for refused in (False, True):
        clock = ManualClock()
        with rrdstore.create(tmp_path / f"{refused}.rrdb", "8MiB", "last:100", sync="none", clock=clock) as store:
            main = store.branch("main")
            for n in range(3):
                main.set("/a", b"%d" % n)
            clock.advance(5)
            if refused:
                assert store.ledger.run.records
                with pytest.raises(InvalidPath):
                    main.set("no path", b"")
            clock.jump_wall(-7200)
            clock.advance(3)
            main.set("/a", b"")
            times.append(main.head.time)
    assert times[0] == times[1]


def test_to_ask_a_store_in_memory_what_is_unstored_settles_nothing():
    with rrdstore.memory("last:100", clock=ManualClock()) as store:
        main = store.branch("main")
        for n in range(4):
            main.set("/a", b"%d" % n)
        assert len(store.ledger.run.records) == 3
        assert store.unstored == 0
        assert len(store.ledger.run.records) == 3
