"""The container: one SQLite file whose tables are filled at creation and never grow.

Rule: rows are only ever overwritten by rows of the same length, so no page is added or freed;
`max_page_count` makes SQLite refuse what would break that. The log is written back by our own
checkpoint, never beyond its share: whoever begins a transaction says how many pages it may change.
A reader that holds the log back makes that wait, then fail with Held, before anything has changed.
No handle on a blob stays open: SQLite could not truncate the log then.

    meta (k text primary key, v)              written once at creation, but for `superblock`
    branch, pin, dying, segm, loc (id, d)     rows of 4,032 bytes
    tag (id, d) 276 bytes     kept (id, d) 165 bytes     seg (id, d) one segment each
    column, series (id, d)                    rows of 4,032 bytes, if series were declared

The main file is opened by SQLite alone: closing any other descriptor of it would drop SQLite's locks.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rrdstore.errors import Corrupt, Held, NoStore, Unwritable
from rrdstore.storage.holder import holder
from rrdstore.storage.layout import FRAME, Layout
from rrdstore.storage.schema import recognised, strangers, tables
from rrdstore.storage.superblock import Superblock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

WAIT = 250
"""Milliseconds to wait for another process that holds the log, before it is known to hold it for longer."""

_NAMED = 1.0
"""Seconds for which it is believed that the same process holds the log: the kernel takes 20 ms to list all locks."""
_WRITTEN_BACK = 1 << 20
"""Bytes of log that are written back at once, so that nobody waits long for it: 2 ms, and the disk."""
_CACHED = 256
"""Pages that SQLite keeps in memory of those that are in the file, too; those of a transaction it never puts out."""
_FORBIDDEN = ("attempt to write a readonly", "unable to open")
_BUSY = ("database is locked", "database table is locked", "database schema is locked")


class Container:
    """An open file. All methods but `read_segment` and `rows` belong to the writing thread."""

    def __init__(self, path: str, connection: sqlite3.Connection, layout: Layout, *, durable: bool) -> None:
        self.path, self.layout, self.lock = path, layout, threading.RLock()
        self._connection, self._durable = connection, durable
        self._full = False
        self.doubtful = False
        """Whether a transaction that failed at its end may be found in the log by whoever opens it next."""
        self.held = False
        """Whether somebody has kept the log from being written back when it had to be, and nobody waits for him."""
        self._wait = WAIT
        self._named, self._named_until = "", 0.0
        self._written_back_at = self._due = min(layout.wal // 2, _WRITTEN_BACK)
        self.meta = {key: value for key, value in self._all("SELECT k, v FROM meta") if key != "superblock"}
        self.uuid: bytes = bytes.fromhex(self.meta["uuid"])
        self._tables = tables(layout)

    # Statements

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """One statement; sqlite3's errors, which the caller's `faults` translates."""
        return self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Iterable[tuple[bytes, int]]) -> None:
        """One statement for many rows; errors as `execute`."""
        self._connection.executemany(statement, rows)

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        with self.lock, faults(self.path):
            return self.execute(statement, values).fetchall()

    def rows(self, table: str) -> list[bytes]:
        """All rows of a table, in order; Corrupt if one is missing, too many, or not as long as it should be."""
        count, size = self._tables[table]
        self.whole(table)
        rows = [bytes(size)] * count
        for number, data in self._all(f"SELECT id, d FROM {table} WHERE d IS NOT zeroblob({size})"):
            self._sound(table, number - 1, data, size)
            rows[number - 1] = data
        return rows

    def whole(self, table: str) -> None:
        """Corrupt if a row of a table is missing, or there are too many."""
        count, _ = self._tables[table]
        ((found, first, last),) = self._all(f"SELECT count(*), min(id), max(id) FROM {table}")
        if (found, first, last) != (count, 1, count):
            numbers = [number for (number,) in self._all(f"SELECT id FROM {table} ORDER BY id")]
            wrong = [number for at, number in enumerate(numbers, 1) if number != at or at > count]
            what = f"row {wrong[0]}" if wrong else f"{found} rows"
            raise Corrupt(f"{self.path}, table {table}", what, f"rows 1 to {count}, each once")

    def each(self, table: str, first: int, take: Callable[[int, bytes], object]) -> None:
        """Hand the first so many rows of a table to `take`, with their places, counted from 0; Corrupt."""
        with self.lock, faults(self.path):
            cursor = self.execute(f"SELECT id, d FROM {table} WHERE id <= ? ORDER BY id", (first,))
            with closing(cursor):
                for number, data in cursor:
                    self._sound(table, number - 1, data, self._tables[table][1])
                    take(number - 1, data)

    def row(self, table: str, at: int) -> bytes:
        """One row, counted from 0; Corrupt."""
        found = self._all(f"SELECT d FROM {table} WHERE id = ?", (at + 1,))
        if not found:
            raise Corrupt(f"{self.path}, table {table}", "no row", f"row {at + 1}")
        self._sound(table, at, found[0][0], self._tables[table][1])
        return bytes(found[0][0])

    def _sound(self, table: str, at: int, data: object, size: int) -> None:
        if data.__class__ is not bytes or len(data) != size:
            what = f"{len(data)} bytes" if isinstance(data, bytes) else f"{data!r:.20}"
            raise Corrupt(f"{self.path}, table {table}, row {at + 1}", what, f"{size} bytes")

    def put(self, table: str, rows: Iterable[tuple[int, bytes]]) -> None:
        """Overwrite rows, inside a transaction."""
        statement = f"UPDATE {table} SET d = ? WHERE id = ?"
        self.execute_many(statement, [(row, at + 1) for at, row in rows])

    def read_segment(self, segment: int) -> bytes:
        """The bytes of one segment; Corrupt."""
        return self.row("seg", segment)

    def write_segment(self, segment: int, offset: int, data: bytes | memoryview) -> None:
        """Overwrite a part of a segment, inside a transaction."""
        with self._connection.blobopen("seg", "d", segment + 1) as blob:
            blob.seek(offset)
            blob.write(data)

    def superblock(self) -> Superblock:
        """The row that says where the file stands; Corrupt."""
        found = self._all("SELECT v FROM meta WHERE k = 'superblock'")
        if not found or not isinstance(found[0][0], bytes):
            raise Corrupt(f"{self.path}, table meta", "no superblock", "a superblock")
        return Superblock.decode(found[0][0])

    def put_superblock(self, superblock: Superblock) -> None:
        """Overwrite it, inside a transaction."""
        self.execute("UPDATE meta SET v = ? WHERE k = 'superblock'", (superblock.encode(),))

    # Transactions

    @contextmanager
    def transaction(self, pages: int, *, durable: bool = False) -> Iterator[None]:
        """One transaction that changes at most `pages` pages; on disk when it ends if `durable`. Held, Unwritable."""
        with self.lock, faults(self.path):
            self.make_way(pages)
            if durable and self._durable != self._full:
                self._full = self._durable
                self.execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
            elif not durable and self._full:
                self._full = False
                self.execute("PRAGMA synchronous = NORMAL")
            self._patient(0 if self.held else WAIT)
            try:
                self.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                self.held = str(fault) in _BUSY
                raise
            ending = False
            try:
                yield
                ending = True
                self.execute("COMMIT")
                self.doubtful = False
            except BaseException:
                self.doubtful |= ending
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise

    def assure(self) -> None:
        """See that nothing is found again that failed at its end; Held, Unwritable.

        All of it may be in the log although SQLite could not have it forced to the disk, and counts then for whoever
        reads the log anew after a crash. The next transaction is written over it, if it changes anything.
        """
        if self.doubtful:
            superblock = self.superblock()
            superblock.writes += 1
            with self.transaction(1, durable=True):
                self.put_superblock(superblock)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the file for all that is read inside; keep it short, it holds the log."""
        with self.lock, faults(self.path):
            self.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self.execute("COMMIT")

    def make_way(self, pages: int) -> None:
        """Room in the log for so many pages, writing it back if it is half full, or a mebibyte; Held."""
        used, share = self.log_size(), self.layout.wal
        must = used + pages * FRAME + 32 > share
        if not used or not (must or used > self._written_back_at):
            return
        if self.checkpoint(wait=must and not self.held):
            self._written_back_at = self._due
            self.held, self._named_until = False, 0.0
        elif must:
            self.held = True
            raise Held(self.path, self.holder())
        else:
            self._written_back_at = used + share // 8  # What is read by many is not asked for at each transaction.

    def checkpoint(self, *, wait: bool = True) -> bool:
        """Write the log back and truncate it; False if somebody still reads from it."""
        self._patient(WAIT if wait else 0)
        busy, _, _ = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def probe(self) -> None:
        """Held if whoever held the log does so still; he is not waited for."""
        if self.held:
            with self.lock, faults(self.path):
                if not self.checkpoint(wait=False):
                    raise Held(self.path, self.holder())
                self.held, self._named_until = False, 0.0

    def _patient(self, wait: int) -> None:
        """How many milliseconds to wait for another process from now on."""
        if wait != self._wait:
            self._wait = wait
            self.execute(f"PRAGMA busy_timeout = {wait}").fetchone()

    def log_size(self) -> int:
        """Bytes of the log now."""
        return file_size(self.path + "-wal")

    def strangers(self) -> list[tuple[str, str, str]]:
        """What another program has added, taken away or moved: where, what was found, what was expected; Corrupt."""
        pages = self.superblock().pages
        with self.lock, faults(self.path):
            return list(strangers(self._connection, self.layout, pages))

    def verdict(self) -> list[str]:
        """What SQLite finds wrong with its own pages; O(size)."""
        return [row[0] for row in self._all("PRAGMA quick_check(20)") if row[0] != "ok"]

    def holder(self) -> str:
        """Who keeps the log from being written back, as far as the system tells; asked once a second at most."""
        now = time.monotonic()
        if now >= self._named_until:
            self._named, self._named_until = holder(self.path), now + _NAMED
        return self._named

    def close(self) -> None:
        """Close; the last one to do so writes the log back and removes it."""
        with self.lock:
            self._connection.close()


