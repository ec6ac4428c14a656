"""Every kind of row changed in every way: `check` names it, and repair keeps all that is not said to be lost.

What a bit flip or a lost write does no checksum fits; here rows are sealed again, so that nothing but what they say,
and what else says the same, can tell. `UNTOLD` are the fields of which nothing does.
"""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest

import rrdstore
from rrdstore.storage.records import sealed
from rrdstore.storage.superblock import Superblock
from rrdstore.testing import ManualClock
from tests.faults.life import content

SIZE = 1 << 20
ENDS = ("", "-ring")
PLACED = {"author", "segm", "loc", "column", "series"}
"""Tables whose rows are sealed with their place."""

KEPT = {
    "kind": (0, 1), "parents": (1, 1), "grafts": (2, 2), "bytes of author": (4, 1), "bytes of message": (5, 1),
    "authors": (6, 1), "epoch": (7, 4), "number": (11, 6), "branch": (17, 6), "before": (23, 6), "top": (29, 6),
    "root": (35, 6), "thinned": (41, 5), "rt": (46, 8), "wall": (54, 8), "text": (62, 1),
}  # fmt: skip
BRANCH = {
    "kind": (0, 1), "index": (1, 2), "count": (3, 2), "bytes": (5, 2), "id": (7, 8), "head": (15, 8), "fork": (23, 8),
    "upstream": (31, 8), "base": (39, 8), "bytes of name": (47, 1), "bytes of policy": (48, 2),
    "bytes of state": (50, 4), "name": (54, 1),
}  # fmt: skip
TAG = {"bytes of name": (0, 1), "epoch": (1, 4), "number": (5, 8), "name": (13, 1)}
PIN = {"count": (0, 4), "number": (4, 8)}
SEGM = {"used": (0, 4), "live": (4, 4)}
LOC = {"place": (4, 4)}
COLUMNS = {"kept": KEPT, "branch": BRANCH, "tag": TAG, "pin": PIN, "segm": SEGM, "loc": LOC}

UNTOLD = {("kept", name) for name in ("branch", "top", "thinned", "rt", "wall", "text")}
"""Facts of the past that nothing repeats: only the checksum of the row holds them."""
COUNTERS = {"tick", "number", "epoch", "next", "dying", "reaped", "clean", "writes", "generation", "line"}
"""Of the superblock: what may be higher, and whether the journal may be missing. Lower is told of some."""
UNUSED = {("column", "zeros"), ("series", "zeros"), ("kept", "swapped")}
"""A row of zeros was never written; and the order of kept commits means nothing."""


