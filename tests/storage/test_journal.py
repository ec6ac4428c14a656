import os
import struct
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import Corrupt, Held, Locked
from rrdstore.history.branch import Meeting, Reach
from rrdstore.history.commit import Edit, Key
from rrdstore.storage import entries as entries_bytes
from rrdstore.storage import journal, locking, rings
from rrdstore.storage import ring as ring_records
from rrdstore.storage.protocol import Begun, Ended, Entry, Fit, Fitted, Pinned, Tagged, Unpinned, Untagged

SIZE = 64 << 10
UUID = bytes(range(16))

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
NUMBERS = st.integers(0, (1 << 64) - 1)
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
EPOCHS = st.integers(0, (1 << 32) - 1)
EDITS = st.one_of(
    st.builds(Edit, TEXT, st.none(), st.none()),
    st.builds(Edit, TEXT, st.binary(max_size=50), st.one_of(st.none(), st.binary(max_size=20))),
)
ENTRIES = st.builds(
    Entry,
    st.integers(1, (1 << 48) - 1),
    EPOCHS,
    NUMBERS,
    st.lists(st.builds(Key, NUMBERS, EPOCHS), max_size=3).map(tuple),
    TIMES,
    TIMES,
    TEXT,
    TEXT,
    st.lists(EDITS, max_size=4).map(tuple),
    st.binary(max_size=30),
    st.none()
    | st.builds(
        Meeting,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        st.builds(Reach, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
        st.none() | st.lists(EDITS, max_size=3).map(tuple),
    ),
)
FITS = st.builds(Fit, NUMBERS, TEXT, st.binary(max_size=40), st.lists(NUMBERS, max_size=5).map(tuple))
REFS = st.one_of(
    st.builds(Begun, NUMBERS, TEXT, TEXT, NUMBERS, NUMBERS, NUMBERS, TIMES, st.none() | ENTRIES),
    st.builds(Ended, NUMBERS),
    st.builds(Tagged, TEXT, st.builds(Key, NUMBERS, EPOCHS)),
    st.builds(Untagged, TEXT),
    st.builds(Pinned, NUMBERS),
    st.builds(Unpinned, NUMBERS),
    st.builds(Fitted, st.lists(FITS, max_size=3).map(tuple)),
)


def entry(number, size=10):
    edits = (Edit("/a", b"\xff" * size + b".", None),)
    return Entry(number, 1, 1, (Key(number - 1, 1),), number, -number, "me", "", edits, b"op")


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "s-ring")
    descriptor = locking.lock(path, make=True)
    rings.fill(descriptor, path, SIZE, UUID, generation=1)
    os.close(descriptor)
    return path


def recovered(ring, generation, start=ring_records.START):
    """The entries from there, where nothing is wrong."""
    entries, fault = ring.recover(generation, start)
    assert fault is None
    return entries


def stored(ring):
    """A tick, done at once."""
    ring.cut()
    ring.reset(*ring.rest())


class Opened:
    """A journal open for writing, closed at the end."""

    def __init__(self, path):
        self.journal = rings.attach(locking.lock(path), path, SIZE, UUID, readonly=False)

    def __enter__(self):
        return self.journal

    def __exit__(self, *error):
        self.journal.close()


def ref(number):
    """A change of refs, of each kind in turn; none ends in a zero, which the rest of the ring would make good."""
    large = number | 201 << 56
    first = Entry(number, 1, number, (), 5, 5, "", "made", ())
    changes = (
        Begun(number, f"branch é{number}", "last:3 1m:1h", 1, number, 7, -number),
        Tagged(f"tag é{number}", Key(number, 3)),
        Pinned(large),
        Begun(number, "bare", "*:2", first=first),
        Untagged(f"tag é{number}"),
        Unpinned(large),
        Ended(large),
        Fitted((Fit(number, "last:3", b"state", (1, number)), Fit(2, "*:2", b"", (large,)))),
    )
    return changes[number % len(changes)]


@given(ENTRIES | REFS)
def test_an_entry_comes_back_as_it_was(one):
    assert ring_records.decode(entries_bytes.encode(one)) == one


@given(st.binary(max_size=80), st.integers(0, 9))
def test_bytes_that_are_no_change_of_refs_are_refused(body, kind):
    """Whatever is decoded says the same bytes again: nothing is passed over."""
    data = struct.pack("<QII", 0, kind, 0) + body
    try:
        found = ring_records.decode(data)
    except (struct.error, ValueError):
        return
    if not isinstance(found, Begun):  # The commit in it is not looked at beyond its end.
        assert entries_bytes.encode(found) == data
    assert 1 <= kind <= 7


