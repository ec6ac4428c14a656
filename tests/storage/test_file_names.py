"""Which files are a store's, by whatever name it is opened, and who has them when others come in between."""

import os
from pathlib import Path

import pytest

from rrdstore.errors import Locked
from rrdstore.history.commit import Key
from rrdstore.storage import locking, ringfile
from rrdstore.storage.protocol import Entry
from rrdstore.tree import edit
from tests.storage.conftest import ENDS, SIZE, SLOTS, total
from tests.storage.test_ringfile import grown, record, tick


def test_a_link_to_a_store_is_the_store_with_its_journal_and_its_bound(path, tmp_path):
    ringfile.create(path, SIZE, SLOTS).close()
    link = tmp_path / "elsewhere" / "link.rrdb"
    link.parent.mkdir()
    link.symlink_to(path)
    storage = ringfile.open(str(link))
    with pytest.raises(Locked):
        ringfile.open(path)
    root = edit.EMPTY
    for number in range(1, 200):
        root = grown(root, "/a", os.urandom(2000))
        storage.tick(tick(number, [record(number, root)], drop=[record(number - 1)] if number > 1 else ()))
        assert total(path) <= SIZE
    storage.close()
    assert list(link.parent.iterdir()) == [link]


def test_a_process_that_goes_elsewhere_finds_its_files_still(path, monkeypatch, tmp_path):
    monkeypatch.chdir(Path(path).parent)
    storage = ringfile.create(Path(path).name, SIZE, SLOTS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    root = edit.EMPTY
    for number in range(1, 200):
        root = grown(root, "/a", os.urandom(2000))
        storage.tick(tick(number, [record(number, root)], drop=[record(number - 1)] if number > 1 else ()))
        assert total(path) <= SIZE
    assert storage.usage().files == {Path(path + end).name: Path(path + end).stat().st_size for end in ENDS}
    storage.close()


def test_who_gets_the_lock_has_the_file_of_that_name(path, monkeypatch):
    """The journal is removed, or another takes its place, after it was opened and before it was locked."""
    ringfile.create(path, SIZE, SLOTS).close()
    flock = locking.fcntl.flock

    def late(descriptor, how):
        monkeypatch.setattr(locking.fcntl, "flock", flock)
        ringfile.remove(path)
        flock(descriptor, how)

    monkeypatch.setattr(locking.fcntl, "flock", late)
    storage = ringfile.create(path, SIZE, SLOTS)
    with pytest.raises(Locked):
        ringfile.open(path)
    storage.close()


def test_a_journal_that_another_has_made_since_is_taken_as_it_is(path, monkeypatch):
    ringfile.create(path, SIZE, SLOTS).close()
    Path(path + "-ring").unlink()
    lock, entry = locking.lock, Entry(2, 1, 1, (Key(1, 1),), 1, 1, "", "", ())

    def late(name, *, make=False):
        if make:
            monkeypatch.setattr(locking, "lock", lock)
            other = ringfile.open(path)
            other.tick(tick(1, [record(1)]))
            other.append(entry)
            other.tick(tick(1))
            other.append(entry)
            other._container.close()  # As a kill leaves it.
            other._journal.close()
        return lock(name, make=make)

    monkeypatch.setattr(locking, "lock", late)
    storage = ringfile.open(path)
    assert storage.state().pending == [entry]
    storage.close()
