"""A net: what a tick would bring to the tables, as bytes for the journal, where the tables cannot be written.

Rule: a net stands for all that was acknowledged since the last tick: the commits that are still kept, each with what
its tree has different from the one before it on its branch, which stored commits are dropped or stand for more, and
all branches, tags and pins. What came and went in between is not in it, so its size is in what is kept, however
many commits there were. Whoever reads it has what reading a tick would give.

    net      = number:u64 line:u64 then counts, u32 each: commits, drops, changes, rows of branch, of tag, of pin,
               cells, columns; then these, one kind after the other; all of it compressed (zlib)
    commit   = number:u64 branch:u64 before:u64 rt:i64 wall:i64 epoch:u32 parents:u8 author:u8 message:u16 delta:u32
               parents (number:u64 epoch:u32), author, message, standing, delta (`delta`)
    drop     = number:u64
    change   = number:u64, standing
    standing = thinned:u64 grafts:u16 authors:u8 (255: stands for itself alone), grafts (u64),
               authors (count:u64 bytes:u8, name)
    row      = as in its table
    cell     = address:u64, 40 bytes       column = index:u32 bytes:u32, its record

Pure. Cost: O(what differs); compressed a kept commit of one key takes some 60 bytes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from itertools import takewhile
from struct import Struct, error
from typing import TYPE_CHECKING, NamedTuple

from rrdstore.errors import Corrupt
from rrdstore.history.commit import Key, Record
from rrdstore.storage.layout import CELL, ROW, TAG
from rrdstore.storage.protocol import BranchState, SeriesTick, Tick
from rrdstore.storage.records import branch_rows, pin_rows, read_branches, read_pins, read_tags, tag_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.storage.layout import Layout

_HEAD = Struct("<QQ8I")
_COMMIT = Struct("<QQQqqIBBHI")
_PARENT = Struct("<QI")
_STANDING = Struct("<QHB")
_AUTHOR = Struct("<QB")
_NUMBER = Struct("<Q")
_COLUMN = Struct("<II")
_ALONE = 255
_LEVEL = 1
"""Of compression: most of it is the same again and again, which any level sees."""


class Fresh(NamedTuple):
    """A commit that no table has: the one it is stored beside (0: none), and its tree as a delta from there."""

    record: Record
    before: int
    delta: bytes


class Standing(NamedTuple):
    """What changes of a stored commit while others are thinned."""

    thinned: int
    grafts: tuple[int, ...]
    authors: dict[str, int] | None


@dataclass(slots=True)
class Net:
    """All that there is since the last tick."""

    number: int = 0
    line: int = 0
    fresh: list[Fresh] = field(default_factory=list)
    drop: list[int] = field(default_factory=list)
    changed: dict[int, Standing] = field(default_factory=dict)
    branches: list[BranchState] = field(default_factory=list)
    tags: dict[str, Key] = field(default_factory=dict)
    pins: frozenset[int] = frozenset()
    series: SeriesTick | None = None


def encode(tick: Tick, trees: Sequence[tuple[int, bytes]], layout: Layout) -> bytes:
    """The net of a tick; `trees` has of each commit to be stored `before` and delta. LimitReached, TooLarge."""
    series = tick.series or SeriesTick({}, {})
    rows = [
        list(takewhile(any, table))
        for table in (
            branch_rows(tick.branches, layout.branch_rows),
            tag_rows(tick.tags, layout.tags),
            pin_rows(tick.pins, layout.pin_rows),
        )
    ]
    counts = (
        *map(len, (tick.store, tick.drop, tick.changed)),
        *map(len, rows),
        len(series.cells),
        len(series.records),
    )
    parts = [_HEAD.pack(tick.number, tick.line, *counts)]
    for record, (before, delta) in zip(tick.store, trees, strict=True):
        author, message = record.author.encode(), record.message.encode()
        sizes = (len(record.parents), len(author), len(message), len(delta))
        numbers = (record.number, record.branch, before, record.rt, record.wall, record.epoch)
        parts.append(_COMMIT.pack(*numbers, *sizes))
        parts += [_PARENT.pack(*key) for key in record.parents]
        parts += (author, message, _standing(record), delta)
    parts += [_NUMBER.pack(record.number) for record in tick.drop]
    for record in tick.changed:
        parts += (_NUMBER.pack(record.number), _standing(record))
    for table in rows:
        parts += table
    for address, cell in series.cells.items():
        parts += (_NUMBER.pack(address), cell)
    for index, column in series.records.items():
        parts += (_COLUMN.pack(index, len(column)), column)
    return zlib.compress(b"".join(parts), _LEVEL)


def _standing(record: Record) -> bytes:
    authors = record.authors
    head = _STANDING.pack(record.thinned, len(record.grafts), _ALONE if authors is None else len(authors))
    parts = [head, *map(_NUMBER.pack, record.grafts)]
    for name, count in (authors or {}).items():
        text = name.encode()
        parts += (_AUTHOR.pack(count, len(text)), text)
    return b"".join(parts)


class _Reading:
    """Bytes, and how far they are read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: Struct) -> tuple[int, ...]:
        found = form.unpack_from(self.data, self.at)
        self.at += form.size
        return found

    def bytes(self, size: int) -> bytes:
        found = self.data[self.at : self.at + size]
        if len(found) != size:
            raise ValueError(f"{len(found)} bytes of {size}")
        self.at += size
        return found

    def standing(self) -> Standing:
        thinned, grafts, authors = self.take(_STANDING)
        numbers = tuple(self.take(_NUMBER)[0] for _ in range(grafts))
        if authors == _ALONE:
            return Standing(thinned, numbers, None)
        named = {}
        for _ in range(authors):
            count, size = self.take(_AUTHOR)
            named[self.bytes(size).decode()] = count
        return Standing(thinned, numbers, named)

    def fresh(self) -> Fresh:
        number, branch, before, rt, wall, epoch, parents, author, message, delta = self.take(_COMMIT)
        keys = tuple(Key(*self.take(_PARENT)) for _ in range(parents))
        said = self.bytes(author).decode(), self.bytes(message).decode()
        thinned, grafts, authors = self.standing()
        record = Record(
            number, epoch, branch, keys, rt, wall, *said, None, grafts, thinned, authors=authors
        )  # fmt: skip
        return Fresh(record, before, self.bytes(delta))


