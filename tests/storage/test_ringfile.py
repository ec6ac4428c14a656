import os
import sqlite3
from dataclasses import replace
from itertools import repeat, takewhile
from pathlib import Path

import pytest

from rrdstore.errors import Corrupt, Exists, Held, LimitReached, Locked, NoStore, TooLarge, TooSmall, Unwritable
from rrdstore.history.branch import Reach
from rrdstore.history.commit import Key, Record
from rrdstore.storage import ringfile
from rrdstore.storage.layout import KIB, MIB, least
from rrdstore.storage.protocol import BranchState, Entry, Tick
from rrdstore.tree import edit
from rrdstore.tree.tree import Tree
from tests.storage.conftest import ENDS, SIZE, SLOTS, sampled, total

MAIN = BranchState("main", 1, 1, 0, 0, 0, "last:3", b"")


def record(number, root=edit.EMPTY, branch=1, parents=(), **more):
    return Record(number, 1, branch, parents, number, number, "", "", root, **more)


def tick(number, store=(), drop=(), branches=None, tags=None, pins=()):
    if branches is None:
        branches = (replace(MAIN, head=store[-1].number if store else 1),)
    return Tick(number, tuple(store), tuple(drop), (), tuple(branches), tags or {}, frozenset(pins))


def grown(root, path, value):
    return edit.put(root, tuple(path.split("/")[1:]), value, None, 1, edit.new_edit())


def names(path):
    return sorted(file.name for file in Path(path).parent.iterdir())


# Creating


def test_created_at_its_final_size_and_never_another(path):
    seen = []
    storage = ringfile.create(path, SIZE, SLOTS, progress=lambda done, of: seen.append((done, of)))
    sizes = {end: Path(path + end).stat().st_size for end in ("", "-ring")}
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    storage.tick(tick(1, [record(1)]))
    storage.close()
    assert names(path) == ["s.rrdb", "s.rrdb-ring"]
    assert {end: Path(path + end).stat().st_size for end in ("", "-ring")} == sizes
    assert sum(sizes.values()) <= SIZE
    assert Path(path).stat().st_blocks * 512 >= sizes[""], "all of it was written"


def test_refusals_leave_nothing_behind(path):
    with pytest.raises(TooSmall) as caught:
        ringfile.create(path, 100 * KIB, SLOTS)
    assert caught.value.least == least(SLOTS)
    with pytest.raises(Unwritable):
        ringfile.create(path + "/no/such/directory", SIZE, SLOTS)

    def full(done, of):
        raise OSError(28, "No space left on device")

    with pytest.raises(Unwritable, match="No space"):
        ringfile.create(path, SIZE, SLOTS, progress=full)
    assert names(path) == []


def test_what_exists_is_not_touched(path, created):
    before = Path(path + "-ring").read_bytes()
    with pytest.raises(Exists):
        ringfile.create(path, SIZE, SLOTS)
    assert Path(path + "-ring").read_bytes() == before
    assert created.check() == []


def test_a_creation_that_was_killed_may_be_begun_again(path):
    Path(path + "-ring").write_bytes(b"half")
    Path(path + "-new").write_bytes(b"half")
    storage = ringfile.create(path, SIZE, SLOTS)
    assert storage.check() == []
    storage.close()
    assert not Path(path + "-new").exists()


def test_continuing_another_store(path):
    storage = ringfile.create(path, SIZE, SLOTS, uuid=b"x" * 16, epoch=7)
    state = storage.state()
    assert (state.uuid, state.epoch) == (b"x" * 16, 8)
    storage.close()
    ringfile.remove(path)
    assert names(path) == []


# Opening


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "nothing"), (b"", "an empty file"), (b"a line of text\n" * 99, "no SQLite"), ("directory", "directory")],
)
@pytest.mark.parametrize("readonly", [False, True])
def test_what_is_no_store(path, content, found, readonly):
    if content == "directory":
        Path(path).mkdir()
    elif content is not None:
        Path(path).write_bytes(content)
    with pytest.raises(NoStore, match=found):
        ringfile.open(path, readonly=readonly)


@pytest.mark.parametrize("readonly", [False, True])
def test_another_application_s_database(path, readonly):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(NoStore, match="another application"):
        ringfile.open(path, readonly=readonly)


def test_a_newer_format_is_named(path, created):
    created.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(Corrupt) as caught:
        ringfile.open(path)
    assert "format 9" in str(caught.value)
    assert "format 2, 3, 4 or 5" in str(caught.value)


def test_one_writer_at_a_time_and_its_pid_is_named(path, created):
    with pytest.raises(Locked) as caught:
        ringfile.open(path)
    assert (caught.value.path, caught.value.pid) == (path, os.getpid())
    with pytest.raises(Locked):
        ringfile.remove(path)


