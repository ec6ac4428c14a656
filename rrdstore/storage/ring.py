"""The records of a ring as bytes: how one is written, and how they are walked and doubted.

Rule: grammar and reasons are those of `journal`, which writes them; what lies in a record is that of `entries`, or

    part    = 0:u64 place:u32 parts:u32 (of which there is one at least), bytes: one of those that a net is cut into

Pure.
"""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from rrdstore.errors import Corrupt
from rrdstore.storage import entries
from rrdstore.storage.entries import Elsewhere
from rrdstore.storage.protocol import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rrdstore.storage.protocol import Acknowledged

    Fetch = Callable[[Elsewhere], Acknowledged]
    """What a record stands for whose edits lie elsewhere; Corrupt."""

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
) -> Iterator[tuple[Acknowledged | Part | Elsewhere, int, int, int]]:
    """The records from a byte on: each entry, where it ends, its checksum and generation; Corrupt.

    A part of a net that is not where the records begin is one that a crash cut short, and ends them.
    """
    at, seed = begin, first(uuid, generation)
    turned = begun = False
    parts, author = 0, ""
    while True:
        found = _record(view, at, generation, seed, path, author)
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
        begun, author = True, entry.author if isinstance(entry, Entry) else ""
        yield entry, at, seed, generation


def _record(
    view: memoryview, at: int, generation: int, seed: int, path: str, author: str = ""
) -> tuple[Acknowledged | Part | Elsewhere, int, int] | None:
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
        return decode(data, author), end + (-end & 7), check
    except (error, ValueError, IndexError) as fault:
        raise Corrupt(path, f"a record at {at} that ends in {fault}", "an entry") from fault


def doubt(
    path: str, wanted: int, begin: int, read: tuple[int, int], said: tuple[int, int], size: int
) -> Corrupt | None:
    """What is wrong with records that begin at a byte of a generation, or None.

    `read` is the generation and byte that they were read to, `said` what the head says.
    """
    if said[0] > read[0]:
        # Each tick that was under way and came to nothing has cut, behind a record at least; more are of a day on
        # which the store was another.
        kind = Short if said[0] - wanted <= size // PREFIX else Corrupt
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
    data: bytes, path: str, uuid: bytes, generation: int | None, start: int = START, *, fetch: Fetch
) -> tuple[list[Acknowledged], bytes, bytes, Corrupt | None]:
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
    records: list[Acknowledged | Part] = []
    read, fault = (wanted, begin), None
    try:
        for record, at, _, own in walked(view, begin, wanted, head.uuid, path):
            records.append(fetch(record) if isinstance(record, Elsewhere) else record)
            read = own, at
    except Corrupt as found:
        fault = found
    fault = fault or doubt(path, wanted, begin, read, (head.generation, head.end), len(data))
    if fault is None and head.size != len(data):
        fault = Corrupt(path, f"{len(data)} bytes", f"{head.size} bytes")
    acknowledged, net, torn = sorted_out(records, path)
    return acknowledged, net, head.uuid, fault or torn


def sorted_out(records: Sequence[Acknowledged | Part], path: str) -> tuple[list[Acknowledged], bytes, Corrupt | None]:
    """The entries among these, the bytes of the net that lies before them, and what is wrong if it is not whole."""
    found = [record for record in records if not isinstance(record, Part)]
    parts = [record for record in records if isinstance(record, Part)]
    if parts and len(parts) != parts[0].of:
        return [], b"", Corrupt(path, f"{len(parts)} parts of a net", f"{parts[0].of}")
    return found, b"".join(one.data for one in parts), None


def decode(data: bytes, author: str = "") -> Acknowledged | Part | Elsewhere:
    """What lies in a record, `author` having made the commit before it, if one is; struct.error, ValueError."""
    if not any(data[:8]):
        _, place, of = _PART.unpack_from(data)
        if of:
            return Part(place, of, data[_PART.size :])
    return entries.decode(data, author)


def _oldest(view: memoryview, said: int, uuid: bytes, path: str) -> tuple[int, int]:
    """Where the records begin, if nothing tells: at the first of a generation, the one before the last or the last."""
    for generation in (said - 1, said):
        seed = first(uuid, generation)
        for at in range(START, len(view) - PREFIX, 8):
            if RECORD.unpack_from(view, at + 4)[1] == generation and _record(view, at, generation, seed, path):
                return generation, at
    return said, START