class Mutable:
    """A store with something in every table, closed, and restored after each change."""

    def __init__(self, path: str) -> None:
        self.path, self.clock = path, ManualClock()
        random = Random(3)
        with rrdstore.create(path, SIZE, "last:12 1s:12s *:6", clock=self.clock, series=["/n/*:4"]) as store:
            main = store.branch("main")
            for step in range(40):
                self.clock.advance(0.4)
                main.set(f"/wide/k{step}", b"%d" % step)
                value = b"v%d" % step + b"." * random.choice((3, 300, 3000))
                main.set(f"/a{step % 5}/k{step % 17}", value, author=f"who{step % 4}")
                main.set("/n/x", b"%d" % step)
            work = main.fork("work", "last:4")
            work.set("/w/1", b"1")
            main.merge("work")
            store.tag("main", main.head)
            store.tag("work", work.head)
            store.pin(main.head)
            gone = main.fork("gone", "last:2")
            gone.set("/g", b"1")
            store.tag("kept", gone.head)
            store.delete_branch("gone")
            main.set("/last", b"1")
            store.tick()
            self.truth = {}
            for branch in store.branches.values():
                self.truth |= {commit.number: content(store, commit) for commit in branch.log()}
            self.hidden = {commit.number: content(store, commit) for commit in store.tags.values()}
        for end in ENDS:
            shutil.copyfile(path + end, path + ".saved" + end)

    def restore(self) -> None:
        for file in Path(self.path).parent.glob(Path(self.path).name + "*"):
            if ".saved" not in file.name:
                file.unlink()
        for end in ENDS:
            shutil.copyfile(self.path + ".saved" + end, self.path + end)

    def rows(self, table: str) -> list[tuple[int, bytes]]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        found = connection.execute(f"SELECT id, d FROM {table} ORDER BY id").fetchall()
        connection.close()
        return found

    def do(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute(statement, values).fetchall()
        connection.close()

    def put(self, table: str, at: int, data: bytes) -> None:
        self.do(f"UPDATE {table} SET d = ? WHERE id = ?", data, at)

    def said(self) -> list[str]:
        """What opening or checking says."""
        try:
            with rrdstore.open(self.path, readonly=True, clock=self.clock) as store:
                return [str(problem) for problem in store.check()]
        except rrdstore.StoreError as fault:
            return [str(fault)]

    def repaired(self, *, whole: bool = True) -> None:
        """Repair it: it is clean, holds nothing that was not true, and misses only what is said to be lost."""
        made = rrdstore.repair(self.path, clock=self.clock)
        lost = " ".join(map(str, made.lost))
        with rrdstore.open(self.path, clock=self.clock) as store:
            assert store.check() == []
            kept = set()
            for branch in store.branches.values():
                for commit in branch.log():
                    kept.add(commit.number)
                    found, true = content(store, commit), {**self.truth, **self.hidden}.get(commit.number, {})
                    wrong = [path for path, value in found.items() if value and true.get(path) != value]
                    assert not wrong or "place" in lost or not whole
            said = {word.partition("-")[0].rstrip(":") for word in lost.split()}
            if whole and not said & {"branch", "more"}:
                assert all(str(number) in said or number in kept for number in self.truth)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Mutable(str(tmp_path_factory.mktemp("mutations") / "s.rrdb"))


def used(store: Mutable, table: str) -> list[tuple[int, bytes]]:
    return [(at, row) for at, row in store.rows(table) if any(row)]


def changed(store: Mutable, table: str, how: str) -> bool:
    """Change the table in this way, if it can be."""
    store.restore()
    rows = used(store, table)
    (first, data), (last, other) = rows[0], rows[-1]
    free = [at for at, row in store.rows(table) if not any(row)]
    if how == "flipped":
        store.put(table, first, data[:9] + bytes([data[9] ^ 4]) + data[10:])
    elif how == "zeros":
        store.put(table, last, bytes(len(data)))
    elif how == "doubled" and free:
        store.put(table, free[-1], data)
    elif how == "swapped" and len(rows) > 1:
        store.put(table, first, other)
        store.put(table, last, data)
    elif how == "written over" and len(rows) > 1:
        store.put(table, last, data)
    elif how == "longer":
        store.put(table, first, data + b"x")
    elif how == "gone":
        store.do(f"DELETE FROM {table} WHERE id = ?", first)
    elif how == "one more":
        store.do(f"INSERT INTO {table} SELECT max(id) + 1, d FROM {table}")
    else:
        return False
    return True


@pytest.mark.parametrize(
    "how", ["flipped", "zeros", "doubled", "swapped", "written over", "longer", "gone", "one more"]
)
@pytest.mark.parametrize("table", ["branch", "tag", "pin", "kept", "author", "segm", "loc", "column", "series"])
def test_a_row_that_is_not_what_it_was(store, table, how):
    if not changed(store, table, how):
        pytest.skip("the table has no row for this")
    assert bool(store.said()) is ((table, how) not in UNUSED)
    store.repaired()


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, names in COLUMNS.items() for name in names])
def test_a_field_that_is_not_what_it_was(store, table, name):
    at, size = COLUMNS[table][name]
    store.restore()
    row, data = used(store, table)[0 if table != "kept" else len(used(store, table)) // 2]
    told = []
    for delta in (1, -1):
        value = (int.from_bytes(data[at : at + size], "little") + delta) % (1 << 8 * size)
        body = (data[:at] + value.to_bytes(size, "little") + data[at + size :])[:-4]
        store.restore()
        store.put(table, row, sealed(body, len(data), table, row - 1 if table in PLACED else 0))
        told.append(bool(store.said()))
    assert all(told) or (table, name) in UNTOLD, told
    store.repaired(whole=name not in {"root", "branch"})  # Which of two was meant, nobody can say.


@pytest.mark.parametrize("name", [field.name for field in fields(Superblock)])
def test_a_superblock_that_is_not_what_it_was(store, name):
    told = []
    for delta in (1, -1):
        store.restore()
        connection = sqlite3.connect(store.path, isolation_level=None)
        superblock = Superblock.decode(connection.execute("SELECT v FROM meta WHERE k = 'superblock'").fetchone()[0])
        value = getattr(superblock, name) + delta
        if value >= 0:
            setattr(superblock, name, value)
            connection.execute("UPDATE meta SET v = ? WHERE k = 'superblock'", (superblock.encode(),))
        connection.close()
        if value >= 0:
            told.append(bool(store.said()))
    assert all(told) or name in COUNTERS, told
    store.repaired()


@pytest.mark.parametrize("key", ["format", "uuid", "size", "slots", "segment", "segments", "grain", "series", "check"])
def test_a_fact_that_is_not_what_it_was(store, key):
    store.restore()
    store.do("UPDATE meta SET v = v || '1' WHERE k = ?", key)
    assert any("meta" in text for text in store.said())
    store.restore()
    store.do("DELETE FROM meta WHERE k = ?", key)
    assert any("meta" in text for text in store.said())
    store.repaired()
