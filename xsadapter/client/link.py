"""The client's stream: a socket, the frames that come by it, and how it is connected again.

Rules
1. A frame that was not sent whole is not carried out by any daemon; of one that was, nobody knows when the stream ends.
2. Connecting again is tried after 0.02, 0.04 ... and at most 0.5 seconds, until the patience is over; then what ended
   the stream is raised.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

from xsadapter.wire import FrameReader

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK: Final = 65536
_FIRST: Final = 0.02
_LONGEST: Final = 0.5


class Link:
    """One client's."""

    def __init__(self, path: str, timeout: float | None) -> None:
        """Connect; OSError."""
        self._path, self.timeout = path, timeout
        self.generation = 0
        """How often it has been connected."""
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(self.timeout)
        try:
            self.socket.connect(self._path)
        except OSError:
            self.socket.close()
            raise
        self._reader = FrameReader()
        self.generation += 1

    def close(self) -> None:
        """End the stream."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it; OSError."""
        self.socket.sendall(data)

    def taken(self) -> tuple[int, int, int, bytes] | None:
        """The next frame, if one is here."""
        return self._reader.take()

    def frame(self) -> tuple[int, int, int, bytes]:
        """The next frame; OSError."""
        while (frame := self._reader.take()) is None:
            self.receive()
        return frame

    def receive(self) -> None:
        """Wait for some bytes; OSError."""
        data = self.socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the daemon closed the connection")
        self._reader.feed(data)

    def again(self, patience: float, lost: OSError, greet: Callable[[], None]) -> None:
        """Connect again and have `greet` say what is to be said first; `lost`, if that cannot be in so many seconds."""
        self.socket.close()
        until, pause = time.monotonic() + patience, _FIRST
        while True:
            try:
                self._connect()
                greet()
            except OSError:
                self.socket.close()
                left = until - time.monotonic()
                if left <= 0:
                    raise lost from None
                time.sleep(min(pause, left))
                pause = min(_LONGEST, 2 * pause)
            else:
                return
