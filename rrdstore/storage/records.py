"""Fixed rows: kept commits, branches, tags, pins and what is dying, as bytes.

Rule: every row has one length for ever, and a checksum over all of it (CRC-32, last four bytes, begun with that
of the table's name): a row tells by itself of which table it is. A row of zeros is free. What does not fit in one
row goes on in others of the same table.

    kept     kind:u8 (1 kept, 2 held for storage only, 3 more of one) parents:u8 grafts:u16 author:u8 message:u8
             authors:u8 epoch:u32 number:u48 branch:u48 before:u48 top:u48 root:u48 thinned:u40 rt:i64 wall:i64,
             then author, message, authors (index:u16 count:u40), parents (number:u48 epoch:u32), grafts (number:u48)
             kind 3: kind:u8 index:u8 number:u48, then what did not fit
    branch   kind:u8 index:u16 of:u16 length:u16, then a part of: id head fork upstream base:u64
             older:u64 fork since, upstream since, older since, older side:u64 lease:u64 until:i64
             name:u8 keep:u16 rings:u32, name, keep, rings
    tag      length:u8 epoch:u32 number:u64 name
    pin      count:u32, numbers:u64
    dying    count:u32, root:u64 floor:u64 beside:u64 each

Two rows take the longest author and message, eight authors, two parents and four grafts; most commits need one.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from rrdstore.errors import Corrupt, LimitReached, TooLarge
from rrdstore.history.branch import Reach
from rrdstore.history.commit import Key, Record
from rrdstore.storage.layout import DYING_A_ROW, KEPT, KEPT_ROWS, PINS_A_ROW, ROW, TAG
from rrdstore.storage.protocol import BranchState
from rrdstore.storage.replaced import Replaced  # noqa: TC001 - mypyc looks at the fields below when this is imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

KEPT_ROW, GHOST_ROW, LINKS_ROW = 1, 2, 3
PLACED = frozenset({"segm", "loc", "author", "column", "series"})
"""Tables whose rows are sealed with their place."""

_KEPT = Struct("<BBHBBBIIHIHIHIHIHIBqq")
_NUMBER_AT = 11
_AUTHOR = 7
_PARENT = Struct("<IHI")
_BRANCH = Struct("<BHHH")
_BRANCH_BODY = Struct("<5Q6QqBHI")
_TAG = Struct("<BIQ")
_DYING = Struct("<QQQ")
_CHECK = 4
_LINKS = 2 + 6
_ROOM = KEPT - _CHECK - _KEPT.size
_LINKS_ROOM = KEPT - _CHECK - _LINKS
_MOST_THINNED = (1 << 40) - 1
_LOW = (1 << 32) - 1
NAME_BYTES = 255


def sealed(data: bytes, size: int, table: str, at: int = 0) -> bytes:
    """`data` as a row of `size` bytes of a table with its checksum; `at` where the place of the row matters."""
    data = data.ljust(size - _CHECK, b"\0")
    return data + crc32(data, _seed(table, at)).to_bytes(_CHECK, "little")


@lru_cache(maxsize=1024)
def _seed(table: str, at: int) -> int:
    return crc32(table.encode(), at)


def opened(row: bytes, table: str, at: int, seed: int = 0) -> bytes | None:
    """The data of a row, counted from 0, None if it is free; Corrupt. `seed` is the `at` that it was sealed with."""
    data, check = row[:-_CHECK], int.from_bytes(row[-_CHECK:], "little")
    if not check and row == bytes(len(row)):
        return None
    found = crc32(data, _seed(table, seed))
    if found != check:
        raise Corrupt(f"table {table}, row {at + 1}", f"checksum {found:08x}", f"{check:08x}")
    return data


def digest(tables: Iterable[Sequence[bytes]]) -> int:
    """32 bits, not 0, of all rows of some tables: of their checksums, which are of their bytes."""
    return crc32(b"".join([row[-_CHECK:] for rows in tables for row in rows])) or 1


def numbers_row(numbers: array[int], table: str, at: int) -> bytes:
    """A row of numbers of 32 bits, at its place for ever: of `loc` and `segm`."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return sealed(numbers.tobytes(), ROW, table, at)


def read_numbers(row: bytes, table: str, at: int) -> array[int]:
    """The numbers of such a row; Corrupt."""
    numbers = array("I", opened(row, table, at, at) or bytes(ROW - _CHECK))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


