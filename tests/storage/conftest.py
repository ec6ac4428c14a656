from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rrdstore.storage import ringfile
from rrdstore.storage.layout import least

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rrdstore.storage.writer import RingWriter

SLOTS = 32
SIZE = least(SLOTS)
"""The smallest file there can be: every bound is near."""

ENDS = ("", "-wal", "-shm", "-ring")


def total(path: str) -> int:
    """Bytes of a store's files together."""
    return sum(Path(path + end).stat().st_size for end in ENDS if Path(path + end).exists())


def sampled(storage: RingWriter, size: int = SIZE) -> RingWriter:
    """The same, with the sizes of its files measured after each transaction, when the log is at its longest."""
    held = storage._container
    execute = held.execute

    def measured(statement: str, values: tuple[object, ...] = ()) -> object:
        done = execute(statement, values)
        if statement == "COMMIT":
            assert total(held.path) <= size
            assert Path(held.path + "-wal").stat().st_size <= held.layout.wal
        return done

    held.execute = measured
    return storage


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s.rrdb")


@pytest.fixture
def created(path: str) -> Iterator[RingWriter]:
    """A new file, closed at the end whatever became of it."""
    storage = sampled(ringfile.create(path, SIZE, SLOTS, sync="none"))
    yield storage
    storage.close()


@contextmanager
def failing(storage: RingWriter, after: int) -> Iterator[Callable[[], bool]]:
    """Let the statement after so many fail as a disk does; tells whether it has."""
    held = storage._container
    execute, execute_many, left = held.execute, held.execute_many, [after]

    def counted(statement: str, values: tuple[object, ...] = ()) -> object:
        left[0] -= 1
        if left[0] < 0 and statement.split(maxsplit=1)[0] in {"BEGIN", "UPDATE", "COMMIT", "SELECT", "PRAGMA"}:
            raise sqlite3.OperationalError("disk I/O error")
        return execute(statement, values)

    def each(rows: Iterator[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
        for row in rows:
            left[0] -= 1
            if left[0] < 0:
                raise sqlite3.OperationalError("disk I/O error")
            yield row

    held.execute = counted
    held.execute_many = lambda statement, rows: execute_many(statement, each(rows))
    try:
        yield lambda: left[0] < 0
    finally:
        held.execute, held.execute_many = execute, execute_many


@contextmanager
def foreign(path: str, *statements: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process with these statements done on a file: a transaction that has begun to read, if none are said."""
    said = statements or ("BEGIN", "SELECT count(*) FROM kept")
    script = (
        "import sqlite3, sys\n"
        "held = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for said in sys.argv[2:]:\n"
        "    held.execute(said).fetchall()\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path, *said], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        try:
            yield process
        finally:
            process.communicate()
