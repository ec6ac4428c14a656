"""A connection to the daemon, its transactions and its watches.

Rules of a client that connects again (`reconnect`), when its connection has ended:
1. Its watches are set again, in the same order, and each tells its own path once, which says: look at all of it again.
   What waited to be read stays.
2. What was sent and not answered: `client.retrying`. What was not sent whole is sent again.
3. A transaction that was open ends in TransactionLostError, an EAGAIN, at whatever is asked in it next.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from xsadapter.address import socket_path
from xsadapter.client.link import Link
from xsadapter.client.payloads import Domids, Names, exists, listing, look_up, names, string
from xsadapter.client.pipeline import Answer, Pipeline
from xsadapter.client.retrying import commits, is_safe
from xsadapter.client.walking import walk
from xsadapter.errors import OutcomeUnknownError, RequestError, TransactionLostError
from xsadapter.operations import NAMES, Kind
from xsadapter.wire import OK, pack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from xsadapter.client.walking import Part

T = TypeVar("T")


class Client:
    """A connection to the daemon; a context manager."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, timeout: float | None = None, reconnect: float = 0
    ) -> None:
        """Connect; OSError.

        `timeout` is how long a daemon may be silent, in seconds; `reconnect` for how long it is tried to connect again
        when the daemon has gone: 0 is not at all, `math.inf` for ever.
        """
        self._link = Link(str(path or socket_path()), timeout)
        self._patience = reconnect
        self._request = 0
        self._tokens = 0
        self._events: defaultdict[bytes, deque[str]] = defaultdict(deque)
        self._watches: dict[bytes, bytes] = {}
        """Payloads of those that are set, by path and token."""
        self._told = Counter[bytes]()
        """Of a token, how many watches that were set again are to tell their own path."""
        self._open: set[int] = set()
        self._lost: set[int] = set()
        """Numbers of transactions that are open, and that went with a connection."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; its watches and transactions end with it."""
        self._link.close()

    @property
    def generation(self) -> int:
        """How often it has been connected: if that is more than before, watches were set again."""
        return self._link.generation

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
        begun = Transaction(self, int(self.ask(Kind.TRANSACTION_START, b"\0").rstrip(b"\0")))
        try:
            yield begun
        except TransactionLostError:
            raise
        except BaseException:
            with suppress(TransactionLostError):
                begun.ask(Kind.TRANSACTION_END, b"F\0")
            raise
        begun.ask(Kind.TRANSACTION_END, b"T\0")

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
                failure = answer.error or answer.unknown
                if failure is not None:
                    raise failure

    def ask(self, kind: int, payload: bytes, transaction: int = 0, subject: str = "") -> bytes:
        """One request of any kind, and the payload of its reply; RequestError, OSError, OutcomeUnknownError."""
        answer = Answer(kind, subject, bytes)
        operation = NAMES.get(kind, str(kind))
        while True:
            if transaction in self._lost:
                raise TransactionLostError(operation, subject)
            self._request += 1
            sent = False
            try:
                self._link.send(pack(kind, self._request, transaction, payload))
                sent = True
                answer.settle(*self._reply())
            except OSError as error:
                self._return(error)
                if transaction and not commits(kind, payload):
                    if kind == Kind.TRANSACTION_END:
                        return OK
                    raise TransactionLostError(operation, subject) from error
                if sent and not is_safe(kind, payload):
                    raise OutcomeUnknownError(kind, operation, subject, payload) from error
            else:
                break
        reply = answer.get()
        self._note(kind, payload, transaction, reply)
        return reply

    def _note(self, kind: int, payload: bytes, transaction: int, reply: bytes) -> None:
        """Remember what goes with the connection."""
        if kind in {Kind.WATCH, Kind.UNWATCH}:
            path, token, *_ = payload.split(b"\0")
            if kind == Kind.WATCH:
                self._watches[path + b"\0" + token] = payload
            else:
                self._watches.pop(path + b"\0" + token, None)
        elif kind == Kind.TRANSACTION_START:
            number = int(reply.rstrip(b"\0"))
            self._open.add(number)
            self._lost.discard(number)
        elif kind == Kind.TRANSACTION_END:
            self._open.discard(transaction)
        elif kind == Kind.RESET_WATCHES:
            self._watches.clear()
            self._open.clear()

    def _return(self, error: OSError) -> None:
        """Connect again, and be who this client was; the error, if that cannot be or is not wanted."""
        if not self._patience or isinstance(error, TimeoutError):
            raise error
        self._lost |= self._open
        self._open.clear()
        self._link.again(self._patience, error, self._watch_again)

    def _watch_again(self) -> None:
        self._told.clear()
        for key, payload in list(self._watches.items()):
            path, token, *_ = payload.split(b"\0")
            self._told[token] += 1
            self._link.send(pack(Kind.WATCH, 0, 0, payload))
            kind, reply = self._reply()
            if kind == Kind.ERROR:
                del self._watches[key]
                raise RequestError(reply.rstrip(b"\0").decode(errors="replace"), "WATCH", path.decode(errors="replace"))

    def next_event(self, token: bytes | None = None) -> str:
        """Wait for the next event of a watch, or of any if no token is given."""
        while True:
            for waiting in self._events.values() if token is None else (self._events[token],):
                if waiting:
                    return waiting.popleft()
            try:
                kind, _, _, payload = self._link.frame()
            except OSError as error:
                self._return(error)
            else:
                self._keep_event(kind, payload)

    def forget_events(self, token: bytes) -> None:
        """Drop the events of a watch that has ended."""
        self._events.pop(token, None)

    def _keep_event(self, kind: int, payload: bytes) -> None:
        if kind != Kind.WATCH_EVENT:
            raise ConnectionError(f"a reply of type {kind} that nobody asked for")
        path, token, *_ = payload.split(b"\0")
        text, waiting = path.decode(errors="surrogateescape"), self._events[token]
        if self._told[token] and path + b"\0" + token in self._watches:
            self._told[token] -= 1
            if text in waiting:
                return
        waiting.append(text)

    def _reply(self) -> tuple[int, bytes]:
        while True:
            kind, _, _, payload = self._link.frame()
            if kind != Kind.WATCH_EVENT:
                return kind, payload
            self._keep_event(kind, payload)

    def _exchange(self, pipe: Pipeline) -> None:
        """Send a pipeline's requests and settle its answers, both at once."""
        todo = list(range(len(pipe.answers)))
        while todo:
            done, sent = 0, 0
            try:
                for done, sent in pipe.settling(todo, self._link, self._keep_event):  # noqa: B007 - kept for the error
                    pass
            except OSError as error:
                self._return(error)
                todo = [*pipe.cut_off(todo[done:sent]), *todo[sent:]]
            else:
                return


