"""Requests that are sent together, and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from xsadapter.client.payloads import Names, names, string
from xsadapter.errors import RequestError
from xsadapter.operations import NAMES, Kind
from xsadapter.wire import pack

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def _nothing(_: bytes) -> None:
    return None


class Answer(Generic[T]):
    """What a pipelined request will have brought when its pipeline is done."""

    __slots__ = ("_decode", "_outcome", "kind", "subject")

    def __init__(self, kind: int, subject: str, decode: Callable[[bytes], T]) -> None:
        self.kind, self.subject, self._decode = kind, subject, decode
        self._outcome: bytes | RequestError | None = None

    def settle(self, kind: int, payload: bytes) -> None:
        """Take the reply."""
        if kind == Kind.ERROR:
            name = payload.rstrip(b"\0").decode(errors="replace")
            self._outcome = RequestError(name, NAMES[self.kind], self.subject)
        else:
            self._outcome = payload

    @property
    def error(self) -> RequestError | None:
        """Why the request was refused, if it was."""
        return self._outcome if isinstance(self._outcome, RequestError) else None

    def get(self) -> T:
        """The answer; raises the RequestError it was, LookupError before the pipeline is done."""
        if self._outcome is None:
            raise LookupError(f"{NAMES[self.kind]} {self.subject}: its pipeline is not done")
        if isinstance(self._outcome, RequestError):
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

    def _add(self, kind: int, path: str, payload: bytes, decode: Callable[[bytes], T]) -> Answer[T]:
        answer = Answer(kind, path, decode)
        self.answers.append(answer)  # type: ignore[arg-type]  # T is one of the three
        self.requests.append(pack(kind, len(self.answers), 0, payload))
        return answer
