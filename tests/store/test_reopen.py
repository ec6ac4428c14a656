"""A store opened again is the store that was left: what comes after does not depend on the openings between."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.interchange import dump
from rrdstore.store import ledger
from rrdstore.testing import ManualClock
from rrdstore.testing.calls import KEEPS
from rrdstore.testing.homes import HOMES, FileHome, JournalledHome
from rrdstore.testing.walk import change, path
from tests.store.observed import observed

LASTING = sorted(name for name, home in HOMES.items() if home.reopens)


def step(random: Random):
    """One thing to do to a store, the same whoever does it."""
    kind = random.choices(["edit", "tx", "fork", "merge", "delete", "tag", "untag", "pin"], [12, 3, 2, 3, 1, 1, 1, 1])[
        0
    ]
    where, other, name = random.random(), random.random(), random.choice("xyz")
    edits = [change(random) for _ in range(random.randint(1, 4))]
    pause = random.choice([0, 0.3, 1, 6, 40])
    keep = random.choice(KEEPS)
    place = path(random)

    def do(store, clock):
        clock.advance(pause)
        names = sorted(store.branches)
        branch = store.branch(names[int(where * len(names))])
        match kind:
            case "edit" | "tx":
                with branch.transaction(message=place) as tx:
                    for edit in edits if kind == "tx" else edits[:1]:
                        if edit[0] == "set":
                            tx.set(*edit[1:])
                        elif edit[1] in tx:
                            tx.remove(edit[1])
            case "fork":
                branch.fork(name, keep=keep)
            case "merge":
                branch.merge(names[int(other * len(names))])
            case "delete":
                store.delete_branch(name)
            case "tag":
                store.tag(name, branch.head)
            case "untag":
                store.untag(name)
            case "pin":
                store.pin(branch.head)

    return do


@pytest.mark.parametrize("storage", LASTING)
@settings(max_examples=10)
@given(seed=st.integers(0, 1 << 32), keep=st.sampled_from(KEEPS))
def test_openings_make_no_difference(storage, seed, keep):
    """Closed and opened, or crashed, at random points; against one that never was, in memory.

    The tiers are restored from the kept commits and a few bytes: they must go on as if nothing had been.
    """
    random = Random(seed)
    steady, moved = HOMES["memory"](), HOMES[storage]()
    stores = [steady.create(keep), moved.create(keep)]
    for _ in range(60):
        do = step(random)
        outcomes = []
        for store, home in zip(stores, (steady, moved), strict=True):
            try:
                do(store, home.clock)
                outcomes.append("done")
            except rrdstore.StoreError as error:
                outcomes.append((type(error), getattr(error, "paths", None)))
        if (rrdstore.LimitReached, None) in outcomes:
            return  # memory knows no limit: from here on they are two different stores
        assert outcomes[0] == outcomes[1]
        turn = random.random()
        if turn < 0.1:
            stores[1].close()
            stores[1] = moved.open()
        elif turn < 0.2:
            crashed = moved.image()
            stores[1].close()
            moved.end()
            moved = crashed
            stores[1] = moved.open()
        elif turn < 0.3:
            stores[1].tick()
        assert [branch.head.number for branch in stores[0].branches.values()] == [
            branch.head.number for branch in stores[1].branches.values()
        ]
    assert observed(stores[0], ids=False) == observed(stores[1], ids=False)
    stores[1].close()
    moved.end()


@pytest.mark.parametrize("storage", LASTING)
def test_the_epoch_rises_and_ids_stay(storage):
    home = HOMES[storage]()
    ids, epochs = [], []
    store = home.create("last:20")
    for _ in range(4):
        ids.append(store.branch("main").set("/a", b"").id)
        epochs.append(store.info().epoch)
        store.close()
        store = home.open()
    assert [commit.id for commit in store.branch("main").log()][:4] == ids[::-1]
    assert epochs == sorted(set(epochs))
    assert len({proof.split("-")[1] for proof in ids}) == 4
    store.close()
    home.end()


@pytest.mark.parametrize("storage", LASTING)
def test_snapshots_and_transactions_end_with_the_process_and_so_do_their_commits(storage):
    home = HOMES[storage]()
    store = home.create("last:1")
    main = store.branch("main")
    commit = main.set("/a", b"held")
    held = [main.at("now"), main.transaction()]
    main.set("/a", b"newer")
    store.tick()
    assert commit.kept
    crashed = home.image()
    with crashed.open() as again:
        assert again.info().kept == 1
        with pytest.raises(rrdstore.Thinned):
            again.tree(commit.id)
        assert again.check() == []
    with crashed.open() as again:
        assert again.check() == []
    assert held[0].get("/a") == b"held"
    store.close()
    crashed.end()
    home.end()


@pytest.mark.parametrize("storage", LASTING)
def test_time_does_not_go_back_over_an_opening_whatever_the_wall_clock_does(storage):
    home = HOMES[storage]()
    store = home.create("last:20")
    times = []
    for jump in (0, -86_400, 40, 7 * 86_400, -3):
        store.close()
        home.clock.jump_wall(jump)
        store = home.open()
        home.clock.advance(10)
        times.append(store.branch("main").set("/a", b"").time)
    assert times == sorted(times)
    assert (times[2] - times[1]).total_seconds() < 60
    store.close()
    home.end()


def test_what_cannot_be_opened_is_let_go_of():
    home = FileHome()
    home.create("last:5").close()
    whole = ledger.load
    try:
        ledger.load = lambda _: 1 / 0
        with pytest.raises(ZeroDivisionError):
            home.open()
    finally:
        ledger.load = whole
    with home.open() as store:
        assert store.branch("main").head.number == 1
    home.end()


def test_a_branch_of_nothing_is_there_with_its_first_commit_or_not_at_all():
    """One entry has both: a journal that does not take it leaves neither, here and after a crash."""
    home = JournalledHome()
    store = home.create("last:5")
    home.storage.fail_append = True
    with pytest.raises(rrdstore.StoreError):
        store.branch("new", create=True)
    assert list(store.branches) == ["main"]
    with home.image().open() as again:
        assert list(again.branches) == ["main"]
    home.storage.fail_append, home.storage.fail_tick = False, True
    made = store.branch("new", create=True).head
    with home.image().open() as again:
        assert again.branch("new").head == made
        assert [commit for commit, _ in again.recovered] == [made]


def test_a_reader_beside_a_writer_and_a_dump_see_branches_tags_and_pins_of_the_journal(tmp_path):
    path, clock = tmp_path / "host.rrdb", ManualClock()
    with rrdstore.create(path, "8MiB", "last:6", clock=clock) as store:
        main = store.branch("main")
        for number in range(9):
            main.set("/a", b"%d" % number)
        old = main.fork("old", "last:2")
        old.set("/o", b"1")
        store.tag("old", main.head)
        store.pin(old.head)
        store.tick()
        main.set("/a", b"new")
        store.delete_branch("old")
        work = main.fork("work", "last:3", lease="30d")
        store.branch("bare", create=True, keep="*:2")
        work.set("/w", b"1")
        store.untag("old")
        store.unpin(min(store.pins))
        store.tag("new", work.head)
        store.pin(work.head)
        before = observed(store)
        assert store.unstored > 8
        with rrdstore.open(path, readonly=True, clock=clock) as reader:
            assert observed(reader) == before
            assert reader.check() == []
            said, again = [], []
            dump(reader, said.append)
            dump(store, again.append)
            assert said == again
            lines = [json.loads(line) for line in said]
            assert [line["tag"] for line in lines if "tag" in line] == ["new"]
            assert {line["branch"] for line in lines if "keep" in line} == {"main", "work", "bare"}
        store.tick()
        assert observed(store) == before


def test_a_closed_store_opens_without_its_journal_however_many_ticks_had_nothing_in_it(tmp_path):
    path = tmp_path / "host.rrdb"
    with rrdstore.create(path, "4MiB", "last:4") as store:
        for number in range(5):
            store.tag(f"tag {number}", store.branch("main").head)
        store.branch("main").set("/a", b"1")
    (tmp_path / "host.rrdb-ring").unlink()
    with rrdstore.open(path) as store:
        assert store.branch("main").get("/a") == b"1"
        store.branch("main").set("/a", b"2")
    with rrdstore.open(path) as store:
        assert store.branch("main").get("/a") == b"2"
        assert store.check() == []
