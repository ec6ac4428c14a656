"""Policies and compactions in the journal: one decision, found as it was, whatever is not in the journal."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from rrdstore.storage.protocol import Fitted
from rrdstore.testing.homes import FileHome, JournalledHome, NarrowHome
from rrdstore.testing.journalled import Failed
from tests.store.observed import observed

KEEPS = ("last:4", "last:9 2s:20s", "1s:8@first", "last:2 4s:40s *:6", "3c:5 *:3")


def numbers(store, branch="main"):
    return sorted(commit.number for commit in store.branch(branch).log())


def recovered(home, read=observed):
    """What a crash now would leave."""
    left = home.image()
    try:
        with left.open() as again:
            assert again.check() == []
            return read(again)
    finally:
        left.end()


@pytest.fixture(params=[JournalledHome, FileHome])
def home(request):
    made = request.param()
    yield made
    made.end()


def write(home, branch, count, gap=1.0):
    for number in range(count):
        home.clock.advance(gap)
        branch.set(f"/k{number % 3}", b"%d" % number)


def test_what_only_a_snapshot_kept_and_the_new_tiers_took_is_there_after_a_crash(home):
    with home.create("last:3") as store:
        main = store.branch("main")
        write(home, main, 2)
        store.tick()
        held = main.at("now")
        write(home, main, 4)
        newer = main.at("now")
        write(home, main, 5)
        store.tune("main", "last:20")
        for snapshot in (held, newer):
            snapshot.close()
        write(home, main, 1)
        assert {held.commit.number, newer.commit.number} < set(numbers(store))
        assert recovered(home) == observed(store)


def test_what_the_journal_named_before_it_was_thinned_is_not_taken_into_new_tiers(home):
    """Recovery holds what a tag named until all is done again; when the policy came it had gone."""
    with home.create("last:3") as store:
        main = store.branch("main")
        write(home, main, 3)
        tagged = main.head
        store.tag("t", tagged)
        write(home, main, 5)
        store.untag("t")
        assert not tagged.kept
        store.tune("main", "last:20")
        assert recovered(home) == observed(store)


def test_what_pressure_took_stays_taken_by_the_tiers_that_follow():
    home = NarrowHome()
    with home.create("last:60") as store:
        write(home, store.branch("main"), 60)
        assert store.info().pressed
        store.tune("main", "last:60 1s:2m")
        assert store.info().pressed
        assert recovered(home, lambda again: again.info().branches) == store.info().branches


def test_all_branches_of_a_compaction_are_one_entry(home):
    with home.create("last:12") as store:
        work = store.branch("main").fork("work", "last:12")
        for branch in (store.branch("main"), work):
            write(home, branch, 12)
        store.tick()
        gone = store.compact(keep="last:2")
        entries = store.ledger.storage.state().pending
        assert len(gone) == 20
        assert [(type(entry), len(entry.fits)) for entry in entries] == [(Fitted, 2)]
        assert store.compact(keep="last:2") == ()
        assert store.ledger.storage.state().pending == entries


def test_what_does_not_fit_the_journal_is_stored_or_nothing_has_happened(monkeypatch):
    home = JournalledHome()
    with home.create("last:12") as store:
        write(home, store.branch("main"), 12)
        before = observed(store)
        for change in (lambda: store.tune("main", "last:3"), lambda: store.compact(keep="last:2")):
            with monkeypatch.context() as full:
                full.setattr(home.storage, "append", lambda entry: False)
                with home.failing(), pytest.raises(Failed):
                    change()
                assert observed(store) == before == recovered(home)
                change()
            assert store.unstored == 0
            assert recovered(home) == observed(store) != before
            before = observed(store)


@pytest.mark.parametrize("seed", range(4))
def test_in_slices_and_crashed_between_them_it_is_what_it_is_at_once(seed):
    """One store goes on in slices, the other has everything stored after each change of policy."""
    choose, homes = random.Random(seed), (FileHome(), FileHome())
    stores = [each.create("last:9 2s:20s") for each in homes]
    opened, refitted, crashes = [], 0, 0
    for one in stores:
        one.branch("main").fork("work", "last:5")
    for step in range(160):
        what, where, keep = choose.random(), choose.choice(("main", "main", "work")), choose.choice(KEEPS)
        gap, key = choose.choice((0, 0.3, 1, 5)), choose.randrange(40)
        said = []
        for at, (home, store) in enumerate(zip(homes, stores, strict=True)):
            home.clock.advance(gap)
            branch = store.branch(where)
            if what < 0.75:
                said.append(branch.set(f"/d{key % 6}/k{key}", b"%d" % step).number)
            elif what < 0.8:
                opened.append((at, branch.at("now")))
            elif what < 0.84:
                mine = [snapshot for owner, snapshot in opened if owner == at]
                if mine:
                    mine[0].close()
                    opened.remove((at, mine[0]))
            elif what < 0.92:
                done = store.tune(where, keep)
                said.append((sorted(int(id_.split("-")[0]) for id_ in done.drop), done.tiers, done.gained, done.lost))
            else:
                said.append([int(id_.split("-")[0]) for id_ in store.compact(where, keep)])
            if at and what >= 0.84:
                store.tick()
        assert said[: len(said) // 2] == said[len(said) // 2 :]
        refitted += what >= 0.84
        stores[0].tick(0)
        if what >= 0.84 or step % 20 == 0:
            crashes += 1
            assert len({repr(recovered(home, without_ids)) for home in homes}) == 1
    assert refitted > 12 < crashes
    for store in stores:
        with closing(store):
            while not store.tick(0):
                pass
            assert store.check() == []
    assert len({repr(without_ids(home.open(readonly=True))) for home in homes}) == 1
    for home in homes:
        home.end()


def without_ids(store):
    return observed(store, ids=False)
