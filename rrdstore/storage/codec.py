"""Parts of a tree as bytes: what an object of the ring file holds.

Rule: what has a number of its own is a node with children, a leaf too large to lie in its parent, and each
set of a wide directory. A node holds its only bucket, or the first 32 numbers of its wide set; a bucket
holds small leaves whole and everything else by number; an object is always written after those it refers to.
A column of numbers is kept as what they have in common and what each has beyond it, in the fewest bytes.

    node    = shape:u8 (0 no children, 1 bucket, 2 wide; +4 x form), then by form
              0: created:u32 modified:u32, no value and no meta    1: u32 u32, bytes of value:u8 and of meta:u8
              2: u64 u64 u32 u32
              value meta [bucket | wide]
    bucket  = children:u8 leaves:u8 metas:u8 forms:u32
              columns, four bits of `forms` each, low bits first: numbers of children, bytes of their names, bytes of
              leaves' names and of their values, index of meta, created, modified, bytes of metas
              child names, leaf names, values, metas (each distinct one once)
    wide    = names:u32 filled:u32 (a bit for each of 32 sets) form:u8, numbers of the filled sets
    column  = [base] [what each is above it]: the bytes of both by form, `FORMS`; a base of 0 bytes is 0

Little endian throughout. A bucket of more than 255 names would need names that agree in 60 bits of hash.
Cost: O(bytes); about 10 us for a bucket of 20 leaves. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, error
from sys import intern
from typing import TYPE_CHECKING, cast

from rrdstore.errors import Corrupt
from rrdstore.tree.node import FANOUT, SMALL, Bucket, Inode, Node, Stub, Wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.tree.node import Kids, Source

NODE, BUCKET, WIDE, PIECE = 1, 2, 3, 4
"""Kinds of objects; a piece is a part of the bytes of one too large for a place."""

INLINE = SMALL
"""The most bytes of value and metadata that a leaf brings into its parent."""

FORMS = ((0, 0), (1, 0), (4, 0), (8, 0), (0, 1), (0, 2), (0, 4), (0, 8), (4, 1), (4, 2), (8, 1), (8, 2), (8, 4))
"""Of a column: bytes of the base, and of what each number has beyond it (0: nothing)."""

References = dict[str, int] | list[int]
"""What an object refers to: numbers by name, or those of its 32 sets, 0 where a set is empty."""

_PLAIN, _SHORT, _LONG = Struct("<BII"), Struct("<BIIBB"), Struct("<BQQII")
HEADS = (_PLAIN, _SHORT, _LONG)
"""What a node begins with, by form."""
BUCKET_HEAD = Struct("<BBBI")
WIDE_HEAD = Struct("<IIB")
HAS_BUCKET, HAS_WIDE, _FORM = 1, 2, 4
COLUMNS = 8
NUMBERS, _CHILD_NAMES, _LEAF_NAMES, VALUES, _INDEXES, _CREATED, MODIFIED, _METAS = range(COLUMNS)
_ALL = (1 << FANOUT) - 1
_CODES = {0: "", 1: "B", 2: "H", 4: "I", 8: "Q"}
_BYTE, _WORD, _LONG_WORD = 1 << 8, 1 << 16, 1 << 32


def is_inline(node: Node) -> bool:
    """Whether the node lies in its parent's bucket, with no number of its own."""
    return node.kids is None and len(node.value) + len(node.meta) <= INLINE


def encode(part: Node | Bucket | Wide) -> tuple[int, bytes]:
    """Kind and bytes of a part; all it refers to have their numbers already."""
    if isinstance(part, Node):
        return NODE, _node(part)
    if part.__class__ is Bucket:
        return BUCKET, _bucket(part)
    return WIDE, _wide(cast("Wide", part))


def decode(kind: int, data: bytes, number: int, source: Source) -> Node | Bucket | Wide:
    """The part that object `number` holds, what it refers to as stubs of `source`; Corrupt."""
    try:
        if kind == NODE:
            return _read_node(data, number, source)
        if kind == BUCKET:
            return _read_bucket(data, 0, number, source)
        if kind == WIDE:
            return _read_wide(data, 0, number, source)
    except (error, IndexError, UnicodeDecodeError, ValueError) as fault:
        raise Corrupt(f"object {number}", f"bytes of kind {kind} that end in {fault}", "a part of a tree") from fault
    raise Corrupt(f"object {number}", f"kind {kind}", "a part of a tree")


def references(kind: int, data: bytes, number: int) -> References:
    """What object `number` refers to, without the leaves inside it; Corrupt. O(references)."""
    try:
        at = 0
        if kind == NODE:
            shape, at = data[0], _kids_at(data)
            if not shape & (HAS_BUCKET | HAS_WIDE):
                return {}
            kind = BUCKET if shape & HAS_BUCKET else WIDE
        if kind == BUCKET:
            return _bucket_references(data, at, number)
        if kind == WIDE:
            return _wide_numbers(data, at, number)[1]
    except (error, IndexError, UnicodeDecodeError, ValueError) as fault:
        raise Corrupt(f"object {number}", f"bytes of kind {kind} that end in {fault}", "a part of a tree") from fault
    raise Corrupt(f"object {number}", f"kind {kind}", "a part of a tree")


