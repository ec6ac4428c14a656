"""A file system that takes nothing more: changes go on in the journal, then in memory or not at all, and come back."""

from __future__ import annotations

import shutil

import pytest

import rrdstore
from rrdstore.testing import ManualClock
from tests.faults.disks import tmpfs

SIZE, KEEP = "4MiB", "last:64 1s:1m *:16"


@pytest.fixture
def disk(tmp_path):
    with tmpfs(tmp_path / "disk", "6m") as disk:
        yield disk


def created(disk, when):
    return rrdstore.create(disk.path / "s.rrdb", SIZE, KEEP, when_unwritable=when, clock=ManualClock())


def changed(store, count, start=0):
    """So many changes that no net gathers well: name and value of each that was acknowledged, and the refusal."""
    main, done = store.branch("main"), {}
    for number in range(start, start + count):
        name, value = f"/w{number % 1000}", b"%d" % number + bytes(300)
        try:
            main.set(name, value)
        except rrdstore.StoreError as refusal:
            return done, refusal
        done[name] = value
    return done, None


def read(path):
    with rrdstore.open(path) as store:
        assert store.check() == []
        return {name: node.value for name, node in store.branch("main").tree.descend("/") if name != "/"}


def test_on_a_full_disk_changes_go_on_in_memory_and_all_are_stored_when_there_is_room(disk, caplog):
    with created(disk, "memory") as store:
        disk.fill()
        done, refusal = changed(store, 4000)
        assert refusal is None
        held = store.info().held
        assert held.by == "the file system (database or disk is full)"
        assert held.since <= held.lost_since
        assert store.info().degraded
        with pytest.raises(rrdstore.Unwritable):
            store.tick()
        disk.empty()
        assert store.tick()
        assert store.info().held is None
        assert store.unstored == 0
        assert store.check() == []
        more, _ = changed(store, 50, start=4000)
    told = [record.getMessage().partition(": ")[2] for record in caplog.records if record.name == "rrdstore"]
    assert told == [
        "held by the file system (database or disk is full): changes are journalled, and not stored",
        "held by the file system (database or disk is full): from here on changes are in memory only",
        "everything is stored again",
    ]
    assert read(disk.path / "s.rrdb") == done | more


def test_what_was_changed_while_slices_of_the_tick_went_on_is_stored_too(disk):
    with created(disk, "memory") as store:
        disk.fill()
        changed(store, 4000)
        disk.empty()
        done = {}
        for number in range(250):
            done |= changed(store, 1, start=number)[0]
            assert store.info().held is not None
            if store.tick(0):
                break
        assert store.info().held is None
        assert {name: store.branch("main").tree.get(name).value for name in done} == done


def killed(disk, directory):
    """The files as a kill would leave them now, elsewhere."""
    for end in ("", "-wal", "-ring"):
        shutil.copyfile(disk.path / f"s.rrdb{end}", directory / f"s.rrdb{end}")
    return directory / "s.rrdb"


def test_without_that_choice_a_change_is_refused_by_name_and_a_kill_takes_nothing(disk, tmp_path):
    store = created(disk, "fail")
    disk.fill()
    done, refusal = changed(store, 4000)
    assert isinstance(refusal, rrdstore.Unwritable)
    assert "disk is full" in refusal.reason
    assert store.info().held.lost_since is None
    left = killed(disk, tmp_path)
    disk.empty()
    store.close()
    assert read(left) == done


def test_killed_in_memory_it_is_what_the_journal_had(disk, tmp_path):
    store = created(disk, "memory")
    disk.fill()
    assert len(changed(store, 4000)[0]) == 1000
    found = read(killed(disk, tmp_path))
    disk.empty()
    store.close()
    # What it had at one moment, and not the last.
    newest = max(int(value.rstrip(b"\0")) for value in found.values())
    assert 100 < newest < 3999
    assert found == {f"/w{n % 1000}": b"%d" % n + bytes(300) for n in range(newest + 1)}
