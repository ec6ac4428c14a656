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
    column  as in `columns`

Little endian throughout. A bucket of more than 255 names would need names that agree in 60 bits of hash.
Cost: O(bytes); about 2 us for a directory of 2 leaves, 6 for one of 20. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, error
from sys import intern
from typing import TYPE_CHECKING, Any, cast

from rrdstore.errors import Corrupt
from rrdstore.storage.columns import SINGLE, codes, column, fitted, small, spread
from rrdstore.tree.node import FANOUT, SMALL, Bucket, Inode, Node, Stub, Wide

if TYPE_CHECKING:
    from rrdstore.tree.node import Kids, Source

NODE, BUCKET, WIDE, PIECE = 1, 2, 3, 4
"""Kinds of objects; a piece is a part of the bytes of one too large for a place."""

INLINE = SMALL
"""The most bytes of value and metadata that a leaf brings into its parent."""

References = dict[str, int] | list[int]
"""What an object refers to: numbers by name, or those of its 32 sets, 0 where a set is empty."""

_PLAIN, _SHORT, _LONG = Struct("<BII"), Struct("<BIIBB"), Struct("<BQQII")
HEADS = (_PLAIN, _SHORT, _LONG)
"""What a node begins with, by form."""
BUCKET_HEAD = Struct("<BBBI")
WIDE_HEAD = Struct("<IIB")
HAS_BUCKET, HAS_WIDE, _FORM = 1, 2, 4
COLUMNS = 8
NUMBERS, MODIFIED = 0, 6
_ALL = (1 << FANOUT) - 1
_BYTE, _LONG_WORD = 1 << 8, 1 << 32
_REMEMBERED, _REMEMBERED_BYTES = 2048, 256
"""Sets of names that are remembered as bytes, and the most bytes of one: directories of the same kind have the same."""
_remembered: dict[tuple[str, ...], tuple[int, bytes, bytes]] = {}


def is_inline(node: Node) -> bool:
    """Whether the node lies in its parent's bucket, with no number of its own."""
    return node.kids is None and len(node.value) + len(node.meta) <= INLINE


def encode(part: Node | Bucket | Wide) -> tuple[int, bytes]:
    """Kind and bytes of a part; all it refers to have their numbers already."""
    if isinstance(part, Node):
        return NODE, _node(part)
    out: list[bytes] = []
    if part.__class__ is Bucket:
        _add_bucket(part, out)
        return BUCKET, b"".join(out)
    _add_wide(cast("Wide", part), out)
    return WIDE, b"".join(out)


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
    kids, value, meta = node.kids, node.value, node.meta
    created, modified = node.created, node.modified
    shape = 0 if kids is None else HAS_BUCKET if kids.__class__ is Bucket else HAS_WIDE
    if modified >= _LONG_WORD or len(value) >= _BYTE or len(meta) >= _BYTE or created >= _LONG_WORD:
        out = [_LONG.pack(shape | 2 * _FORM, created, modified, len(value), len(meta)), value, meta]
    elif value or meta:
        out = [_SHORT.pack(shape | _FORM, created, modified, len(value), len(meta)), value, meta]
    else:
        out = [_PLAIN.pack(shape, created, modified)]
    if shape == HAS_BUCKET:
        _add_bucket(cast("Bucket", kids), out)
    elif shape:
        _add_wide(cast("Wide", kids), out)
    return b"".join(out)


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


# Buckets


@lru_cache(maxsize=8192)
def _columns(forms: int, children: int, leaves: int, metas: int) -> Struct:
    """All columns of a bucket as one; IndexError if there is no such form."""
    counts = (children, children, leaves, leaves, leaves, leaves, leaves, metas)
    return Struct("<" + "".join([codes(forms >> 4 * at & 15, count) for at, count in enumerate(counts)]))


