"""A store of format 2, 3 or 4: read as it is, and one of format 5 before its journal has what it has not."""

import shutil
import sqlite3

import pytest

import rrdstore
from rrdstore.storage import formats, schema
from rrdstore.testing import ManualClock
from tests.storage import independent_journal, independent_reader
from tests.storage.conftest import foreign

ENDS = ("", "-wal", "-ring")


@pytest.fixture(params=["2", "3", "4"])
def version(request):
    return request.param


@pytest.fixture
def path(tmp_path, version):
    """A closed store as a version before made it."""
    path = str(tmp_path / "s.rrdb")
    with rrdstore.create(path, "4MiB", "last:30", clock=ManualClock()) as store:
        for n in range(20):
            store.branch("main").set(f"/k{n}", b"%d" % n)
    connection = sqlite3.connect(path, isolation_level=None)
    rows = dict(connection.execute("SELECT k, v FROM meta WHERE k <> 'superblock'"))
    rows["format"] = version
    for key, value in (("format", version), ("check", schema.proof(rows))):
        connection.execute("UPDATE meta SET v = ? WHERE k = ?", (value, key))
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    return path


def format_of(path):
    file = independent_reader.File(path)
    file.database.close()
    return file.meta["format"]


def journal_of(path):
    file = independent_reader.File(path)
    file.database.close()
    where = file.superblock["generation"], file.superblock["start"]
    return independent_journal.read(path, file.meta["uuid"], *where)


def killed(store):
    """Let go of it as a kill does."""
    store.ledger.storage._container.close()
    store.ledger.storage._journal.close()
    store.ledger.storage._closed = store.ledger.closed = True


def test_it_is_read_and_stays_one_as_long_as_nothing_is_changed(path, version):
    with rrdstore.open(path, readonly=True) as store:
        assert store.branch("main").get("/k7") == b"7"
        assert store.check() == []
    with rrdstore.open(path) as store:
        store.tick()
        assert store.branch("main").get("/k7") == b"7"
    assert format_of(path) == version


@pytest.mark.parametrize(
    ("sync", "first"), [("none", "tag"), ("tick", "tag"), ("commit", "tag"), ("tick", "policy"), ("tick", "commit")]
)
def test_it_becomes_one_of_this_before_its_first_change_and_a_version_before_refuses_it(
    path, version, sync, first, monkeypatch
):
    with rrdstore.open(path, sync=sync) as store:
        if first == "policy":
            store.tune("main", "last:20")
        elif first == "commit":
            store.branch("main").set("/k7", b"first")
        else:
            store.tag("first", store.branch("main").head)
        assert format_of(path) == "5"
        store.tag("here", store.branch("main").head)
        store.pin(store.branch("main").head)
        killed(store)
    with monkeypatch.context() as before:
        before.setattr(schema, "FORMATS", (int(version),))
        before.setattr(schema, "KNOWN", f"format {version}")
        for readonly in (True, False):
            with pytest.raises(rrdstore.Corrupt, match=f"found format 5, expected format {version}"):
                rrdstore.open(path, readonly=readonly)
        with pytest.raises(rrdstore.Corrupt, match="format 5"):
            rrdstore.repair(path)
    with rrdstore.open(path) as store:
        assert "here" in store.tags
        assert len(store.pins) == 1
        assert store.check() == []


def test_what_a_version_before_journalled_is_read_and_gone_on_from(path, version):
    with rrdstore.open(path) as store:
        main, storage = store.branch("main"), store.ledger.storage
        storage._older, storage._journal.brief = 0, version == "4"  # As that version did.
        for n in range(5):
            main.set(f"/k{n}", b"before", message=f"WRITE /k{n}", author="me")
        if version != "2":
            store.tag("old", main.head)
        killed(store)
    assert format_of(path) == version
    used = []
    for n in range(5):
        with rrdstore.open(path) as store:
            main, storage = store.branch("main"), store.ledger.storage
            assert [main.get(f"/k{k}") for k in range(5)] == [b"after"] * n + [b"before"] * (5 - n)
            used.append(storage._journal.used)
            main.set(f"/k{n}", b"after", message=f"WRITE /k{n}", author="me")
            main.set(f"/k{n}", b"after", message=f"WRITE /k{n}", author="me")
            killed(store)
        assert format_of(path) == "5"
        _, (*before, last) = journal_of(path)
        assert len(before) >= 5 + 2 * n
        assert (last.message, last.author) == (f"WRITE /k{n}", "me")
    assert used[2] - used[1] == used[3] - used[2] < (3 * used[0] if version == "4" else 5 * used[0] // 8)
    with rrdstore.open(path) as store:
        assert ("old" in store.tags) is (version != "2")
        assert store.check() == []


def test_killed_at_every_statement_on_the_way_it_is_one_or_the_other_and_opens(path, version, tmp_path):
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
    assert formats == {version, "5"}
    assert len(copies) >= 5


def test_while_another_process_holds_the_log_it_goes_on_as_it_is(path, version, monkeypatch):
    """What it has no record for, a tag in format 2, goes into a net, which all know."""

    def full(held):
        raise rrdstore.Held(held.path, "a reader")

    with rrdstore.open(path, clock=ManualClock(), sync="none") as store, foreign(path):
        main, n = store.branch("main"), 0
        with monkeypatch.context() as log:  # A few pages may find room where a tick did not.
            log.setattr(formats, "renew", full)
            while store.info().held is None:
                n += 1
                main.set(f"/d{n % 20}/k{n % 400}", b"%d" % n)
            store.tag("here", main.head)
            work = main.fork("work")
            assert store.ledger.storage._journal._words[7] or version != "2", "a net"
            main.set("/after", b"the tag")
        head = work.head
        killed(store)
        assert format_of(path) == version
    with rrdstore.open(path) as store:
        assert (store.branch("work").head, set(store.tags)) == (head, {"here"})
        assert store.branch("main").get("/after") == b"the tag"
        assert store.check() == []
        store.untag("here")
        assert format_of(path) == "5"
