"""The keeper: a process that holds duplicates of the daemon's sockets, so that they outlive it.

    python -m xsadapter.recovery.keeper DIR     the listening socket, DIR/keeper, is descriptor 3

Messages, one a packet: `hold KEY` with a descriptor, `drop KEY`, `quit`; who connects is first sent a `KEY` with its
descriptor each, then `end`, or `busy` while another daemon is connected.

Rules
1. It serves one daemon at a time, and reads nothing from the sockets it holds.
2. It ends when it is told to, when its place in DIR is gone, and when no daemon has come for two minutes: then the
   clients see that there is none.
3. It may be killed: the daemon notices, and starts another one.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "keeper"
END: Final = b"end"
BUSY: Final = b"busy"
KEY_MAX: Final = 512
_PATIENCE: Final = 120.0
_LOOK: Final = 1000  # milliseconds


class Keeper:
    """The process's state."""

    def __init__(self, listener: socket.socket, place: Path) -> None:
        self._listener, self._place = listener, place
        self._daemon: socket.socket | None = None
        self._held: dict[bytes, int] = {}
        self._until = time.monotonic() + _PATIENCE

    def run(self) -> None:
        """Serve until there is nothing to serve for."""
        while True:
            poll = select.poll()
            poll.register(self._listener, select.POLLIN)
            if self._daemon is not None:
                poll.register(self._daemon, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll(_LOOK)}
            if self._daemon is not None and self._daemon.fileno() in ready and not self._serve(self._daemon):
                return
            if self._listener.fileno() in ready:
                self._accept()
            if not self._place.exists() or (self._daemon is None and time.monotonic() > self._until):
                return

    def _accept(self) -> None:
        daemon, _ = self._listener.accept()
        while self._daemon is not None and select.select([self._daemon], [], [], 0)[0]:
            # What one that has died has given comes before its end.
            self._serve(self._daemon)
        if self._daemon is not None:
            daemon.send(BUSY)
            daemon.close()
            return
        # One that has died by now may have given something before.
        self._daemon = daemon
        with suppress(OSError):
            for key, descriptor in self._held.items():
                socket.send_fds(daemon, [key], [descriptor])
            daemon.send(END)

    def _serve(self, daemon: socket.socket) -> bool:
        """One message; whether to go on."""
        try:
            message, descriptors, _, _ = socket.recv_fds(daemon, KEY_MAX, 1)
        except OSError:
            message, descriptors = b"", []
        word, _, key = message.partition(b" ")
        if word == b"quit":
            return False
        if not message:
            daemon.close()
            self._daemon, self._until = None, time.monotonic() + _PATIENCE
        elif word == b"hold" and descriptors:
            self._drop(key)
            self._held[key] = descriptors[0]
        elif word == b"drop":
            self._drop(key)
        return True

    def _drop(self, key: bytes) -> None:
        descriptor = self._held.pop(key, None)
        if descriptor is not None:
            os.close(descriptor)


def main() -> None:
    """Hold what the daemon gives."""
    place = Path(sys.argv[1]) / NAME
    os.chdir("/")
    with socket.socket(fileno=3) as listener:
        Keeper(listener, place).run()
        place.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
