"""The schema: which tables a store has, how many rows of which length, and how a file is recognised.

Rule: the tables are these, each with all its rows from the beginning, and the views of `views`; nothing else. What a
stranger added (a table, an index, a trigger, a row, a page) is named, and the file is not written until it is
repaired: a trigger could change what is stored, a table takes room that is promised. Reading goes on.
What the rows of `meta` say of the file is proved by one more, `check`: CRC-32 of the others.
Cost: O(tables).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING
from zlib import crc32

from rrdstore.errors import Corrupt, NoStore, OtherFormat, StoreError
from rrdstore.storage.layout import KEPT, PAGE, ROW, TAG, Layout, SeriesRoom, plan
from rrdstore.storage.views import VIEWS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

APPLICATION = 0x72726462
"""`rrdb`, in the header of the SQLite file."""
FORMAT = 5
FORMATS = (2, 3, 4, 5)
"""Those that can be read, and written: `formats`."""

KNOWN = f"format {', '.join(map(str, FORMATS[:-1]))} or {FORMATS[-1]}"

META = "CREATE TABLE meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID"


def tables(layout: Layout) -> dict[str, tuple[int, int]]:
    """Of each table of fixed rows, how many there are and how long each is, in the order of creation."""
    return {
        "branch": (layout.branch_rows, ROW),
        "tag": (layout.tags, TAG),
        "pin": (layout.pin_rows, ROW),
        "kept": (layout.kept_rows, KEPT),
        "author": (layout.author_rows, ROW),
        "dying": (layout.dying_rows, ROW),
        "segm": (layout.segment_rows, ROW),
        "loc": (layout.location_rows, ROW),
        **{table: (count, ROW) for table, count in layout.series.tables.items()},
        "seg": (layout.segments, layout.segment),
    }


def statement(table: str) -> str:
    """What makes a table of fixed rows."""
    return f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, d BLOB NOT NULL)"


def meta(layout: Layout, uuid: bytes) -> dict[str, str]:
    """The rows of `meta` that are written once, their proof among them."""
    said = {"format": FORMAT, "uuid": uuid.hex(), "size": layout.size, "slots": layout.slots}
    said |= {"segment": layout.segment, "segments": layout.segments, "grain": layout.grain}
    rows = {key: str(value) for key, value in said.items()}
    if layout.series.columns:
        rows["series"] = json.dumps(asdict(layout.series), ensure_ascii=False)
    return {**rows, "check": proof(rows)}


def proof(rows: Mapping[str, str]) -> str:
    """CRC-32 of all rows of `meta` but itself and the superblock."""
    lines = sorted(f"{key}={value}\n" for key, value in rows.items() if key not in {"check", "superblock"})
    return f"{crc32(''.join(lines).encode()):08x}"


def recognised(path: str, connection: sqlite3.Connection) -> Layout:
    """The layout of an open file; NoStore, Corrupt if it is another's, of another format, or does not fit together."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION:
        raise NoStore(path, f"an SQLite file of another application (id {application:#x})")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in FORMATS:
        raise OtherFormat(path, version, KNOWN)
    found = {str(key): str(value) for key, value in connection.execute("SELECT k, v FROM meta WHERE k <> 'superblock'")}
    layout = described(path, found)
    if found["format"] != str(version):
        raise Corrupt(f"{path}, table meta", f"format {found['format']}", f"format {version}, as the header has it")
    return layout


def described(path: str, found: Mapping[str, str]) -> Layout:
    """The layout that the rows of `meta` tell of; Corrupt."""
    where = f"{path}, table meta"
    if found.get("check") != proof(found):
        raise Corrupt(where, f"checksum {proof(found)}", found.get("check", "a row 'check'"))
    try:
        series = SeriesRoom(**json.loads(found.get("series", "{}")))
        layout = plan(int(found["size"]), int(found["slots"]), series)
        said = tuple(int(found[key]) for key in ("segment", "segments", "grain"))
        bytes.fromhex(found["uuid"]), found["format"]
    except (KeyError, ValueError, TypeError, ArithmeticError, StoreError) as fault:
        raise Corrupt(where, f"{fault!r}", "size, slots, segment, segments, grain, uuid, series") from fault
    if said != (layout.segment, layout.segments, layout.grain):
        raise Corrupt(where, f"segments {said}", f"{(layout.segment, layout.segments, layout.grain)}")
    return layout


def strangers(connection: sqlite3.Connection, layout: Layout, pages: int) -> Iterator[tuple[str, str, str]]:
    """What is in the file that no store puts there, or is missing: where, what was found, what was expected.

    `pages` is how many the file has had since creation.
    """
    ours = {"meta": META, **{table: statement(table) for table in tables(layout)}, **VIEWS}
    seen = set()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema"):
        seen.add(name)
        if name not in ours:
            yield f"{kind} {name!r}", "in the file", "nothing but a store's own tables"
        elif sql != ours[name]:
            yield f"{kind} {name}", f"{sql}", ours[name]
    for name in ours.keys() - seen:
        yield f"{'view' if name in VIEWS else 'table'} {name}", "nothing", ours[name]
    facts = {"page_count": pages, "page_size": PAGE, "auto_vacuum": 0, "freelist_count": 0}
    for pragma, expected in facts.items():
        found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        if found != expected:
            yield pragma.replace("_", " "), f"{found}", f"{expected}, as at creation"
