"""read, write, list, exists, rm, chmod: what they do to a tree, node by node.

Each returns the exit status, and says why it is 1.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from xsadapter.errors import RequestError
from xsadapter.tools.console import reason
from xsadapter.tools.escaping import meant, printable

if TYPE_CHECKING:
    from xsadapter.tools.asking import Now, Tree
    from xsadapter.tools.console import Console
    from xsadapter.tools.kinds import Chosen

_INTEGER: Final = re.compile(r"\s*([+-]?[0-9]+)", re.ASCII)
_LONG: Final = 1 << 63
_INT: Final = 1 << 31


def read(tree: Tree, chosen: Chosen, paths: list[str], console: Console) -> int:
    """Print values."""
    for path in paths:
        try:
            value = tree.read(path)
        except RequestError:
            console.tell(f"couldn't read path {path}")
            return 1
        if "p" in chosen:
            console.put(os.fsencode(path) + b": ")
        console.put(value if "R" in chosen else printable(value) + b"\n")
    return 0


def write(tree: Now, chosen: Chosen, words: list[str], console: Console) -> int:
    """Set values: path, value, path, value."""
    for path, text in zip(words[::2], words[1::2], strict=True):
        value = os.fsencode(text)
        try:
            tree.write(path, value if "R" in chosen else meant(value))
        except RequestError:
            console.tell(f"could not write path {path}")
            return 1
    return 0


def list_(tree: Tree, chosen: Chosen, paths: list[str], console: Console) -> int:
    """Print the names below nodes."""
    for path in paths:
        try:
            names = tree.list(path)
        except RequestError:
            console.tell(f"could not list path {path}")
            return 1
        before = f"{path}/" if "p" in chosen else ""
        console.put(os.fsencode("".join(f"{before}{name}\n" for name in names)))
    return 0


def exists(tree: Tree, _: Chosen, paths: list[str], _console: Console) -> int:
    """Whether all of them are there, or can at least be read."""
    try:
        for path in paths:
            tree.read(path)
    except RequestError:
        return 1
    return 0


def rm(tree: Now, chosen: Chosen, paths: list[str], console: Console) -> int:
    """Remove nodes; with -t also what that leaves above them without children and value."""
    for path in paths:
        place = path
        while True:
            try:
                tree.rm(place)
            except RequestError:
                console.tell(f"could not remove path {place}")
                return 1
            place, slash, _ = place.rpartition("/")
            if "t" not in chosen or not slash or not _is_bare(tree, place):
                break
    return 0


def _is_bare(tree: Now, path: str) -> bool:
    try:
        return not tree.read(path) and not tree.list(path)
    except RequestError:
        return False


def chmod(tree: Now, chosen: Chosen, words: list[str], console: Console) -> int:
    """Replace the permission list of a node; with -r of all below it too, with -u of all above it but the root.

    As with the stock client an empty path is no node, and what cannot be listed has nothing below it.
    """
    path, *texts = words
    entries = [_entry(text, console) for text in texts]
    waiting = [path] if path else []
    while waiting:
        place = waiting.pop()
        _permit(tree, place, entries, console)
        if "r" in chosen:
            above = "" if place == "/" else place
            with suppress(RequestError):
                waiting += [f"{above}/{name}" for name in reversed(tree.list(place))]
    while "u" in chosen and path:
        if "/" not in path:
            console.fail(f"Unable to locate path separator '/' in '{path}'")
        path = path.rpartition("/")[0]
        if path:
            _permit(tree, path, entries, console)
    return 0


def _permit(tree: Now, path: str, entries: list[str], console: Console) -> None:
    try:
        tree.permit(path, entries)
    except RequestError as error:
        console.fail(f"Error occurred setting permissions on '{path}': {reason(error.name)}")


def _entry(text: str, console: Console) -> str:
    """A letter and a number as C reads it: what is no number is 0, and what has no end there ends anyway."""
    letter = text[:1] or "\0"
    if letter not in "nrwb":
        console.fail(f"Invalid permission specification: '{letter}'")
    return f"{letter}{integer(text[1:])}"


def integer(text: str) -> int:
    """The number that C's atoi sees at the beginning of a text."""
    found = _INTEGER.match(text)
    number = max(-_LONG, min(_LONG - 1, int(found[1]))) if found else 0
    return (number + _INT) % (2 * _INT) - _INT