def decode(data: bytes) -> Net:
    """The net of these bytes; Corrupt."""
    try:
        return _decoded(_Reading(zlib.decompress(data)))
    except (error, zlib.error, ValueError) as fault:
        raise Corrupt("a net of the journal", f"bytes that end in {fault!r}", "a net") from fault


def _decoded(read: _Reading) -> Net:
    number, line, commits, drops, changes, branches, tags, pins, cells, columns = read.take(_HEAD)
    made = Net(number, line)
    made.fresh = [read.fresh() for _ in range(commits)]
    made.drop = [read.take(_NUMBER)[0] for _ in range(drops)]
    for _ in range(changes):
        (commit,) = read.take(_NUMBER)
        made.changed[commit] = read.standing()
    made.branches = read_branches([read.bytes(ROW) for _ in range(branches)])
    made.tags = read_tags([read.bytes(TAG) for _ in range(tags)])
    made.pins = read_pins([read.bytes(ROW) for _ in range(pins)])
    recorded = {read.take(_NUMBER)[0]: read.bytes(CELL) for _ in range(cells)}
    records = {}
    for _ in range(columns):
        index, size = read.take(_COLUMN)
        records[index] = read.bytes(size)
    if read.at != len(read.data):
        raise ValueError(f"{len(read.data) - read.at} bytes more")
    made.series = SeriesTick(recorded, records) if recorded or records else None
    return made
