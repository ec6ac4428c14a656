"""A connection to the daemon, its transactions and its watches."""

from __future__ import annotations

import select
import socket
from collections import defaultdict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from xsadapter.address import socket_path
from xsadapter.client.payloads import Domids, Names, exists, listing, look_up, names, string
from xsadapter.client.pipeline import Answer, Pipeline
from xsadapter.client.walking import walk
from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.wire import FrameReader, pack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from xsadapter.client.walking import Part

T = TypeVar("T")
_CHUNK = 65536


class Client:
    """A connection to the daemon; a context manager."""

    def __init__(self, path: str | os.PathLike[str] | None = None, timeout: float | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path or socket_path()))
        except OSError:
            self._socket.close()
            raise
        self._timeout = timeout
        self._reader = FrameReader()
        self._request = 0
        self._tokens = 0
        self._events: defaultdict[bytes, deque[str]] = defaultdict(deque)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; its watches and transactions end with it."""
        self._socket.close()

    def read(self, path: str) -> bytes:
        """The value of a node."""
        return self.ask(Kind.READ, string(path), subject=path)

    def write(self, path: str, value: bytes) -> None:
        """Set the value of a node, creating it and its parents if need be."""
        self.ask(Kind.WRITE, string(path) + value, subject=path)

    def mkdir(self, path: str) -> None:
        """Create a node, if it is not there."""
        self.ask(Kind.MKDIR, string(path), subject=path)

    def rm(self, path: str) -> None:
        """Remove a node and all below it."""
        self.ask(Kind.RM, string(path), subject=path)

    def exists(self, path: str) -> bool:
        """Whether there is a node."""
        return exists(self.read, path)

    def list(self, path: str) -> Names:
        """The names below a node, however many."""
        return listing(self.ask, path, 0)

    def get_permissions(self, path: str) -> Names:
        """The permission list of a node, such as ["n0", "r5"]."""
        return names(self.ask(Kind.GET_PERMS, string(path), subject=path))

    def set_permissions(self, path: str, entries: Names) -> None:
        """Replace the permission list of a node."""
        self.ask(Kind.SET_PERMS, b"".join(map(string, (path, *entries))), subject=path)

    def lookup(self, value: str | bytes, index: str = "name") -> Domids:
        """The domids of the domains that have this name, the lowest first; RequestError ENOENT without such an index.

        One request. `index`: "uuid" finds them by that.
        """
        return look_up(self, value, index)

    def control(self, *words: str) -> str:
        """A command to the daemon, and what it answers."""
        reply = self.ask(Kind.CONTROL, b"".join(map(string, words)), subject=" ".join(words))
        return reply.rstrip(b"\0").decode(errors="replace")

    def domain_path(self, domid: int) -> str:
        """The home of a domain."""
        return self.ask(Kind.GET_DOMAIN_PATH, b"%d\0" % domid, subject=str(domid)).rstrip(b"\0").decode()

    def is_introduced(self, domid: int) -> bool:
        """Whether the daemon serves a domain."""
        return self.ask(Kind.IS_DOMAIN_INTRODUCED, b"%d\0" % domid, subject=str(domid)) == b"T\0"

    def walk(self, path: str, when: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Path and value of all below a node, parents first, as of one moment, in few answers; our daemon only.

        `when` is a moment of the past. RequestError at once: ENOENT, EINVAL.
        """
        return self._walk(path, walk(self, path, False, when), when)

    def _walk(self, path: str, parts: Iterator[Part], when: str | None) -> Iterator[tuple[str, bytes]]:
        above = [path if path.endswith("/") else f"{path}/"]
        found = path
        for part in parts:
            for level, name, value in zip(part.levels, part.names, part.values, strict=True):
                if level > len(above):
                    above.append(f"{found}/")
                else:
                    del above[level:]
                found = above[-1] + name.decode()
                if value is not None:
                    yield found, value
                elif when is None:
                    yield found, self.read(found)
                else:
                    yield found, self.ask(Kind.CONTROL, b"".join(map(string, ("history", "value", when, found))))

    def watch(self, path: str, depth: int | None = None) -> Watch:
        """The paths that change at or below `path`, the first at once; close it to end it."""
        self._tokens += 1
        token = b"w%d" % self._tokens
        reach = b"" if depth is None else b"%d\0" % depth
        self.ask(Kind.WATCH, string(path) + token + b"\0" + reach, subject=path)
        return Watch(self, path, token)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A snapshot, committed at the end (RequestError EAGAIN: try again), aborted if the body raises."""
        number = int(self.ask(Kind.TRANSACTION_START, b"\0").rstrip(b"\0"))
        try:
            yield Transaction(self, number)
        except BaseException:
            self.ask(Kind.TRANSACTION_END, b"F\0", number)
            raise
        self.ask(Kind.TRANSACTION_END, b"T\0", number)

    def update(self, change: Callable[[Transaction], T], retries: int = 32) -> T:
        """Run `change` in a transaction, again as long as that ends in EAGAIN, at most `retries` times more."""
        while True:
            try:
                with self.transaction() as transaction:
                    result = change(transaction)
            except RequestError as error:
                if error.name != "EAGAIN" or not retries:
                    raise
                retries -= 1
            else:
                return result

    @contextmanager
    def pipeline(self, keep_errors: bool = False) -> Iterator[Pipeline]:
        """Requests that are sent together when the body ends; raises the first refusal unless they are kept."""
        pipe = Pipeline()
        yield pipe
        self._exchange(pipe)
        if not keep_errors:
            for answer in pipe.answers:
                if answer.error is not None:
                    raise answer.error

    def ask(self, kind: int, payload: bytes, transaction: int = 0, subject: str = "") -> bytes:
        """One request of any kind, and the payload of its reply."""
        answer = Answer(kind, subject, bytes)
        self._request += 1
        self._socket.sendall(pack(kind, self._request, transaction, payload))
        answer.settle(*self._reply())
        return answer.get()

    def next_event(self, token: bytes | None = None) -> str:
        """Wait for the next event of a watch, or of any if no token is given."""
        while True:
            for waiting in self._events.values() if token is None else (self._events[token],):
                if waiting:
                    return waiting.popleft()
            kind, _, _, payload = self._frame()
            self._keep_event(kind, payload)

    def forget_events(self, token: bytes) -> None:
        """Drop the events of a watch that has ended."""
        self._events.pop(token, None)

    def _keep_event(self, kind: int, payload: bytes) -> None:
        if kind != Kind.WATCH_EVENT:
            raise ConnectionError(f"a reply of type {kind} that nobody asked for")
        path, token, *_ = payload.split(b"\0")
        self._events[token].append(path.decode(errors="surrogateescape"))

    def _reply(self) -> tuple[int, bytes]:
        while True:
            kind, _, _, payload = self._frame()
            if kind != Kind.WATCH_EVENT:
                return kind, payload
            self._keep_event(kind, payload)

    def _frame(self) -> tuple[int, int, int, bytes]:
        while (frame := self._reader.take()) is None:
            self._receive()
        return frame

    def _receive(self) -> None:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the daemon closed the connection")
        self._reader.feed(data)

    def _exchange(self, pipe: Pipeline) -> None:
        """Send a pipeline's requests and settle its answers, both at once."""
        left = memoryview(b"".join(pipe.requests))
        settled = 0
        poll = select.poll()
        limit = None if self._timeout is None else self._timeout * 1000
        while settled < len(pipe.answers):
            if left:
                poll.register(self._socket, select.POLLIN | select.POLLOUT)
                ready = poll.poll(limit)
                if not ready:
                    raise TimeoutError("timed out")
                if ready[0][1] & select.POLLOUT:
                    left = left[self._socket.send(left[:_CHUNK], socket.MSG_DONTWAIT) :]
                if not ready[0][1] & ~select.POLLOUT:
                    continue
            self._receive()
            while (frame := self._reader.take()) is not None:
                kind, _, _, payload = frame
                if kind == Kind.WATCH_EVENT:
                    self._keep_event(kind, payload)
                else:
                    pipe.answers[settled].settle(kind, payload)
                    settled += 1


