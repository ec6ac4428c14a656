"""ls: a tree, depth first, a node a line.

Rules
1. A line is the name, indented by one blank a level, and the value; -f: the whole path instead. With -p the
   permissions follow, led to by dots in a line that is indented.
2. A line is as wide as the terminal less 2, and 80 where there is none; a value that is longer is cut, which
   counts its bytes before they are escaped. With -f nothing counts for the width but the value, and where
   there is no terminal nothing is cut.
3. A node that has gone since its parent was listed is passed over. One whose value may not be read has a colon.

Cost: our daemon tells a hundred nodes in one answer (`Tree.walk`), 2 µs a node here. From any other a node costs its
share of a pipeline, three requests with -p and two without; the stock client waits for each. No recursion: a tree may
be 1,500 levels deep.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final

from xsadapter.errors import RequestError
from xsadapter.tools.asking import Seen
from xsadapter.tools.console import reason
from xsadapter.tools.escaping import printable
from xsadapter.wire import PAYLOAD_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.client.payloads import Names
    from xsadapter.client.walking import Part
    from xsadapter.tools.asking import Tree
    from xsadapter.tools.console import Console
    from xsadapter.tools.kinds import Chosen

_WIDTH: Final = 80
_UNLIMITED: Final = -1
_FRAME: Final = len(' = "..."')
_PERMISSIONS_AT: Final = 60
_AT_ONCE: Final = 128
_GONE: Final = "ENOENT"


def width(out: BinaryIO, whole_paths: bool) -> int:
    """How wide lines may be; negative for as wide as anything, which a terminal is that does not say."""
    try:
        columns = os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return _UNLIMITED if whole_paths else _WIDTH
    return columns - 2


def ls(tree: Tree, chosen: Chosen, paths: list[str], console: Console, wide: int) -> int:
    """Print what is below nodes."""
    for path in paths or ["/"]:
        parts = tree.walk(path, "p" in chosen)
        if parts is None:
            _descend(tree, path, chosen, console, wide)
        else:
            _walk(tree, path, parts, chosen, console, wide)
    return 0


def _walk(tree: Tree, top: str, parts: Iterator[Part], chosen: Chosen, console: Console, wide: int) -> None:
    """Print what is told in parts. What is shown the same way for most nodes is made here, all else by `_line`."""
    whole, simple = "f" in chosen, "p" not in chosen
    path = os.fsencode(top)
    above = [path if path.endswith(b"/") else path + b"/"]
    limit = wide - _FRAME if wide >= 0 else PAYLOAD_MAX
    for part in parts:
        lines = list[bytes]()
        lists = part.permissions or [None] * len(part.names)
        values = part.values
        # All of them at once: hardly any value needs to be escaped.
        plain = None not in values and printable(joined := b"".join(values)) is joined  # type: ignore[arg-type]  # no None
        for level, name, value, entries in zip(part.levels, part.names, values, lists, strict=True):
            if level > len(above):
                above.append(path + b"/")
            elif level < len(above):
                del above[level:]
            path = above[-1] + name
            if simple and value is not None:
                shown = value if plain else printable(value)
                if whole:
                    if len(value) <= limit:
                        lines.append(b'%b = "%b"\n' % (path, shown))
                        continue
                elif level - 1 + len(name) + len(value) <= limit:
                    lines.append(b'%b%b = "%b"\n' % (b" " * (level - 1), name, shown))
                    continue
            console.put(b"".join(lines))
            lines.clear()
            text = os.fsdecode(path)
            seen = tree.see([text], not simple)[0] if value is None else Seen(value, [], entries)
            _line(text, os.fsdecode(name), seen, level - 1, chosen, console, wide)
        console.put(b"".join(lines))
        console.flush()


def _descend(tree: Tree, top: str, chosen: Chosen, console: Console, wide: int) -> None:
    levels = [_children(tree, top, _names(tree, top, console), "p" in chosen)]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            continue
        path, name, seen = found
        _line(path, name, seen, len(levels) - 1, chosen, console, wide)
        if isinstance(seen.names, RequestError):
            if seen.names.name != _GONE:
                console.fail(f"xs_directory ({path}): {reason(seen.names.name)}")
        elif seen.names:
            levels.append(_children(tree, path, seen.names, "p" in chosen))
        if len(levels) == 1:
            console.flush()


def _names(tree: Tree, path: str, console: Console) -> Names:
    try:
        return tree.list(path)
    except RequestError as error:
        console.fail(f"xs_directory ({path}): {reason(error.name)}")


def _children(tree: Tree, path: str, names: list[str], permissions: bool) -> Iterator[tuple[str, str, Seen]]:
    above = path if path.endswith("/") else f"{path}/"
    waiting = iter(names)
    while some := list(islice(waiting, _AT_ONCE)):
        paths = [above + name for name in some]
        yield from zip(paths, some, tree.see(paths, permissions), strict=True)


def _line(path: str, name: str, seen: Seen, level: int, chosen: Chosen, console: Console, wide: int) -> None:
    if "f" in chosen:
        used = 0
        console.put(os.fsencode(path))
    else:
        shown = _cut(os.fsencode(name), wide - _FRAME - level)
        used = level + len(shown)
        console.put(b" " * level + shown)
    if isinstance(seen.value, RequestError):
        console.put(b":\n")
        return
    if 0 <= wide < used + len(seen.value) + _FRAME:
        console.put(b' = "%b\\..."' % _cut(printable(seen.value), wide - _FRAME - used))
    else:
        text = b' = "%b"' % printable(seen.value)
        console.put(text)
        if "p" in chosen:
            console.put(b" ")
            if "f" not in chosen:
                used += len(text)
                console.put(b"".join(b"." if at & 1 else b" " for at in range(used + 1, min(_PERMISSIONS_AT, wide))))
    if isinstance(seen.permissions, RequestError):
        console.tell(f"\ncould not access permissions for {path}: {reason(seen.permissions.name)}")
    elif seen.permissions is not None:
        console.put(f"  ({','.join(seen.permissions)})".encode())
    console.put(b"\n")


def _cut(text: bytes, most: int) -> bytes:
    """What C's %.*s prints: all of it if the precision is negative."""
    return text if most < 0 else text[:most]
