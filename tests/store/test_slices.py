"""Ticks in slices: commits in the middle of one, the same store at its end; and what a tick never writes."""

from __future__ import annotations

import shutil

import pytest

import rrdstore
from rrdstore.storage import ringfile, storing
from rrdstore.storage.objects import Objects
from rrdstore.store.ticks import Ticks
from rrdstore.testing import ManualClock
from tests.store.observed import observed


def made(tmp_path, keep="last:8", size="8MiB"):
    return rrdstore.create(tmp_path / "host.rrdb", size=size, keep=keep, clock=ManualClock(), sync="none")


def numbers(store):
    return [commit.number for commit in store.branch("main").log()]


def sliced(store):
    """One step after another, to the end; how many."""
    steps = 1
    while not store.tick(0):
        steps += 1
    return steps


def test_a_tick_takes_many_slices_and_nothing_new_takes_none(tmp_path):
    with made(tmp_path) as store:
        main = store.branch("main")
        for number in range(8):
            main.set(f"/{number}", b"x")
        assert store.unstored == 8
        assert not store.tick(0)
        assert store.unstored == 8
        assert sliced(store) > 8
        assert store.unstored == 0
        assert store.tick(0)
        main.set("/more", b"x")
        assert store.tick(60)


def test_what_is_committed_and_dropped_in_the_middle_of_a_tick_is_the_next_ones(tmp_path):
    with made(tmp_path, "last:4") as store, rrdstore.memory("last:4", clock=ManualClock()) as memory:
        for number in range(400):
            for one in (store, memory):
                main = one.branch("main")
                main.set(f"/{number % 7}/{number % 50}", b"%d" % number)
                if number % 31 == 5:
                    main.remove(f"/{number % 7}")
            store.tick(0)
            if number % 50 == 20:
                assert store.check() == []
        assert numbers(store) == numbers(memory)
        for commit in memory.branch("main").log():
            assert store.diff(str(commit.number), str(commit.number)) is not None
            here, there = (one.branch("main").at(str(commit.number)) for one in (store, memory))
            with here, there:
                assert [(path, node.value) for path, node in here.tree.descend()] == [
                    (path, node.value) for path, node in there.tree.descend()
                ]
        known = numbers(store)
    with rrdstore.open(tmp_path / "host.rrdb") as again:
        assert numbers(again) == known
        assert again.check() == []


@pytest.mark.parametrize("change", ["large", "close", "check"])
def test_what_needs_everything_stored_ends_the_tick_that_is_under_way(tmp_path, change):
    store = made(tmp_path, "last:4")
    main = store.branch("main")
    for number in range(9):
        main.set("/n", b"%d" % number)
    store.tick(0)
    main.set("/n", b"new")
    {
        "large": lambda: main.set("/large", bytes(70_000)),
        "close": store.close,
        "check": lambda: store.check() == [] or pytest.fail("not clean"),
    }[change]()
    if change != "close":
        assert store.unstored == 0 or change == "check"
        assert store.check() == []
        store.close()
    with rrdstore.open(tmp_path / "host.rrdb") as again:
        assert again.branch("main").get("/n") == b"new"
        assert len(numbers(again)) == 4
        assert again.check() == []


@pytest.mark.parametrize("begin", [0, 1, 3, 5, 8, 12])
def test_branches_policies_tags_and_pins_that_change_in_the_middle_of_a_tick_are_the_next_ones(tmp_path, begin):
    """After each change, and each step of the tick, a crash leaves what was acknowledged."""
    store, path, crashes = made(tmp_path, "last:4"), tmp_path / "host.rrdb", 0
    main = store.branch("main")
    old = main.fork("old", "last:3")
    for number in range(9):
        main.set(f"/{number}", b"%d" % number)
        old.set("/o", b"%d" % number)
    store.tag("old", main.head)
    store.pin(old.head)
    for _ in range(begin):
        store.tick(0)
    for change in (
        lambda: main.fork("work", "last:2", lease="30d").set("/w", b"1"),
        lambda: store.tag("new", store.branch("work").head),
        lambda: store.tune("main", "last:3 1s:4"),
        lambda: store.untag("old"),
        lambda: store.compact(keep="last:2"),
        lambda: store.branch("bare", create=True),
        lambda: store.delete_branch("old"),
        lambda: main.set("/n", b"1"),
        lambda: store.unpin(min(store.pins)),
    ):
        change()
        for _ in range(2):
            before, crash = observed(store), tmp_path / f"crash{crashes}.rrdb"
            for end in ("", "-wal", "-ring"):
                shutil.copyfile(f"{path}{end}", f"{crash}{end}")
            with rrdstore.open(crash, clock=ManualClock(), sync="none") as again:
                assert observed(again) == before
                assert again.check() == []
            crashes += 1
            store.tick(0)
    store.tick()
    assert not store.unstored
    assert observed(store) == before
    assert store.check() == []
    store.close()
    with rrdstore.open(path, clock=ManualClock()) as again:
        assert observed(again) == before