@dataclass(slots=True)
class Kept:
    """A stored commit: its record, the one it shares with, and whether only storage needs it still."""

    record: Record
    before: int
    """The number of the commit it was stored beside; 0 is none."""
    replaced: Replaced | None = None
    """What that one has and this one has not; in memory only, None if it is not known."""
    ghost: bool = False
    rows: tuple[int, ...] = ()


# Kept commits


def kept_rows(kept: Kept, spare: int, authors: Sequence[tuple[int, int]] = ()) -> list[bytes]:
    """The rows of a kept commit: at most `KEPT_ROWS`, and `spare` more for its links; LimitReached.

    If the links need more, the oldest grafts are left out. `authors` are indexes of names, and counts.
    """
    record = kept.record
    number, branch, before, top, root = record.number, record.branch, kept.before, record.top, record.root_number
    parents, grafts = record.parents, record.grafts
    author, message = record.author.encode(), record.message.encode()
    texts = author + message
    if authors:
        texts += b"".join([
            index.to_bytes(2, "little") + min(count, _MOST_THINNED).to_bytes(5, "little") for index, count in authors
        ])  # fmt: skip
    wanted = len(texts) + 10 * len(parents) + 6 * len(grafts)
    if wanted > _ROOM:
        room = _ROOM + (KEPT_ROWS - 1 + min(spare, 0xFF - KEPT_ROWS)) * _LINKS_ROOM
        most = min((room - len(texts) - 10 * len(parents)) // 6, 0xFFFF)
        if most < 0:
            raise LimitReached("rows for the parents of a merge", spare)
        if len(grafts) > most:
            grafts = tuple(sorted(grafts)[-most:] if most else ())
    more = texts + b"".join([_PARENT.pack(one & _LOW, one >> 32, epoch) for one, epoch in parents])
    more += b"".join([one.to_bytes(6, "little") for one in grafts])
    thinned = min(record.thinned, _MOST_THINNED)
    head = _KEPT.pack(
        GHOST_ROW if kept.ghost else KEPT_ROW, len(parents), len(grafts), len(author), len(message), len(authors),
        record.epoch, number & _LOW, number >> 32, branch & _LOW, branch >> 32, before & _LOW, before >> 32,
        top & _LOW, top >> 32, root & _LOW, root >> 32, thinned & _LOW, thinned >> 32, record.rt, record.wall,
    )  # fmt: skip
    if len(more) <= _ROOM:
        return [sealed(head + more, KEPT, "kept")]
    rows = [sealed(head + more[:_ROOM], KEPT, "kept")]
    for index, at in enumerate(range(_ROOM, len(more), _LINKS_ROOM)):
        head = bytes((LINKS_ROW, index)) + number.to_bytes(6, "little")
        rows.append(sealed(head + more[at : at + _LINKS_ROOM], KEPT, "kept"))
    return rows


def read_kept(rows: Sequence[bytes], name: Callable[[int], str], lost: list[Corrupt] | None = None) -> list[Kept]:
    """All stored commits, by number; `name` is that of an author's index.

    Corrupt, or what is wrong is put in `lost` and all else is read.
    """
    heads: list[tuple[int, bytes]] = []
    more: dict[int, list[tuple[int, int, bytes]]] = {}
    free = bytes(KEPT)
    for at, row in enumerate(rows):
        data = None if row == free else opened(row, "kept", at)  # a call less, as most are free
        if data is None:
            continue
        if data[0] == LINKS_ROW:
            more.setdefault(int.from_bytes(data[2:8], "little"), []).append((data[1], at, data[_LINKS:]))
        else:
            heads.append((at, data))
    found: dict[int, Kept] = {}
    for at, data in heads:
        try:
            kept = _read_kept(at, data, sorted(more.pop(_number(data), ())), name)
            if kept.record.number in found:
                raise Corrupt(f"table kept, row {at + 1}", f"commit {kept.record.number} again", "each once")
            found[kept.record.number] = kept
        except Corrupt as fault:
            _raised(fault, lost)
    if more:
        _raised(Corrupt("table kept", f"links of commits {sorted(more)}", "these commits"), lost)
    return [kept for _, kept in sorted(found.items())]


def _raised(fault: Corrupt, lost: list[Corrupt] | None) -> None:
    if lost is None:
        raise fault
    lost.append(fault)


def _number(data: bytes) -> int:
    """The number of the commit whose first row this is."""
    return int.from_bytes(data[_NUMBER_AT : _NUMBER_AT + 6], "little")


def _read_kept(at: int, data: bytes, more: list[tuple[int, int, bytes]], name: Callable[[int], str]) -> Kept:
    (
        kind, parent_count, graft_count, author_size, message_size, author_count, epoch, number, number_high,
        branch, branch_high, before, before_high, top, top_high, root, root_high, thinned, thinned_high, rt, wall,
    ) = _KEPT.unpack_from(data)  # fmt: skip
    rest = data[_KEPT.size :]
    if more:
        rest += b"".join([part for _, _, part in more])
    message_at = author_size
    authors_at = message_at + message_size
    parents_at = authors_at + _AUTHOR * author_count
    grafts_at = parents_at + _PARENT.size * parent_count
    wanted = grafts_at + 6 * graft_count
    if kind not in {KEPT_ROW, GHOST_ROW} or not wanted <= len(rest) <= max(_ROOM, wanted + _LINKS_ROOM - 1):
        raise Corrupt(f"table kept, row {at + 1}", f"kind {kind} and {len(rest)} bytes of links", "a kept commit")
    links = _PARENT.iter_unpack(rest[parents_at:grafts_at])
    parents = tuple([Key(low | high << 32, parent_epoch) for low, high, parent_epoch in links])
    grafts = tuple([int.from_bytes(rest[i : i + 6], "little") for i in range(grafts_at, wanted, 6)])
    record = Record(
        number | number_high << 32, epoch, branch | branch_high << 32, parents, rt, wall,
        rest[:message_at].decode(), rest[message_at:authors_at].decode(), None, grafts, thinned | thinned_high << 32,
        root | root_high << 32, top | top_high << 32,
        _read_authors(rest[authors_at:parents_at], name) if author_count else None,
    )  # fmt: skip
    if record.authors is None and thinned:
        record.authors = {}
    return Kept(record, before | before_high << 32, None, kind == GHOST_ROW, (at, *[row for _, row, _ in more]))


def author_pairs(rows: Sequence[bytes]) -> list[tuple[int, int]]:
    """Index and count of each author in the rows of a kept commit."""
    head = rows[0]
    rest = head[_KEPT.size : -_CHECK] + b"".join(row[_LINKS:-_CHECK] for row in rows[1:])
    return _pairs(rest[head[4] + head[5] :][: _AUTHOR * head[6]])


def _pairs(data: bytes) -> list[tuple[int, int]]:
    return [
        (int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 2 : at + _AUTHOR], "little"))
        for at in range(0, len(data), _AUTHOR)
    ]


