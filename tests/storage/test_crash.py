"""Cut short at any statement: the file is what it was before the tick, or after it, and nothing leaks."""

import shutil
from contextlib import suppress
from random import Random

import pytest

from rrdstore.errors import StoreError, Unwritable
from rrdstore.history.commit import Key
from rrdstore.storage import ringfile
from rrdstore.storage.protocol import Entry
from tests.storage.conftest import ENDS, SIZE, SLOTS, failing
from tests.storage.past import Past, content


def lived(path, seed):
    """A store with some history, and a tick that has much to do."""
    storage = ringfile.create(path, SIZE, SLOTS, sync="none")
    storage.state()
    past = Past(storage, Random(seed))
    for _ in range(12):
        past.step()
    past.tick()
    for _ in range(12):
        past.step()
    past.thin(6)
    return past


def contents(storage):
    return {record.number: content(storage.root(record)) for record in storage.state().commits}


@pytest.mark.parametrize("seed", range(3))
def test_a_failed_statement_changes_nothing_and_the_next_tick_does_it_all(path, seed):
    past = lived(path, seed)
    storage = past.storage
    before = contents(storage)
    failed = 0
    for after in range(400):
        due = past.due()
        try:
            with failing(storage, after) as has_failed:
                storage.tick(due)
        except Unwritable:
            failed += 1
            assert not any(record.stored for record in due.store)
            assert contents(storage) == before
            assert storage.check() == []
        else:
            if not has_failed():
                break
            # It failed after the tick had become true: only freeing was put off.
            assert contents(storage) == past.contents
            assert storage.check() == []
            storage.close()
            past = lived(f"{path}{after}", seed)
            storage = past.storage
    assert failed > 10
    past.ticked()
    assert contents(storage) == past.contents
    assert storage.check() == []
    storage.close()


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_statement(path, tmp_path, seed):
    past = lived(path, seed)
    storage = past.storage
    before = contents(storage)
    head = next(branch.head for branch in storage.state().branches if branch.id == 1)
    entry = Entry(past.number + 1, 1, 1, (Key(head, 1),), 1, 1, "me", "journalled", ())
    assert storage.append(entry)
    copies = []
    held = storage._container
    execute = held.execute

    def copying(statement, values=()):
        if statement.split()[0] in {"BEGIN", "COMMIT", "PRAGMA"} or len(copies) % 3 == 0:
            copies.append(str(tmp_path / f"copy{len(copies)}"))
            for end in ENDS:
                if end != "-shm":
                    with suppress(FileNotFoundError):
                        shutil.copyfile(path + end, copies[-1] + end)
        else:
            copies.append("")
        return execute(statement, values)

    held.execute = copying
    past.tick()
    held.execute = execute
    storage.close()
    befores = afters = 0
    for copy in filter(None, copies):
        storage = ringfile.open(copy, sync="none")
        try:
            found, state = contents(storage), storage.state()
            assert found in (before, past.contents)
            if found == before:
                befores += 1
                assert list(state.pending) == [entry]
            else:
                afters += 1
                assert list(state.pending) == []
            assert storage.check() == []
            assert state.epoch >= 2
        finally:
            storage.close()
    assert befores
    assert afters


def test_what_a_tick_that_never_ended_wrote_is_taken_back(path):
    past = lived(path, 5)
    storage = past.storage
    objects = storage.usage().objects
    with suppress(StoreError):
        list(storage._ticks._store(past.due(), []))
        storage._objects.commit()
    assert storage.usage().objects > objects
    storage._container.close()
    storage._journal.close()
    storage = ringfile.open(path, sync="none")
    assert storage.usage().objects == objects
    assert storage.check() == []
    storage.close()


def test_a_tick_that_was_interrupted_after_it_was_done_may_be_repeated(path, monkeypatch):
    past = lived(path, 6)
    storage = past.storage
    due = past.due()

    def interrupted(wanted):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage._objects, "cleaning", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.tick(due)
    monkeypatch.undo()
    storage.tick(due)
    assert contents(storage) == past.contents
    assert storage.check() == []
    storage.close()
