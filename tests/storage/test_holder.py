"""Who holds the log is named: real processes that read with sqlite3, in a transaction and out of one."""

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from rrdstore.storage import holder
from tests.storage.conftest import foreign

NAME = Path(sys.executable).name[:15]


@pytest.fixture
def database(tmp_path):
    path = str(tmp_path / "a.db")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL").fetchall()
    writer.execute("CREATE TABLE kept (d)")
    yield path
    writer.close()


def test_who_reads_in_a_transaction_is_named_with_his_command(database):
    with foreign(database) as reader:
        assert holder.holder(database) == f"process {reader.pid} ({NAME})"
    assert holder.holder(database) == holder.UNKNOWN


def test_who_only_has_it_open_is_not(database):
    idle = sqlite3.connect(database)
    idle.execute("SELECT * FROM kept").fetchall()
    with foreign(database, "SELECT * FROM kept") as open_only:
        assert str(open_only.pid) not in holder.holder(database)
        with foreign(database) as reader, foreign(database) as other:
            assert holder.holder(database) == " and ".join(
                f"process {pid} ({NAME})" for pid in sorted((reader.pid, other.pid))
            )
    idle.close()


def test_this_process_is_named_if_it_is_the_only_one(database):
    own = sqlite3.connect(database, isolation_level=None)
    own.execute("BEGIN")
    own.execute("SELECT * FROM kept").fetchall()
    assert holder.holder(database).startswith(f"process {os.getpid()} (")
    own.close()


def test_who_writes_and_does_not_end_it_is_named(database):
    with foreign(database, "BEGIN IMMEDIATE") as writer:
        assert holder.holder(database) == f"process {writer.pid} ({NAME})"


def test_where_the_system_does_not_tell_it_is_unknown(database, monkeypatch, tmp_path):
    with foreign(database):
        monkeypatch.setattr(holder, "Path", lambda name: tmp_path / "nothing")
        assert holder.holder(database) == holder.UNKNOWN
