"""The records of a ring as bytes: how one is written, and how they are walked and doubted.

Rule: grammar and reasons are those of `journal`, which writes them. Pure.

    entry   = number:u64 branch:u64 rt:i64 wall:i64 epoch:u32 edits:u32 opaque:u32 parents:u8 author:u8 message:u16
              met:u8 (1 a merge, 2 of two that went past each other)
              parents (number:u64 epoch:u32), author, message, opaque
              if met: fork:u64 base:u64 older:u64 fork since, upstream since, older since, older side:u64 more:u32
              edits, and `more` that make the base (path:u32 flags:u8 (1 value, 2 meta) value:u32 meta:u32, then these)
"""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from rrdstore.errors import Corrupt
from rrdstore.history.branch import Meeting, Reach
from rrdstore.history.commit import Edit, Key
from rrdstore.storage.protocol import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC = b"rrdring1"
HEAD = Struct("<8s16s4I3Q")
START = HEAD.size


class Head(NamedTuple):
    """The first bytes of the file."""

    magic: bytes
    uuid: bytes
    size: int
    net: int
    """The byte at which the newest net lies; 0 is none."""
    pid: int
    epoch: int
    """Of the writer, if no transaction could say so."""
    generation: int
    """Of the last record."""
    boot: int
    end: int
    """Where the last record ends."""


RECORD = Struct("<IQ")
"""Checksum and generation; the length goes before them."""
PREFIX = 4 + RECORD.size
TURN = (1 << 32) - 1
_ENTRY = Struct("<QQqqIIIBBHB")
_MEETING = Struct("<7QI")
_PARENT = Struct("<QI")
_ONE = Struct("<QQqqIIIBBHBQI")
"""An entry with its only parent."""
_EDIT = Struct("<IBII")
_HAS_VALUE, _HAS_META = 1, 2
_MET, _CROSSED = 1, 2
_PART = Struct("<QII")


class Part(NamedTuple):
    """One of the records that a net is cut into."""

    place: int
    of: int
    data: bytes


def part(place: int, of: int, data: bytes) -> bytes:
    """A part of a net as bytes."""
    return _PART.pack(0, place, of) + data


def head_of(data: bytes | memoryview) -> Head:
    """The head of a ring; struct.error."""
    return Head(*HEAD.unpack_from(data))


def begins(view: bytes | memoryview, generation: int, start: int) -> tuple[int, int]:
    """Generation and byte of the first record that counts, the last tick's being these: a newer net's, if one is."""
    net = head_of(view).net
    if START <= net <= len(view) - PREFIX:
        own = RECORD.unpack_from(view, net + 4)[1]
        if own > generation:
            return own, net
    return generation, start


class Short(Corrupt):
    """A journal whose head and records are not of one moment: damage, or what a power failure leaves of it."""


def first(uuid: bytes, generation: int) -> int:
    """What the checksum of a generation's first record begins with."""
    return crc32(generation.to_bytes(8, "little"), crc32(uuid))


def walked(
    view: memoryview, begin: int, generation: int, uuid: bytes, path: str
) -> Iterator[tuple[Entry | Part, int, int, int]]:
    """The records from a byte on: each entry, where it ends, its checksum and generation; Corrupt.

    A part of a net that is not where the records begin is one that a crash cut short, and ends them.
    """
    at, seed = begin, first(uuid, generation)
    turned = begun = False
    parts = 0
    while True:
        found = _record(view, at, generation, seed, path)
        if found is None:
            if begun:  # No generation is without a record, but for the last.
                found = _record(view, at, generation + 1, first(uuid, generation + 1), path)
            if found is not None:
                generation += 1
            elif not turned and (at + PREFIX > len(view) or int.from_bytes(view[at : at + 4], "little") == TURN):
                turned, at = True, START
                continue
            else:
                return
        if isinstance(found[0], Part):
            if found[0].place != parts or (begun and not parts):
                return
            parts += 1
        entry, at, seed = found
        begun = True
        yield entry, at, seed, generation


