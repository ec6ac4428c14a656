"""Clients that know what they were answered, by a socket and by a ring: an answer nobody asked for is found at once."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from tests.compat import guest
from tests.daemon.conversation import NAMES, NUMBERS, Message, pair
from xsadapter.wire import HEADER, pack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Asked = tuple[str, bytes, int]
"""Operation, payload, transaction."""
PATIENCE = 120.0


class Doubt(Exception):
    """The connection ended: what was under way is done or not."""


class Talker:
    """What both have: requests are answered in order, once each; events are kept."""

    def __init__(self) -> None:
        self.request = 0
        self.events: list[tuple[bytes, bytes]] = []

    def ask(self, operation: str, payload: bytes, transaction: int = 0) -> bytes | str:
        return self.exchange([(operation, payload, transaction)])[0]

    def exchange(self, asked: Sequence[Asked]) -> list[bytes | str]:
        """All at once, and their answers: a payload, or the name of an error."""
        first = self.request + 1
        self.request += len(asked)
        data = b"".join(
            pack(NUMBERS[operation], first + index, transaction, payload)
            for index, (operation, payload, transaction) in enumerate(asked)
        )
        self.send(data)
        answers: list[bytes | str] = []
        while len(answers) < len(asked):
            message = self.message()
            if message.kind == "EVENT":
                self.events.append(pair(message))
                continue
            operation, _, transaction = asked[len(answers)]
            expected = (first + len(answers), transaction)
            assert (message.request, message.transaction) == expected, f"{message} is no answer to {expected}, {asked}"
            assert message.kind in {operation, "ERROR"}, f"{message} answers {operation}"
            answers.append(message.payload.rstrip(b"\0").decode() if message.kind == "ERROR" else message.payload)
        return answers

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def message(self) -> Message:
        raise NotImplementedError


class SocketTalker(Talker):
    """By the daemon's socket; what was read is kept for the next who asks."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._left = b""
        deadline = time.monotonic() + PATIENCE
        while True:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(PATIENCE)
            try:
                self._socket.connect(str(path))
            except OSError:
                self._socket.close()
                assert time.monotonic() < deadline, "the daemon does not listen"
                time.sleep(0.01)
            else:
                return

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise Doubt from error

    def message(self) -> Message:
        while True:
            if len(self._left) >= HEADER.size:
                kind, request, transaction, length = HEADER.unpack_from(self._left)
                assert kind in NAMES, f"garbage: {self._left[:40]!r}"
                assert length <= 4096
                end = HEADER.size + length
                if len(self._left) >= end:
                    found = Message(NAMES[kind], request, transaction, self._left[HEADER.size : end])
                    self._left = self._left[end:]
                    return found
            try:
                data = self._socket.recv(65536)
            except ConnectionError as error:
                raise Doubt from error
            if not data:
                raise Doubt
            self._left += data


class RingTalker(Talker):
    """By a ring: whoever is not there does not hear the kick, so it is given again."""

    def __init__(self, directory: Path, domid: int) -> None:
        super().__init__()
        self.guest = _Guest(directory, domid)

    def close(self) -> None:
        self.guest.close()

    def send(self, data: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while data:
            data = data[self.guest.put(data) :]
            self.guest.kick()
            self.guest.take()
            if data:
                assert time.monotonic() < deadline, "the daemon does not read the ring"
                self.guest.wait(0.02)

    def message(self) -> Message:
        deadline = time.monotonic() + PATIENCE
        while True:
            self.guest.take()
            if self.guest.queued:
                return self.guest.queued.pop(0)
            assert time.monotonic() < deadline, "the daemon does not answer on the ring"
            self.guest.wait(0.05)
            self.guest.kick()


class _Guest(guest.Guest):
    def kick(self, port: int | None = None) -> None:
        with contextlib.suppress(OSError):
            super().kick(port)
