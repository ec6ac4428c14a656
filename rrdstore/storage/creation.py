"""Creation: a container comes into being, every table filled with zeros to the length that it has for ever.

Rule: all of the file is written once, in transactions of some MiB without a journal, as nobody has it yet; of a
failure nothing is left. Cost: O(size), at the disk's speed.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rrdstore.storage.container import faults
from rrdstore.storage.layout import PAGE
from rrdstore.storage.schema import APPLICATION, FORMAT, META, meta, statement, tables
from rrdstore.storage.superblock import Superblock
from rrdstore.storage.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.storage.layout import Layout

_WRITTEN_AT_ONCE = 4 << 20
"""Bytes in a transaction."""


def create(path: str, layout: Layout, uuid: bytes, epoch: int, progress: Callable[[int, int], object] | None) -> None:
    """Write a whole new file, all of it once; Unwritable. What is left of a failure is removed."""
    try:
        with faults(path):
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                _fill(connection, layout, uuid, epoch, progress)
            finally:
                connection.close()
    except BaseException:
        for name in (path, path + "-wal", path + "-shm"):
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)
        raise


def _fill(
    connection: sqlite3.Connection,
    layout: Layout,
    uuid: bytes,
    epoch: int,
    progress: Callable[[int, int], object] | None,
) -> None:
    execute = connection.execute
    for pragma in (
        f"page_size = {PAGE}",
        "auto_vacuum = NONE",
        "journal_mode = OFF",
        "synchronous = OFF",
        f"application_id = {APPLICATION}",
        f"user_version = {FORMAT}",
        f"max_page_count = {layout.pages}",
    ):
        execute(f"PRAGMA {pragma}").fetchall()
    execute("BEGIN")
    execute(META)
    for view in VIEWS.values():
        execute(view)
    for key, value in meta(layout, uuid).items():
        execute("INSERT INTO meta VALUES (?, ?)", (key, value))
    execute("INSERT INTO meta VALUES ('superblock', zeroblob(128))")
    wanted = tables(layout)
    total = sum(count * size for count, size in wanted.values())
    done = 0
    for table, (count, size) in wanted.items():
        execute(statement(table))
        for at in range(count):
            execute(f"INSERT INTO {table} VALUES (?, zeroblob(?))", (at + 1, size))
            done += size
            if (at + 1) * size // _WRITTEN_AT_ONCE > at * size // _WRITTEN_AT_ONCE:
                execute("COMMIT")
                if progress:
                    progress(done, total)
                execute("BEGIN")
    pages = execute("PRAGMA page_count").fetchone()[0]
    execute("UPDATE meta SET v = ? WHERE k = 'superblock'", (Superblock(epoch=epoch, pages=pages).encode(),))
    execute("COMMIT")
    execute("PRAGMA journal_mode = WAL").fetchall()
    if progress:
        progress(total, total)