def _add_bucket(bucket: Bucket, out: list[bytes]) -> None:
    """The bytes of a bucket, in pieces, to the end of `out`."""
    names: dict[str, Any] = bucket.names
    leaf_names: list[str] = []
    inner_names: list[str] = []
    values: list[bytes] = []
    metas: list[bytes] = []
    created: list[int] = []
    modified: list[int] = []
    inner: list[int] = []
    for name, node in names.items():
        if node.__class__ is Node or (node.__class__ is Inode and node.kids is None and is_inline(node)):
            leaf_names.append(name)
            values.append(node.value)
            metas.append(node.meta)
            created.append(node.created)
            modified.append(node.modified)
        else:
            inner_names.append(name)
            inner.append(node.number)
    leaves, children = len(values), len(inner)
    forms = count = 0
    at = len(out)
    out.append(b"")
    text = b""
    if children:
        forms, packed = fitted(inner)
        form, lengths, text = _named(tuple(inner_names))
        forms |= form << 4
        out += (packed, lengths)
    if not leaves:
        out.append(text)
    else:
        form, lengths, leaf_text = _named(tuple(leaf_names))
        value_form, value_lengths = small(bytes(map(len, values)))
        forms |= form << 8 | value_form << 12
        out += (lengths, value_lengths)
        count, meta = 1, metas[0]
        if metas.count(meta) == leaves:
            form, meta_lengths = SINGLE[len(meta)]
            metas = [meta]
        else:
            index = {meta: at for at, meta in enumerate(dict.fromkeys(metas))}
            form, packed = fitted([index[meta] for meta in metas])
            forms |= form << 16
            out.append(packed)
            metas = list(index)
            count = len(metas)
            form, meta_lengths = small(bytes(map(len, metas)))
        created_form, made = fitted(created)
        modified_form, was_set = (created_form, made) if modified == created else fitted(modified)
        forms |= created_form << 20 | modified_form << 24 | form << 28
        out += (made, was_set, meta_lengths, text, leaf_text, *values, *metas)
    out[at] = BUCKET_HEAD.pack(children, leaves, count, forms)


def _named(names: tuple[str, ...]) -> tuple[int, bytes, bytes]:
    """Names as they lie in a bucket: the form of the column of their bytes, that column, and they themselves."""
    found = _remembered.get(names)
    if found is None:
        encoded = [name.encode() for name in names]
        form, packed = fitted(list(map(len, encoded)))
        found = form, packed, b"".join(encoded)
        if len(found[2]) <= _REMEMBERED_BYTES:
            if len(_remembered) >= _REMEMBERED:
                _remembered.clear()
            _remembered[names] = found
    return found


def _bucket_references(data: bytes, at: int, number: int) -> dict[str, int]:
    children, leaves, metas, forms = BUCKET_HEAD.unpack_from(data, at)
    if not children:
        return {}
    form = _columns(forms, children, leaves, metas)
    packed = form.unpack_from(data, at + BUCKET_HEAD.size)
    at += BUCKET_HEAD.size + form.size
    numbers, next_at = spread(packed, 0, forms & 15, children)
    lengths, _ = spread(packed, next_at, forms >> 4 & 15, children)
    found = {}
    for below, length in zip(numbers, lengths, strict=True):
        found[str(data[at : at + length], "utf-8")] = below
        at += length
    _expect(at <= len(data) and max(numbers) < number, "its children")
    return found


def _read_bucket(data: bytes, at: int, number: int, source: Source) -> Bucket:
    children, leaves, metas, forms = BUCKET_HEAD.unpack_from(data, at)
    form = _columns(forms, children, leaves, metas)
    packed = form.unpack_from(data, at + BUCKET_HEAD.size)
    at += BUCKET_HEAD.size + form.size
    names: dict[str, Node | Stub] = {}
    next_at = 0
    if children:
        numbers, next_at = spread(packed, 0, forms & 15, children)
        child_lengths, next_at = spread(packed, next_at, forms >> 4 & 15, children)
        _expect(max(numbers) < number, "children that are older")
        for below, length in zip(numbers, child_lengths, strict=True):
            names[intern(str(data[at : at + length], "utf-8"))] = Stub(below, source)
            at += length
    lengths, next_at = spread(packed, next_at, forms >> 8 & 15, leaves)
    value_lengths, next_at = spread(packed, next_at, forms >> 12 & 15, leaves)
    indexes, next_at = spread(packed, next_at, forms >> 16 & 15, leaves)
    created, next_at = spread(packed, next_at, forms >> 20 & 15, leaves)
    modified, next_at = spread(packed, next_at, forms >> 24 & 15, leaves)
    meta_lengths, _ = spread(packed, next_at, forms >> 28 & 15, metas)
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


def _add_wide(wide: Wide, out: list[bytes]) -> None:
    slots: list[Any] = wide.slots
    numbers: list[int] = [below.number for below in slots if below is not None]
    filled = _ALL
    if len(numbers) < FANOUT:
        filled = sum([1 << index for index, below in enumerate(slots) if below is not None])
    form, packed = fitted(numbers)
    out += (WIDE_HEAD.pack(wide.count, filled, form), packed)


def _wide_numbers(data: bytes, at: int, number: int) -> tuple[int, list[int]]:
    count, filled, form = WIDE_HEAD.unpack_from(data, at)
    sets = filled.bit_count()
    _expect(sets > 0, "no set")
    packed = column(form, sets).unpack_from(data, at + WIDE_HEAD.size)
    _expect(at + WIDE_HEAD.size + column(form, sets).size == len(data), "its last set")
    numbers, _ = spread(packed, 0, form, sets)
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
