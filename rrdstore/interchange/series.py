"""Series in a dump: what was declared, and each column that was ever used, with the cells that its rings have.

Rule: records go through as they are, cells as numbers that a program can read; what is restored is byte for byte what
was dumped. Cells lie where their bucket says, so a column cannot write into another. Cost: O(cells).
"""

from __future__ import annotations

import base64
import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, SeriesError
from rrdstore.interchange.line import where
from rrdstore.series import Declared
from rrdstore.series.column import Column
from rrdstore.series.ring import WHOLE, Cell, rings
from rrdstore.storage.protocol import SeriesState, SeriesTick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.interchange.line import Line
    from rrdstore.series import Recording
    from rrdstore.series.ring import Ring


def lines(recording: Recording | None) -> Iterator[Line]:
    """The lines of a dump that say all that was recorded."""
    if recording is None:
        return
    yield {"series": recording.declared.text()}
    for column in recording.columns:
        record = column.encode()
        if any(record) and (column.path or column.refused):
            cells = [_said(tier, bucket, data) for tier, bucket, data in _cells(recording, column)]
            text = base64.b64encode(record).decode()
            yield {"column": column.index, "path": column.path, "record": text, "cells": cells}


def _cells(recording: Recording, column: Column) -> Iterator[tuple[int, int, bytes]]:
    return recording.written(column) if column.path else iter(())


def _said(tier: int, bucket: int, data: bytes) -> list[object]:
    _, _, *values = Cell.decode(data)
    known = int.from_bytes(data[4:8], "little")
    return [tier, bucket, known, *(None if math.isnan(value) else value for value in values)]


@dataclass(slots=True)
class LoadedSeries:
    """What the lines so far have said of series."""

    declared: Declared
    rings: tuple[Ring, ...]
    records: dict[int, bytes] = field(default_factory=dict)
    cells: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def declared_by(cls, line: Line, number: int) -> LoadedSeries:
        """What a line `series` declares; Corrupt."""
        try:
            declared = Declared.from_text(line["series"])
        except SeriesError as error:
            raise Corrupt(where(number, "series"), str(error), "what a store wrote of its series") from None
        return cls(declared, rings(declared))

    def add(self, line: Line, record: bytes, number: int) -> None:
        """A line `column`; Corrupt."""
        index = line["column"]
        if not 0 <= index < self.declared.columns or index in self.records or len(record) != self.declared.record:
            found = f"{index}, with {len(record)} bytes"
            expected = f"each once, below {self.declared.columns}, with {self.declared.record} bytes"
            raise Corrupt(where(number, "column"), found, expected)
        try:
            column = Column.decode(record, index, self.rings)
            flaw = column.flaw()
        except (UnicodeDecodeError, struct.error, ValueError, OverflowError) as error:
            raise Corrupt(where(number, "record"), str(error), "one that a store wrote") from None
        if flaw:
            raise Corrupt(where(number, "record"), flaw, "one that a store wrote")
        if column.path != line["path"]:
            raise Corrupt(where(number, "path"), f"{line['path']!r:.40}", f"{column.path!r:.40}, as the record says")
        self.records[index] = record
        for cell in line["cells"]:
            address, data = self._cell(cell, index, number)
            self.cells[address] = data

    def _cell(self, cell: object, column: int, number: int) -> tuple[int, bytes]:
        expected = "[tier, bucket, known, average, min, max, before]"
        if not isinstance(cell, list) or len(cell) != 7 or not all(type(part) is int for part in cell[:3]):
            raise Corrupt(where(number, "cells"), f"{cell!r:.60}", expected)
        tier, bucket, known, *values = cell
        if not all(value is None or type(value) in {int, float} for value in values):
            raise Corrupt(where(number, "cells"), f"{cell!r:.60}", expected)
        if not 0 <= tier < len(self.rings) or not 0 <= known <= WHOLE:
            found = f"tier {tier}, known {known}"
            raise Corrupt(where(number, "cells"), found, f"a tier below {len(self.rings)}, 32 bits")
        try:
            numbers = [math.nan if value is None else float(value) for value in values]
        except OverflowError:
            raise Corrupt(where(number, "cells"), f"{cell!r:.60}", expected) from None
        made = Cell(bucket, known / WHOLE, *numbers)
        return self.rings[tier].address(bucket, column), made.encode()

    def state(self) -> SeriesState:
        """The same, as a storage says it."""
        blank = bytes(self.declared.record)
        return SeriesState(self.declared.text(), [self.records.get(i, blank) for i in range(self.declared.columns)])

    def tick(self) -> SeriesTick:
        """What brings it to a new file."""
        return SeriesTick(self.cells, self.records)
