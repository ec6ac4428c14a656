"""docs/format.md is complete: a reader written from it alone finds in real files what the engine finds there."""

from __future__ import annotations

import ast
import re
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

import rrdstore
from rrdstore.policy import parse
from rrdstore.storage import ringfile
from rrdstore.testing import FileHome, ManualClock, StoreMachine
from rrdstore.testing.walk import walk
from rrdstore.tree.plain import flat
from tests.storage import independent_journal, independent_reader
from tests.storage.conftest import SIZE, SLOTS, foreign
from tests.storage.past import Past

ROOT = Path(__file__).parents[2]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def journal(path):
    """The net and the entries of a store, by the other reader."""
    file = independent_reader.File(path)
    where = file.superblock["generation"], file.superblock["start"]
    return independent_journal.read(path, file.meta["uuid"], *where)


def same(file: independent_reader.File, state, storage) -> None:
    """What the reader finds is what the storage says of itself."""
    kept = {number: commit for number, commit in file.kept().items() if commit.kind == 1}
    assert file.uuid == state.uuid
    assert file.superblock["number"] == state.number
    rows = [row for table in ("branch", "tag", "pin") for row in file.checksums(table)]
    assert file.superblock["tables"] in {0, crc32(b"".join(rows)) or 1}
    assert [facts(kept[number]) for number in sorted(kept)] == [facts(commit) for commit in state.commits]
    assert [astuple(branch) for branch in file.branches()] == [
        (b.id, b.head, b.fork, b.upstream, b.base, b.name, b.keep, b.rings, b.older, b.reach, b.lease, b.until)
        for b in state.branches
    ]
    assert file.tags() == {name: tuple(key) for name, key in state.tags.items()}
    assert file.pins() == state.pins
    views(file)
    for commit in state.commits:
        tree = rrdstore.Tree(storage.root(commit))
        assert file.tree(kept[commit.number].root) == {
            path: (node.value, node.meta, node.created, node.modified) for path, node in tree.descend()
        }


def facts(commit) -> tuple:
    keys = [tuple(key) for key in commit.parents]
    texts, links = (commit.author, commit.message), (keys, sorted(commit.grafts), commit.thinned)
    return (commit.number, commit.epoch, commit.branch, commit.rt, commit.wall, *texts, *links)


