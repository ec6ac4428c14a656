"""Changes of the tree that clients are not told of yet: written down before they are made.

    change  = size:u32 crc:u32 before:u64 serial:u64 done:u64 start:u64 kind:u32 request:u32 transaction:u32
              output:u32 effects:u32 0:u32, the output, and of each effect removed:u8 length:u16 path

Rules
1. A change is there once its size is: that is stored last, after the next one's, which is 0. The crc is of all that
   follows it.
2. `before` is the number of the head before it: a change was made if the head of the store has a greater one.
3. `serial` asked for it (0: nobody), and `done` bytes of that client's stream are carried out with it. The answer is
   OK. What the client was answered before and had not been sent stands as `output`, from byte `start` on.
4. When everybody has been sent, or what could not be sent is written down elsewhere, all are forgotten by one store.

Cost: O(bytes), about 2 µs.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xsadapter.recovery.words import CHANGES, CHANGES_AT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from xsadapter.engine.events import Effect
    from xsadapter.recovery.words import Words

_HEAD: Final = struct.Struct("=QQQQ6I")
_EFFECT: Final = struct.Struct("=BH")
_PLAIN: Final = struct.Struct("=QQQQ6IBH")
"""Both, where no output is between them."""
_FRONT: Final = 8
_PADDING: Final = tuple(map(bytes, range(8)))


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as it was announced."""

    before: int
    serial: int = 0
    done: int = 0
    start: int = 0
    asked: tuple[int, int, int] = (0, 0, 0)
    """Kind, request and transaction of the request."""
    output: bytes = b""
    effects: tuple[Effect, ...] = ()


def encoded(
    before: int,
    serial: int,
    done: int,
    start: int,
    asked: tuple[int, int, int],
    output: bytes,
    effects: Collection[Effect],
) -> bytes:
    """A change but for size and crc; its length is a multiple of 8."""
    if len(effects) == 1:  # What nearly all are.
        ((path, removed),) = effects
        data = path.encode("ascii")
        if output:
            head = _HEAD.pack(before, serial, done, start, *asked, len(output), 1, 0)
            data = b"".join((head, output, _EFFECT.pack(removed, len(data)), data))
        else:
            data = _PLAIN.pack(before, serial, done, start, *asked, 0, 1, 0, removed, len(data)) + data
        return data + _PADDING[-len(data) & 7]
    parts = [b"", output]
    for path, removed in effects:
        parts += (_EFFECT.pack(removed, len(path)), path.encode("ascii"))
    parts[0] = _HEAD.pack(before, serial, done, start, *asked, len(output), (len(parts) >> 1) - 1, 0)
    data = b"".join(parts)
    return data + _PADDING[-len(data) % 8]


def decoded(data: bytes) -> Change:
    """The other way round; struct.error, IndexError for what is none."""
    before, serial, done, start, kind, request, transaction, length, count, _ = _HEAD.unpack_from(data)
    at = _HEAD.size + length
    output = data[_HEAD.size : at]
    effects = []
    for _ in range(count):
        removed, size = _EFFECT.unpack_from(data, at)
        at += _EFFECT.size
        effects.append((data[at : at + size].decode("ascii"), bool(removed)))
        at += size
    return Change(before, serial, done, start, (kind, request, transaction), output, tuple(effects))


class Turn:
    """The part of the words that they lie in."""

    __slots__ = ("_bytes", "_last", "_sizes", "at")

    def __init__(self, words: Words) -> None:
        self._bytes = words.bytes[CHANGES_AT : CHANGES_AT + CHANGES]
        self._sizes = self._bytes.cast("I")
        self.at = self._last = 0

    def append(self, data: bytes) -> bool:
        """Write an `encoded` change down; False if there is no room."""
        at = self.at
        size = _FRONT + len(data)
        end = at + size
        if end + _FRONT > CHANGES:
            return False
        sizes = self._sizes
        self._bytes[at + _FRONT : end] = data
        sizes[end >> 2] = 0
        sizes[(at >> 2) + 1] = zlib.crc32(data)
        sizes[at >> 2] = size
        self._last, self.at = at, end
        return True

    def take_back(self) -> None:
        """The last one was not made."""
        self._sizes[self._last >> 2] = 0
        self.at = self._last

    def forget(self) -> None:
        """All are told."""
        self._sizes[0] = 0
        self.at = self._last = 0

    def __iter__(self) -> Iterator[Change]:
        """What a daemon that was killed has left, in order, up to the first that is not whole."""
        at = 0
        while at + _FRONT <= CHANGES and (size := self._sizes[at >> 2]):
            data = bytes(self._bytes[at + _FRONT : at + size])
            if size % 8 or at + size > CHANGES or zlib.crc32(data) != self._sizes[(at >> 2) + 1]:
                return
            yield decoded(data)
            at += size