def referred(found: References) -> list[int]:
    """The numbers in these references."""
    return list(found.values()) if isinstance(found, dict) else [number for number in found if number]


# Nodes


def _node(node: Node) -> bytes:
    kids = node.kids
    value, meta = node.value, node.meta
    shape, below = 0, b""
    if kids is not None:
        if kids.__class__ is Bucket:
            shape, below = HAS_BUCKET, _bucket(kids)
        else:
            shape, below = HAS_WIDE, _wide(cast("Wide", kids))
    if node.modified >= _LONG_WORD or len(value) >= _BYTE or len(meta) >= _BYTE or node.created >= _LONG_WORD:
        head = _LONG.pack(shape | 2 * _FORM, node.created, node.modified, len(value), len(meta))
    elif value or meta:
        head = _SHORT.pack(shape | _FORM, node.created, node.modified, len(value), len(meta))
    else:
        return _PLAIN.pack(shape, node.created, node.modified) + below
    return b"".join((head, value, meta, below))


def _kids_at(data: bytes) -> int:
    head = HEADS[data[0] // _FORM]
    _, _, _, *sizes = head.unpack_from(data)
    return int(head.size + sum(sizes))


def _read_node(data: bytes, number: int, source: Source) -> Node:
    shape = data[0]
    head = HEADS[shape // _FORM]
    _, created, modified, *sizes = head.unpack_from(data)
    at = head.size
    value = meta = b""
    if sizes:
        value = data[at : at + sizes[0]]
        at += sizes[0]
        meta = data[at : at + sizes[1]]
        at += sizes[1]
    _expect(at <= len(data), "its metadata")
    kids: Kids | None = None
    if shape & HAS_BUCKET:
        kids = _read_bucket(data, at, number, source)
    elif shape & HAS_WIDE:
        kids = _read_wide(data, at, number, source)
    else:
        _expect(at == len(data), "no children")
    return Inode(value, meta, created, modified, kids, number)


# Columns


@lru_cache(maxsize=8192)
def columns(forms: int, children: int, leaves: int, metas: int) -> Struct:
    """All columns of a bucket as one; IndexError if there is no such form."""
    counts = (children, children, leaves, leaves, leaves, leaves, leaves, metas)
    return Struct("<" + "".join(_form(forms >> 4 * at & 15, count) for at, count in enumerate(counts)))


@lru_cache(maxsize=2048)
def column(form: int, count: int) -> Struct:
    """One column; IndexError if there is no such form."""
    return Struct("<" + _form(form, count))


def _form(form: int, count: int) -> str:
    base, width = FORMS[form]
    return _CODES[base] + (f"{count}{_CODES[width]}" if width else "") if count else ""


def _fitted(numbers: Sequence[int], out: list[int]) -> int:
    """The form of a column that is not empty; what is to be packed goes to `out`."""
    low, high = min(numbers), max(numbers)
    if low == high:
        if not high:
            return 0
        out.append(high)
        return 1 if high < _BYTE else 2 if high < _LONG_WORD else 3
    span, many = high - low, len(numbers) > 4
    if high < _BYTE:
        form = 4
    elif high < _WORD:
        form = 8 if span < _BYTE and many else 5
    elif high < _LONG_WORD:
        form = 8 if span < _BYTE else 9 if span < _WORD else 6
    else:
        form = 10 if span < _BYTE else 11 if span < _WORD else 12 if span < _LONG_WORD else 7
    if FORMS[form][0]:
        out.append(low)
        out += [number - low for number in numbers]
    else:
        out += numbers
    return form


def _spread(packed: tuple[int, ...], at: int, form: int, count: int) -> tuple[Sequence[int], int]:
    """The numbers of a column of which the packed ones begin at `at`, and where the next begins."""
    base_size, width = FORMS[form]
    if not count:
        return (), at
    base = 0
    if base_size:
        base = packed[at]
        at += 1
    if not width:
        return (base,) * count, at
    found = packed[at : at + count]
    return ([base + one for one in found] if base else found), at + count


# Buckets


def _bucket(bucket: Bucket) -> bytes:
    numbers: list[int] = []
    child_names: list[bytes] = []
    names: list[bytes] = []
    values: list[bytes] = []
    metas: dict[bytes, int] = {}
    indexes: list[int] = []
    created: list[int] = []
    modified: list[int] = []
    for name, node in bucket.names.items():
        if node.__class__ is Node or (isinstance(node, Node) and is_inline(node)):
            names.append(name.encode())
            values.append(node.value)
            indexes.append(metas.setdefault(node.meta, len(metas)))
            created.append(node.created)
            modified.append(node.modified)
        else:
            numbers.append(node.number)
            child_names.append(name.encode())
    forms = 0
    packed: list[int] = []
    if numbers:
        forms = _fitted(numbers, packed) | _fitted(list(map(len, child_names)), packed) << 4
    if names:
        forms |= (
            _fitted(list(map(len, names)), packed) << 8
            | _fitted(list(map(len, values)), packed) << 12
            | _fitted(indexes, packed) << 16
            | _fitted(created, packed) << 20
            | _fitted(modified, packed) << 24
            | _fitted(list(map(len, metas)), packed) << 28
        )
    head = BUCKET_HEAD.pack(len(numbers), len(names), len(metas), forms)
    body = columns(forms, len(numbers), len(names), len(metas)).pack(*packed)
    return b"".join((head, body, *child_names, *names, *values, *metas))


def _bucket_references(data: bytes, at: int, number: int) -> dict[str, int]:
    children, leaves, metas, forms = BUCKET_HEAD.unpack_from(data, at)
    if not children:
        return {}
    form = columns(forms, children, leaves, metas)
    packed = form.unpack_from(data, at + BUCKET_HEAD.size)
    at += BUCKET_HEAD.size + form.size
    numbers, next_at = _spread(packed, 0, forms & 15, children)
    lengths, _ = _spread(packed, next_at, forms >> 4 & 15, children)
    found = {}
    for below, length in zip(numbers, lengths, strict=True):
        found[str(data[at : at + length], "utf-8")] = below
        at += length
    _expect(at <= len(data) and max(numbers) < number, "its children")
    return found


def _read_bucket(data: bytes, at: int, number: int, source: Source) -> Bucket:
    children, leaves, metas, forms = BUCKET_HEAD.unpack_from(data, at)
    form = columns(forms, children, leaves, metas)
    packed = form.unpack_from(data, at + BUCKET_HEAD.size)
    at += BUCKET_HEAD.size + form.size
    names: dict[str, Node | Stub] = {}
    next_at = 0
    if children:
        numbers, next_at = _spread(packed, 0, forms & 15, children)
        child_lengths, next_at = _spread(packed, next_at, forms >> 4 & 15, children)
        _expect(max(numbers) < number, "children that are older")
        for below, length in zip(numbers, child_lengths, strict=True):
            names[intern(str(data[at : at + length], "utf-8"))] = Stub(below, source)
            at += length
    lengths, next_at = _spread(packed, next_at, forms >> 8 & 15, leaves)
    value_lengths, next_at = _spread(packed, next_at, forms >> 12 & 15, leaves)
    indexes, next_at = _spread(packed, next_at, forms >> 16 & 15, leaves)
    created, next_at = _spread(packed, next_at, forms >> 20 & 15, leaves)
    modified, next_at = _spread(packed, next_at, forms >> 24 & 15, leaves)
    meta_lengths, _ = _spread(packed, next_at, forms >> 28 & 15, metas)
    values_at = at + sum(lengths)
    metas_at = values_at + sum(value_lengths)
    _expect(metas_at + sum(meta_lengths) == len(data), "its last metadata")
    table = []
    for length in meta_lengths:
        table.append(data[metas_at : metas_at + length])
        metas_at += length
    for length, value_length, index, made, set_by in zip(
        lengths, value_lengths, indexes, created, modified, strict=True
    ):
        names[intern(str(data[at : at + length], "utf-8"))] = Node(
            data[values_at : values_at + value_length], table[index], made, set_by
        )
        at += length
        values_at += value_length
    _expect(len(names) == children + leaves, "names that differ")
    return Bucket(names, 0, number)


# Wide sets


def _wide(wide: Wide) -> bytes:
    slots = wide.slots
    numbers = [below.number for below in slots if below is not None]
    filled = _ALL
    if len(numbers) < FANOUT:
        filled = sum(1 << index for index, below in enumerate(slots) if below is not None)
    packed: list[int] = []
    form = _fitted(numbers, packed)
    return WIDE_HEAD.pack(wide.count, filled, form) + column(form, len(numbers)).pack(*packed)


def _wide_numbers(data: bytes, at: int, number: int) -> tuple[int, list[int]]:
    count, filled, form = WIDE_HEAD.unpack_from(data, at)
    sets = filled.bit_count()
    _expect(sets > 0, "no set")
    packed = column(form, sets).unpack_from(data, at + WIDE_HEAD.size)
    _expect(at + WIDE_HEAD.size + column(form, sets).size == len(data), "its last set")
    numbers, _ = _spread(packed, 0, form, sets)
    _expect(max(numbers) < number, "sets that are older")
    if filled == _ALL:
        return count, list(numbers)
    left = iter(numbers)
    return count, [next(left) if filled >> index & 1 else 0 for index in range(FANOUT)]


def _read_wide(data: bytes, at: int, number: int, source: Source) -> Wide:
    count, numbers = _wide_numbers(data, at, number)
    return Wide([Stub(below, source) if below else None for below in numbers], count, 0, number)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"something else than {what}")
