"""Each kind of damage is found, and named where it is."""

import shutil
import sqlite3
from random import Random

import pytest

from rrdstore.errors import Corrupt, StoreError
from rrdstore.storage import ringfile
from rrdstore.storage.layout import KEPT, LOCATIONS_A_ROW
from rrdstore.storage.records import sealed
from rrdstore.tree import edit
from tests.storage.conftest import SIZE, SLOTS
from tests.storage.past import Past, content


@pytest.fixture
def past(path):
    storage = ringfile.create(path, SIZE, SLOTS, sync="none")
    storage.state()
    past = Past(storage, Random(9))
    for _ in range(25):
        past.step()
    past.tick()
    storage.close()
    return past


def damaged(path, statement, values=()):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement, values)
    connection.close()


def row(path, table, at):
    connection = sqlite3.connect(path, isolation_level=None)
    found = bytearray(connection.execute(f"SELECT d FROM {table} WHERE id = ?", (at,)).fetchone()[0])
    connection.close()
    return found


def problems(path, *, readonly=False):
    """What opening or checking says."""
    try:
        storage = ringfile.open(path, readonly=readonly, sync="none")
    except StoreError as fault:
        return [str(fault)]
    try:
        return [str(problem) for problem in storage.check()]
    finally:
        storage.close()


def test_a_sound_file_has_no_problems(path, past):
    assert problems(path) == []


