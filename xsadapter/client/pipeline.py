"""Requests that are sent together, and their answers."""

from __future__ import annotations

import select
import socket
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from xsadapter.client.payloads import Names, names, string
from xsadapter.client.retrying import is_safe
from xsadapter.errors import OutcomeUnknownError, RequestError
from xsadapter.operations import NAMES, Kind
from xsadapter.wire import HEADER_SIZE, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xsadapter.client.link import Link

T = TypeVar("T")
_CHUNK: Final = 65536


def _nothing(_: bytes) -> None:
    return None


class Answer(Generic[T]):
    """What a pipelined request will have brought when its pipeline is done."""

    __slots__ = ("_decode", "_outcome", "kind", "subject")

    def __init__(self, kind: int, subject: str, decode: Callable[[bytes], T]) -> None:
        self.kind, self.subject, self._decode = kind, subject, decode
        self._outcome: bytes | RequestError | OutcomeUnknownError | None = None

    def settle(self, kind: int, payload: bytes) -> None:
        """Take the reply."""
        if kind == Kind.ERROR:
            name = payload.rstrip(b"\0").decode(errors="replace")
            self._outcome = RequestError(name, NAMES[self.kind], self.subject)
        else:
            self._outcome = payload

    def fail(self, error: OutcomeUnknownError) -> None:
        """There is no reply."""
        self._outcome = error

    @property
    def error(self) -> RequestError | None:
        """Why the request was refused, if it was."""
        return self._outcome if isinstance(self._outcome, RequestError) else None

    @property
    def unknown(self) -> OutcomeUnknownError | None:
        """That nobody knows whether it was carried out, if that is so."""
        return self._outcome if isinstance(self._outcome, OutcomeUnknownError) else None

    def get(self) -> T:
        """The answer; raises the error it was, LookupError before the pipeline is done."""
        if self._outcome is None:
            raise LookupError(f"{NAMES[self.kind]} {self.subject}: its pipeline is not done")
        if isinstance(self._outcome, RequestError | OutcomeUnknownError):
            raise self._outcome
        return self._decode(self._outcome)


class Pipeline:
    """Requests to be sent together; each method returns an Answer. See Client.pipeline."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers: list[Answer[bytes] | Answer[None] | Answer[Names]] = []

    def read(self, path: str) -> Answer[bytes]:
        """As Client.read."""
        return self._add(Kind.READ, path, string(path), bytes)

    def write(self, path: str, value: bytes) -> Answer[None]:
        """As Client.write."""
        return self._add(Kind.WRITE, path, string(path) + value, _nothing)

    def mkdir(self, path: str) -> Answer[None]:
        """As Client.mkdir."""
        return self._add(Kind.MKDIR, path, string(path), _nothing)

    def rm(self, path: str) -> Answer[None]:
        """As Client.rm."""
        return self._add(Kind.RM, path, string(path), _nothing)

    def list(self, path: str) -> Answer[Names]:
        """The names below a node; refused with E2BIG if one reply does not hold them."""
        return self._add(Kind.DIRECTORY, path, string(path), names)

    def get_permissions(self, path: str) -> Answer[Names]:
        """As Client.get_permissions."""
        return self._add(Kind.GET_PERMS, path, string(path), names)

    def control(self, *words: str) -> Answer[bytes]:
        """As Client.control, the answer as it is."""
        return self._add(Kind.CONTROL, " ".join(words), b"".join(map(string, words)), bytes)

    def settling(
        self, todo: Sequence[int], link: Link, event: Callable[[int, bytes], None]
    ) -> Iterator[tuple[int, int]]:
        """Send these requests and settle their answers, both at once; how many are answered, and sent. OSError."""
        requests = [self.requests[each] for each in todo]
        ends, data = list(accumulate(map(len, requests))), memoryview(b"".join(requests))
        at = done = 0
        poll, stream = select.poll(), link.socket
        limit = None if link.timeout is None else link.timeout * 1000
        while done < len(todo):
            if at < len(data):
                poll.register(stream, select.POLLIN | select.POLLOUT)
                ready = poll.poll(limit)
                if not ready:
                    raise TimeoutError("timed out")
                if ready[0][1] & select.POLLOUT:
                    at += stream.send(data[at : at + _CHUNK], socket.MSG_DONTWAIT)
                    yield done, bisect_right(ends, at)
                if not ready[0][1] & ~select.POLLOUT:
                    continue
            link.receive()
            while (frame := link.taken()) is not None:
                kind, _, _, payload = frame
                if kind == Kind.WATCH_EVENT:
                    event(kind, payload)
                else:
                    self.answers[todo[done]].settle(kind, payload)
                    done += 1
            yield done, bisect_right(ends, at)

    def cut_off(self, sent: Sequence[int]) -> Sequence[int]:
        """Of these, whose connection has ended, those that may be sent once more; the others fail."""
        safe = []
        for each in sent:
            answer, payload = self.answers[each], self.requests[each][HEADER_SIZE:]
            if is_safe(answer.kind, payload):
                safe.append(each)
            else:
                answer.fail(OutcomeUnknownError(answer.kind, NAMES[answer.kind], answer.subject, payload))
        return safe

    def _add(self, kind: int, path: str, payload: bytes, decode: Callable[[bytes], T]) -> Answer[T]:
        answer = Answer(kind, path, decode)
        self.answers.append(answer)  # type: ignore[arg-type]  # T is one of the three
        self.requests.append(pack(kind, len(self.answers), 0, payload))
        return answer