def test_a_tick_that_fails_in_the_middle_leaves_all_to_be_stored(tmp_path, monkeypatch):
    with made(tmp_path, "last:4") as store:
        main = store.branch("main")
        for number in range(20):
            main.set("/n", b"%d" % number)
            if number % 4 == 3:
                store.tick()
        main.set("/n", b"one more")
        store.tick(0)
        for number in range(3):
            main.set("/m", b"%d" % number)
        with monkeypatch.context() as broken:

            def fail(*_):
                raise rrdstore.StoreFull(1, 0)

            broken.setattr(store.ledger.storage._ticks, "_end", fail)
            with pytest.raises(rrdstore.StoreFull):
                sliced(store)
        assert store.unstored == 4
        main.set("/m", b"last")
        known = numbers(store)
        sliced(store)
        sliced(store)
        assert store.unstored == 0
        assert store.check() == []
    with rrdstore.open(tmp_path / "host.rrdb") as again:
        assert numbers(again) == known
        assert again.branch("main").get("/m") == b"last"


def test_a_journal_that_is_half_full_is_stored_by_the_commits_that_follow(tmp_path):
    with made(tmp_path, "last:4", size="4MiB") as store:
        main = store.branch("main")
        half = store.info().journal // 2
        ticks = store.info().ticks
        for number in range(4000):
            main.set("/n", b"%0100d" % number)
            assert store.info().journal_used < half * 5 // 4
        assert store.info().ticks > ticks + 5


def test_what_comes_and_goes_between_two_ticks_is_never_encoded(tmp_path, monkeypatch):
    """`last:256`: of 3,000 commits the tick writes the 256 that are kept, each the four parts on its way."""
    written = []
    add_run = Objects.add_run
    monkeypatch.setattr(Objects, "add_run", lambda own, numbers, run: written.extend(run) or add_run(own, numbers, run))
    with made(tmp_path, "last:256", size="32MiB") as store:
        main = store.branch("main")
        with main.transaction() as tx:
            for key in range(1000):
                tx.set(f"/a{key // 100}/b{key // 10 % 10}/k{key % 10}", b"v")
        store.tick()
        for lap in range(3):
            written.clear()
            for number in range(3000):
                main.set(f"/a{number % 10}/b{number // 10 % 10}/k{number // 100 % 10}", b"%d" % (lap * 3000 + number))
            assert not written, "before the tick nothing is"
            store.tick()
            # The first may differ from what was stored before in all of its 110 directories.
            assert 255 * 3 + 3 <= len(written) <= 255 * 3 + 111


def test_branches_policies_tags_and_pins_encode_nothing_in_the_midst_of_5000_commits(tmp_path, monkeypatch):
    """Nor do they write to the file, or begin a tick: an entry of the journal each, of some 50 bytes.

    One that says what is kept has 8 for each commit that is.
    """
    done = []
    with made(tmp_path, "last:256", size="64MiB") as store:
        storage, main = store.ledger.storage, store.branch("main")
        for number in range(5_000):
            main.set(f"/a{number % 10}/k{number % 97}", b"%d" % number)
        assert store.unstored == 256
        file = storage._container
        for owner, name in ((storing, "encode"), (Objects, "add_run"), (Ticks, "_cut"), (file, "transaction")):
            real = getattr(owner, name)
            monkeypatch.setattr(owner, name, lambda *a, _n=name, _r=real, **kw: done.append(_n) or _r(*a, **kw))
        used = storage._journal.used
        for number in range(10):
            main.fork(f"fork {number}", "last:2")
            store.branch(f"new {number}", create=True)
            store.tag(f"tag {number}", main.head)
            store.pin(main.head)
            main.set("/n", b"%d" % number)
            store.untag(f"tag {number}")
            store.unpin(min(store.pins))
            store.delete_branch(f"fork {number}")
            store.delete_branch(f"new {number}")
        assert storage._journal.used - used < 10 * 9 * 100
        used = storage._journal.used
        assert len(store.tune("main", "last:200 *:8").drop) > 40
        assert len(store.compact(keep="last:100")) > 90
        assert done == []
        assert 300 * 8 < storage._journal.used - used < 350 * 8
        assert store.check() == []
        store.tick()
        assert "encode" in done
        assert "transaction" in done


def test_a_closed_file_has_an_empty_journal(tmp_path):
    store = made(tmp_path)
    for number in range(50):
        store.branch("main").set("/n", b"%d" % number)
        store.tick(0)
    store.close()
    storage = ringfile.open(str(tmp_path / "host.rrdb"))
    assert storage.state().pending == []
    storage.close()


@pytest.mark.parametrize("crash", [False, True])
def test_what_a_deleted_branch_leaves_is_freed_in_slices(tmp_path, crash):
    """The deletion stands when it returns; the objects of its 200 commits go by and by, or at the next opening."""
    store = made(tmp_path, "last:4")
    main = store.branch("main")
    with main.transaction() as change:
        for key in range(400):
            change.set(f"/a{key % 20}/b{key // 20}", b"v")
    store.tick()
    alone = store.info().objects
    work = main.fork("work", "last:200")
    for number in range(200):
        work.set(f"/a{number % 20}/b{number % 7}", b"%d" % number)
    store.tick()
    full = store.info().objects
    store.delete_branch("work")
    assert "work" not in store.branches
    assert store.info().objects == full
    while store.unstored:
        store.tick(0)
    assert alone + 100 < store.info().objects <= full
    if crash:
        store.ledger.storage._ticks.abandon()
        for file in tmp_path.iterdir():
            (tmp_path / f"copy-{file.name}").write_bytes(file.read_bytes())
        with rrdstore.open(tmp_path / "copy-host.rrdb") as again:
            assert again.check() == []
            assert again.info().objects == alone
    main.set("/n", b"meanwhile")
    assert crash or not store.tick(0)
    main.remove("/n")
    sliced(store)
    store.tick()
    assert store.check() == []
    assert store.info().objects <= alone + 2
    store.close()
