"""Argument rules: how a request's payload is cut at its NULs.

Rule: each operation has exactly one rule, named in its row of `operations`; a payload that breaks
it is EINVAL before anything is looked up. The rules are those of C xenstored (docs/xenstore.md
lists where OCaml's daemon is laxer). Cost: O(payload).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable


def one(payload: bytes) -> bytes:
    """Exactly one NUL, and it is the last byte: the string before it."""
    end = payload.find(0)
    if end < 0 or end != len(payload) - 1:
        raise RequestError("EINVAL")
    return payload[:end]


def path_and_data(payload: bytes) -> tuple[bytes, bytes]:
    """The string before the first NUL, and whatever follows it, NULs included."""
    path, separator, data = payload.partition(b"\0")
    if not separator:
        raise RequestError("EINVAL")
    return path, data


def strings(least: int, most: int | None) -> Callable[[bytes], list[bytes]]:
    """A rule: between `least` and `most` NUL-terminated strings; bytes after the last NUL are ignored."""

    def cut(payload: bytes) -> list[bytes]:
        found = payload.split(b"\0")
        found.pop()
        if len(found) < least or (most is not None and len(found) > most):
            raise RequestError("EINVAL")
        return found

    return cut


def ignored(payload: bytes) -> None:
    """Any payload at all: clients send a lone NUL, or nothing."""


def number(text: bytes, most: int) -> int:
    """Strict ASCII decimal from 0 to `most`: no sign, blank, underscore or other script's digits."""
    if not text.isdigit() or len(text) > len(str(most)) or int(text) > most:
        raise RequestError("EINVAL")
    return int(text)
