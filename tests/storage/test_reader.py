"""Readers beside a writer: never in its way, and never wrong."""

import os
import sqlite3
import tempfile
import threading
from pathlib import Path
from random import Random

import pytest

from rrdstore.errors import ReadOnly, Thinned
from rrdstore.storage import ringfile
from rrdstore.storage.protocol import Entry
from tests.storage.conftest import SIZE, SLOTS
from tests.storage.past import Past, content


@pytest.fixture
def past(created):
    created.state()
    past = Past(created, Random(3))
    for _ in range(10):
        past.step()
    past.tick()
    return past


@pytest.fixture
def reader(path, past):
    reader = ringfile.open(path, readonly=True)
    yield reader
    reader.close()


def seen(reader):
    return {record.number: content(reader.root(record)) for record in reader.state().commits}


def test_a_reader_sees_each_tick(past, reader):
    for _ in range(6):
        for _ in range(5):
            past.step()
            past.thin(8)
        past.tick()
        assert seen(reader) == past.contents
        assert reader.check() == []
        assert reader.usage().live == past.storage.usage().live
        assert reader.lacking(100, shrinks=True) == past.storage.lacking(100, shrinks=True)
        assert reader.lacking(100, shrinks=False) == past.storage.lacking(100, shrinks=False)


def test_what_is_thinned_meanwhile_is_thinned_and_nothing_else(past, reader):
    """Trees read from a state that ages: each part is right, or the whole is known to be gone."""
    gone = right = 0
    for _ in range(40):
        state, contents = reader.state(), dict(past.contents)
        for _ in range(8):
            past.step()
            past.thin(4)
        past.tick()
        for record in state.commits:
            try:
                assert content(reader.root(record)) == contents[record.number]
                right += 1
            except Thinned:
                assert record.number not in past.contents
                gone += 1
    assert gone
    assert right


def test_a_tick_between_the_file_and_the_journal_is_noticed(past, reader, monkeypatch):
    past.storage.append(Entry(past.number + 1, 1, 1, (), 1, 1, "", "old", ()))
    recover = reader._journal.recover

    def ticking(generation, start):
        found = recover(generation, start)
        monkeypatch.setattr(reader._journal, "recover", recover)
        past.step()
        past.tick()
        past.storage.append(Entry(past.number + 1, 1, 1, (), 1, 1, "", "new", ()))
        return found

    monkeypatch.setattr(reader._journal, "recover", ticking)
    state = reader.state()
    assert [entry.message for entry in state.pending] == ["new"]
    assert state.number == past.number


def test_no_transaction_stays_open(past, path, reader):
    record = reader.state().commits[-1]
    content(reader.root(record))
    assert not reader._container._connection.in_transaction
    assert past.storage._container.checkpoint(), "the log could be truncated"


def test_readers_change_nothing(past, reader):
    with pytest.raises(ReadOnly):
        reader.append(Entry(1, 1, 1, (), 1, 1, "", "", ()))
    with pytest.raises(ReadOnly):
        reader.tick(past.due())
    with pytest.raises(sqlite3.OperationalError):
        reader._container.execute("UPDATE meta SET v = 1")


def test_a_reader_after_a_kill_reads_what_was_acknowledged(past, path):
    past.storage.append(Entry(past.number + 1, 1, 1, (), 1, 1, "", "last words", ()))
    past.storage._journal._flush(0, 4096)
    reader = ringfile.open(path, readonly=True)
    assert [entry.message for entry in reader.state().pending] == ["last words"]
    assert seen(reader) == past.contents
    reader.close()


def test_a_reader_alone(path, past):
    past.storage.close()
    reader = ringfile.open(path, readonly=True)
    assert seen(reader) == past.contents
    assert reader.check() == []
    reader.close()
    storage = ringfile.open(path, sync="none")
    past.reopened(storage)
    storage.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a moment")
def test_a_reader_that_may_not_write_where_the_store_is():
    with tempfile.TemporaryDirectory() as place:
        path = place + "/s.rrdb"
        storage = ringfile.create(path, SIZE, SLOTS, sync="none")
        past = Past(storage, Random(1))
        past.tick()
        Path(place).chmod(0o755)
        for closed in (False, True):
            if closed:
                storage.close()
            os.seteuid(65534)
            try:
                reader = ringfile.open(path, readonly=True)
                assert seen(reader) == past.contents
                assert reader.check() == []
                reader.close()
            finally:
                os.seteuid(0)


def test_other_threads_read_while_the_writer_ticks_and_cleans(past):
    storage = past.storage
    stop, faults, reads = threading.Event(), [], [0]
    held = past.kept[max(past.kept)]
    number, expected = held.root_number, past.contents[held.number]
    past.pins = {held.number}

    def read():
        while not stop.is_set():
            try:
                assert content(storage.load(number)) == expected
                reads[0] += 1
            except BaseException as fault:  # noqa: BLE001 - told to the test, whatever it is
                faults.append(fault)
                return

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(150):
        past.step()
        past.pins.add(held.number)
        past.thin(10)
        past.tick()
        storage._objects.clean(storage._layout.segments)
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert reads[0]
    assert storage.check() == []


def test_sizes_hold_with_readers_at_work(path, past, reader):
    for _ in range(20):
        past.step()
        past.thin(8)
        past.tick()
        seen(reader)
        assert sum(reader.usage().files.values()) <= SIZE
    assert SLOTS
