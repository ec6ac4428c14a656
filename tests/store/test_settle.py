"""A tick that fails in a change that the journal does not hold: the store is what it was, and goes on."""

import pytest

import rrdstore
from rrdstore.testing.homes import JournalledHome
from rrdstore.testing.journalled import Failed
from tests.store.observed import observed

REFS = {
    "fork": lambda store, main: main.fork("new", lease="30d"),
    "branch": lambda store, main: store.branch("new", create=True),
    "delete": lambda store, main: store.delete_branch("work"),
    "tag": lambda store, main: store.tag("new", main.head),
    "untag": lambda store, main: store.untag("t"),
    "pin": lambda store, main: store.pin(main.head),
    "unpin": lambda store, main: store.unpin("p"),
    "policy": lambda store, main: store.tune("main", "last:2"),
    "compaction": lambda store, main: store.compact(keep="last:1"),
}
CHANGES = {
    "large set": lambda store, main: main.set("/large", bytes(1000)),
    "large transaction": lambda store, main: large(main),
    "large merge": lambda store, main: main.merge("work"),
}


def large(main):
    with main.transaction() as tx:
        for n in range(40):
            tx.set(f"/many/{n}", bytes(30))


@pytest.fixture
def home():
    return JournalledHome()


@pytest.fixture
def store(home):
    """Something of everything, some of it ticked and some only journalled."""
    store = home.create("last:3 1s:5s")
    main = store.branch("main")
    main.set("/a", b"1")
    store.tag("t", main.head)
    store.tag("p", main.set("/a", b"2"))
    store.pin("p")
    work = main.fork("work", keep="last:2")
    work.set("/large", bytes(700))
    for n in range(5):
        home.clock.advance(0.7)
        main.set("/b", b"%d" % n)
        work.set("/w", b"%d" % n)
    main.set("/b", b"journalled only")
    assert store.unstored
    return store


@pytest.mark.parametrize("change", REFS.values(), ids=REFS)
def test_a_change_of_refs_is_acknowledged_by_the_journal_alone(home, store, change):
    """Made though nothing can be stored, found by whoever opens what a crash leaves, stored by the next tick."""
    store.tick()
    ticks, before = home.storage.ticks, store.unstored
    home.storage.fail_tick = True
    change(store, store.branch("main"))
    assert store.unstored > before == 0
    after = observed(store)
    with home.image().open() as again:
        assert observed(again) == after
    home.storage.fail_tick = False
    assert home.storage.ticks == ticks
    assert store.tick()
    assert (home.storage.ticks, store.unstored) == (ticks + 1, 0)
    assert not home.disk.journal
    with home.open(readonly=True) as again:
        assert observed(again) == after


@pytest.mark.parametrize("change", REFS.values(), ids=REFS)
def test_a_change_of_refs_that_the_journal_does_not_take_has_changed_nothing(home, store, change):
    before, made = observed(store), store.unstored
    home.storage.fail_append = True
    with pytest.raises(Failed):
        change(store, store.branch("main"))
    assert (observed(store), store.unstored) == (before, made)
    home.storage.fail_append = False
    with home.image().open() as again:
        assert observed(again) == before
    change(store, store.branch("main"))
    assert observed(store) != before