def test_entries_come_back_in_order_and_appending_goes_on(path):
    entries = [entry(number, number * 7) for number in range(1, 30)]
    with Opened(path) as ring:
        ring.reset(5)
        assert all(ring.append(one) for one in entries[:20])
    with Opened(path) as ring:
        assert recovered(ring, 5) == entries[:20]
        assert all(ring.append(one, flush=True) for one in entries[20:])
    with Opened(path) as ring:
        assert recovered(ring, 5) == entries
        assert recovered(ring, 6) == []


def test_what_an_earlier_tick_left_is_never_read(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 20):
            assert ring.append(entry(number))
        stored(ring)
        assert ring.used == 0
        for number in range(20, 25):
            assert ring.append(entry(number))
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 2)] == [20, 21, 22, 23, 24]


def test_a_journal_of_another_generation_is_an_older_or_newer_copy(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        ring.append(entry(1))
        stored(ring)
        ring.append(entry(2))
    with Opened(path) as ring:
        for generation in (1, 4, 9):
            entries, fault = ring.recover(generation)
            assert entries == []
            assert fault.where == path
            assert "generation 2" in fault.found
        assert recovered(ring, 2) == [entry(2)]
        # A tick was true, and the process ended before the ring was told.
        assert recovered(ring, 3) == []


def test_ticks_that_came_to_nothing_before_a_power_failure_are_no_other_days_copy(path, monkeypatch):
    """Each has cut; what none of them stored, nobody had waited for. A cut is behind a record, so there is a bound."""
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 5):
            ring.append(ref(number))
            ring.cut()
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: ring_records.START] + bytes(SIZE - ring_records.START))
    with Opened(path) as ring:
        assert "generation 4" in ring.recover(1)[1].found
    now = journal.boot()
    monkeypatch.setattr(journal, "boot", lambda: now + 1)
    with Opened(path) as ring:
        assert recovered(ring, 1) == []
        assert ring.append(ref(5))
        assert recovered(ring, 1) == [ref(5)]
    too_far = (2 + SIZE // ring_records.PREFIX).to_bytes(8, "little")
    Path(path).write_bytes(whole[:40] + too_far + whole[48:])
    monkeypatch.setattr(journal, "boot", lambda: now + 2)
    with Opened(path) as ring:
        assert ring.recover(1)[1].where == path


def test_torn_at_every_byte_all_before_is_kept_and_nothing_behind(path):
    entries = [make(number) for number in range(1, 8) for make in (partial(entry, size=3 * number), ref)]
    starts, ends = [], []
    with Opened(path) as ring:
        recovered(ring, 1)
        for one in entries:
            starts.append(ring_records.START + ring.used)
            ring.append(one)
            ends.append(starts[-1] + 16 + len(entries_bytes.encode(one)))
    whole = Path(path).read_bytes()

    def found(damaged):
        Path(path).write_bytes(damaged)
        with Opened(path) as ring:
            return ring.recover(1)

    for at in range(ring_records.START, ends[-1]):
        before = [one for one, end in zip(entries, ends, strict=True) if end <= at]
        kept, fault = found(whole[:at] + bytes(SIZE - at))
        assert kept == before
        assert fault.where == path
        padding = not any(start <= at < end for start, end in zip(starts, ends, strict=True))
        kept, fault = found(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        assert kept == (entries if padding else before)
        assert bool(fault) is not padding


def test_records_behind_a_damaged_one_do_not_return_when_it_is_written_over(path, monkeypatch):
    """After a start of the machine, that is: before it, a damaged record is an error."""
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 6):
            ring.append(entry(number))
        length = ring.used // 5
    with Path(path).open("r+b") as file:
        file.seek(ring_records.START + length + 30)
        file.write(b"\xff")
    with Opened(path) as ring:
        assert ring.recover(1)[1].where == path
    now = journal.boot()
    monkeypatch.setattr(journal, "boot", lambda: now + 1)
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 1)] == [1]
        ring.append(entry(2))
        assert ring.used == 2 * length
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 1)] == [1, 2]


