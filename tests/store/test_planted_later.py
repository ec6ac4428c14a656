"""`Branch.plant(later=True)`: what is not stored yet lies beside the store, and is lost by nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import rrdstore
from rrdstore.storage import journal
from rrdstore.store import planting
from rrdstore.testing import ManualClock
from tests.storage import independent_journal, independent_reader
from tests.storage.conftest import foreign

ENDS = ("", "-wal", "-ring", "-apart")
PLACES = [(f"/d/{n}", b"value %d" % n, b"n%d" % (n % 7)) for n in range(300)]
MORE = [(f"/e/{n}/ä", b"", b"") for n in range(50)]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(planting, "FEW", 10)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s.rrdb")


@pytest.fixture
def store(path):
    made = rrdstore.create(path, "8MiB", "last:40", clock=ManualClock())
    made.branch("main").set("/before", b"it")
    yield made
    made.ledger.abandon()


def content(tree):
    return {path: (node.value, node.meta) for path, node in tree.descend()}


def killed(path, to, *, without=()):
    """What a kill leaves."""
    for end in ENDS:
        if end not in without and Path(path + end).exists():
            shutil.copyfile(path + end, to + end)
    return to


def apart(path):
    return Path(path + "-apart")


def test_it_is_what_planting_now_makes_and_goes_when_a_tick_has_it(store, path):
    main = store.branch("main")
    commit = main.plant(PLACES, message="all", author="me", later=True)
    assert store.info().unstored
    assert apart(path).stat().st_size > sum(len(value) for _, value, _ in PLACES)
    assert (commit.message, commit.author, main.head.number) == ("all", "me", commit.number)
    with rrdstore.memory() as other:
        other.branch("main").set("/before", b"it")
        other.branch("main").change(PLACES)
        assert main.tree == other.branch("main").tree
    assert f"{Path(path).name}-apart" in store.info().files
    store.tick()
    assert not apart(path).exists()
    assert store.check() == []
    assert main.get("/d/7") == b"value 7"


def test_killed_before_and_after_anything_is_stored_all_of_it_is_there(store, path, tmp_path):
    main = store.branch("main")
    copies = []
    main.plant(PLACES, later=True)
    main.set("/after", b"it")
    for at in range(400):
        copies.append(killed(path, str(tmp_path / f"copy{at}")))
        if store.tick(0.0):
            break
    copies.append(killed(path, str(tmp_path / "last")))
    assert 5 < len(copies) < 400
    expected = content(main.tree)
    for copy in copies:
        with rrdstore.open(copy, readonly=True) as found:
            assert content(found.branch("main").tree) == expected
        with rrdstore.open(copy) as found:
            assert content(found.branch("main").tree) == expected
            assert found.check() == []
            found.branch("main").set("/goes", b"on")
        assert not apart(copy).exists()


def test_killed_again_and_again_while_it_comes_back(store, path, tmp_path):
    store.branch("main").plant(PLACES, later=True)
    expected = content(store.branch("main").tree)
    copy = killed(path, str(tmp_path / "copy"))
    for at in range(4):
        again = rrdstore.open(copy)
        assert content(again.branch("main").tree) == expected
        again.branch("main").plant([(f"/more/{at}/{n}", b"", b"") for n in range(20)], later=True)
        expected = content(again.branch("main").tree)
        copy = killed(copy, str(tmp_path / f"again{at}"))
        again.ledger.abandon()
    with rrdstore.open(copy) as again:
        assert content(again.branch("main").tree) == expected


def test_what_is_planted_while_a_tick_goes_on_is_the_next_ones(store, path, tmp_path):
    main = store.branch("main")
    main.plant(PLACES, later=True)
    assert not store.tick(0.0)
    main.plant(MORE, later=True)
    expected = content(main.tree)
    while not store.tick(0.0):
        copy = killed(path, str(tmp_path / "copy"))
        with rrdstore.open(copy, readonly=True) as found:
            assert content(found.branch("main").tree) == expected
        assert apart(path).exists()
    assert apart(path).exists()
    store.tick()
    assert not apart(path).exists()
    assert store.check() == []


def test_in_several_commits_each_with_a_section(path, tmp_path):
    with rrdstore.create(path, "5MiB", "last:60", clock=ManualClock()) as store:
        main = store.branch("main")
        main.plant([(f"/d/{n}", b"v" * 200, b"m") for n in range(1200)], later=True)
        assert main.head.number > 2
        expected = content(main.tree)
        copy = killed(path, str(tmp_path / "copy"))
        with rrdstore.open(copy) as found:
            assert content(found.branch("main").tree) == expected


def test_a_reader_written_from_the_page_finds_it(store, path):
    made = store.branch("main").plant(PLACES, later=True)
    file = independent_reader.File(path)
    file.database.close()
    where = file.superblock["generation"], file.superblock["start"]
    _, entries = independent_journal.read(path, file.meta["uuid"], *where)
    assert (entries[-1].number, entries[-1].edits) == (made.number, PLACES)


@pytest.mark.parametrize("harm", ["gone", "short", "flipped"])
def test_damage_is_named_and_repair_keeps_what_lies_before(store, path, tmp_path, harm):
    main = store.branch("main")
    main.plant(PLACES, later=True)
    main.set("/after", b"it")
    copy = killed(path, str(tmp_path / "copy"))
    file = apart(copy)
    whole = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[:-1] if harm == "short" else whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    for readonly in (True, False):
        with pytest.raises(rrdstore.Corrupt, match="-apart"):
            rrdstore.open(copy, readonly=readonly)
    assert any("-apart" in problem for problem in rrdstore.repair(copy).problems)
    with rrdstore.open(copy) as found:
        assert found.branch("main").list("/") == ("before",)
    assert not apart(copy).exists()
    assert apart(f"{copy}-damaged").exists() is (harm != "gone")


def test_repair_for_another_reason_keeps_it(store, path, tmp_path):
    main = store.branch("main")
    store.tick()
    main.plant(PLACES, later=True)
    main.set("/after", b"it")
    expected = content(main.tree)
    copy = killed(path, str(tmp_path / "copy"))
    with closing(sqlite3.connect(copy)) as database, database:
        database.execute("UPDATE tag SET d = zeroblob(276 - 1) || x'01' WHERE id = 2")
    assert rrdstore.repair(copy).damaged
    with rrdstore.open(copy) as found:
        assert content(found.branch("main").tree) == expected
        assert found.check() == []


def test_check_says_what_is_wrong_with_it(store, path):
    store.branch("main").plant(PLACES, later=True)
    assert store.check() == []
    apart(path).write_bytes(b"")
    assert any("-apart" in str(problem) for problem in store.check())


def test_after_another_start_of_the_machine_what_did_not_reach_the_disk_is_gone(store, path, tmp_path, monkeypatch):
    main = store.branch("main")
    main.plant(PLACES, later=True)
    main.set("/after", b"it")
    copy = killed(path, str(tmp_path / "copy"), without=("-apart",))
    monkeypatch.setattr(journal, "boot", lambda: 77)
    with rrdstore.open(copy) as found:
        assert found.branch("main").list("/") == ("before",)
        found.branch("main").set("/goes", b"on")
        again = killed(copy, str(tmp_path / "again"))
        with rrdstore.open(again) as later:
            assert later.branch("main").list("/") == ("before", "goes")


def test_what_nobody_names_is_removed(store, path, tmp_path):
    copy = killed(path, str(tmp_path / "copy"))
    apart(copy).write_bytes(b"a kill came between the file and the journal")
    with rrdstore.open(copy, readonly=True) as found:
        assert found.branch("main").list("/") == ("before",)
    with rrdstore.open(copy) as found:
        assert found.branch("main").list("/") == ("before",)
        assert not apart(copy).exists()


def test_where_the_file_system_does_not_take_it_it_is_stored_now(store, path):
    apart(path).mkdir()
    store.branch("main").plant(PLACES, later=True)
    assert store.info().unstored == 0
    apart(path).rmdir()
    store.branch("main").plant(MORE, later=True)
    assert store.info().unstored
    expected = content(store.branch("main").tree)
    store.close()
    with rrdstore.open(path) as again:
        assert content(again.branch("main").tree) == expected
        assert again.check() == []


def test_while_another_process_holds_the_log_it_is_there_all_the_same(store, path, tmp_path):
    main = store.branch("main")
    store.tick()
    with foreign(path):
        main.plant(PLACES, later=True)
        n = 0
        while store.info().held is None:
            n += 1
            main.set(f"/k{n % 400}", b"%d" % n)
        expected = content(main.tree)
        copy = killed(path, str(tmp_path / "copy"))
        with rrdstore.open(copy) as found:
            assert content(found.branch("main").tree) == expected
    store.tick()
    assert not apart(path).exists()
    assert content(main.tree) == expected