def test_what_a_snapshot_alone_kept_and_was_tagged_then_is_kept_after_a_crash(home, store):
    """The snapshot ends with the process; what the journal says after it was dropped by the tiers still finds it."""
    main = store.branch("main")
    store.tick()
    main.set("/s", b"held")
    held, other = main.at("now"), main.set("/s", b"other")
    beside = main.at("now")
    for n in range(5):
        main.set("/b", b"%d" % n)
    store.tag("held", held.commit)
    store.pin(beside.commit)
    assert len(home.disk.journal) == 9, "no tick has any of it"
    held.close()
    beside.close()
    assert all(commit.kept for commit in (held.commit, other))
    after = observed(store)
    with home.image().open() as again:
        assert observed(again) == after
        again.untag("held")
        again.unpin(other.id)
        assert not {held.commit.number, other.number} & {commit.number for commit in again.branch("main").log()}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_has_happened_when_it_could_not_be_stored(home, store, change):
    main = store.branch("main")
    before, clock = observed(store), main.head.time
    told = []
    main.watch("/", lambda commit, paths: told.append(commit.number))
    home.storage.fail_tick = True
    for _ in range(2):
        with pytest.raises(Failed):
            change(store, main)
    assert observed(store) == before
    assert told == []
    home.storage.fail_tick = False
    assert main.set("/b", b"goes on").time >= clock
    assert main.head.number == before["made"] + 1
    change(store, main)
    after = observed(store)
    store.close()
    with home.open() as again:
        assert observed(again) == after


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_in_hand_stays_of_use(home, store, change):
    """Branches, transactions, snapshots, watches and commits, across the going back."""
    main, work = store.branch("main"), store.branch("work")
    told = []
    main.watch("/", lambda commit, paths: told.append(paths))
    oldest = main.set("/b", b"held")
    held, tx, other, commit = main.at("now"), main.transaction(), work.transaction(), main.head
    tx.get("/a")
    tx.set("/from tx", b"1")
    other.set("/from other", b"2")
    for n in range(6):
        main.set("/c", b"%d" % n)
    home.storage.fail_tick = True
    with pytest.raises(Failed):
        change(store, main)
    home.storage.fail_tick = False
    del told[:]
    assert (held.get("/b"), tx.get("/b"), held.commit.kept) == (b"held", b"held", True)
    tx.commit()
    other.commit()
    assert (main.get("/from tx"), main.get("/c"), work.get("/from other")) == (b"1", b"5", b"2")
    assert told == [("/from tx",)]
    assert commit.kept
    held.close()
    store.tick()
    assert not oldest.kept
    later = next(kept for kept in main.log() if kept.number > oldest.number and kept.thinned)
    seen = later.thinned
    store.tag("x", later)
    for n in range(4):
        main.set("/c", b"again %d" % n)
    assert later.thinned >= seen
    assert observed(store)["commits"][later.number][8] == later.thinned


def test_a_storage_that_cannot_even_say_what_it_has_closes_the_store(home, store, monkeypatch):
    """Otherwise the change that failed would be stored by the next tick."""
    main, made = store.branch("main"), store.branch("main").head

    def fail():
        raise Failed("state")

    home.storage.fail_tick = True
    with monkeypatch.context() as broken:
        broken.setattr(home.storage, "state", fail)
        with pytest.raises(Failed):
            main.set("/large", bytes(1000))
    assert home.storage.closed
    with pytest.raises(rrdstore.Closed):
        main.set("/a", b"")
    with home.open() as again:
        assert (sorted(again.branches), again.branch("main").head) == (["main", "work"], made)


