"""Changes of the tree that clients are not told of yet: written down before they are made.

    change  = size:u32 crc:u32 before:u64 serial:u64 done:u64 start:u64 kind:u32 request:u32 transaction:u32
              output:u32 effects:u32 0:u32, the output, and of each effect removed:u8 length:u16 path
    row     = size|1:u32 made:u32 before:u64 serial:u64 room:u64 begin:u64 start:u64 output:u64, the output

Rules
1. A change is there once its size is: that is stored last, after the next one's, which is 0. The crc is of all that
   follows it. All sizes are multiples of 8.
2. `before` is the number of the head before it: a change was made if the head of the store has a greater one.
3. `serial` asked for it (0: nobody), and `done` bytes of that client's stream are carried out with it. The answer is
   OK. What the client was answered before and had not been sent stands as `output`, from byte `start` on.
4. A row is WRITEs that follow each other in the stream of a socket's client, from byte `begin` on, each a commit of
   its own and answered OK. What they are is not said again: their bytes lie in the client's room until the answers are
   sent. `made` is how many of them were, stored when that is all; until then it is 0, and the number of the head says.
5. When everybody has been sent, or what could not be sent is written down elsewhere, all are forgotten by one store.

Cost: O(bytes), about 2 µs; of a row 0.7, however many WRITEs it is.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xsadapter.operations import Kind
from xsadapter.recovery.words import CHANGES, CHANGES_AT
from xsadapter.wire import OK, FrameError, FrameReader, pack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from xsadapter.engine.events import Effect
    from xsadapter.recovery.words import Words

_HEAD: Final = struct.Struct("=QQQQ6I")
_EFFECT: Final = struct.Struct("=BH")
_PLAIN: Final = struct.Struct("=QQQQ6IBH")
"""Both, where no output is between them."""
_ROW: Final = struct.Struct("=6Q")
_FRONT: Final = 8
_ROWS: Final = _FRONT + _ROW.size
"""What a row takes, but for its output."""
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


@dataclass(frozen=True, slots=True)
class Row:
    """WRITEs of one client, as they were announced; `made` of them were, 0 if only the head's number says it."""

    before: int
    serial: int
    room: int
    """The number of the client's room."""
    begin: int
    start: int
    made: int = 0
    output: bytes = b""

    def changes(self, data: bytes, head: int) -> Iterator[Change]:
        """Those that were made, one by one: `data` are the client's bytes from `begin` on. O(bytes).

        What was answered before one of them is its `output`, which for the first is the row's.
        """
        reader, start, output = FrameReader(self.begin), self.start, self.output
        reader.feed(data)
        for before in range(self.before, self.before + self.made if self.made else head):
            try:
                frame = reader.take()
            except FrameError:
                return
            if frame is None or frame[0] != Kind.WRITE:
                return
            kind, request, transaction, payload = frame
            effects = ((payload[: payload.find(b"\0")].decode("ascii", "replace"), False),)
            yield Change(before, self.serial, reader.taken, start, (kind, request, transaction), output, effects)
            start, output = start + len(output), pack(kind, request, transaction, OK)


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

    __slots__ = ("_bytes", "_last", "_sizes", "_words", "at")

    def __init__(self, words: Words) -> None:
        self._bytes = words.bytes[CHANGES_AT : CHANGES_AT + CHANGES]
        self._sizes, self._words = self._bytes.cast("I"), self._bytes.cast("Q")
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

    def row(self, before: int, serial: int, room: int, begin: int, start: int, output: bytes) -> bool:
        """Write down that a row begins; False if there is no room."""
        at = self.at
        end = at + _ROWS
        if output:
            end += len(output) + 7 & ~7
        if end + _FRONT > CHANGES:
            return False
        words = self._words
        _ROW.pack_into(self._bytes, at + _FRONT, before, serial, room, begin, start, len(output))
        if output:
            self._bytes[at + _ROWS : at + _ROWS + len(output)] = output
        words[end >> 3] = 0
        words[at >> 3] = end - at | 1
        self._last, self.at = at, end
        return True

    def ended(self, made: int) -> None:
        """So many of the row that began last were made."""
        if made:
            self._sizes[(self._last >> 2) + 1] = made
        else:
            self._words[self._last >> 3] = 0
            self.at = self._last

    def take_back(self) -> None:
        """The last one was not made."""
        self._sizes[self._last >> 2] = 0
        self.at = self._last

    def forget(self) -> None:
        """All are told."""
        self._sizes[0] = 0
        self.at = self._last = 0

    def __iter__(self) -> Iterator[Change | Row]:
        """What a daemon that was killed has left, in order, up to the first that is not whole."""
        at = 0
        while at + _FRONT <= CHANGES and (size := self._sizes[at >> 2]):
            if size & 1:
                size -= 1
                if size % 8 or not _ROWS <= size <= CHANGES - at:
                    return
                before, serial, room, begin, start, length = _ROW.unpack_from(self._bytes, at + _FRONT)
                output = bytes(self._bytes[at + _ROWS : at + _ROWS + length])
                yield Row(before, serial, room, begin, start, self._sizes[(at >> 2) + 1], output)
                at += size
                continue
            data = bytes(self._bytes[at + _FRONT : at + size])
            if size % 8 or at + size > CHANGES or zlib.crc32(data) != self._sizes[(at >> 2) + 1]:
                return
            yield decoded(data)
            at += size