class Transaction:
    """The store as it was at START, and what has been changed since; see Client.transaction."""

    def __init__(self, client: Client, number: int) -> None:
        self._client, self.number = client, number

    def read(self, path: str) -> bytes:
        """As Client.read."""
        return self._ask(Kind.READ, string(path), path)

    def write(self, path: str, value: bytes) -> None:
        """As Client.write."""
        self._ask(Kind.WRITE, string(path) + value, path)

    def mkdir(self, path: str) -> None:
        """As Client.mkdir."""
        self._ask(Kind.MKDIR, string(path), path)

    def rm(self, path: str) -> None:
        """As Client.rm."""
        self._ask(Kind.RM, string(path), path)

    def exists(self, path: str) -> bool:
        """As Client.exists."""
        return exists(self.read, path)

    def lookup(self, value: str | bytes, index: str = "name") -> Domids:
        """As Client.lookup: with what was changed in here, and part of what decides whether it can be committed."""
        return look_up(self, value, index)

    def list(self, path: str) -> Names:
        """As Client.list."""
        return listing(self._client.ask, path, self.number)

    def get_permissions(self, path: str) -> Names:
        """As Client.get_permissions."""
        return names(self._ask(Kind.GET_PERMS, string(path), path))

    def set_permissions(self, path: str, entries: Names) -> None:
        """As Client.set_permissions."""
        self._ask(Kind.SET_PERMS, b"".join(map(string, (path, *entries))), path)

    def _ask(self, kind: int, payload: bytes, path: str) -> bytes:
        return self._client.ask(kind, payload, self.number, path)


class Watch:
    """The paths that change, without end; a context manager that ends the watch."""

    def __init__(self, client: Client, path: str, token: bytes) -> None:
        self._client, self.path, self.token = client, path, token

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> str:
        return self._client.next_event(self.token)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the watch and drop the events that are left."""
        self._client.ask(Kind.UNWATCH, string(self.path) + self.token + b"\0", subject=self.path)
        self._client.forget_events(self.token)
