"""Paths: what a place in a tree is called.

Rule: a path is a `str` that starts with "/", in components that are not empty and hold no NUL and
can be written as UTF-8; "/" alone is the root. Components are compared as they are, never
normalised: two spellings are two places. Cost: O(length), remembered for short paths seen lately.
"""

from __future__ import annotations

from functools import lru_cache
from sys import intern

from rrdstore.errors import InvalidPath

REMEMBERED = 128
"""The longest path that is remembered: a deep one takes 20 times its length, and who writes chooses the paths."""


def split(path: str) -> tuple[str, ...]:
    """The components of `path`, none for the root; InvalidPath (TypeError if not a str)."""
    if path.__class__ is str and len(path) <= REMEMBERED:
        return _known(path)
    return _components(path)


def _components(path: str) -> tuple[str, ...]:
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    if not path.startswith("/"):
        raise InvalidPath(path, "does not start with '/'")
    if path == "/":
        return ()
    if "\0" in path:
        raise InvalidPath(path, "holds a NUL")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidPath(path, "is not UTF-8") from None
    # One object for a name wherever it stands: of what is remembered that is nearly all.
    names = tuple(map(intern, path[1:].split("/")))
    if "" in names:
        raise InvalidPath(path, "has an empty component")
    return names


_known = lru_cache(maxsize=8192)(_components)


def join(names: tuple[str, ...]) -> str:
    """The path of these components."""
    return "/" + "/".join(names)