def test_memory_has_nothing_to_go_back_to_and_loses_nothing(monkeypatch):
    """Its tick does nothing, but may be interrupted; to load what it has would be to forget everything."""

    def interrupt(tick):
        raise KeyboardInterrupt

    with rrdstore.memory("last:5") as store:
        main = store.branch("main")
        made = main.set("/a", b"1")
        with monkeypatch.context() as busy:
            busy.setattr(store.ledger.storage, "ticking", interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.tick()
        assert (main.head, main.get("/a")) == (made, b"1")
        main.set("/b", b"2")


def test_a_journal_that_takes_nothing_refuses_before_anything_is_done(home, store):
    main = store.branch("main")
    before = observed(store)
    tx = main.transaction()
    tx.set("/a", b"9")
    home.storage.fail_append = True
    for change in (lambda: main.set("/a", b"9"), lambda: main.remove("/b"), tx.commit):
        with pytest.raises(Failed):
            change()
    home.storage.fail_append = False
    assert observed(store) == before
    main.set("/a", b"9")


def test_a_tick_that_can_wait_waits(home, store, caplog):
    main = store.branch("main")
    home.storage.fail_tick = True
    for n in range(30):
        main.set("/b", b"%d" % n)
    assert main.get("/b") == b"29"
    assert "put off" in caplog.text
    with pytest.raises(Failed):
        store.tick()
    home.storage.fail_tick = False
    store.tick()
    assert not store.unstored
    before = observed(store)
    store.close()
    with home.open() as again:
        assert observed(again) == before


def test_closing_lets_go_even_if_the_last_tick_fails(home, store):
    main = store.branch("main")
    home.storage.fail_tick = True
    made = main.set("/b", b"last")
    with pytest.raises(Failed):
        store.close()
    assert home.storage.closed
    store.close()
    with home.open() as again:
        assert (again.branch("main").head, again.branch("main").get("/b")) == (made, b"last")
        assert [commit for commit, _ in again.recovered][-1] == made


def test_recovery_hands_back_what_the_journal_held_and_keeps_it(home, store):
    main = store.branch("main")
    store.tick()
    made = [main.set("/a", b"%d" % n, opaque=b"reply %d" % n, author="dom1", message="WRITE") for n in range(5)]
    removed = main.remove("/b", opaque=b"gone")
    before = observed(store)
    crashed = home.image()
    with crashed.open() as again:
        assert again.recovered == (*((commit, b"reply %d" % n) for n, commit in enumerate(made)), (removed, b"gone"))
        assert observed(again) == before
        assert again.recovered[0][0].author == "dom1"
        crashed.storage.fail_tick = True
        with pytest.raises(Failed):
            again.branch("main").set("/large", bytes(1000))
        crashed.storage.fail_tick = False
        assert [opaque for _, opaque in again.recovered] == [b"reply %d" % n for n in range(5)] + [b"gone"]


class TestRoom:
    """Byte pressure as the facade meets it; how many bytes the ring file really takes is its own suite's."""

    def filled(self, home, keep, room):
        store = home.create(keep)
        home.storage.room = room
        return store, store.branch("main")

    def test_history_gives_way_before_a_write_is_refused(self, home):
        store, main = self.filled(home, "last:200", 20_000)
        for n in range(120):
            home.clock.advance(1)
            main.set("/a", bytes(100 + n % 7))
        store.tick()
        info = store.info()
        assert info.live <= info.room == 20_000
        assert 4 < info.kept < 120
        assert main.head.number == 121
        assert next(iter(store.info().branches)).made == 121

    def test_pressure_is_seen_in_info_and_plan_and_passes(self, home):
        store, main = self.filled(home, "last:20", 20_000)
        info = store.info()
        assert (info.pressed, info.full, info.degraded, store.plan().pressed) == (0, False, False, {})
        for n in range(40):
            home.clock.advance(1)
            main.set("/a", bytes(1500 + n))
        info = store.info()
        assert info.degraded
        assert 20 - info.kept <= info.pressed == store.plan().pressed["main"] == info.branches[0].tiers[0].pressed
        home.storage.room = info.live + 300
        assert store.info().full
        main.remove("/a")
        home.storage.room = 20_000
        main.set("/a", b"small")
        assert store.info().pressed > 0
        for n in range(20):
            main.set("/a", b"small %d" % n)
        info = store.info()
        assert (info.pressed, info.full, info.degraded, store.plan().pressed) == (0, False, False, {})
        assert info.kept == 20

    def test_hardly_more_gives_way_than_is_needed(self, home):
        store, main = self.filled(home, "last:200", 60_000)
        kept = lost = 1
        for n in range(150):
            main.set("/a", bytes(900 + n % 7))
            now = store.info().kept
            lost = max(lost, kept + 1 - now)
            kept = now
        assert lost <= 3, "a commit takes the room of one, and is reckoned at less than two"
        assert kept > 40

    def test_what_is_held_is_never_thinned_and_then_writes_are_refused(self, home):
        store, main = self.filled(home, "last:200", 20_000)
        held = []
        with pytest.raises(rrdstore.StoreFull) as full:  # noqa: PT012 - which of them is refused is the question
            for n in range(200):
                commit = main.set("/a", bytes(2200 + n))
                if n % 2:
                    store.tag(f"t{n}", commit) if len(store.tags) < 4 else store.pin(commit)
                    held.append(commit)
        assert full.value.needed > 0
        before = observed(store)
        with pytest.raises(rrdstore.StoreFull):
            main.set("/b", bytes(3000))
        assert all(commit.kept for commit in held)
        assert observed(store)["branches"] == before["branches"]
        main.remove("/a")
        assert main.list("/") == ()

    def test_a_branch_there_is_no_room_for_is_not_half_made(self, home):
        store, main = self.filled(home, "last:1", 4_000)
        main.set("/a", bytes(2000))
        store.tick()
        home.storage.room = 2_300
        before = observed(store)
        with pytest.raises(rrdstore.StoreFull):
            store.branch("new", create=True)
        assert observed(store) == before
        store.check()
        home.storage.room = 0
        assert store.branch("new", create=True).list("/") == ()

    def test_one_change_that_is_too_large_is_named(self, home):
        store, main = self.filled(home, "last:1", 0)
        home.storage.largest = 3000
        before = observed(store)
        with pytest.raises(rrdstore.TooLarge) as refused:
            main.set("/a", bytes(5000))
        assert refused.value.limit == 3000
        assert refused.value.size > 5000
        assert observed(store) == before
