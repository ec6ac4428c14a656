"""The superblock: where a ring file stands, in one fixed row that every transaction writes.

Rule: what it says and what the tables hold change together, so after a crash it tells what is finished:
objects numbered above `top` belong to a tick that never ended, and of `dying` dropped commits the first
`reaped` are freed already. Cost: one row of 128 bytes a transaction.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from struct import Struct
from zlib import crc32

from rrdstore.errors import Corrupt
from rrdstore.storage.ring import START

_FORM = Struct("<10Q3I4Q")
SIZE = 128


@dataclass(slots=True)
class Superblock:
    """All counts are of the last finished transaction."""

    tick: int = 1
    """The tick that comes next."""
    number: int = 0
    """The last commit number given out as of the last tick."""
    epoch: int = 0
    top: int = 0
    """The last object number that the last tick gave out."""
    next: int = 1
    """The next object number to give out."""
    charged: int = 0
    """Bytes that the living objects count for."""
    objects: int = 0
    dying: int = 0
    """Dropped commits in the table of that name."""
    reaped: int = 0
    """How many of these are freed."""
    kept: int = 0
    """Rows of kept commits in use."""
    clean: int = 0
    """1 if the file was closed with nothing in the journal."""
    pages: int = 0
    """Of the main file, for ever."""
    tables: int = 0
    """What `records.digest` makes of the rows of branches, tags and pins; 0 before the first tick."""
    writes: int = 0
    """Transactions ever: two readings with the same count saw the same file."""
    generation: int = 1
    start: int = START
    """Of the journal: the generation and the byte at which what the last tick does not cover begins."""
    line: int = 0
    """The highest branch id given out as of the last tick."""

    def encode(self) -> bytes:
        """The row."""
        data = _FORM.pack(*astuple(self))
        return data.ljust(SIZE - 4, b"\0") + crc32(data).to_bytes(4, "little")

    @classmethod
    def decode(cls, row: bytes) -> Superblock:
        """The superblock of a row; Corrupt."""
        data, check = row[: _FORM.size], int.from_bytes(row[SIZE - 4 : SIZE], "little")
        if len(row) != SIZE or crc32(data) != check:
            raise Corrupt("the superblock", f"checksum {crc32(data):08x}", f"{check:08x}")
        return cls(*_FORM.unpack(data))