@pytest.mark.parametrize("table", ["branch", "kept"])
def test_a_flipped_bit_in_a_row(path, past, table):
    data = row(path, table, 1)
    data[len(data) // 2] ^= 1
    damaged(path, f"UPDATE {table} SET d = ? WHERE id = 1", (bytes(data),))
    assert any(f"table {table}, row 1" in text and "checksum" in text for text in problems(path))


def test_a_location_that_no_number_has_come_to(path):
    storage = ringfile.create(path, 1 << 20, SLOTS, sync="none")
    last = storage._objects._layout.location_rows
    assert storage._objects.superblock.next < (last - 1) * LOCATIONS_A_ROW, "the last row is beyond what is read"
    storage.close()
    data = row(path, "loc", last)
    data[7] ^= 1
    damaged(path, "UPDATE loc SET d = ? WHERE id = ?", (bytes(data), last))
    assert [text.split(":")[0] for text in problems(path)] == [f"table loc, row {last}"]


def test_a_flipped_bit_in_the_superblock(path, past):
    damaged(path, "UPDATE meta SET v = zeroblob(128) WHERE k = 'superblock'")
    assert any("superblock" in text for text in problems(path))


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_in_an_object(path, past, seed):
    random = Random(seed)
    storage = ringfile.open(path, sync="none")
    places = sorted(storage._objects.places())
    storage.close()
    _, segment, offset = random.choice(places)
    data = row(path, "seg", segment + 1)
    data[offset + random.randrange(17)] ^= 1 << random.randrange(8)
    damaged(path, "UPDATE seg SET d = ? WHERE id = ?", (bytes(data), segment + 1))
    assert problems(path)
    storage = ringfile.open(path, sync="none")
    faults = []
    for record in storage.state().commits:
        try:
            assert content(storage.root(record)) == past.contents[record.number]
        except Corrupt as fault:
            faults.append(fault.where)
    assert faults, "what is damaged is not read as if it were sound"
    assert all("object" in where for where in faults)
    storage.close()


def test_a_leak_and_a_loss_and_a_wrong_count(path, past):
    storage = ringfile.open(path, sync="none")
    objects = storage._objects
    number = objects.add(1, b"nobody's")
    objects.superblock.top = number
    objects.commit()
    found = [str(problem) for problem in storage.check()]
    assert len(found) == 1
    assert f"object {number}: found alive, expected freed" in found[0]
    objects.free(number)
    assert storage.check() == []
    root = storage.state().commits[0].root_number
    objects.free(root)
    assert any(f"object {root}" in str(problem) for problem in storage.check())
    storage.close()


def test_counts_that_do_not_agree(path, past):
    storage = ringfile.open(path, sync="none")
    storage._objects.superblock.charged += 1
    storage._objects.segments.live[0] += 16
    found = " ".join(map(str, storage.check()))
    assert "superblock" in found
    assert "segment 0" in found
    storage.close()


def test_references_to_commits_that_are_not_kept(path, past):
    storage = ringfile.open(path, sync="none")
    layout = storage._layout
    storage.close()
    damaged(path, "UPDATE pin SET d = ? WHERE id = 1", (sealed(b"\x01\0\0\0" + b"\x99" * 8, 4032, "pin"),))
    data = row(path, "branch", 1)[:-4]
    data[7 + 8] ^= 0x55
    damaged(path, "UPDATE branch SET d = ? WHERE id = 1", (sealed(bytes(data), 4032, "branch"),))
    tag = sealed(b"\x01" + (5).to_bytes(4, "little") + (9999).to_bytes(8, "little") + b"t", 276, "tag")
    damaged(path, "UPDATE tag SET d = ? WHERE id = ?", (tag, layout.tags))
    found = " ".join(problems(path, readonly=True))
    assert "a pin" in found
    assert "head" in found
    assert "tag 't'" in found


def test_a_tag_that_is_gone_or_of_another_day_is_read_and_not_written(path, past):
    damaged(path, "UPDATE tag SET d = ? WHERE id = 1", (sealed(bytes(13) + b"t", 276, "tag"),))
    assert any("digest" in text for text in problems(path, readonly=True))
    with pytest.raises(Corrupt, match="digest"):
        ringfile.open(path, sync="none")


def test_a_file_that_grew(path, past):
    storage = ringfile.open(path, sync="none")
    storage.close()
    damaged(path, "CREATE TABLE stranger (x)")
    assert any("table 'stranger'" in text and "repaired" in text for text in problems(path))


@pytest.mark.parametrize("number", [1, 99])
def test_links_without_their_commit_and_more_links_than_it_has(path, past, number):
    storage = ringfile.open(path, sync="none")
    last = storage._layout.kept_rows
    number = number if number == 99 else storage.state().commits[0].number
    storage.close()
    links = sealed(b"\x03\0" + number.to_bytes(6, "little"), KEPT, "kept")
    damaged(path, "UPDATE kept SET d = ? WHERE id = ?", (links, last))
    assert any("table kept" in text and "links" in text for text in problems(path))


def test_a_reader_finds_damage_too(path, past):
    storage = ringfile.open(path, sync="none")
    _, segment, offset = next(iter(storage._objects.places()))
    storage.close()
    data = row(path, "seg", segment + 1)
    data[offset + 16] ^= 1
    damaged(path, "UPDATE seg SET d = ? WHERE id = ?", (bytes(data), segment + 1))
    reader = ringfile.open(path, readonly=True)
    assert reader.check()
    reader.close()


def test_a_damaged_object_does_not_stop_the_store(path, past):
    """Whatever is damaged: what is written from now on reads right, and what is lost is named and not read wrong."""
    survived = 0
    for seed in range(6):
        copy = f"{path}{seed}"
        for end in ("", "-ring"):
            shutil.copyfile(path + end, copy + end)
        random = Random(seed)
        storage = ringfile.open(copy, sync="none")
        places = sorted(storage._objects.places())
        storage.close()
        _, segment, offset = random.choice(places)
        data = row(copy, "seg", segment + 1)
        data[offset + random.choice((3, 9, 13, 16))] ^= 1 << random.randrange(8)
        damaged(copy, "UPDATE seg SET d = ? WHERE id = ?", (bytes(data), segment + 1))
        storage = ringfile.open(copy, sync="none")
        records = storage.state().commits
        fresh = Past(storage, random)
        fresh.number, fresh.fresh, fresh.kept, fresh.contents = records[-1].number, [], {}, {}
        main = fresh.branches[1]
        main.head = 0
        fresh.commit(main, edit.put(edit.EMPTY, ("fresh",), b"start", b"", 1, edit.new_edit()), ())
        for number in range(40):
            fresh.change(main)
            fresh.thin(5)
            if number == 1:
                fresh.gone += records
            if number % 4 == 1:
                fresh.tick()
                storage._objects.clean(storage._layout.segments)
        fresh.tick()
        fresh.verify()
        assert len(storage._ticks.kept) == len(fresh.kept)
        left = storage.check()
        survived += not left
        assert all(any(what in problem.where for what in ("object", "segment", "superblock")) for problem in left), left
        storage.close()
    assert survived < 6
