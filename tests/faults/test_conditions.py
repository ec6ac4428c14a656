"""Each condition that docs/trust.md names, brought about, and what the command line says of it: words and exit code."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import rrdstore
from rrdstore.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 2 << 20


def made(path: Path) -> None:
    with rrdstore.create(path, SIZE, "last:20 *:8") as store:
        for number in range(30):
            store.branch("main").set(f"/k{number % 7}", b"%d" % number)
        store.tag("here", store.branch("main").head)
        store.branch("main").set("/hello", b"world")


def left(path: Path) -> None:
    """A store as a kill leaves it: with a log, and a journal that is not stored."""
    live = path.with_name("live")
    store = rrdstore.create(live, SIZE, "last:20 *:8")
    for number in range(30):
        store.branch("main").set(f"/k{number % 7}", b"%d" % number)
    store.tick()
    store.branch("main").set("/hello", b"world")
    for end in ("", "-wal", "-ring"):
        shutil.copyfile(f"{live}{end}", f"{path}{end}")
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made(tmp_path / "s.rrdb")
    return tmp_path / "s.rrdb"


def run(path: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and all that was said."""
    done = CliRunner().invoke(main, ["-C", str(path), *arguments], prog_name="rrdstore")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    if done.exit_code and arguments[0] != "check":
        assert done.stderr.startswith("rrdstore: ")
        assert done.stderr.count("\n") == 1
    return done.exit_code, done.stdout + done.stderr


def sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement).fetchall()
    connection.close()


def cut(end: str, share: float) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        file = Path(f"{path}{end}")
        os.truncate(file, int(file.stat().st_size * share))

    return do


def written(end: str, at: int, data: bytes) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        with Path(f"{path}{end}").open("r+b") as file:
            file.seek(at)
            file.write(data)

    return do


def strange(*statements: str) -> Callable[[Path], None]:
    return lambda path: sql(path, *statements)


def anothers_journal(path: Path) -> None:
    made(path.with_name("other.rrdb"))
    shutil.copyfile(path.with_name("other.rrdb-ring"), f"{path}-ring")


READ, WRITE, CHECK, REPAIR = ("get", "/hello"), ("set", "/new", "1"), ("check",), ("check", "--repair")
CASES = {
    "text": (lambda path: path.write_bytes(b"no store " * 999), 10, 10, 10, 10, "no SQLite database"),
    "nothing in it": (lambda path: path.write_bytes(b""), 10, 10, 10, 10, "an empty file"),
    "another's SQLite file": (strange("PRAGMA application_id = 7"), 10, 10, 10, 0, "another application"),
    "a newer format": (strange("PRAGMA user_version = 99"), 1, 1, 1, 0, "format 99, expected format"),
    "the file cut in half": (cut("", 0.5), 1, 1, 1, 0, "found"),
    "the file cut to a page": (cut("", 0.0023), 1, 1, 1, 10, "found"),
    "the journal cut in half": (cut("-ring", 0.5), 1, 1, 1, 0, "bytes"),
    "the journal gone, closed": (lambda path: Path(f"{path}-ring").unlink(), 0, 0, 0, 0, "journal"),
    "another store's journal": (anothers_journal, 1, 1, 1, 0, "the head of another file"),
    "a journal of text": (written("-ring", 0, b"something else entirely"), 1, 1, 1, 0, "the head of another file"),
    "a table more": (strange("CREATE TABLE mine (x)"), 0, 1, 1, 0, "table 'mine'"),
    "a trigger": (strange("CREATE TRIGGER t AFTER UPDATE ON tag BEGIN SELECT 1; END"), 0, 1, 1, 0, "trigger 't'"),
    "an index": (strange("CREATE INDEX i ON tag (d)"), 0, 1, 1, 0, "index 'i'"),
    "a table more, gone, VACUUM": (
        strange("CREATE TABLE mine (x)", "INSERT INTO mine VALUES (zeroblob(99999))", "DROP TABLE mine"),
        0, 1, 1, 0, "freelist count",
    ),
    "a row more": (strange("INSERT INTO tag SELECT max(id) + 1, d FROM tag"), 1, 1, 1, 0, "row 17"),
    "a row gone": (strange("DELETE FROM tag WHERE id = 9"), 1, 1, 1, 0, "row 10"),
    "a fact more": (strange("INSERT INTO meta VALUES ('mine', '1')"), 1, 1, 1, 0, "checksum"),
    "a tag of zeros": (strange("UPDATE tag SET d = zeroblob(276) WHERE id = 1"), 0, 1, 1, 0, "digest"),
}  # fmt: skip
"""What is done; the codes of a read, a write, a check and a repair; words that the check says."""


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_said_and_what_is_kept(path, name):
    damage, read, write, check, repair, words = CASES[name]
    damage(path)
    assert run(path, *READ)[0] == read
    code, said = run(path, *CHECK)
    assert (code, words in said) == ((check, True) if check or read else (0, False)), said
    assert run(path, *WRITE)[0] == write
    code, said = run(path, *REPAIR)
    assert code == repair, said
    if repair < 10:
        assert run(path, *CHECK)[0] == 0
        assert run(path, *WRITE)[0] == 0
    if repair == 0:
        assert run(path, *READ) == (0, "world")


