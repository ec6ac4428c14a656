"""Objects against a dict, up to the brim, with the file read back."""

from itertools import repeat
from random import Random

import pytest

from rrdstore.errors import Corrupt, StoreFull, Unwritable
from rrdstore.storage import container, creation
from rrdstore.storage.codec import NODE, PIECE
from rrdstore.storage.layout import CHARGE, SPARE, least, plan
from rrdstore.storage.objects import Objects
from rrdstore.storage.packing import Missing


@pytest.fixture
def held(tmp_path):
    path = str(tmp_path / "s.rrdb")
    creation.create(path, plan(least(16), 16), b"u" * 16, 0, None)
    held = container.connect(path, readonly=False, durable=False)
    yield held
    held.close()


def test_an_object_is_read_as_it_was_added(held):
    objects = Objects(held)
    sizes = (0, 1, 900, 1007, 1008, 1009, 5000, 200_000)
    contents = {size: Random(size).randbytes(size) for size in sizes}
    numbers = {size: objects.add(NODE, contents[size]) for size in sizes}
    objects.commit()
    for fresh in (objects, Objects(held)):
        for size in sizes:
            assert fresh.read(numbers[size]) == (NODE, contents[size])
    assert sorted(numbers.values()) == list(numbers.values())


def test_numbers_rise_and_are_never_used_again(held):
    objects = Objects(held)
    seen = []
    for _ in range(3):
        seen += [objects.add(NODE, b"x") for _ in range(50)]
        for number in seen[-50:]:
            objects.free(number)
        objects.commit()
        objects = Objects(held)
    assert seen == sorted(set(seen))


def test_a_number_whose_place_is_taken_is_skipped(held):
    objects = Objects(held)
    stays = [objects.add(NODE, b"stays") for _ in range(5)]
    count = objects.count
    for _ in range(count):
        objects.free(objects.add(NODE, b"goes"))
    late = [objects.add(NODE, b"late") for _ in range(10)]
    assert not {number % count for number in late} & {number % count for number in stays}
    assert all(objects.read(number) == (NODE, b"stays") for number in stays)
    with pytest.raises(Missing):
        objects.read(late[0] - count)


def test_freeing_frees_the_pieces_and_doing_it_again_does_nothing(held):
    objects = Objects(held)
    number = objects.add(NODE, bytes(300_000))
    assert len(objects.pieces(number)) >= 300
    assert objects.superblock.charged > 300_000
    assert objects.weight(number) == objects.superblock.charged
    objects.free(number)
    objects.free(number)
    objects.commit()
    assert (objects.superblock.charged, objects.superblock.objects) == (0, 0)
    assert not list(Objects(held).places())
    with pytest.raises(Missing):
        objects.read(number)


@pytest.mark.parametrize("seed", range(6))
def test_any_history_up_to_the_brim_reads_as_a_dict_does(held, seed):
    random = Random(seed)
    objects = Objects(held)
    room = held.layout.room
    model: dict[int, bytes] = {}
    largest = random.choice((40, 300, 3000, 30_000))
    # The cruellest size: one more of these never fits where another begins.
    cruel = held.layout.segment // 16 - 31 if seed == 5 else 0
    for step in range(1500):
        size = cruel or random.randrange(largest)
        if objects.superblock.charged + max(CHARGE, size * 17 // 16 + 64) <= room and random.random() < 0.9:
            data = random.randbytes(size)
            model[objects.add(NODE, data)] = data
        else:
            for number in random.sample(sorted(model), min(len(model), random.choice((1, 1, 5)))):
                del model[number]
                objects.free(number)
        if step % 50 == 0:
            objects.commit()
            objects.clean(SPARE + 2)
            assert container.file_size(held.path + "-wal") <= held.layout.wal
        if step % 500 == 499:
            objects.commit()
            objects = Objects(held)
            assert {number: objects.read(number)[1] for number in model} == model
    objects.commit()
    fresh = Objects(held)
    assert {number: fresh.read(number)[1] for number in model} == model
    pieces = sum(len(fresh.pieces(number)) for number in model)
    assert len(list(fresh.places())) == len(model) + pieces == fresh.superblock.objects
    assert fresh.superblock.charged == sum(fresh.weight(number) for number in model)


def test_beyond_the_brim_is_full_and_what_was_there_is_there(held):
    objects = Objects(held)
    kept = {objects.add(NODE, bytes([i]) * 1000): bytes([i]) * 1000 for i in range(100)}
    objects.commit()
    with pytest.raises(StoreFull):
        list(map(objects.add, repeat(NODE), repeat(bytes(1000))))
    objects.load()
    assert all(objects.read(number) == (NODE, data) for number, data in kept.items())


def test_a_transaction_that_fails_changes_nothing(held, monkeypatch):
    objects = Objects(held)
    number = objects.add(NODE, b"before")
    objects.commit()
    before = objects.superblock.charged
    other = objects.add(NODE, b"never")
    objects.free(number)
    monkeypatch.setattr(held, "put_superblock", lambda superblock: held.execute("INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(Corrupt):
        objects.commit()
    monkeypatch.undo()
    assert objects.read(number) == (NODE, b"before")
    assert objects.superblock.charged == before
    with pytest.raises(Missing):
        objects.read(other)
    assert objects.read(objects.add(NODE, b"after")) == (NODE, b"after")


def test_a_flipped_bit_is_found_and_named(held):
    objects = Objects(held)
    number = objects.add(NODE, b"content of the object")
    objects.commit()
    _, segment, offset = next(objects.places())
    for at in (offset, offset + 8, offset + 11, offset + 12, offset + 20):
        with held.transaction(4):
            whole = bytearray(held.read_segment(segment))
            whole[at] ^= 0x10
            held.write_segment(segment, 0, bytes(whole))
        with pytest.raises((Corrupt, Missing), match=f"object {number}"):
            Objects(held).read(number)
        with held.transaction(4):
            whole[at] ^= 0x10
            held.write_segment(segment, 0, bytes(whole))


def test_an_object_with_a_missing_piece_is_not_read(held):
    objects = Objects(held)
    number = objects.add(NODE, bytes(3000))
    piece = objects.pieces(number)[1]
    assert objects.read(piece)[0] == PIECE
    objects.free(piece)
    with pytest.raises(Missing):
        objects.read(number)
    objects.commit()


def test_the_file_cannot_grow(held):
    with pytest.raises(Unwritable), held.transaction(1000):
        held.execute("INSERT INTO seg VALUES (9999, zeroblob(60000000))")
    assert held.superblock().pages * 4096 == container.file_size(held.path)


def test_what_was_written_does_not_stay_in_memory(tmp_path):
    path = str(tmp_path / "s.rrdb")
    creation.create(path, plan(6 << 20, 16), b"u" * 16, 0, None)
    held = container.connect(path, readonly=False, durable=False)
    objects = Objects(held)
    for _ in range(20):
        for _ in range(160):
            objects.add(NODE, bytes(objects.most))
        objects.commit()
    written = sum(map(bool, objects.segments.used)) * objects.segments.size
    assert sum(map(len, objects.segments._cache.values())) <= 2 << 20 < written
    held.close()
