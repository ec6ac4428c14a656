"""What is refused for want of room, or because another process is in the way, has changed nothing that can be seen."""

from __future__ import annotations

import pytest

import rrdstore
from rrdstore.testing import ManualClock
from tests.store.observed import observed

KEEP = "last:300 1m:60"


def seen(store):
    """All that can be asked of a store, but for the bytes of its files."""
    info = store.info()
    log = [repr(commit) for branch in store.branches.values() for commit in branch.log()]
    commits = store.ledger.history.graph.records.values()
    explained = [repr(store.explain(store.ledger.id(record))) for record in commits]
    counts = info.kept, info.commits, info.bound, info.pressed, repr(info.branches)
    return {**observed(store), "log": log, "explained": explained, "counts": counts, "plan": repr(store.plan())}


@pytest.fixture
def store(tmp_path):
    """One that is under pressure, with a tag, a pin and a fork."""
    clock = ManualClock()
    with rrdstore.create(tmp_path / "s.rrdb", "1920KiB", KEEP, clock=clock, sync="none") as store:
        main = store.branch("main")
        main.set("/a", b"begun")
        store.tag("begun", main.head)
        store.pin(main.set("/a", b"pinned"))
        work = main.fork("work", "last:2")
        work.set("/w", b"")
        number = 0
        while not store.info().pressed:
            clock.advance(7)
            main.set(f"/d{number % 3}/{number % 5}", b"%02500d" % number)
            number += 1
            assert number < 3_000
        yield store


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("waiting", [0, 1])
def test_a_change_that_another_process_gets_in_the_way_of_has_thinned_nothing(
    store, tmp_path, monkeypatch, waiting, opened
):
    """A tick stores the commits that wait, if there are any; in the way of the next, which thins, is somebody."""
    if opened:
        store.close()
        store = rrdstore.open(tmp_path / "s.rrdb", clock=store.ledger.clock, sync="none")
    main, storage, value = store.branch("main"), store.ledger.storage, b"%03500d"
    for number in range(4):
        most = 0
        while not storage.lacking(1_500, shrinks=False) <= 0 < storage.lacking(4_500, shrinks=False):
            store.ledger.clock.advance(7)
            main.set(f"/d{number % 3}/{most % 5}", value % most)
            most += 1
            store.tick()
            assert most < 2_000
        for _ in range(waiting):
            main.set("/n", b"%d" % number)
        ticks, end = [], storage._ticks._end

        def held(*given, ticks=ticks, end=end):
            ticks.append(given)
            if len(ticks) > waiting:
                raise rrdstore.Held("s.rrdb", "somebody")
            end(*given)

        before = seen(store)
        with monkeypatch.context() as another:
            another.setattr(storage._ticks, "_end", held)
            with pytest.raises(rrdstore.Held):
                main.set("/d0/0", value % number)
        assert seen(store) == before
        assert store.info().held.by == "somebody"
        main.set("/d0/0", value % number)
        store.tick()
        assert store.info().held is None
        assert store.info().kept < len(before["log"]), "now it has made room"
    assert store.check() == []
    store.close()
    with rrdstore.open(tmp_path / "s.rrdb") as again:
        assert again.branch("main").get("/d0/0") == value % 3


def test_what_cannot_be_made_room_for_thins_nothing(store):
    main, full = store.branch("main"), 0
    for number in range(80):
        before = seen(store)
        try:
            main.set(f"/more/{number}", b"%020000d" % number)
        except rrdstore.StoreFull:
            full += 1
            assert seen(store) == before
    assert 20 < full < 60
    assert main.remove("/d1").number
    assert store.check() == []