# Opening


def connect(path: str, *, readonly: bool, durable: bool) -> Container:
    """Open an existing file; NoStore, Corrupt."""
    present(path)
    with faults(path, opening=True):
        try:
            return _connected(path, "mode=ro" if readonly else "mode=rw", durable=durable)
        except sqlite3.OperationalError as fault:
            if not readonly or Path(path + "-wal").exists() or not str(fault).startswith(_FORBIDDEN):
                raise
            # Nobody writes, and SQLite may not put its own files beside this one: read it as one on a CD is.
            return _connected(path, "immutable=1", durable=durable)


def _connected(path: str, how: str, *, durable: bool) -> Container:
    address = f"file:{quote(str(Path(path).absolute()))}?{how}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=WAIT / 1000, check_same_thread=False)
    connection.text_factory = _text
    try:
        layout = recognised(path, connection)
        _logged(path, connection, readonly=how != "mode=rw")
        for pragma in (
            "wal_autocheckpoint = 0",
            "cache_spill = OFF",
            f"cache_size = {_CACHED}",
            "temp_store = MEMORY",
            f"max_page_count = {layout.pages}",
            f"synchronous = {'NORMAL' if durable else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return Container(path, connection, layout, durable=durable)
    except BaseException:
        connection.close()
        raise


def _text(data: bytes) -> str:
    """Text of a table, which damage may have made none: then it fits no checksum."""
    return data.decode(errors="replace")


def _logged(path: str, connection: sqlite3.Connection, *, readonly: bool) -> None:
    """See that the file works with a log again, if another program has turned it off; Corrupt."""
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        if file_size(path + "-wal"):
            raise Corrupt(path, f"journal mode {mode}, with a log that it leaves unread", "journal mode wal")
        if not readonly:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()


def present(path: str) -> None:
    """NoStore if there is no file, or an empty one."""
    if not Path(path).exists():
        raise NoStore(path, "nothing")
    if not Path(path).is_file():
        raise NoStore(path, "a directory" if Path(path).is_dir() else "something that is no file")
    if not file_size(path):
        raise NoStore(path, "an empty file")


@contextmanager
def faults(path: str, *, opening: bool = False) -> Iterator[None]:
    """Errors of SQLite and the system inside, as the store's own: Held, NoStore, Corrupt, Unwritable."""
    try:
        yield
    except sqlite3.Error as fault:
        said = str(fault)
        if said in _BUSY:
            raise Held(path, holder(path)) from fault
        if "not a database" in said:
            raise (
                NoStore(path, "a file that is no SQLite database") if opening else Corrupt(path, said, "a database")
            ) from fault
        if "malformed" in said or "no such" in said:
            raise Corrupt(path, said, "the tables of a store") from fault
        raise Unwritable(path, said) from fault
    except UnicodeDecodeError as fault:  # What SQLite has to say of a damaged schema quotes it.
        raise Corrupt(path, f"text that is none ({fault.reason})", "the tables of a store") from fault
    except OSError as fault:
        raise Unwritable(path, str(fault)) from fault


def file_size(path: str) -> int:
    """Bytes of a file, 0 if there is none."""
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