def test_the_epoch_rises_at_each_opening_but_a_reader_s(path, created):
    epochs = [created.state().epoch]
    created.close()
    for _ in range(2):
        storage = ringfile.open(path)
        epochs.append(storage.state().epoch)
        reader = ringfile.open(path, readonly=True)
        assert reader.state().epoch == epochs[-1]
        reader.close()
        storage.close()
    assert epochs == [1, 2, 3]


def test_a_lost_journal_is_made_again_only_if_nothing_was_in_it(path, created):
    created.tick(tick(1, [record(1)]))
    created.close()
    Path(path + "-ring").unlink()
    storage = ringfile.open(path)
    storage.append(Entry(2, 1, 1, (), 1, 1, "", "", ()))
    storage.close()
    assert total(path) <= SIZE
    Path(path + "-ring").unlink()
    with pytest.raises(Corrupt, match="no file"):
        ringfile.open(path)


# Ticks


def test_state_is_what_was_ticked_and_what_was_journalled(path, created):
    branch = BranchState("wörk", 2, 2, 1, 1, 1, "last:3 1m:1h", bytes(range(256)) * 20, 2, Reach(3, 4, 5, 6), 7, 8)
    tags, entry = {"release é": Key(1, 1)}, Entry(3, 1, 1, (Key(1, 1),), 5, 6, "a", "b", ())
    created.tick(tick(2, [record(1), record(2, branch=2)], branches=(MAIN, branch), tags=tags, pins={2}))
    created.append(entry)
    for storage in (created, ringfile.open(path, readonly=True)):
        state = storage.state()
        assert [one.number for one in state.commits] == [1, 2]
        assert list(state.branches) == [MAIN, branch]
        assert (state.tags, state.pins, state.number) == (tags, {2}, 2)
        assert list(state.pending) == [entry]
    storage.close()


def stored_right(storage):
    """No problem but with grafts and heads, which are made up here."""
    return [one for one in storage.check() if not one.found.startswith(("stands on", "head"))] == []


def test_a_record_with_many_links_takes_more_rows(path, created):
    grafts, parents = tuple(range(10_000, 10_300)), (Key(1 << 47, 5), Key(7, 1 << 31), Key(8, 8))
    long = record(2, parents=parents, grafts=grafts, thinned=1 << 39)
    long.author, long.message = "a" * 40, "é" * 56
    created.tick(tick(2, [record(1), long]))
    found = created.state().commits[1]
    assert (found.parents, found.grafts, found.thinned) == (parents, grafts, 1 << 39)
    assert (found.author, found.message) == ("a" * 40, "é" * 56)
    assert stored_right(created)
    found.grafts = (1,)
    created.tick(Tick(2, (), (), (found,), (MAIN,), {}, frozenset()))
    assert created.state().commits[1].grafts == (1,)
    created.tick(tick(2, drop=[found]))
    assert stored_right(created)


def test_more_grafts_than_there_are_rows_lose_the_oldest(created):
    created.tick(tick(1, [record(1, grafts=tuple(range(1, 20_000)))]))
    grafts = created.state().commits[0].grafts
    assert 100 < len(grafts) < 19_999
    assert grafts == tuple(range(20_000 - len(grafts), 20_000))
    created.tick(tick(9999, [record(number) for number in range(2, created._layout.commits + 1)]))
    assert stored_right(created)


def test_limits_are_refused_before_anything_changes(created):
    layout = created._layout
    before = created.state().commits
    with pytest.raises(LimitReached):
        created.tick(tick(9999, [record(number) for number in range(1, layout.commits + 2)]))
    tags = {f"tag {number}": Key(1, 1) for number in range(created.max_tags + 1)}
    for bad in ({"tags": tags}, {"pins": range(9999)}, {"tags": {"x" * 256: Key(1, 1)}}):
        with pytest.raises(TooLarge):
            created.tick(tick(1, [record(1)], **bad))
    branches = [BranchState("b" * 255, number, 0, 0, 0, 0, "k" * 500, bytes(3000)) for number in range(1, 99)]
    with pytest.raises(TooLarge):
        created.tick(tick(1, [record(1)], branches=branches))
    assert created.state().commits == before == ()
    assert created.check() == []


def test_every_row_in_use_at_once(path, created):
    layout = created._layout
    records = [record(number) for number in range(1, layout.commits + 1)]
    tags = {f"tag {number}" + "x" * 240: Key(1, 1) for number in range(created.max_tags)}
    branches = [BranchState(f"b{number}", number, 1, 0, 0, 0, "last:5", b"") for number in range(created.max_branches)]
    pins = range(1, created.max_pins + 1)
    created.tick(tick(len(records), records, branches=branches, tags=tags, pins=pins))
    assert stored_right(created)
    assert total(path) <= SIZE
    later = [
        record(layout.commits + number, grown(edit.EMPTY, f"/{number}", b"v")) for number in range(1, layout.commits)
    ]
    created.tick(tick(9999, later, drop=records[1:]))
    assert stored_right(created)
    assert total(path) <= SIZE