def _record(view: memoryview, at: int, generation: int, seed: int, path: str) -> tuple[Entry | Part, int, int] | None:
    """The record at a byte, if it is whole and the next: its entry, where it ends, its checksum."""
    if at + PREFIX > len(view):
        return None
    length = int.from_bytes(view[at : at + 4], "little")
    end = at + PREFIX + length
    if not length or end > len(view):
        return None
    check, own = RECORD.unpack_from(view, at + 4)
    if own != generation:
        return None
    data = bytes(view[at + PREFIX : end])
    if crc32(data, seed) != check:
        return None
    try:
        return decode(data), end + (-end & 7), check
    except (error, UnicodeDecodeError, IndexError) as fault:
        raise Corrupt(path, f"a record at {at} that ends in {fault}", "an entry") from fault


def doubt(
    path: str, wanted: int, begin: int, read: tuple[int, int], said: tuple[int, int], size: int
) -> Corrupt | None:
    """What is wrong with records that begin at a byte of a generation, or None.

    `read` is the generation and byte that they were read to, `said` what the head says.
    """
    if said[0] > read[0]:
        # A tick that was under way has cut; more than one are of a day on which the store was another.
        kind = Short if said[0] <= wanted + 1 else Corrupt
        return kind(path, f"records of generation {said[0]}", f"of {read[0]}, which the store has, or older")
    if said[0] == read[0] and _rank(said[1], begin, size) > _rank(read[1], begin, size):
        return Short(path, f"records to byte {read[1]}, and one there that is not whole", f"to {said[1]}")
    if said[0] < wanted - 1:
        return Short(path, f"records of generation {said[0]}", f"of {wanted}, which the store waits for")
    return None


def _rank(at: int, begin: int, size: int) -> int:
    """How far behind the first record a byte lies."""
    return at - begin if at >= begin else at - begin + size


def salvaged(
    data: bytes, path: str, uuid: bytes, generation: int | None, start: int = START
) -> tuple[list[Entry], bytes, bytes, Corrupt | None]:
    """The entries from a generation and byte on in the bytes of a ring, the net before them, whose it is, and a fault.

    With no generation, from the first of the last two that there are. O(ring).
    """
    if len(data) < START or not data.startswith(MAGIC):
        return [], b"", b"", Corrupt(path, f"{len(data)} bytes that begin with {data[:8]!r}", "a journal")
    head = head_of(data)
    if uuid and head.uuid != uuid:
        return [], b"", b"", Corrupt(path, f"the journal of store {head.uuid.hex()}", f"store {uuid.hex()}")
    view = memoryview(data)
    wanted, begin = (generation, start) if generation is not None else _oldest(view, head.generation, head.uuid, path)
    wanted, begin = begins(view, wanted, begin)
    records: list[Entry | Part] = []
    read, fault = (wanted, begin), None
    try:
        for record, at, _, own in walked(view, begin, wanted, head.uuid, path):
            records.append(record)
            read = own, at
    except Corrupt as found:
        fault = found
    fault = fault or doubt(path, wanted, begin, read, (head.generation, head.end), len(data))
    if fault is None and head.size != len(data):
        fault = Corrupt(path, f"{len(data)} bytes", f"{head.size} bytes")
    entries, net, torn = sorted_out(records, path)
    return entries, net, head.uuid, fault or torn


def sorted_out(records: Sequence[Entry | Part], path: str) -> tuple[list[Entry], bytes, Corrupt | None]:
    """The entries among these, the bytes of the net that lies before them, and what is wrong if it is not whole."""
    entries = [record for record in records if isinstance(record, Entry)]
    parts = [record for record in records if isinstance(record, Part)]
    if parts and len(parts) != parts[0].of:
        return [], b"", Corrupt(path, f"{len(parts)} parts of a net", f"{parts[0].of}")
    return entries, b"".join(one.data for one in parts), None


