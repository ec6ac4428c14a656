"""Tuning a policy: what stays is the plan's, at once and for good; crashes, limits, pressure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.policy import parse, plan
from rrdstore.storage.layout import KIB, MIB
from rrdstore.testing import ManualClock
from rrdstore.testing.homes import JournalledHome
from tests.policy.strategies import policies


def write(main, clock, count, gap=20):
    for number in range(count):
        clock.advance(gap)
        main.set("/n", b"%d" % number)


def kept(store, branch="main"):
    return [commit.number for commit in reversed(list(store.branch(branch).log())) if commit.branch == branch]


def test_a_coarser_policy_drops_at_once_what_its_plan_drops_and_says_so(home):
    store = home.create("last:30 1m:1h")
    main = store.branch("main")
    write(main, home.clock, 60)
    tagged = list(main.log())[10]
    store.tag("held", tagged)
    before = store.info()
    commits = [(store.ledger.history.graph.records[number].rt, number) for number in kept(store)]
    expected = plan(parse("last:3 2m:20m"), commits, {tagged.number: "tag held", kept(store)[-1]: "head"})
    ids = {commit.number: commit.id for commit in main.log()}
    said = store.tune("main", "2m:20m last:3")
    assert set(said.keep) == {ids[number] for number in expected.keep}
    assert said.drop == {ids[number]: ids[winner] for number, winner in expected.drop.items()}
    assert said.drop
    assert kept(store) == sorted(expected.keep)
    assert (said.before, said.after, main.keep) == ("last:30 1m:1h", "last:3 2m:20m", "last:3 2m:20m")
    assert (said.gained, said.lost) == (("last:3", "2m:20m"), ("last:30", "1m:1h"))
    assert (said.slots_before, said.slots_after, said.applied) == (90, 13, True)
    assert (said.bound_before, said.bound_after) == (before.bound, store.info().bound)
    assert said.tiers == store.info().branches[0].tiers
    assert store.plan().drop == {}


def test_a_finer_policy_loses_nothing_and_fills_from_now_on(home):
    store = home.create("1m:10m")
    main = store.branch("main")
    write(main, home.clock, 40, gap=30)
    had = kept(store)
    said = store.tune(main, "last:20 1m:10m")
    assert said.drop == {}
    assert kept(store) == had
    assert [(tier.tier, tier.used, tier.rows) for tier in said.tiers] == [("last:20", 10, 20), ("1m:10m", 10, 10)]
    assert said.gained == ("last:20",)
    write(main, home.clock, 20, gap=1)
    assert kept(store)[-20:] == list(range(store.info().commits - 19, store.info().commits + 1))


def test_a_dry_run_says_the_same_and_changes_nothing(home):
    store = home.create("last:30")
    write(store.branch("main"), home.clock, 40)
    before = kept(store)
    foretold = store.tune("main", "last:4 1m:1h", dry_run=True)
    assert (kept(store), store.branch("main").keep) == (before, "last:30")
    done = store.tune("main", "last:4 1m:1h")
    assert (foretold.applied, done.applied) == (False, True)
    for field in ("keep", "drop", "tiers", "plan", "gained", "lost", "bound_before", "bound_after", "slots_after"):
        assert getattr(foretold, field) == getattr(done, field), field


def test_the_policy_that_is_there_changes_nothing(home):
    store = home.create("last:4 1m:1h")
    write(store.branch("main"), home.clock, 20)
    rings = store.ledger.history.names["main"].rings
    assert not store.tune("main", "60x1m, last:4").applied
    assert store.ledger.history.names["main"].rings is rings


@pytest.mark.parametrize("keep", ["", "  ", "all:1h", "last:0", "2m:30m 5m:1h"])
def test_a_policy_that_cannot_be_is_refused_and_nothing_changes(store, main, keep):
    with pytest.raises(rrdstore.PolicyError):
        store.tune("main", keep)
    assert main.keep == "last:8 1s:1m"
    with pytest.raises(rrdstore.NotFound):
        store.tune("mian", "last:3")


def test_more_slots_than_the_store_has_are_refused_naming_the_least_size(tmp_path):
    with rrdstore.create(tmp_path / "s.rrdb", 2 * MIB, "last:40") as store:
        store.branch("main").fork("work", "last:8")
        limit = store.ledger.storage.max_slots
        store.tune("main", f"last:{limit - 8}")
        for branch, keep in (("main", f"last:{limit - 7}"), ("work", "last:500")):
            with pytest.raises(rrdstore.LimitReached) as full:
                store.tune(branch, keep)
            assert full.value.limit == limit
            assert store.branch("main").keep == f"last:{limit - 8}"
            # It is the least: there both fit, and 64 KiB below either `create` or `fork` refuses.
            main, work = (keep, "last:8") if branch == "main" else (f"last:{limit - 8}", keep)
            for size, fits in ((full.value.least, True), (full.value.least - 64 * KIB, False)):
                path = tmp_path / f"{branch}{size}.rrdb"
                try:
                    with rrdstore.create(path, size, main) as other:
                        other.branch("main").fork("work", work)
                except (rrdstore.TooSmall, rrdstore.LimitReached):
                    assert not fits
                else:
                    assert fits
    assert str(full.value).startswith(
        f"{limit - 8 + 500} slots of policies wanted, this store has {limit}; a store of "
    )


def test_what_no_size_has_names_none():
    assert rrdstore.LimitReached("slots", 3, wanted=5).least == 0


@settings(max_examples=40, deadline=None)
@given(before=policies(), after=policies(), gaps=st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_a_tuned_branch_goes_on_as_the_plan_of_all_that_stayed_and_came(before, after, gaps):
    clock = ManualClock()
    with rrdstore.memory(str(before), clock=clock) as store:
        main = store.branch("main")
        write_gaps(main, clock, gaps)
        records = store.ledger.history.graph.records
        had = [(records[number].rt, number) for number in kept(store)]
        said = store.tune("main", str(after))
        assert set(kept(store)) == set(said.plan.keep) == set(plan(after, had, {had[-1][1]: "head"}).keep)
        made = [(record.rt, record.number) for record in write_gaps(main, clock, gaps)]
        assert kept(store) == sorted(plan(after, had + made, {made[-1][1]: "head"}).keep)
        assert store.plan().drop == {}


def write_gaps(main, clock, gaps):
    made = []
    for gap in gaps:
        clock.advance(gap)
        commit = main.set("/n", b"%d" % gap)
        made.append(main._ledger.history.graph.records[commit.number])
    return made


def test_a_crash_gives_all_of_the_old_or_all_of_the_new():
    home = JournalledHome()
    with home.create("last:30 1m:1h") as store:
        write(store.branch("main"), home.clock, 40)
        old = kept(store)

        def left(one):
            with one.image().open() as again:
                return again.branch("main").keep, kept(again)

        with home.refusing() as refused, pytest.raises(refused):
            store.tune("main", "last:3")
        assert (store.branch("main").keep, kept(store)) == left(home) == ("last:30 1m:1h", old)
        said = store.tune("main", "last:3")
        assert kept(store) == [int(id_.split("-")[0]) for id_ in said.keep]
        with home.failing() as failed, pytest.raises(failed):
            store.tick()
        for done in (False, False, True):
            assert left(home) == ("last:3", old[-3:])
            assert store.tick(0) == done
        assert left(home) == ("last:3", old[-3:])
        assert home.disk.journal == []


def test_a_tuned_store_is_the_same_when_opened_again(lasting):
    with lasting.create("last:30 1m:1h") as store:
        write(store.branch("main"), lasting.clock, 60)
        store.tune("main", "last:3 1h:1d *:5")
        had, state = kept(store), store.ledger.history.names["main"].rings.state()
    with lasting.open() as store:
        assert (kept(store), store.branch("main").keep) == (had, "last:3 1h:1d *:5")
        assert store.ledger.history.names["main"].rings.state() == state
        assert store.check() == []
    with lasting.open(readonly=True) as store:
        assert not store.tune("main", "last:1", dry_run=True).applied
        with pytest.raises(rrdstore.ReadOnly):
            store.tune("main", "last:1")


def test_tuning_another_branch_leaves_main_alone(home):
    store = home.create("last:30")
    main = store.branch("main")
    write(main, home.clock, 10)
    work = main.fork("work", "last:20")
    write(work, home.clock, 25)
    had = kept(store)
    said = store.tune(work, "last:2")
    assert len(said.drop) == 18
    assert kept(store) == had
    assert main.merge("work").number == store.info().commits


def test_figures_of_bytes_are_those_of_the_file(tmp_path):
    clock = ManualClock()
    with rrdstore.create(tmp_path / "s.rrdb", 4 * MIB, "last:50", clock=clock) as store:
        main = store.branch("main")
        for number in range(50):
            main.set(f"/dir/{number}", b"x" * 100)
        for number in range(200):
            main.set(f"/dir/{number % 50}", b"%100d" % number)
        store.tick()
        full = store.info().live
        said = store.tune("main", "last:25", dry_run=True)
        assert abs(said.full_before - full) <= 0.05 * full
        store.tune("main", "last:25")
        store.tick()
        assert abs(said.full_after - store.info().live) <= 0.1 * full
        assert store.info().live < 0.7 * full
        assert store.check() == []