class Transaction:
    """The store as it was at START, and what has been changed since; see Client.transaction."""

    def __init__(self, client: Client, number: int) -> None:
        self._client, self.number = client, number
        self._generation = client.generation

    def read(self, path: str) -> bytes:
        """As Client.read."""
        return self.ask(Kind.READ, string(path), path)

    def write(self, path: str, value: bytes) -> None:
        """As Client.write."""
        self.ask(Kind.WRITE, string(path) + value, path)

    def mkdir(self, path: str) -> None:
        """As Client.mkdir."""
        self.ask(Kind.MKDIR, string(path), path)

    def rm(self, path: str) -> None:
        """As Client.rm."""
        self.ask(Kind.RM, string(path), path)

    def exists(self, path: str) -> bool:
        """As Client.exists."""
        return exists(self.read, path)

    def lookup(self, value: str | bytes, index: str = "name") -> Domids:
        """As Client.lookup: with what was changed in here, and part of what decides whether it can be committed."""
        return look_up(self, value, index)

    def list(self, path: str) -> Names:
        """As Client.list."""
        return listing(self._of_listing, path, self.number)

    def get_permissions(self, path: str) -> Names:
        """As Client.get_permissions."""
        return names(self.ask(Kind.GET_PERMS, string(path), path))

    def set_permissions(self, path: str, entries: Names) -> None:
        """As Client.set_permissions."""
        self.ask(Kind.SET_PERMS, b"".join(map(string, (path, *entries))), path)

    def ask(self, kind: int, payload: bytes, subject: str = "") -> bytes:
        """As Client.ask, in here; TransactionLostError if it went with its connection."""
        if self._client.generation != self._generation:
            raise TransactionLostError(NAMES.get(kind, str(kind)), subject)
        return self._client.ask(kind, payload, self.number, subject)

    def _of_listing(self, kind: int, payload: bytes, _: int, path: str) -> bytes:
        return self.ask(kind, payload, path)


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