def _oldest(view: memoryview, said: int, uuid: bytes, path: str) -> tuple[int, int]:
    """Where the records begin, if nothing tells: at the first of a generation, the one before the last or the last."""
    for generation in (said - 1, said):
        seed = first(uuid, generation)
        for at in range(START, len(view) - PREFIX, 8):
            if RECORD.unpack_from(view, at + 4)[1] == generation and _record(view, at, generation, seed, path):
                return generation, at
    return said, START


# Entries


def encode(entry: Entry) -> bytes:
    """An entry as bytes."""
    number, epoch, branch, parents, rt, wall, author_text, message_text, edits, opaque, meeting = entry
    author, message = author_text.encode(), message_text.encode()
    if len(edits) == 1 == len(parents) and meeting is None:
        path_text, value, meta = edits[0]
        if value is not None:  # What nearly all are, in one piece.
            path = path_text.encode()
            (parent,) = parents
            head = _ONE.pack(
                number, branch, rt, wall, epoch, 1, len(opaque), 1, len(author), len(message), 0, *parent
            )  # fmt: skip
            flags, size = (_HAS_VALUE, 0) if meta is None else (_HAS_VALUE | _HAS_META, len(meta))
            edit = _EDIT.pack(len(path), flags, len(value), size)
            return b"".join((head, author, message, opaque, edit, path, value, meta or b""))
    parts = [
        _ENTRY.pack(
            number, branch, rt, wall, epoch, len(edits), len(opaque), len(parents), len(author), len(message),
            0 if meeting is None else _MET if meeting.crossing is None else _CROSSED,
        ),
    ]  # fmt: skip
    parts += [_PARENT.pack(*key) for key in parents]
    parts += (author, message, opaque)
    if meeting is not None:
        fork, base, older, reach, crossing = meeting
        parts.append(_MEETING.pack(fork, base, older, *reach, len(crossing or ())))
        edits += crossing or ()
    for path_text, value, meta in edits:
        path = path_text.encode()
        if value is None:
            parts += (_EDIT.pack(len(path), 0, 0, 0), path)
        elif meta is None:
            parts += (_EDIT.pack(len(path), _HAS_VALUE, len(value), 0), path, value)
        else:
            parts += (_EDIT.pack(len(path), _HAS_VALUE | _HAS_META, len(value), len(meta)), path, value, meta)
    return b"".join(parts)


def decode(data: bytes) -> Entry | Part:
    """The entry, or the part of a net, of these bytes; struct.error, UnicodeDecodeError."""
    if not any(data[:8]):
        _, place, of = _PART.unpack_from(data)
        return Part(place, of, data[_PART.size :])
    number, branch, rt, wall, epoch, edit_count, opaque_size, parent_count, author_size, message_size, met = (
        _ENTRY.unpack_from(data)
    )
    at = _ENTRY.size
    parents = []
    for _ in range(parent_count):
        parents.append(Key(*_PARENT.unpack_from(data, at)))
        at += _PARENT.size
    author = data[at : at + author_size].decode()
    at += author_size
    message = data[at : at + message_size].decode()
    at += message_size
    opaque = data[at : at + opaque_size]
    at += opaque_size
    numbers: tuple[int, ...] = ()
    if met:
        numbers = _MEETING.unpack_from(data, at)
        at += _MEETING.size
    edits = []
    for _ in range(edit_count + (numbers[-1] if met else 0)):
        path_size, flags, value_size, meta_size = _EDIT.unpack_from(data, at)
        at += _EDIT.size
        path = data[at : at + path_size].decode()
        at += path_size
        value = data[at : at + value_size] if flags & _HAS_VALUE else None
        at += value_size
        edits.append(Edit(path, value, data[at : at + meta_size] if flags & _HAS_META else None))
        at += meta_size
    meeting = None
    if met:
        fork, base, older, *reach, _ = numbers
        meeting = Meeting(fork, base, older, Reach(*reach), tuple(edits[edit_count:]) if met == _CROSSED else None)
        del edits[edit_count:]
    return Entry(number, epoch, branch, tuple(parents), rt, wall, author, message, tuple(edits), opaque, meeting)
