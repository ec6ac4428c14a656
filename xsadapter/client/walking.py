"""A subtree in few answers: CONTROL walk of our daemon (its form: `xsadapter.commands.walking`), as columns of nodes.

Rule: parts are asked for 32 at a time, so that a round trip brings some thousand nodes; all of them are answered before
the first is looked at, so other requests may come in between, and who stops early leaves nothing behind.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from xsadapter.client.payloads import Names, names, string
from xsadapter.errors import RequestError
from xsadapter.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.client.connection import Client

_COUNT: Final = struct.Struct("=I")
_UNSENT: Final = 0xFFFF
_AT_ONCE: Final = 32


class Part(NamedTuple):
    """Nodes that follow each other, parents first, siblings by name; a column each for all of them."""

    levels: tuple[int, ...]
    """1 directly below where the walk began."""
    names: list[bytes]
    values: list[bytes | None]
    """None is too large: it is to be read by itself."""
    permissions: list[Names | None] | None
    """None if they were not asked for; of one, as with values."""


def walk(client: Client, path: str, permissions: bool, when: str | None) -> Iterator[Part]:
    """All below a node; RequestError at once: ENOENT, EINVAL also if the daemon does not know how."""
    words = ("walk", path, "permissions" if permissions else "values", *(() if when is None else (when,)))
    first = client.ask(Kind.CONTROL, b"".join(map(string, words)), subject=path)
    if len(first) < _COUNT.size:
        # oxenstored says OK to whatever it does not know.
        raise RequestError("EINVAL", "CONTROL", "walk")
    return _parts(client, first, permissions)


def _parts(client: Client, first: bytes, permissions: bool) -> Iterator[Part]:
    waiting = [first]
    while True:
        for payload in waiting:
            if payload == _COUNT.pack(0):
                return
            yield _cut(payload, permissions)
        with client.pipeline() as pipe:
            asked = [pipe.control("walk") for _ in range(_AT_ONCE)]
        waiting = [answer.get() for answer in asked]


def _cut(payload: bytes, permissions: bool) -> Part:
    (count,) = _COUNT.unpack_from(payload)
    columns = 3 if permissions else 2
    numbers = struct.unpack_from(f"={columns * count}H", payload, _COUNT.size)
    *called, data = payload[_COUNT.size + 2 * columns * count :].split(b"\0", count)
    values, at = list[bytes | None](), 0
    for length in numbers[count : 2 * count]:
        if length == _UNSENT:
            values.append(None)
        else:
            values.append(data[at : at + length])
            at += length
    if not permissions:
        return Part(numbers[:count], called, values, None)
    lists = list[Names | None]()
    for length in numbers[2 * count :]:
        if length == _UNSENT:
            lists.append(None)
        else:
            lists.append(names(data[at : at + length]))
            at += length
    return Part(numbers[:count], called, values, lists)
