"""Frames: a header of four 32-bit integers, then at most 4096 bytes of payload.

Rules
1. Header: type, request id, transaction id, payload length; native byte order; no padding.
2. A frame is complete as soon as its last byte is there, also when it has no payload; bytes may
   be cut anywhere.
3. A length over 4096 is a protocol violation: nothing after it can be trusted, so the reader
   stops for good and the connection must be closed without a reply.
4. Nothing longer than 4096 bytes of payload is ever sent: see `engine.connection`.

Cost: O(bytes); a frame costs one unpack and one slice. No I/O here.
"""

from __future__ import annotations

import struct
from typing import Final

from xsadapter.errors import ERROR_NAMES

HEADER: Final = struct.Struct("=4I")
ANSWER: Final = struct.Struct("=4I3s")
"""A frame whose payload is `OK`."""
HEADER_SIZE: Final = HEADER.size
PAYLOAD_MAX: Final = 4096
FRAME_MAX: Final = HEADER_SIZE + PAYLOAD_MAX

Frame = tuple[int, int, int, bytes]
"""Type, request id, transaction id, payload. A plain tuple, because one is made for each request."""

ERROR_PAYLOADS: Final = {name: name.encode() + b"\0" for name in ERROR_NAMES}
OK: Final = b"OK\0"


class FrameError(Exception):
    """A header that announces more payload than the protocol allows."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(f"payload of {length} bytes announced, expected at most {PAYLOAD_MAX}")


def pack(kind: int, request: int, transaction: int, payload: bytes) -> bytes:
    """One frame as bytes; the caller has checked the length. O(payload)."""
    return HEADER.pack(kind, request, transaction, len(payload)) + payload


class FrameReader:
    """Cuts a stream of bytes into frames."""

    __slots__ = ("at", "base", "buffer")

    def __init__(self, base: int = 0) -> None:
        """`base`: how many bytes of the stream came before."""
        self.buffer = b""
        """What is here."""
        self.at, self.base = 0, base
        """How many bytes are taken of what is here, and how many came before."""

    def feed(self, data: bytes) -> None:
        """Add what has arrived. O(data + what was left over)."""
        at = self.at
        self.buffer = self.buffer[at:] + data if at < len(self.buffer) else data
        self.base += at
        self.at = 0

    def take(self) -> Frame | None:
        """The next complete frame, or None; raises FrameError, then and ever after. O(payload)."""
        buffer, at = self.buffer, self.at
        start, size = at + HEADER_SIZE, len(buffer)
        if size < start:
            return None
        kind, request, transaction, length = HEADER.unpack_from(buffer, at)
        if length > PAYLOAD_MAX:
            raise FrameError(length)
        end = start + length
        if size < end:
            return None
        self.at = end
        return kind, request, transaction, buffer[start:end]

    @property
    def taken(self) -> int:
        """How many bytes of the stream were taken in whole frames."""
        return self.base + self.at

    @property
    def partial(self) -> bool:
        """Whether what waits is the beginning of a frame, and no whole one."""
        pending = len(self.buffer) - self.at
        if pending < HEADER_SIZE:
            return pending > 0
        length: int = HEADER.unpack_from(self.buffer, self.at)[3]
        return pending < HEADER_SIZE + length and length <= PAYLOAD_MAX

    @property
    def rest(self) -> bytes:
        """What waits for the rest of its frame or to be taken. O(bytes)."""
        return self.buffer[self.at :]

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame or to be taken."""
        return len(self.buffer) - self.at
