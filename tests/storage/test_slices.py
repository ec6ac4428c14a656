"""A tick in steps: killed, abandoned or failing between any two of them, with commits journalled in the middle."""

import shutil
from contextlib import suppress

import pytest

from rrdstore.errors import Unwritable
from rrdstore.storage import ringfile
from rrdstore.storage.protocol import Entry
from tests.storage.conftest import ENDS, failing
from tests.storage.past import content
from tests.storage.test_crash import lived


def contents(storage):
    return {record.number: content(storage.root(record)) for record in storage.state().commits}


def entry(number):
    return Entry(number, 1, 1, (), 1, 1, "me", f"journalled {number}", ())


def sound(storage):
    """Nothing wrong but for what `entry` makes up: its numbers and its branch are no commit's."""
    return [problem for problem in storage.check() if not problem.where.startswith("the journal, commit")] == []


def copied(path, to):
    for end in ENDS:
        if end != "-shm":
            with suppress(FileNotFoundError):
                shutil.copyfile(path + end, to + end)
    return to


@pytest.mark.parametrize("seed", range(3))
def test_killed_between_any_two_steps(path, tmp_path, seed):
    past = lived(path, seed)
    storage = past.storage
    before = contents(storage)
    first = [entry(1000), entry(1001)]
    assert all(map(storage.append, first))
    # The files as a kill leaves them, what was journalled behind the cut, and whether the tick was true.
    left = []
    behind = []
    for true in storage.ticking(past.due()):
        behind.append(entry(2000 + len(behind)))
        assert storage.append(behind[-1])
        left.append((copied(path, str(tmp_path / f"copy{len(left)}")), list(behind), true))
    past.ticked()
    assert contents(storage) == past.contents
    assert list(storage.state().pending) == behind
    assert sound(storage)
    storage.close()
    assert {true for *_, true in left} == {False, True}
    for copy, journalled, true in left:
        storage = ringfile.open(copy, sync="none")
        assert contents(storage) == (past.contents if true else before)
        assert list(storage.state().pending) == (journalled if true else first + journalled)
        assert sound(storage)
        storage.close()


@pytest.mark.parametrize("seed", range(2))
def test_abandoned_between_any_two_steps(path, seed):
    past = lived(path, seed)
    storage = past.storage
    before = contents(storage)
    pending = []
    for steps in range(1, 400):
        due = past.due()
        ticking = storage.ticking(due)
        true = False
        for _ in range(steps):
            true = next(ticking)
            if true:
                break
        pending.append(entry(steps))
        assert storage.append(pending[-1])
        state = storage.state()
        assert list(ticking) == [], "abandoned"
        if true:
            assert list(state.pending) == pending[-1:]
            break
        assert list(state.pending) == pending
        assert not any(record.stored for record in due.store)
        assert contents(storage) == before
        assert sound(storage)
    assert steps > 3
    past.ticked()
    assert contents(storage) == past.contents
    assert sound(storage)
    storage.close()


def test_a_statement_that_fails_in_the_middle_of_a_tick_in_steps(path):
    past = lived(path, 4)
    storage = past.storage
    before = contents(storage)
    pending = []
    for after in range(400):
        true = False
        with failing(storage, after) as has_failed, suppress(Unwritable):
            for true in storage.ticking(past.due()):
                pending.append(entry(1 + len(pending)))
                assert storage.append(pending[-1])
                kept = len(pending)
                if true:
                    break
        if true:
            break
        assert has_failed()
        assert list(storage.state().pending) == pending
        assert contents(storage) == before
    assert kept
    assert list(storage.state().pending)[-1:] == pending[-1:]
    past.ticked()
    assert contents(storage) == past.contents
    assert sound(storage)
    storage.close()
