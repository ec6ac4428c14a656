"""Rows: whether the fixed tables say what their content always makes them say, and all of them are there.

Rule: there is one way to write a branch, a tag, a pin, a kept commit. So rows are read, written again and compared:
what is left over, doubled, out of order or spelled in another way was not written by this code, whatever its checksum
says. That none is missing, or from another day, the superblock proves by a digest. Cost: O(rows). Pure but for reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, StoreError
from rrdstore.storage.layout import LOCATIONS_A_ROW, ROW
from rrdstore.storage.protocol import Problem
from rrdstore.storage.records import (
    author_pairs,
    branch_rows,
    digest,
    kept_rows,
    opened,
    pin_rows,
    read_branches,
    read_pins,
    read_tags,
    tag_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rrdstore.storage.container import Container
    from rrdstore.storage.kept import KeptTable
    from rrdstore.storage.superblock import Superblock

NAMED = ("branch", "tag", "pin")
"""The tables of which nothing else says how many rows are in use."""
_ANOTHER = "bytes that its content does not make"


def problems(held: Container, kept: KeptTable, superblock: Superblock) -> Iterator[Problem]:
    """Every table that can be read; of the others somebody else tells."""
    try:
        tables = {table: held.rows(table) for table in NAMED}
    except StoreError:
        return
    found = digest(tables.values())
    if superblock.tables and found != superblock.tables:
        yield Problem("tables branch, tag and pin", f"digest {found:08x}", f"{superblock.tables:08x}, of the last tick")
    for table, rows in tables.items():
        try:
            made = _again(table, rows)
        except StoreError:
            continue
        yield from _compared(table, enumerate(rows), made)
    every = held.rows("kept")
    for one in kept.commits.values():
        rows = [every[at] for at in one.rows]
        yield from _compared("kept", zip(one.rows, rows, strict=True), kept_rows(one, 0xFF, author_pairs(rows)))
    yield from _dying(held)
    yield from _unreached(held, superblock)


def _again(table: str, rows: Sequence[bytes]) -> list[bytes]:
    if table == "branch":
        return branch_rows(read_branches(rows), len(rows))
    if table == "tag":
        return tag_rows(read_tags(rows), len(rows))
    return pin_rows(read_pins(rows), len(rows))


def _compared(table: str, rows: Iterator[tuple[int, bytes]], made: Sequence[bytes]) -> Iterator[Problem]:
    for (at, row), wanted in zip(rows, made, strict=False):
        if row != wanted:
            yield Problem(f"table {table}, row {at + 1}", _ANOTHER, "its content, written the one way there is")


def _dying(held: Container) -> Iterator[Problem]:
    """Rows that do not count any more are whole too."""
    try:
        for at, row in enumerate(held.rows("dying")):
            opened(row, "dying", at)
    except Corrupt as fault:
        yield Problem(fault.where, fault.found, fault.expected)


def _unreached(held: Container, superblock: Superblock) -> Iterator[Problem]:
    """Locations that no number has come to, which opening does not read, are zeros."""
    found: list[int] = []
    free, reached = bytes(ROW), superblock.next // LOCATIONS_A_ROW + 1

    def take(at: int, row: bytes) -> None:
        if at >= reached and row != free:
            found.append(at)

    try:
        held.each("loc", held.layout.location_rows, take)
    except StoreError:
        return
    for at in found:
        yield Problem(f"table loc, row {at + 1}", "bytes", "zeros, as no number has come there")
