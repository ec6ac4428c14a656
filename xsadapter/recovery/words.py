"""Shared memory that survives the daemon: positions of every client, and the changes that are not told yet.

A file of the run directory, mapped; native byte order, every word stored by one aligned store. Positions are bytes of
a client's stream since the file was begun.

      0   magic "xsaword2" (1 before there were rows among the changes: read, and gone on with as 2)
      8  generation      64  call: the socket client that a system call is made for, or 0
   4096   rings: 65,536 words by domid: req_cons | rsp_prod << 32 as they are to be
  528384  heads: 4,096 of 64 bytes: serial (0: free), received, done, sent, all 64 bits
  790528  changes: 4 MiB: see `turn`
 4984832  rooms: 4,096 of 16 KiB: what a socket client sent; byte n lies at n mod 16,384

Rules
1. What came from a socket lies in its room before its position says so, and its room is used again only beyond
   `done`: requests that were carried out and whose replies the kernel has.
2. Room is taken from the file system before it is touched: a full one refuses a client his room, it kills nobody.
3. `call` is the serial number while a system call of that client's is under way. What was moved by it is not known
   then, so the client's connection is closed after a restart, and no other.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from xsadapter.transport.page import Mapping

if TYPE_CHECKING:
    from pathlib import Path

MAGIC: Final = b"xsaword2"
_BEFORE: Final = b"xsaword1"
ROOM: Final = 16384
ROOMS: Final = 4096
CHANGES_AT: Final = 790528
CHANGES: Final = 4 << 20
SERIAL, RECEIVED, DONE, SENT = range(4)
CALL: Final = 8
"""Where `call` is."""

_GENERATION: Final = 1
_RINGS: Final = 4096 // 8
_HEADS: Final = 528384 // 8
_HEAD: Final = 8
_ROOMS_AT: Final = CHANGES_AT + CHANGES
_SIZE: Final = _ROOMS_AT + ROOMS * ROOM


class Words:
    """The file, mapped. `words` are its 64-bit words, `bytes` its bytes."""

    def __init__(self, path: Path, generation: int | None = None) -> None:
        """Open it, or with a `generation` make it anew; OSError, and ValueError for what is no such file."""
        made = generation is not None
        flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if made else 0)
        self._descriptor = os.open(path, flags, 0o600)
        try:
            if made:
                os.ftruncate(self._descriptor, _SIZE)
                os.posix_fallocate(self._descriptor, 0, _ROOMS_AT)
            elif os.fstat(self._descriptor).st_size != _SIZE:
                raise ValueError(f"{path}: found {os.fstat(self._descriptor).st_size} bytes, expected {_SIZE}")
            self._mapping = Mapping(self._descriptor, _SIZE)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.bytes = self._mapping.bytes
        self.words = self.bytes.cast("Q")
        if generation is not None:
            self.goes_on()
            self.words[_GENERATION] = generation
        elif bytes(self.bytes[: len(MAGIC)]) not in {MAGIC, _BEFORE}:
            self.close()
            raise ValueError(f"{path}: not the words of a daemon")
        taken = self.words[_HEADS : _HEADS + ROOMS * _HEAD : _HEAD].tolist()
        self._free = [number for number in range(ROOMS - 1, -1, -1) if not taken[number]]

    @property
    def generation(self) -> int:
        """Which of the daemon's it is."""
        return self.words[_GENERATION]

    def goes_on(self) -> None:
        """From now on what this code writes is in it."""
        self.words[0] = int.from_bytes(MAGIC, sys.byteorder)

    def void(self) -> None:
        """Nobody is to go on from it."""
        self.bytes[: len(MAGIC)] = bytes(len(MAGIC))

    @property
    def call(self) -> int:
        """The serial number of the client that a system call was made for; 0 is none."""
        return self.words[CALL]

    def ring(self, domid: int) -> tuple[int, int]:
        """A ring's req_cons and rsp_prod as they are to be."""
        word = self.words[_RINGS + domid]
        return word & 0xFFFFFFFF, word >> 32

    def ring_is(self, domid: int, consumer: int, producer: int) -> None:
        """What they are to be, in one store."""
        self.words[_RINGS + domid] = consumer | producer << 32

    def take(self, serial: int) -> Room | None:
        """A room for a socket client; None if there is none."""
        if not self._free:
            return None
        number = self._free[-1]
        try:
            os.posix_fallocate(self._descriptor, _ROOMS_AT + number * ROOM, ROOM)
        except OSError:
            return None
        self._free.pop()
        room = Room(self, number)
        for word in (SENT, DONE, RECEIVED):
            room.set(word, 0)
        room.set(SERIAL, serial)
        return room

    def give_back(self, room: Room) -> None:
        """Its client is gone."""
        room.set(SERIAL, 0)
        self._free.append(room.number)

    def room(self, number: int) -> Room:
        """One of them, whoever has it."""
        return Room(self, number)

    def rooms(self) -> dict[int, Room]:
        """Those that are taken, by serial number. O(rooms)."""
        found = (Room(self, number) for number in range(ROOMS) if self.words[_HEADS + number * _HEAD])
        return {room.get(SERIAL): room for room in found}

    def close(self) -> None:
        """Unmap it; twice is no error."""
        self.words.release()
        self._mapping.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Room:
    """One socket client's positions and bytes."""

    __slots__ = ("at", "bytes", "number", "words")

    def __init__(self, words: Words, number: int) -> None:
        self.number, self.words = number, words.words
        self.at = _HEADS + number * _HEAD
        """Where its positions are in the words: whoever moves bytes stores them without a call."""
        self.bytes = words.bytes[_ROOMS_AT + number * ROOM : _ROOMS_AT + (number + 1) * ROOM]

    def get(self, word: int) -> int:
        """One of SERIAL, RECEIVED, DONE, SENT."""
        return self.words[self.at + word]

    def set(self, word: int, value: int) -> None:
        """Likewise, in one store."""
        self.words[self.at + word] = value

    def waiting(self) -> bytes:
        """What came and is not done."""
        done, received = self.get(DONE), self.get(RECEIVED)
        return self.between(done, received)

    def between(self, start: int, end: int) -> bytes:
        """Bytes of the stream that are still there; at most a room of them."""
        first, last = start % ROOM, end % ROOM
        if start >= end:
            return b""
        return bytes(self.bytes[first:last]) if first < last else bytes(self.bytes[first:]) + bytes(self.bytes[:last])

    def put(self, data: bytes, done: int, sent: int) -> None:
        """Have these bytes wait in an empty room, behind so many that are done, with so many sent."""
        first = done % ROOM
        fits = min(len(data), ROOM - first)
        self.bytes[first : first + fits] = data[:fits]
        self.bytes[: len(data) - fits] = data[fits:]
        for word, value in ((RECEIVED, done + len(data)), (DONE, done), (SENT, sent)):
            self.set(word, value)
