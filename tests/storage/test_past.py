"""Any history reads from the file as it was made, and what is freed is exactly what a full mark finds."""

from random import Random

import pytest

from rrdstore.storage import replaced, ringfile, storing, ticking
from rrdstore.storage.codec import referred
from rrdstore.storage.freeing import Freeing
from rrdstore.storage.layout import CHARGE
from rrdstore.storage.packing import LENGTH, LENGTH_BITS
from tests.storage.conftest import SIZE, SLOTS, sampled, total
from tests.storage.past import Past


def live(path, seed, steps=70, **shape):
    """Forks, merges, reverts, deletions; ticks and reopenings in between."""
    random = Random(seed)
    storage = sampled(ringfile.create(path, SIZE, SLOTS, sync="none"))
    storage.state()
    past = Past(storage, random, **shape)
    try:
        for _ in range(steps):
            past.step()
            past.thin(12)
            if random.random() < 0.35:
                past.tick()
                assert past.storage.check() == []
                assert total(path) <= SIZE
                if random.random() < 0.2:
                    past.verify()
                if random.random() < 0.15:
                    past.storage.close()
                    past.reopened(sampled(ringfile.open(path, sync="none")))
        past.tick()
        past.verify()
        assert past.storage.check() == []
    finally:
        past.storage.close()


@pytest.mark.parametrize("seed", range(16))
def test_any_history(path, seed):
    live(path, seed)


@pytest.mark.parametrize("seed", range(4))
def test_any_history_of_a_wide_directory(path, seed):
    live(path, seed, names=34, values=8)


@pytest.mark.parametrize("few", [replaced.FEW, 3])
def test_what_is_remembered_to_die_is_what_the_walk_finds(path, monkeypatch, few):
    """Children first too, as a crash may cut the freeing short and the walk then goes on from the root.

    Whether it is few objects, or many whose numbers are packed.
    """
    for module in (replaced, ticking):
        monkeypatch.setattr(module, "FEW", few)
    free, seen = Freeing.free, []

    def compared(freeing, dying):
        if dying.objects is None:
            yield from free(freeing, dying)
            return
        lengths = {one >> LENGTH_BITS: one & LENGTH for one in dying.objects}
        walked = list(freeing.private(dying.root, dying.floor, dying.beside))
        assert lengths.keys() == set(walked)
        assert all(freeing._objects.weight(one) == max(CHARGE, size) for one, size in lengths.items() if size)
        below = {number: set(referred(freeing.references(number))) for number in walked}
        left = set(walked)
        there = [slot for slot, _, _ in freeing._objects.places()]
        for some in free(freeing, dying):
            still = {slot for slot, _, _ in freeing._objects.places()}
            gone = [number for number in left if number % freeing._objects.count not in still]
            assert len(gone) == some <= len(there) - len(still)  # what is in pieces takes more places than one
            left.difference_update(gone)
            there = list(still)
            for number in gone:
                assert not below[number] & left
            yield some
        assert not left
        seen.append(len(walked))

    monkeypatch.setattr(Freeing, "free", compared)
    for seed in range(4):
        live(f"{path}{seed}", seed, steps=90)
    assert len(seen) > 20
    assert max(seen) > 5


def test_sharing_with_other_lines_would_lose_live_data(path, monkeypatch):
    """The rule that costs copies: without it these histories break, so they can tell."""
    monkeypatch.setattr(storing, "_same", lambda part, was: part is was or part.number != 0)
    lost = 0
    for seed in range(3):
        try:
            live(f"{path}{seed}", seed)
        except Exception:  # noqa: BLE001 - whatever way it is noticed in
            lost += 1
    assert lost >= 2


def test_a_fork_point_that_nobody_keeps_stays_for_storage_only_and_then_goes(path):
    random = Random(1)
    storage = ringfile.create(path, SIZE, SLOTS, sync="none")
    storage.state()
    past = Past(storage, random)
    main = past.branches[1]
    for _ in range(3):
        past.change(main)
    past.fork(main)
    work = past.branches[2]
    point = main.head
    past.change(main)
    past.change(work)
    past.tick()
    past.let_go(point)
    past.tick()
    assert point not in [record.number for record in storage.state().commits]
    assert storage.check() == []
    past.kept = {record.number: record for record in storage.state().commits}
    past.verify()
    before = storage.usage().objects
    past.delete(work)
    past.tick()
    past.verify()
    assert storage.check() == []
    assert storage.usage().objects < before
    storage.close()
