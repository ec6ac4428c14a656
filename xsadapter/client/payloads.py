"""What both ways of asking share: payloads to bytes and back, and the verbs made of several requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.paths import INDEX, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

Names = list[str]
Domids = list[int]


def string(text: str) -> bytes:
    """A string of a request, with its NUL."""
    return text.encode(errors="surrogateescape") + b"\0"


def names(reply: bytes) -> Names:
    """Strings with a NUL each."""
    return [name.decode(errors="surrogateescape") for name in reply.split(b"\0")[:-1]]


def exists(read: Callable[[str], bytes], path: str) -> bool:
    """Whether reading finds a node; a refusal other than ENOENT is raised."""
    try:
        read(path)
    except RequestError as error:
        if error.name != "ENOENT":
            raise
        return False
    return True


class Readable(Protocol):
    """Anything that shows nodes: a client, a transaction, the past."""

    def read(self, path: str) -> bytes:
        """A value; RequestError."""
        ...

    def list(self, path: str) -> Names:
        """The names below a node; RequestError."""
        ...


def look_up(tree: Readable, value: str | bytes, index: str) -> Domids:
    """The domains that an index has a value for, the lowest first; RequestError ENOENT if there is no such index."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    top = f"{INDEX}/{index}"
    try:
        return [int(domid) for domid in tree.list(f"{top}/{spelled(data)}")]
    except RequestError as error:
        if error.name not in {"ENOENT", "EINVAL"}:  # EINVAL: nothing can have what cannot be asked for
            raise
    tree.read(top)
    return []


def listing(ask: Callable[[int, bytes, int, str], bytes], path: str, transaction: int) -> Names:
    """All names below a node, in parts if one reply does not hold them, from the start again if it changes."""
    try:
        return names(ask(Kind.DIRECTORY, string(path), transaction, path))
    except RequestError as error:
        if error.name != "E2BIG":
            raise
    found, generation = b"", b""
    while True:
        part = ask(Kind.DIRECTORY_PART, string(path) + b"%d\0" % len(found), transaction, path)
        current, _, chunk = part.partition(b"\0")
        if generation not in {b"", current}:
            found, generation = b"", b""
            continue
        generation = current
        if chunk.endswith(b"\0\0") or chunk == b"\0":
            return names(found + chunk[:-1])
        found += chunk