def test_what_VACUUM_leaves_is_a_store_still(path):
    sql(path, "VACUUM")
    assert run(path, *CHECK) == (0, "")
    assert run(path, *WRITE)[0] == 0
    assert run(path, *CHECK) == (0, "")


@pytest.mark.parametrize(("end", "share"), [("-wal", 0.5), ("-wal", 0.0), ("-ring", 0.5)])
def test_what_a_kill_left_and_somebody_cut(tmp_path, end, share):
    """A log that is cut is a log that ends there: the store is what it was before, or it is told."""
    path = tmp_path / "s.rrdb"
    left(path)
    assert run(path, *READ) == (0, "world")
    left_code = run(path, *CHECK)[0]
    assert left_code == 0
    cut(end, share)(path)
    code, said = run(path, *READ)
    assert code == 1, said
    assert "found" in said
    assert run(path, *REPAIR)[0] in {0, 3}
    assert run(path, *CHECK) == (0, "")


def test_two_writers(path):
    with rrdstore.open(path):
        code, said = run(path, *WRITE)
        assert (code, f"process {os.getpid()}" in said) == (11, True)
        assert run(path, *REPAIR)[0] == 11
        assert run(path, *READ) == (0, "world")
        assert run(path, *CHECK) == (0, "")


def mounted(where: Path, options: str) -> None:
    where.mkdir(exist_ok=True)
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def file_system(tmp_path):
    """A file system of 3 MiB."""
    where = tmp_path / "mounted"
    mounted(where, "size=3m")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_file_system_that_is_read_only(file_system):
    path = file_system / "s.rrdb"
    made(path)
    subprocess.run(["mount", "-o", "remount,ro", str(file_system)], check=True)
    assert run(path, *READ) == (0, "world")
    assert run(path, *CHECK) == (0, "")
    code, said = run(path, *WRITE)
    assert (code, "Read-only file system" in said) == (1, True)
    code, said = run(
        file_system / "new.rrdb", "create", str(file_system / "new.rrdb"), "--size", "2MiB", "--keep", "last:8"
    )
    assert (code, "Read-only file system" in said) == (1, True)
    code, said = run(path, *REPAIR)
    assert code == 1, said


def test_a_disk_that_is_too_small(file_system):
    path = file_system / "s.rrdb"
    code, said = run(path, "create", str(path), "--size", "4MiB", "--keep", "last:8")
    assert (code, "full" in said or "No space" in said) == (1, True), said
    assert list(file_system.iterdir()) == []
    assert run(path, "create", str(path), "--size", "2MiB", "--keep", "last:8")[0] == 0


def test_no_room_beside_it_for_a_repair(file_system):
    path = file_system / "s.rrdb"
    made(path)
    before = path.stat().st_size
    strange("CREATE TABLE mine (x)")(path)
    code, said = run(path, *REPAIR)
    assert (code, "full" in said or "No space" in said) == (1, True), said
    assert path.stat().st_size >= before
    assert run(path, *READ) == (0, "world")
    assert not list(file_system.glob("*-repaired*"))
