"""The tables of series: cells by address, and the record of each column; neither ever grows.

Rule: row r of `series` has the cells 100 r to 100 r + 99, row r of `column` as many records as fit; each row ends
in a CRC-32 of all before it, begun with its place, and one of zeros was never written. What the bytes mean the
room `series` knows. A tick writes cells first, in transactions no larger than others; they count only with the
records, which change in the tick's last transaction. Cells without them (a crash, a power failure) are newer than
their column, so they are told from those that count, and written again when the journal is done again.
Cost: O(rows changed), 40 us each; O(columns) to open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt
from rrdstore.storage.layout import CELL, CELLS_A_ROW, ROW
from rrdstore.storage.protocol import Problem, SeriesState
from rrdstore.storage.records import opened, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rrdstore.storage.container import Container


def state(held: Container) -> SeriesState | None:
    """What is declared, and the record of each column; None if nothing is. Corrupt."""
    room = held.layout.series
    if not room.columns:
        return None
    records: list[bytes] = []
    for at, row in enumerate(held.rows("column")):
        data = opened(row, "column", at, at) or bytes(ROW)
        records += [data[i * room.record : (i + 1) * room.record] for i in range(room.records_a_row)]
    return SeriesState(room.declared, records[: room.columns])


def cells(held: Container, addresses: Sequence[int]) -> bytes:
    """The cells at these addresses, one after the other; Corrupt. O(rows they lie in, if neighbours come together)."""
    parts, at, data = [], -1, b""
    for address in addresses:
        row, place = divmod(address, CELLS_A_ROW)
        if row != at:
            at, data = row, _row(held, row)
        parts.append(data[place * CELL : (place + 1) * CELL])
    return b"".join(parts)


def changed_cells(held: Container, changes: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each row of `series` as it is after these changes; Corrupt."""
    at, data = -1, bytearray()
    for address, cell in sorted(changes.items()):
        row, place = divmod(address, CELLS_A_ROW)
        if row != at:
            if data:
                yield at, sealed(bytes(data), ROW, "series", at)
            at, data = row, bytearray(_row(held, row))
        data[place * CELL : (place + 1) * CELL] = cell
    if data:
        yield at, sealed(bytes(data), ROW, "series", at)


def changed_columns(held: Container, changes: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
    """Number and bytes of each row of `column` as it is after these changes; Corrupt."""
    room = held.layout.series
    rows: dict[int, bytearray] = {}
    for index, record in changes.items():
        row, place = divmod(index, room.records_a_row)
        if row not in rows:
            rows[row] = bytearray(opened(held.row("column", row), "column", row, row) or bytes(ROW - 4))
        rows[row][place * room.record : (place + 1) * room.record] = record
    return [(row, sealed(bytes(data), ROW, "column", row)) for row, data in sorted(rows.items())]


def problems(held: Container) -> Iterator[Problem]:
    """Every row whose bytes are not what was written; O(rows)."""
    for table, count in held.layout.series.tables.items():
        for at in range(count):
            try:
                opened(held.row(table, at), table, at, at)
            except Corrupt as fault:
                yield Problem(fault.where, fault.found, fault.expected)


def _row(held: Container, row: int) -> bytes:
    return opened(held.row("series", row), "series", row, row) or bytes(ROW - 4)
