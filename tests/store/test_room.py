"""What is reserved for a change is at least what it takes in the file, and not absurdly more."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.history.commit import Edit
from rrdstore.storage.layout import CHARGE
from rrdstore.storage.objects import Objects
from rrdstore.store import costs
from rrdstore.store.costs import ENTRY, FIXED, RECORD, change_cost
from rrdstore.testing.homes import FileHome
from rrdstore.tree.edit import EMPTY

if TYPE_CHECKING:
    from pathlib import Path

names = st.sampled_from(["a", "b", "c", "a rather long name, as domains and devices have", "é" * 40, "n" * 300])
wide = st.integers(0, 90).map("n{}".format)
places = st.lists(names, min_size=1, max_size=3) | st.tuples(st.sampled_from("ab"), wide).map(list)
lengths = st.sampled_from([0, 1, 20, 150, 192, 193, 250, 900, 1100, 5000, 20_000])
edits = st.lists(
    st.tuples(
        places.map(lambda place: "/" + "/".join(place)), st.none() | lengths, st.none() | st.sampled_from([0, 9])
    ),
    min_size=1,
    max_size=50,
)


@settings(max_examples=25)
@given(st.lists(edits, min_size=1, max_size=6))
def test_a_change_takes_no_more_than_was_reserved_for_it(changes):
    home = FileHome()
    with home.create("last:60") as store:
        main = store.branch("main")
        for change in changes:
            before, live = main.tree, store.info().live
            with main.transaction() as tx:
                for path, length, meta in change:
                    if length is not None:
                        tx.set(path, bytes(length), None if meta is None else bytes(meta))
                    elif path in tx:
                        tx.remove(path)
                cost = change_cost(before.root, tx.edits)
                if cost > store.ledger.storage.largest:
                    tx.abort()
            store.tick()
            assert store.info().live - live <= cost
    home.end()


def test_commits_that_were_thinned_before_they_were_stored_are_stored_with_the_next():
    """Each changed another place: the tick stores them all, so all must have been reserved."""
    home = FileHome()
    with home.create("last:1") as store:
        main = store.branch("main")
        live = store.info().live
        for n in range(200):
            main.set(f"/{n % 7}/{n}", bytes(150))
        reserved = store.ledger.room.reserved
        assert store.unstored == 1
        store.tick()
        assert 0 < store.info().live - live <= reserved
        assert store.ledger.room.reserved == 0
    home.end()


def test_many_changes_of_one_place_are_reserved_once_in_a_commit():
    """The set they share is written once, however many of them there are."""
    home = FileHome()
    with home.create("last:9") as store:
        main = store.branch("main")
        main.set("/local/domain/1/name", b"web1")
        one = change_cost(main.tree.root, (Edit("/local/domain/1/a", b"x"),))
        many = change_cost(main.tree.root, tuple(Edit(f"/local/domain/1/{n}", b"x") for n in range(30)))
        assert many < one + 30 * 200
    home.end()


def random_edits(dice: random.Random, tree: rrdstore.Tree) -> tuple[Edit, ...]:
    """A write, a removal, or several writes below one directory; narrow and wide ones, small and large values."""
    width = dice.choice((5, 33, 40, 600))
    path = "/" + "/".join(f"n{dice.randrange(width)}" for _ in range(dice.choice((1, 2, 3, 4))))
    kind = dice.random()
    if kind < 0.25 and path in tree:
        return (Edit(path, None),)
    if kind < 0.45:
        sizes = [dice.choice((1, 60, 192, 300, 5000)) for _ in range(dice.randrange(1, 60))]
        return tuple(Edit(f"{path}/k{number}", dice.randbytes(size)) for number, size in enumerate(sizes))
    return (Edit(path, dice.randbytes(dice.choice((1, 20, 190, 1000, 3000))), dice.choice((None, b"n0"))),)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_reservation_is_a_bound_in_wide_directories_and_a_close_one(tmp_path: Path, seed: int) -> None:
    """Every commit is stored by itself and weighed; a loose bound would thin a store long before it is full."""
    dice = random.Random(seed)
    with rrdstore.create(tmp_path / "host.rrdb", size="64MiB", keep="last:4000", sync="none") as store:
        main, ledger = store.branch("main"), store.ledger
        taken = reserved = 0
        for _ in range(1000):
            edits = random_edits(dice, main.tree)
            cost, before = change_cost(main.tree.root, edits), store.info().live
            ledger.commit(ledger.history.line("main"), edits, "change", "")
            store.tick()
            grown = store.info().live - before
            assert grown <= cost, f"seed {seed}: {edits!r:.200}"
            taken, reserved = taken + grown, reserved + cost
        assert reserved < 2 * taken


@pytest.mark.parametrize("seed", [1, 2])
def test_the_reservation_of_a_transaction_is_a_bound_and_a_close_one(tmp_path: Path, seed: int) -> None:
    """Its tree is known, so what will be written of it is counted; of two in a row, each is stored by itself."""
    dice = random.Random(seed)
    with rrdstore.create(tmp_path / "host.rrdb", size="64MiB", keep="last:4000", sync="none") as store:
        main, ledger = store.branch("main"), store.ledger
        taken = reserved = 0
        for _ in range(300):
            before = store.info().live
            for _ in range(2):
                with main.transaction() as tx:
                    for _ in range(dice.randrange(1, 4)):
                        for edit in random_edits(dice, tx.tree):
                            tx.remove(edit.path) if edit.value is None else tx.set(*edit)
            cost = ledger.room.reserved
            store.tick()
            grown = store.info().live - before
            assert grown <= cost, f"seed {seed}"
            taken, reserved = taken + grown, reserved + cost
        assert reserved < 2 * taken


@pytest.mark.parametrize("leaves", [1, 16, 32])
def test_names_are_reserved_for_even_if_their_values_are_empty(leaves):
    """In a bucket of tiny leaves nearly all of an object is what a name takes beside itself, in an old store most."""
    home = FileHome()
    with home.create("last:60") as store:
        main = store.branch("main")
        store.ledger.number = 1 << 40  # as after a thousand commits a second for thirty years
        with main.transaction() as tx:
            for n in range(leaves):
                tx.set(f"/{n}", b"")
        store.tick()
        for _ in range(3):
            before, live = main.tree, store.info().live
            main.set("/0", b"")
            store.tick()
            assert store.info().live - live <= change_cost(before.root, (Edit("/0", b""),)) - RECORD
    home.end()


def lively(store, choose):
    """Sets, removals, reverts and a fork that merges; all stored."""
    main = store.branch("main")
    main.set("/a", b"begun")
    work = main.fork("work", "last:20")
    for number in range(80):
        where = choose.choice((main, main, work))
        if number % 20 == 19:
            with contextlib.suppress(rrdstore.Conflict):
                main.merge(work)
        elif number % 9 == 8 and "/b" in where:
            where.remove("/b")
        else:
            value = b"%0*d" % (choose.choice((1, 300, 9000)), number % 3)
            where.set(f"/{choose.choice('abc')}/{choose.randrange(40)}/{where.name}", value)
    store.tick()


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_commits_that_are_thinned_together_free_what_was_foretold_at_least(seed, opened, tmp_path):
    """What is remembered tells it, or the objects where nobody remembers, as after an opening."""
    choose, told, freed, times = random.Random(seed), 0, 0, 0
    store = rrdstore.create(tmp_path / "s.rrdb", size="8MiB", keep="last:60", sync="none")
    lively(store, choose)
    if opened:
        store.close()
        store = rrdstore.open(tmp_path / "s.rrdb", sync="none")
    storage, history = store.ledger.storage, store.ledger.history
    while True:
        live, foretell, least = store.info().live, storage.foretell(look=True), storage.foretell(look=False)
        for _ in range(choose.randrange(1, 7)):
            history.relieve()
        if not history.gone:
            break
        foretold = sum(map(foretell, history.gone))
        assert sum(map(least, history.gone)) <= foretold
        store.tick()
        assert foretold <= live - store.info().live
        times, told, freed = times + 1, told + foretold, freed + live - store.info().live
    assert times > 8
    assert told > freed * 3 // 4, "of a value in pieces it is the least that it can have"
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("opened", [False, True])
def test_what_a_commit_takes_is_told_by_a_few_objects(opened, tmp_path, monkeypatch):
    """As weighing all of the newest tree tells it, where commits are of very different sizes."""
    choose, path = random.Random(1), tmp_path / "s.rrdb"
    keys = [f"/{first}/{second}/{third}" for first in range(40) for second in range(5) for third in range(10)]
    store = rrdstore.create(path, size="32MiB", keep="last:400", sync="none")
    main = store.branch("main")
    for step in range(300):
        with main.transaction() as tx:
            for key in choose.sample(keys, 2000 if step in (0, 100) else choose.choice((1, 1, 1, 30))):
                tx.set(key, b"%020d" % step)
        if step % 20 == 0:
            store.tick()
    store.tick()
    if opened:
        store.close()
        store = rrdstore.open(path, sync="none")
    with store, rrdstore.open(path, readonly=True) as reader:
        looked = []
        weight = Objects.weight
        monkeypatch.setattr(Objects, "weight", lambda own, number: looked.append(number) or weight(own, number))
        records = [list(one.ledger.history.graph.records.values()) for one in (store, reader)]
        found, true = (one.ledger.storage.each(some) for one, some in zip((store, reader), records, strict=True))
        assert 0.8 < found / true < 1.25
        assert len(looked) < 600 < store.info().objects // 8


@pytest.mark.parametrize("removed", [False, True])
def test_a_chain_of_new_levels_is_judged_in_as_many_steps_as_it_has_levels(monkeypatch, removed):
    """Not in their square: whoever asks for one chooses how many."""
    looked = 0

    def counted(*given):
        nonlocal looked
        looked += 1
        return look(*given)

    look = costs.child
    monkeypatch.setattr(costs, "child", counted)
    chain = tuple(Edit("/a" * level, b"", b"meta") for level in range(1, 501))
    price = change_cost(EMPTY, (*chain, *([Edit("/a", None)] if removed else [])))
    assert looked <= 510
    assert RECORD + 500 * CHARGE <= price <= RECORD + 510 * (CHARGE + FIXED + ENTRY + 20)


@given(st.permutations([Edit("/a" * level, bytes(level), b"meta") for level in range(1, 12)]))
def test_what_edits_cost_together_is_no_matter_of_their_order(chain):
    """Going on from the edit before is a short cut and nothing else."""
    assert change_cost(EMPTY, tuple(chain)) == change_cost(EMPTY, tuple(sorted(chain)))