def _read_authors(data: bytes, name: Callable[[int], str]) -> dict[str, int] | None:
    """Who wrote; None stands for the commit's own author, where it stands for no other."""
    pairs = _pairs(data)
    return {name(index): count for index, count in pairs} or None


# Branches, tags, pins


def branch_rows(branches: Iterable[BranchState], count: int) -> list[bytes]:
    """All rows of the table `branch`; TooLarge if the branches take more than `count`."""
    parts: list[bytes] = []
    room = ROW - _CHECK - _BRANCH.size
    for branch in branches:
        name, keep = branch.name.encode(), branch.keep.encode()
        refs = (branch.id, branch.head, branch.fork, branch.upstream, branch.base, branch.older)
        numbers = (*refs, *branch.reach, branch.lease, branch.until)
        body = _BRANCH_BODY.pack(*numbers, len(name), len(keep), len(branch.rings)) + name + keep + branch.rings
        pieces = [body[at : at + room] for at in range(0, len(body), room)]
        heads = (_BRANCH.pack(1, index, len(pieces), len(piece)) for index, piece in enumerate(pieces))
        parts += [sealed(head + piece, ROW, "branch") for head, piece in zip(heads, pieces, strict=True)]
    if len(parts) > count:
        raise TooLarge("the table of branches", len(parts) * ROW, count * ROW)
    return parts + [bytes(ROW)] * (count - len(parts))


