"""Fixed rows: kept commits, branches, tags, pins and what is dying, as bytes.

Rule: every row has one length for ever, and a checksum over all of it (CRC-32, last four bytes, begun with that
of the table's name): a row tells by itself of which table it is. A row of zeros is free. What does not fit in one
row goes on in others of the same table.

    kept     kind:u8 (1 kept, 2 held for storage only, 3 more links) parents:u8 grafts:u16 author:u8 message:u8
             epoch:u32 number:u48 branch:u48 before:u48 top:u48 root:u48 thinned:u40 rt:i64 wall:i64
             authors (index:u16 count:u40) of 8, author and message, then the links: parents (number:u48 epoch:u32),
             grafts (number:u48)
             kind 3: kind:u8 index:u8 number:u48, then more links
    branch   kind:u8 index:u16 of:u16 length:u16, then a part of: id head fork upstream base:u64
             name:u8 keep:u16 rings:u32, name, keep, rings
    tag      length:u8 epoch:u32 number:u64 name
    pin      count:u32, numbers:u64
    dying    count:u32, root:u64 floor:u64 beside:u64 each

A kept row takes at least two parents and four grafts beside the longest author and message; more is rare.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from rrdstore.errors import Corrupt, LimitReached, TooLarge
from rrdstore.history.authors import AUTHORS
from rrdstore.history.commit import Key, Record
from rrdstore.storage.layout import DYING_A_ROW, KEPT, PINS_A_ROW, ROW, TAG
from rrdstore.storage.protocol import BranchState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

KEPT_ROW, GHOST_ROW, LINKS_ROW = 1, 2, 3

_KEPT = Struct("<BBHBBI")
_NUMBERS = ("number", "branch", "before", "top", "root")
_AUTHOR = 7
_KEPT_FIXED = _KEPT.size + 6 * len(_NUMBERS) + 5 + 16 + AUTHORS * _AUTHOR
_BRANCH = Struct("<BHHH")
_BRANCH_BODY = Struct("<QQQQQBHI")
_TAG = Struct("<BIQ")
_DYING = Struct("<QQQ")
_CHECK = 4
_LINKS = 2 + 6
_LINKS_ROOM = KEPT - _CHECK - _LINKS
NAME_BYTES = 255


def sealed(data: bytes, size: int, table: str, at: int = 0) -> bytes:
    """`data` as a row of `size` bytes of a table with its checksum; `at` where the place of the row matters."""
    data = data.ljust(size - _CHECK, b"\0")
    return data + crc32(data, crc32(table.encode(), at)).to_bytes(_CHECK, "little")


def opened(row: bytes, table: str, at: int, seed: int = 0) -> bytes | None:
    """The data of a row, counted from 0, None if it is free; Corrupt. `seed` is the `at` that it was sealed with."""
    if row == bytes(len(row)):
        return None
    data, check = row[:-_CHECK], int.from_bytes(row[-_CHECK:], "little")
    found = crc32(data, crc32(table.encode(), seed))
    if found != check:
        raise Corrupt(f"table {table}, row {at + 1}", f"checksum {found:08x}", f"{check:08x}")
    return data


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
    replaced: tuple[int, ...] | None = None
    """What that one has and this one has not, as `storing` has it; in memory only, None if it is not known."""
    ghost: bool = False
    rows: tuple[int, ...] = ()


# Kept commits


def kept_rows(kept: Kept, spare: int, authors: Sequence[tuple[int, int]] = ()) -> list[bytes]:
    """The rows of a kept commit: one, and at most `spare` more for its links; LimitReached.

    If the links need more, the oldest grafts are left out. `authors` are indexes of names, and counts.
    """
    record = kept.record
    author, message = record.author.encode(), record.message.encode()
    room = KEPT - _CHECK - _KEPT_FIXED - len(author) - len(message) + min(spare, 0xFF) * _LINKS_ROOM
    most = min((room - 10 * len(record.parents)) // 6, 0xFFFF)
    if most < 0:
        raise LimitReached("rows for the parents of a merge", spare)
    grafts = record.grafts if len(record.grafts) <= most else tuple(sorted(record.grafts)[-most:] if most else ())
    numbers = (record.number, record.branch, kept.before, record.top, record.root_number)
    links = b"".join(
        [_six(number) + epoch.to_bytes(4, "little") for number, epoch in record.parents]
        + [_six(number) for number in grafts]
    )
    kind = GHOST_ROW if kept.ghost else KEPT_ROW
    head = b"".join((
        _KEPT.pack(kind, len(record.parents), len(grafts), len(author), len(message), record.epoch),
        *map(_six, numbers),
        min(record.thinned, (1 << 40) - 1).to_bytes(5, "little"),
        record.rt.to_bytes(8, "little", signed=True),
        record.wall.to_bytes(8, "little", signed=True),
        *(index.to_bytes(2, "little") + min(count, (1 << 40) - 1).to_bytes(5, "little") for index, count in authors),
        bytes((AUTHORS - len(authors)) * _AUTHOR),
        author,
        message,
    ))  # fmt: skip
    here = KEPT - _CHECK - len(head)
    rows = [sealed(head + links[:here], KEPT, "kept")]
    for index, at in enumerate(range(here, len(links), _LINKS_ROOM)):
        head = bytes((LINKS_ROW, index)) + _six(record.number)
        rows.append(sealed(head + links[at : at + _LINKS_ROOM], KEPT, "kept"))
    return rows


def read_kept(rows: Sequence[bytes], name: Callable[[int], str], lost: list[Corrupt] | None = None) -> list[Kept]:
    """All stored commits, by number; `name` is that of an author's index.

    Corrupt, or what is wrong is put in `lost` and all else is read.
    """
    heads: list[tuple[int, bytes]] = []
    more: dict[int, list[tuple[int, int, bytes]]] = {}
    for at, row in enumerate(rows):
        data = opened(row, "kept", at)
        if data is None:
            continue
        if data[0] == LINKS_ROW:
            more.setdefault(int.from_bytes(data[2:8], "little"), []).append((data[1], at, data[_LINKS:]))
        else:
            heads.append((at, data))
    found: dict[int, Kept] = {}
    for at, data in heads:
        try:
            kept = _read_kept(at, data, sorted(more.pop(int.from_bytes(data[10:16], "little"), [])), name)
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


def _read_kept(at: int, data: bytes, more: list[tuple[int, int, bytes]], name: Callable[[int], str]) -> Kept:
    kind, parent_count, graft_count, author_size, message_size, epoch = _KEPT.unpack_from(data)
    number, branch, before, top, root = (
        int.from_bytes(data[_KEPT.size + 6 * i : _KEPT.size + 6 * i + 6], "little") for i in range(len(_NUMBERS))
    )
    fixed = data[_KEPT.size + 30 : _KEPT_FIXED]
    end = _KEPT_FIXED + author_size + message_size
    links = data[end:] + b"".join(part for _, _, part in more)
    wanted = 10 * parent_count + 6 * graft_count
    if kind not in {KEPT_ROW, GHOST_ROW} or not wanted <= len(links) < wanted + _LINKS_ROOM:
        raise Corrupt(f"table kept, row {at + 1}", f"kind {kind} and {len(links)} bytes of links", "a kept commit")
    parents = tuple(
        Key(int.from_bytes(links[i : i + 6], "little"), int.from_bytes(links[i + 6 : i + 10], "little"))
        for i in range(0, 10 * parent_count, 10)
    )
    start = 10 * parent_count
    grafts = tuple(
        int.from_bytes(links[i : i + 6], "little") for i in range(start, start + 6 * graft_count, 6)
    )  # fmt: skip
    record = Record(
        number, epoch, branch, parents,
        int.from_bytes(fixed[5:13], "little", signed=True),
        int.from_bytes(fixed[13:21], "little", signed=True),
        data[_KEPT_FIXED : _KEPT_FIXED + author_size].decode(),
        data[_KEPT_FIXED + author_size : end].decode(),
        None, grafts, int.from_bytes(fixed[:5], "little"), root, top, _read_authors(fixed, name),
    )  # fmt: skip
    return Kept(record, before, None, kind == GHOST_ROW, (at, *(row for _, row, _ in more)))


def _read_authors(fixed: bytes, name: Callable[[int], str]) -> dict[str, int] | None:
    """Who wrote; None stands for the commit's own author, where it stands for no other."""
    numbers = (fixed[at : at + _AUTHOR] for at in range(21, len(fixed), _AUTHOR))
    pairs = [(int.from_bytes(each[:2], "little"), int.from_bytes(each[2:], "little")) for each in numbers]
    found = {name(index): count for index, count in pairs if index}
    return found if found or any(fixed[:5]) else None


def _six(number: int) -> bytes:
    return number.to_bytes(6, "little")


# Branches, tags, pins


def branch_rows(branches: Iterable[BranchState], count: int) -> list[bytes]:
    """All rows of the table `branch`; TooLarge if the branches take more than `count`."""
    parts: list[bytes] = []
    room = ROW - _CHECK - _BRANCH.size
    for branch in branches:
        name, keep = branch.name.encode(), branch.keep.encode()
        numbers = (branch.id, branch.head, branch.fork, branch.upstream, branch.base)
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
    ident, head, fork, upstream, base = numbers
    return BranchState(
        body[_BRANCH_BODY.size : at_keep].decode(), ident, head, fork, upstream, base,
        body[at_keep:at_rings].decode(), body[at_rings : at_rings + rings],
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
    objects: tuple[int, ...] | None = None
    """What is to be freed, as `storing` has it, if it is known; in memory only."""


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
