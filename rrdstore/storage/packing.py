"""An object as it lies in a segment: its number, length, kind and checksum, and its bytes.

    object   = number:u48 length:u16 tag:u8 checksum:u32 bytes, padded to a multiple of the grain
    tag      = kind + (levels of pieces << 4)
    checksum = CRC-32 of the bytes, begun with the low 32 bits of number xor (length + (tag << 24))
    pieces   = total:u64, then the number:u64 of each

Rule: whoever reads one compares all of this. Cost: O(bytes). Pure.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

from rrdstore.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEADER = Struct("<QBI")
HEADER = _HEADER.size
_NUMBER_BITS = 48
_NUMBER = (1 << _NUMBER_BITS) - 1
_LOW = (1 << 32) - 1
LENGTH_BITS = 24
LENGTH = (1 << LENGTH_BITS) - 1
"""An object and what it takes in one number, where many are remembered."""


class Missing(Exception):
    """No object has this number; whether it is Thinned or Corrupt, the caller knows."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"object {number}")


def whole(length: int, grain: int) -> int:
    """Bytes that an object of this length takes."""
    return -(-(HEADER + length) // grain) * grain


def pack(
    segment: bytearray,
    at: int,
    numbers: Sequence[int],
    run: Sequence[tuple[int, bytes | bytearray]],
    sizes: Sequence[int],
) -> None:
    """Put objects, each a tag and its bytes, under these numbers into a segment's zeros from `at` on; O(bytes)."""
    put = _HEADER.pack_into
    for number, (tag, data), size in zip(numbers, run, sizes, strict=True):
        length = len(data)
        put(segment, at, number | length << _NUMBER_BITS, tag, crc32(data, (number ^ (length | tag << 24)) & _LOW))
        begin = at + HEADER
        segment[begin : begin + length] = data
        at += size


def header(segment: bytes | bytearray, offset: int) -> tuple[int, int, int]:
    """Number, length and tag of the object that begins at an offset, if one does."""
    word, tag, _ = _HEADER.unpack_from(segment, offset)
    return word & _NUMBER, word >> _NUMBER_BITS, tag


def unpack(segment: bytes | bytearray, offset: int, where: str) -> tuple[int, int, bytes]:
    """Number, tag and bytes of the object at an offset of a segment; Corrupt if they are not what was written."""
    if offset + HEADER > len(segment):
        raise Corrupt(where, f"offset {offset}", f"at most {len(segment)}")
    word, tag, check = _HEADER.unpack_from(segment, offset)
    number, length = word & _NUMBER, word >> _NUMBER_BITS
    data = bytes(segment[offset + HEADER : offset + HEADER + length])
    found = crc32(data, (number ^ (length | tag << 24)) & _LOW)
    if found != check or len(data) != length:
        raise Corrupt(where, f"checksum {found:08x}", f"{check:08x}")
    return number, tag, data


def assembled(tag: int, data: bytes, raw: Callable[[int], tuple[int, bytes]]) -> tuple[int, bytes]:
    """Kind and whole bytes of an object of which these are the head, its pieces read by `raw`; Missing, Corrupt."""
    for _ in range(tag >> 4):
        expected = int.from_bytes(data[:8], "little")
        data = b"".join(raw(number)[1] for number in piece_list(data))
        if len(data) != expected:
            raise Corrupt("an object in pieces", f"{len(data)} bytes", f"{expected}")
    return tag & 15, data


def piece_list(data: bytes) -> tuple[int, ...]:
    """The numbers of the pieces that the bytes of a head name."""
    return Struct(f"<{len(data) // 8}Q").unpack(data)[1:]