def read_branches(rows: Sequence[bytes], lost: list[Corrupt] | None = None) -> list[BranchState]:
    """All branches; Corrupt, or what is wrong is put in `lost` and all else is read."""
    found: list[BranchState] = []
    pieces: list[bytes] = []
    for at, row in enumerate(rows):
        data = opened(row, "branch", at)
        if data is None:
            continue
        _, index, of, length = _BRANCH.unpack_from(data)
        if index != len(pieces):
            _raised(Corrupt(f"table branch, row {at + 1}", f"part {index}", f"part {len(pieces)}"), lost)
            pieces = []
            if index:
                continue
        pieces.append(data[_BRANCH.size : _BRANCH.size + length])
        if index + 1 == of:
            found.append(_read_branch(b"".join(pieces)))
            pieces = []
    if pieces:
        _raised(Corrupt("table branch", "a branch that ends in the middle", "all its parts"), lost)
    return found


def _read_branch(body: bytes) -> BranchState:
    *numbers, name, keep, rings = _BRANCH_BODY.unpack_from(body)
    at_keep = _BRANCH_BODY.size + name
    at_rings = at_keep + keep
    ident, head, fork, upstream, base, older, *reach, lease, until = numbers
    return BranchState(
        body[_BRANCH_BODY.size : at_keep].decode(), ident, head, fork, upstream, base,
        body[at_keep:at_rings].decode(), body[at_rings : at_rings + rings], older, Reach(*reach), lease, until,
    )  # fmt: skip


def tag_rows(tags: dict[str, Key], count: int) -> list[bytes]:
    """All rows of the table `tag`; TooLarge."""
    if len(tags) > count:
        raise TooLarge("the table of tags", len(tags) * TAG, count * TAG)
    rows = []
    for name, (number, epoch) in sorted(tags.items()):
        data = name.encode()
        if len(data) > NAME_BYTES:
            raise TooLarge(f"the name of tag {name!r}", len(data), NAME_BYTES)
        rows.append(sealed(_TAG.pack(len(data), epoch, number) + data, TAG, "tag"))
    return rows + [bytes(TAG)] * (count - len(rows))


def read_tags(rows: Sequence[bytes]) -> dict[str, Key]:
    """All tags; Corrupt."""
    tags = {}
    for at, row in enumerate(rows):
        data = opened(row, "tag", at)
        if data is not None:
            length, epoch, number = _TAG.unpack_from(data)
            tags[data[_TAG.size : _TAG.size + length].decode()] = Key(number, epoch)
    return tags


def pin_rows(pins: Iterable[int], count: int) -> list[bytes]:
    """All rows of the table `pin`; TooLarge."""
    return _packed([number.to_bytes(8, "little") for number in sorted(pins)], PINS_A_ROW, count, "pin")


def read_pins(rows: Sequence[bytes]) -> frozenset[int]:
    """All pins; Corrupt."""
    return frozenset(int.from_bytes(item, "little") for item in _unpacked(rows, 8, "pin"))


# What is dying


class Dying(NamedTuple):
    """A dropped commit to be freed: its tree, the `top` of the one before it, the tree of the one after it or 0."""

    root: int
    floor: int
    beside: int
    objects: Replaced | None = None
    """What is to be freed, if it is known; in memory only."""


def dying_rows(dying: Sequence[Dying], count: int) -> list[bytes]:
    """The rows of the table `dying` that these take; TooLarge."""
    rows = _packed([_DYING.pack(*one[:3]) for one in dying], DYING_A_ROW, count, "dying")
    return rows[: -(-len(dying) // DYING_A_ROW)]


def read_dying(rows: Sequence[bytes], count: int) -> list[Dying]:
    """The first `count` of what is dying; Corrupt."""
    used = rows[: -(-count // DYING_A_ROW)]
    found = [Dying(*_DYING.unpack(item)) for item in _unpacked(used, _DYING.size, "dying")]
    if len(found) < count:
        raise Corrupt("table dying", f"{len(found)} commits", f"{count}")
    return found[:count]


def _packed(items: Sequence[bytes], a_row: int, count: int, table: str) -> list[bytes]:
    if len(items) > a_row * count:
        raise TooLarge(f"the table {table}", len(items), a_row * count)
    rows = []
    for row in range(count):
        here = items[row * a_row : (row + 1) * a_row]
        rows.append(sealed(len(here).to_bytes(4, "little") + b"".join(here), ROW, table) if here else bytes(ROW))
    return rows


def _unpacked(rows: Sequence[bytes], size: int, table: str) -> list[bytes]:
    found = []
    for at, row in enumerate(rows):
        data = opened(row, table, at)
        if data is not None:
            count = int.from_bytes(data[:4], "little")
            found += [data[4 + i * size : 4 + (i + 1) * size] for i in range(count)]
    return found