def test_full_due_and_held(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        assert not ring.due
        assert not ring.append(entry(1, SIZE // 4))
        number = 0
        while not ring.due:
            number += 1
            assert ring.append(entry(number, 1000))
        assert SIZE // 2 <= ring.used + ring_records.START <= SIZE // 2 + 2000
        ring.hold()
        assert not ring.due
        while ring.append(entry(number + 1, 1000)) and ring.used < SIZE - 1300:
            number += 1
        assert ring.due
        with pytest.raises(Held):
            ring.append(entry(99, 2000))
        assert not ring.append(entry(99, SIZE // 4))
        stored(ring)
        assert not ring.append(entry(99, SIZE // 4))
        assert ring.append(entry(99, 2000))
        assert not ring.due
    with Opened(path) as ring:
        assert recovered(ring, 2) == [entry(99, 2000)]


def test_a_full_ring_that_nobody_holds_asks_to_be_stored_straight(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        while ring.append(entry(7, 1000)):
            pass
        assert ring.used > SIZE * 9 // 10
        assert len(recovered(ring, 1)) > 50


def test_one_writer(path):
    with Opened(path):
        with pytest.raises(Locked) as caught:
            locking.lock(path)
        assert caught.value.pid == os.getpid()
        assert caught.value.path == path.removesuffix("-ring")
        reader = rings.reader(path, SIZE, UUID)
        assert recovered(reader, 1) == []
        reader.close()
    with Opened(path):
        pass


@pytest.mark.parametrize("damage", ["short", "long", "magic", "owner", "gone"])
def test_a_ring_that_is_not_the_stores(path, damage):
    with Path(path).open("r+b") as file:
        if damage == "short":
            file.truncate(SIZE - 1)
        elif damage == "long":
            file.truncate(SIZE + 1)
        elif damage in {"magic", "owner"}:
            file.seek(0 if damage == "magic" else 8)
            file.write(b"?")
    if damage == "gone":
        Path(path).unlink()
    with pytest.raises(Corrupt) as caught:
        Opened(path)
    assert caught.value.where == path
    with pytest.raises(Corrupt):
        rings.reader(path, SIZE, UUID)


@given(
    st.lists(st.tuples(st.sampled_from(["append", "cut", "end", "reopen", "flush"]), st.integers(0, 9000)), max_size=80)
)
def test_at_every_moment_what_no_tick_covers_is_recovered(steps):
    """Cuts, ticks that end and ticks that fail, round and round the ring; the oracle is a list."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s-ring"
        descriptor = locking.lock(path, make=True)
        rings.fill(descriptor, path, SIZE, UUID, generation=1)
        ring = rings.attach(descriptor, path, SIZE, UUID, readonly=False)
        where, pending, cut, number = (1, ring_records.START), [], None, 0
        assert recovered(ring, *where) == []
        for what, size in steps:
            if what in {"append", "flush"}:
                number += 1
                one = entry(number, size)
                if ring.append(one, flush=what == "flush"):
                    pending.append(one)
                else:
                    assert ring.used > SIZE - 3 * 9200, "room was left"
            elif what == "cut":
                ring.cut()
                cut = len(pending)
            elif what == "end" and cut is not None:
                where = ring.rest()
                reader = rings.reader(path, SIZE, UUID)
                assert recovered(reader, *where) == pending[cut:]
                reader.close()
                ring.reset(*where)
                pending, cut = pending[cut:], None
            elif what == "reopen":
                ring.close()
                ring = rings.attach(locking.lock(path), path, SIZE, UUID, readonly=False)
                assert recovered(ring, *where) == pending
                cut = None
            reader = rings.reader(path, SIZE, UUID)
            assert recovered(reader, *where) == pending
            assert reader.used == ring.used
            reader.close()
        ring.close()


def test_the_ring_goes_round(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 1000):
            assert ring.append(entry(number, 700))
            if not number % 10:
                if number > 10:
                    where = ring.rest()
                    ring.reset(*where)
                    assert ring.used < 20 * 800
                ring.cut()
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, *where)] == list(range(981, 1000))
        assert ring.append(entry(1000, 700))
        assert [one.number for one in recovered(ring, *where)] == list(range(981, 1001))


def test_what_a_failed_tick_had_cut_is_still_of_the_one_before(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 30):
            assert ring.append(entry(number))
            ring.cut()
            ring.cut()
        assert len(recovered(ring, 1)) == 29
        assert ring.append(entry(30))
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 1)] == list(range(1, 31))
