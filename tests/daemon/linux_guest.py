"""A guest that tells the daemon no more than Linux does: drivers/xen/xenbus/xenbus_comms.c, xb_write and xb_read.

It puts a request's header into the ring and then its payload. Of each piece it tells only if the daemon has let go of
all before it; of what it reads, only if that had filled the ring. What else there is the daemon has to find.
"""

from __future__ import annotations

import time

from tests.compat.guest import HALF, PATIENCE, REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, Guest

_WRAP = 0xFFFFFFFF
_HEADER = 16


def behind(position: int, other: int) -> bool:
    """Whether an index has come as far as another."""
    return (other - position) & _WRAP <= HALF


class LinuxGuest(Guest):
    """As its kernel."""

    def send(self, data: bytes) -> None:
        for piece in (data[:_HEADER], data[_HEADER:]):
            self.piece(piece)

    def piece(self, data: bytes) -> None:
        """A part of a request, waiting for room."""
        deadline = time.monotonic() + PATIENCE
        while data:
            before = self.words[REQ_PROD]
            count = self.put(data)
            data = data[count:]
            if count:
                if behind(before, self.words[REQ_CONS]):
                    self.kick()
            else:
                assert time.monotonic() < deadline, "the daemon does not read"
                self.wait(0.05)
                self.take()

    def take(self) -> None:
        """Whether that had filled the ring is asked after its room was given back: the daemon fills it meanwhile."""
        before = self.words[RSP_CONS]
        kick, self.kick = self.kick, lambda port=None: None  # type: ignore[method-assign]
        try:
            super().take()
        finally:
            self.kick = kick  # type: ignore[method-assign]
        if self.words[RSP_CONS] != before and ((self.words[RSP_PROD] - before) & _WRAP) >= HALF:
            self.kick()