def test_values_of_mebibytes(path):
    storage = sampled(ringfile.create(path, 16 * MIB, SLOTS, sync="none"), 16 * MIB)
    value = os.urandom(3 << 20)
    root = grown(grown(edit.EMPTY, "/big", value), "/small", b"1")
    storage.tick(tick(1, [record(1, root)]))
    two = record(2, grown(root, "/small", b"2"))
    used = storage.usage().live
    storage.tick(tick(2, [two]))
    assert storage.usage().live - used < 2000, "the large value is shared"
    storage.close()
    storage = ringfile.open(path)
    one, two = storage.state().commits
    assert Tree(storage.root(two)).stat("/big").value == value
    three = record(3, edit.remove(storage.root(two), ("big",), edit.new_edit()))
    storage.tick(tick(3, [three], drop=[one, two]))
    assert storage.usage().live < 2000
    assert storage.check() == []
    assert total(path) <= 16 * MIB
    storage.close()


def test_two_stores_in_one_process_share_the_empty_tree_and_no_numbers(tmp_path):
    stores = [ringfile.create(str(tmp_path / name), SIZE, SLOTS, sync="none") for name in "ab"]
    stores[0].tick(tick(1, [record(1, grown(edit.EMPTY, "/x", b"x"))]))
    for storage in stores:
        storage.tick(tick(2, [record(2)]))
        assert storage.check() == []
        assert Tree(storage.root(storage.state().commits[-1])).list("/") == ()
        storage.close()
    assert edit.EMPTY.number == 0


def test_room_is_what_is_lacking_and_shrinking_may_use_the_reserve(created):
    usage, layout = created.usage(), created._layout
    assert created.lacking(usage.room - usage.live, shrinks=False) == 0
    assert created.lacking(usage.room - usage.live + 1, shrinks=False) == 1
    assert created.lacking(usage.room - usage.live + layout.reserve, shrinks=True) == 0
    assert 0 < created.largest <= layout.reserve


def test_weigh_counts_what_commits_reach_together_once(created):
    root = grown(edit.EMPTY, "/a/b", b"1")
    one, two = record(1, root), record(2, grown(root, "/c", b"x" * 5000))
    created.tick(tick(2, [one, two]))
    assert created.weigh([one, two]) == created.usage().live
    assert created.weigh([one, one]) == created.weigh([one]) < created.weigh([two])
    reader = ringfile.open(created._container.path, readonly=True)
    assert reader.weigh([one]) == created.weigh([one])
    reader.close()


# The log


def test_a_reader_that_holds_the_log_makes_ticks_wait_then_fail_and_the_journal_goes_on(path, created):
    created.tick(tick(1, [record(1)]))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM kept").fetchall()
    root, held, number, drop = edit.EMPTY, None, 1, []
    while held is None:
        number += 1
        root = grown(root, f"/k{number % 50}", os.urandom(900))
        new = record(number, root)
        used = created.usage()
        try:
            created.tick(tick(number, [new], drop))
        except Held as caught:
            held = caught
        else:
            drop = [new]
        assert total(path) <= SIZE
        assert number < 500
    assert held.path == path
    assert not new.stored
    assert created.usage().live == used.live
    assert created.append(Entry(number, 1, 1, (), 1, 1, "", "", ()))
    with pytest.raises(Held):
        created.tick(tick(number, [new], drop))
    assert not created.due
    entry = Entry(number, 1, 1, (), 1, 1, "", "x" * 112, ())
    with pytest.raises(Held):
        list(takewhile(created.append, repeat(entry)))
    assert total(path) <= SIZE
    assert created.due
    other.close()
    created.tick(tick(number, [new], drop))
    assert stored_right(created)
    assert created.state().pending == []


def test_sync_commit_forces_each_record_to_the_disk(path, monkeypatch):
    storage = ringfile.create(path, SIZE, SLOTS, sync="commit")
    forced = []
    flush = storage._journal._flush
    monkeypatch.setattr(storage._journal, "_flush", lambda start, end: (forced.append((start, end)), flush(start, end)))
    for number in (1, 2):
        assert storage.append(Entry(number, 1, 1, (), 1, 1, "", "", ()))
    storage.close()
    assert len(forced) == 2
    assert forced[1][0] >= forced[0][0] + 16


@pytest.mark.parametrize(("sync", "mode"), [("tick", 2), ("commit", 2), ("none", 0)])
def test_the_transaction_that_ends_a_tick_is_on_disk_before_it_returns(path, sync, mode):
    storage = ringfile.create(path, SIZE, SLOTS, sync=sync)
    modes = []
    put = storage._container.put_superblock

    def noted(superblock):
        modes.append((superblock.tick, storage._container.execute("PRAGMA synchronous").fetchone()[0]))
        put(superblock)

    storage._container.put_superblock = noted
    ended = storage._objects.superblock.tick + 1
    storage.tick(tick(1, [record(1)]))
    assert mode in [found for number, found in modes if number == ended]
    storage.close()


def test_every_file_has_its_place(path, created):
    assert set(created.usage().files) == {"s.rrdb" + end for end in ENDS}
