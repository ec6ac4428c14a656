"""What the tools ask of a daemon, or of its past, and transactions that are tried again.

Rule: a refusal is a RequestError for the tool to word. A daemon that goes away in between is what stock clients
see as an error of each call; here it ends the tool with the system's words.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from xsadapter.client.payloads import Names, listing, string
from xsadapter.client.walking import walk
from xsadapter.errors import RequestError
from xsadapter.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xsadapter.client import Client
    from xsadapter.client.walking import Part
    from xsadapter.tools.console import Console

T = TypeVar("T")


class Seen(NamedTuple):
    """What is known of one node; in the place of what was refused, the refusal."""

    value: bytes | RequestError
    names: Names | RequestError
    permissions: Names | RequestError | None = None


class Tree(Protocol):
    """A tree that can be read: what there is now, as a transaction sees it, or what there was."""

    def read(self, path: str) -> bytes:
        """A value; RequestError."""
        ...

    def list(self, path: str) -> Names:
        """The names below a node; RequestError."""
        ...

    def see(self, paths: Names, permissions: bool) -> Sequence[Seen]:
        """These nodes, with their permissions if that is asked for."""
        ...

    def walk(self, path: str, permissions: bool) -> Iterator[Part] | None:
        """All below a node in few answers; None if that cannot be had, for whatever reason."""
        ...


class Now:
    """What there is, in a transaction if `number` is not 0; it can be changed too."""

    def __init__(self, client: Client, number: int = 0) -> None:
        self.client, self.number = client, number

    def read(self, path: str) -> bytes:
        """See Tree."""
        return self._ask(Kind.READ, path)

    def list(self, path: str) -> Names:
        """See Tree."""
        return listing(self.client.ask, path, self.number)

    def see(self, paths: Names, permissions: bool) -> Sequence[Seen]:
        """See Tree; one round trip."""
        with self.client.pipeline(keep_errors=True) as pipe:
            asked = [
                (pipe.read(path), pipe.list(path), pipe.get_permissions(path) if permissions else None)
                for path in paths
            ]
        found = []
        for path, (value, below, entries) in zip(paths, asked, strict=True):
            inside = below.error or below.get()
            if isinstance(inside, RequestError) and inside.name == "E2BIG":
                inside = tried(self.list, path)
            found.append(
                Seen(value.error or value.get(), inside, None if entries is None else entries.error or entries.get())
            )
        return found

    def walk(self, path: str, permissions: bool) -> Iterator[Part] | None:
        """See Tree; outside of transactions."""
        return None if self.number else walked(self.client, path, permissions)

    def write(self, path: str, value: bytes) -> None:
        """Set a value."""
        self._ask(Kind.WRITE, path, value)

    def rm(self, path: str) -> None:
        """Remove a node and all below it."""
        self._ask(Kind.RM, path)

    def permit(self, path: str, entries: Names) -> None:
        """Replace the permission list of a node."""
        self._ask(Kind.SET_PERMS, path, b"".join(map(string, entries)))

    def _ask(self, kind: int, path: str, more: bytes = b"") -> bytes:
        return self.client.ask(kind, string(path) + more, self.number, path)


def walked(client: Client, path: str, permissions: bool, when: str | None = None) -> Iterator[Part] | None:
    """All below a node in few answers, if the daemon knows how and the node is there."""
    try:
        return walk(client, path, permissions, when)
    except RequestError:
        return None


def tried(ask: Callable[[str], T], path: str) -> T | RequestError:
    """What comes of asking, a refusal as a value."""
    try:
        return ask(path)
    except RequestError as error:
        return error


def in_transaction(client: Client, console: Console, act: Callable[[Now], int]) -> int:
    """Carry out `act` in a transaction, again as long as that ends in EAGAIN; its status, 0 to commit.

    Output of a try that was in vain is forgotten.
    """
    while True:
        try:
            number = int(client.ask(Kind.TRANSACTION_START, b"\0").rstrip(b"\0"))
        except RequestError:
            console.fail("couldn't start transaction")
        status = act(Now(client, number))
        if status:
            with suppress(RequestError):
                client.ask(Kind.TRANSACTION_END, b"F\0", number)
            return status
        try:
            client.ask(Kind.TRANSACTION_END, b"T\0", number)
        except RequestError as error:
            if error.name != "EAGAIN":
                console.fail("couldn't end transaction")
            console.forget()
        else:
            return 0
