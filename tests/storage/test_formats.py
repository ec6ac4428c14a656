"""A store of format 2: read and written as it is, and one of format 3 before its journal has what 2 has not."""

import shutil
import sqlite3

import pytest

import rrdstore
from rrdstore.storage import formats, schema
from rrdstore.testing import ManualClock
from tests.storage import independent_reader
from tests.storage.conftest import foreign

ENDS = ("", "-wal", "-ring")


@pytest.fixture
def path(tmp_path):
    """A closed store as the version before made it."""
    path = str(tmp_path / "s.rrdb")
    with rrdstore.create(path, "4MiB", "last:30", clock=ManualClock()) as store:
        for n in range(20):
            store.branch("main").set(f"/k{n}", b"%d" % n)
    connection = sqlite3.connect(path, isolation_level=None)
    rows = dict(connection.execute("SELECT k, v FROM meta WHERE k <> 'superblock'"))
    rows["format"] = "2"
    for key, value in (("format", "2"), ("check", schema.proof(rows))):
        connection.execute("UPDATE meta SET v = ? WHERE k = ?", (value, key))
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    return path


def format_of(path):
    file = independent_reader.File(path)
    file.database.close()
    return file.meta["format"]


def killed(store):
    """Let go of it as a kill does."""
    store.ledger.storage._container.close()
    store.ledger.storage._journal.close()
    store.ledger.storage._closed = store.ledger.closed = True


def test_it_is_written_and_stays_one_as_long_as_commits_alone_are_journalled(path):
    with rrdstore.open(path) as store:
        store.branch("main").set("/more", b"1")
        store.tick()
        store.branch("main").set("/journalled", b"1")
        killed(store)
    assert format_of(path) == "2"
    with rrdstore.open(path, readonly=True) as store:
        assert store.branch("main").get("/journalled") == b"1"
        assert store.check() == []


@pytest.mark.parametrize(("sync", "first"), [("none", "tag"), ("tick", "tag"), ("commit", "tag"), ("tick", "policy")])
def test_it_becomes_one_of_this_before_the_first_tag_and_the_version_before_refuses_it(path, sync, first, monkeypatch):
    with rrdstore.open(path, sync=sync) as store:
        if first == "policy":
            store.tune("main", "last:20")
            assert format_of(path) == "3"
        store.tag("here", store.branch("main").head)
        assert format_of(path) == "3"
        store.pin(store.branch("main").head)
        killed(store)
    with monkeypatch.context() as before:
        before.setattr(schema, "FORMATS", (2,))
        before.setattr(schema, "KNOWN", "format 2")
        for readonly in (True, False):
            with pytest.raises(rrdstore.Corrupt, match="found format 3, expected format 2"):
                rrdstore.open(path, readonly=readonly)
        with pytest.raises(rrdstore.Corrupt, match="format 3"):
            rrdstore.repair(path)
    with rrdstore.open(path) as store:
        assert set(store.tags) == {"here"}
        assert len(store.pins) == 1
        assert store.check() == []


@pytest.mark.parametrize(("deepest", "then"), [("/new/a/b", "3"), ("/new", "2")])
def test_it_becomes_one_of_this_before_the_first_path_that_goes_on_from_another(path, deepest, then):
    with rrdstore.open(path) as store:
        with store.branch("main").transaction() as tx:
            tx.set(deepest, b"1", parents=b"meta")
            tx.set("/newer", b"2")
        assert format_of(path) == then
        killed(store)
    with rrdstore.open(path) as store:
        assert store.branch("main").get(deepest) == b"1"
        assert store.branch("main").stat("/new").meta == (b"meta" if then == "3" else b"")
        assert store.check() == []


def test_killed_at_every_statement_on_the_way_it_is_one_or_the_other_and_opens(path, tmp_path):
    store = rrdstore.open(path)
    held, copies = store.ledger.storage._container, []
    execute = held.execute

    def copying(statement, values=()):
        done = execute(statement, values)
        copies.append(str(tmp_path / f"copy{len(copies)}"))
        for end in ENDS:
            shutil.copyfile(path + end, copies[-1] + end)
        return done

    held.execute = copying
    store.tag("here", store.branch("main").head)
    held.execute = execute
    killed(store)
    formats = set()
    for copy in copies:
        formats.add(format_of(copy))
        with rrdstore.open(copy) as again:
            assert not again.tags, "it was not acknowledged yet"
            assert again.check() == []
    assert formats == {"2", "3"}
    assert len(copies) >= 5


def test_while_another_process_holds_the_log_a_tag_goes_into_a_net_which_both_know(path, monkeypatch):
    def full(held):
        raise rrdstore.Held(held.path, "a reader")

    with rrdstore.open(path, clock=ManualClock(), sync="none") as store, foreign(path):
        main, n = store.branch("main"), 0
        while store.info().held is None:
            n += 1
            main.set(f"/d{n % 20}/k{n % 400}", b"%d" % n)
        with monkeypatch.context() as log:  # A few pages may find room where a tick did not.
            log.setattr(formats, "renew", full)
            store.tag("here", main.head)
            work = main.fork("work")
            assert store.ledger.storage._journal._words[7], "a net"
        main.set("/after", b"the net")
        head = work.head
        killed(store)
        assert format_of(path) == "2"
    with rrdstore.open(path) as store:
        assert (store.branch("work").head, set(store.tags)) == (head, {"here"})
        assert store.check() == []
        store.untag("here")
        assert format_of(path) == "3"