def views(file: independent_reader.File) -> None:
    """The views show what the reader finds."""

    def rows(view: str) -> list[tuple]:
        return file.database.execute(f"SELECT * FROM {view}").fetchall()

    def moment(micros: int) -> str:
        return (EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    kept = sorted((c for c in file.kept().values() if c.kind == 1), key=lambda commit: commit.number)
    assert rows("commits") == [
        (c.number, c.branch, moment(c.rt), moment(c.wall), c.author, c.message, c.thinned, c.epoch, c.root)
        for c in kept
    ]
    branches = sorted(file.branches(), key=lambda branch: branch.id)
    assert rows("branches") == [(b.name, b.id, b.head, b.fork, b.upstream, b.base, b.older, b.keep) for b in branches]
    assert rows("tags") == [(name, *key) for name, key in sorted(file.tags().items(), key=lambda tag: tag[0].encode())]
    assert rows("pins") == [(number,) for number in sorted(file.pins())]
    fill = file.fill()
    assert rows("segments") == [(at + 1, *pair) for at, pair in enumerate(fill)]
    assert len(fill) == file.segments
    assert sum(live for _, live in fill) > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_written_from_the_page_reads_any_file(tmp_path, seed):
    path = str(tmp_path / "s.rrdb")
    storage = ringfile.create(path, SIZE, SLOTS, sync="none")
    past = Past(storage, Random(seed), names=200, values=2000)
    for step in range(160):
        past.step()
        past.thin(20)
        if step % 9 == 0:
            past.tick()
    past.tick()
    same(independent_reader.File(path), storage.state(), storage)
    storage.close()


def test_and_what_only_the_journal_has(tmp_path):
    path = tmp_path / "s.rrdb"
    with rrdstore.create(path, "8MiB", "last:8 1m:1h *:4") as store:
        main = store.branch("main")
        main.set("/a", b"1", meta=b"m", message="one", author="é", opaque=b"\x00mine")
        main.remove("/a")
        main.set("/b", b"2")
        entries = journal(path)[1]
        assert [(e.number, e.branch, e.author, e.message, e.opaque, e.edits) for e in entries] == [
            (2, 1, "é", "one", b"\x00mine", [("/a", b"1", b"m")]),
            (3, 1, "", "", b"", [("/a", None, None)]),
            (4, 1, "", "", b"", [("/b", b"2", None)]),
        ]
        assert [entry.parents for entry in entries] == [[(n, 1)] for n in (1, 2, 3)]
        with main.transaction() as tx:
            tx.set("/c/d/e", b"3", meta=b"m", parents=b"p")
            tx.set("/c/d", b"4")
            tx.remove("/c/d/e")
            tx.set("/cd", b"5")
        assert journal(path)[1][-1].edits == [
            ("/c", b"", b"p"), ("/c/d", b"", b"p"), ("/c/d/e", b"3", b"m"),
            ("/c/d", b"4", None), ("/c/d/e", None, None), ("/cd", b"5", None),
        ]  # fmt: skip
        store.tick()
        assert journal(path) == (None, [])
        assert set(independent_reader.File(path).kept()) == {1, 2, 3, 4, 5}


def test_and_what_it_has_of_branches_tags_and_pins(tmp_path):
    path, change = tmp_path / "s.rrdb", independent_journal.Change
    with rrdstore.create(path, "8MiB", "last:8 1m:1h *:4", clock=ManualClock(5)) as store:
        main = store.branch("main")
        work = main.fork("wörk", "last:3", lease="30s")
        store.branch("bare", create=True, keep="*:2")
        made = work.set("/a", b"1")
        store.tag("näme", made)
        store.untag("näme")
        store.pin(made)
        store.unpin(made)
        store.delete_branch("bare")
        store.tune("main", "last:2")
        rings = store.ledger.history.names["main"].rings.state()
        begun, bare, commit, *rest = journal(path)[1]
        until = store.ledger.history.names["wörk"].until
        assert begun == change(1, (2, 1, 1, 30_000_000, until), "wörk", "last:3")
        assert until > 30_000_000
        assert (bare.kind, bare.numbers, bare.name, bare.policy) == (1, (3, 0, 0, 0, 0), "bare", "*:2")
        assert (bare.first.number, bare.first.branch, bare.first.parents) == (2, 3, [])
        assert bare.first.message == "branch bare created"
        assert (commit.number, commit.branch, commit.parents) == (3, 2, [(1, 1)])
        assert rest == [
            change(3, (3, 1), "näme"),
            change(4, (), "näme"),
            change(5, (3,)),
            change(6, (3,)),
            change(2, (3,)),
            change(7, fits=[(1, "last:2", rings, (1,))]),
        ]
        store.tick()
        assert journal(path) == (None, [])


def test_and_what_a_net_has_of_a_store_that_is_held(tmp_path):
    path = tmp_path / "s.rrdb"
    with rrdstore.create(path, "4MiB", "last:8 1m:1h *:4", clock=ManualClock(), sync="none") as store:
        main, n = store.branch("main"), 0
        with main.transaction() as tx:
            for n in range(150):
                tx.set(f"/d{n % 7}/k{n}", b"value %d" % n, meta=b"m")
        main.fork("work")
        with foreign(str(path)):
            while not store.ledger.storage._journal._words[7]:
                n += 1
                main.set(f"/d{n % 7}/k{n % 150}", b"again %d" % n)
                if n % 50 == 0:
                    main.remove(f"/d{n % 7}")
                    store.branch("work").merge("main")
            main.set("/after", b"the net")
            store.tag("after", main.head)
            net, entries = journal(path)
            assert entries[-2].edits == [("/after", b"the net", None)]
            assert entries[-1] == independent_journal.Change(3, (main.head.number, 1), "after")
            file, trees = independent_reader.File(path), {}
            stored = {number: file.tree(commit.root) for number, commit in file.kept().items()}
            records = store.ledger.history.graph.records
            for commit in net.fresh:
                trees[commit.number] = commit.on(trees.get(commit.before) or stored[commit.before])
                record = records.get(commit.number)
                if record is not None:
                    assert trees[commit.number] == flat(record.root)
                    assert (commit.branch, commit.rt, commit.epoch) == (record.branch, record.rt, record.epoch)
                    assert commit.parents == list(record.parents)
            assert len(records.keys() & trees.keys()) > 8
            assert net.number == max(trees)
            assert net.rows == 2
            assert set(net.drops) <= set(stored)
            file.database.close()


def test_a_store_of_the_machine_and_the_state_of_its_tiers(tmp_path):
    class Kept(FileHome):
        """Ends when it has been read."""

        def end(self):
            if self.path.exists() and not (Path(f"{self.path}-wal")).exists():
                with rrdstore.open(self.path, readonly=True) as store:
                    storage = store.ledger.storage
                    file = independent_reader.File(self.path)
                    same(file, storage.state(), storage)
                    for branch in file.branches():
                        if branch.name:
                            tiers = file.tiers(branch.state)
                            assert tiers.policy == crc32(branch.keep.encode())
                            assert str(parse(branch.keep)) == branch.keep
                            own = [(c.rt, c.number) for c in file.kept().values() if c.branch == branch.id]
                            assert not own or (tiers.rt, tiers.number) >= max(own)
                    seen.append(len(file.kept()))
            super().end()

    seen: list[int] = []
    walk(StoreMachine(Kept), Random(5), 120)
    assert seen


def test_the_reader_knows_nothing_of_the_engine():
    text = "".join(Path(one.__file__).read_text() for one in (independent_reader, independent_journal))
    tree = ast.parse(text.replace("from __future__ import annotations", ""))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= {"__future__", "sqlite3", "dataclasses", "pathlib", "struct", "zlib", "blake3"}


def test_the_page_names_every_table_and_every_field_of_the_superblock(tmp_path):
    page = (ROOT / "docs" / "format.md").read_text()
    rrdstore.create(tmp_path / "s.rrdb", "8MiB", "last:8").close()
    file = independent_reader.File(tmp_path / "s.rrdb")
    for kind, name in file.database.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"):
        assert re.search(rf"`{name}\b", page), f"{kind} {name} is not in docs/format.md"
    for field in independent_reader.SUPERBLOCK:
        assert field in page
