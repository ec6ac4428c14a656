"""Xenstore paths: bytes on the wire, `str` in the store.

Rules
1. Alphabet: A-Z a-z 0-9 - _ @ between slashes, nothing else; so a path is ASCII and a name such
   as ".xsadapter" can never be spelled by a client.
2. No empty component, no trailing slash except in "/", and not the empty string.
3. A path that begins with neither "/" nor "@" is relative: it is prefixed with the home of the
   connection, and the result must obey rules 1, 2 and 4. (So "" is EINVAL: it becomes a path with
   a trailing slash. A daemon that forgot this crashed: XSA-481.)
4. At most 3072 bytes once absolute, so that an event with the path can always be built.
5. "@..." is a special name, legal where the caller says so; no component of it may be empty.
6. `/@index` and what is below it is no client's node (`engine.index`); a value is spelled there with `@xx`, in small
   hexadecimal, for each byte outside of `[A-Za-z0-9_-]`.

Every breach is EINVAL. Cost: O(length), and a dictionary look-up for a path seen lately.
"""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING, Final

from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

ABSOLUTE_MAX: Final = 3072
NAME: Final = re.compile(rb"[A-Za-z0-9_@-]+")
"""One level of a path."""
LETTERS: Final = b"/-@_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""All that a path may have in it."""
_ABSOLUTE: Final = re.compile(rb"/|(?:/[A-Za-z0-9_@-]+)+")
_SPECIAL: Final = re.compile(rb"@[A-Za-z0-9_@-]*(?:/[A-Za-z0-9_@-]+)*")

_ODD: Final = re.compile(rb"[^A-Za-z0-9_-]")

INDEX: Final = "/@index"

_SEEN_MAX: Final = 16384
_SEEN_LENGTH_MAX: Final = 256
_seen: dict[bytes, str] = {}
_named: dict[bytes, tuple[str, tuple[str, ...]]] = {}


def named(raw: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The absolute path that `raw` is, and its components; None for anything else.

    Cost: a look-up for one that was seen lately.
    """
    found = _named.get(raw)
    if found is None and len(raw) <= _SEEN_LENGTH_MAX and _ABSOLUTE.fullmatch(raw):
        path = raw.decode("ascii")
        if len(_named) >= _SEEN_MAX:
            _named.clear()
        # One object for a name wherever it stands: of what is remembered that is nearly all.
        found = _named[raw] = path, tuple(map(intern, path.split("/")[1:])) if len(path) > 1 else ()
    return found


def canonical(raw: bytes, home: str) -> str:
    """The absolute path that `raw` names for a connection whose home is `home`; EINVAL."""
    found = _seen.get(raw)
    if found is not None:
        return found
    whole = raw if raw.startswith(b"/") else b"%b/%b" % (home.encode(), raw)
    if len(whole) > ABSOLUTE_MAX or raw.startswith(b"@") or not _ABSOLUTE.fullmatch(whole):
        raise RequestError("EINVAL")
    path = whole.decode("ascii")
    if whole is raw and len(raw) <= _SEEN_LENGTH_MAX:
        if len(_seen) >= _SEEN_MAX:
            _seen.clear()
        _seen[raw] = path
    return path


def canonical_or_special(raw: bytes, home: str) -> str:
    """As `canonical`, but a special name is itself; EINVAL."""
    if not raw.startswith(b"@"):
        return canonical(raw, home)
    if len(raw) > ABSOLUTE_MAX or not _SPECIAL.fullmatch(raw):
        raise RequestError("EINVAL")
    return raw.decode("ascii")


def is_special(path: str) -> bool:
    """Whether a canonical path is a special name."""
    return path.startswith("@")


def spelled(value: bytes) -> str:
    """A value as it is named in an index."""
    return _ODD.sub(lambda odd: b"@%02x" % odd[0][0], value).decode("ascii")


def parent(path: str) -> str:
    """The parent of an absolute path; that of "/" is "/"."""
    return path[: path.rfind("/")] or "/"


def topmost(paths: Iterable[str]) -> list[str]:
    """Those of these paths that are below no other of them, each once. O(n log n) comparisons."""
    tops: list[str] = []
    # With a slash behind, what is below a path comes next after it.
    for path in sorted(f"{path}/" for path in paths):
        if not tops or not path.startswith(tops[-1]):
            tops.append(path)
    return [path[:-1] for path in tops]


def chain(path: str) -> list[str]:
    """Every path from the first level below "/" down to `path` itself; [] for "/". O(length x levels)."""
    found = []
    end = path.find("/", 1)
    while end > 0:
        found.append(path[:end])
        end = path.find("/", end + 1)
    if path != "/":
        found.append(path)
    return found
