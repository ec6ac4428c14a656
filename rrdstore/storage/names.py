"""The table of authors' names, so that a kept commit's row can hold eight of them.

Rule: a name has an index for as long as any stored commit names it; when all places are taken, those that no
stored commit names are given to others, and a name that finds none even so is one of the "others" of its
commit, in memory too. Rows are `length:u8 name:40` each, 98 in a row of the table; index 0 is nobody.
Cost: O(1) a name; O(stored commits) when the table is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt
from rrdstore.history.commit import AUTHOR_BYTES
from rrdstore.storage.layout import NAMES_A_ROW, ROW
from rrdstore.storage.records import opened, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_NAME = 1 + AUTHOR_BYTES
_FREE = 0xFF
_BODY = NAMES_A_ROW * _NAME


class Names:
    """All names by index. What changed is collected until `changes` is asked for the rows to be written."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        self._names: list[str | None] = []
        for at, row in enumerate(rows):
            data = opened(row, "author", at, at) or bytes((_FREE,)) * _BODY
            self._names += [_read(data[i * _NAME : (i + 1) * _NAME], at) for i in range(NAMES_A_ROW)]
        self._of = {name: index for index, name in enumerate(self._names, 1) if name is not None}
        self._free = [index for index in range(len(self._names), 0, -1) if self._names[index - 1] is None]
        self._changed: set[int] = set()
        self._searched = False

    def name(self, index: int) -> str:
        """The name of an index; Corrupt."""
        name = self._names[index - 1] if 0 < index <= len(self._names) else None
        if name is None:
            raise Corrupt("table kept", f"author {index}", "one in the table author")
        return name

    def index(self, name: str, in_use: Iterable[Mapping[str, int] | None]) -> int:
        """The index of a name, new if need be; 0 if there is no place for it. `in_use` are all stored counts."""
        found = self._of.get(name)
        if found is not None:
            return found
        if not self._free and not self._searched:
            self._search(in_use)
        if not self._free:
            return 0
        index = self._free.pop()
        self._names[index - 1], self._of[name] = name, index
        self._changed.add((index - 1) // NAMES_A_ROW)
        return index

    def _search(self, in_use: Iterable[Mapping[str, int] | None]) -> None:
        """Free what no stored commit names; once between two writings, as nothing changes in that time."""
        self._searched = True
        used: set[str] = set()
        for counts in in_use:
            used.update(counts or ())
        for name in [name for name in self._of if name not in used]:
            index = self._of.pop(name)
            self._names[index - 1] = None
            self._free.append(index)
            self._changed.add((index - 1) // NAMES_A_ROW)

    def changes(self) -> Iterator[tuple[int, bytes]]:
        """The rows that changed since the table was read, or asked this."""
        for row in sorted(self._changed):
            names = self._names[row * NAMES_A_ROW : (row + 1) * NAMES_A_ROW]
            yield row, sealed(b"".join(map(_written, names)), ROW, "author", row)
        self._changed.clear()
        self._searched = False


def _read(data: bytes, row: int) -> str | None:
    length = data[0]
    if length == _FREE:
        return None
    try:
        return data[1 : 1 + length].decode()
    except UnicodeDecodeError as fault:
        raise Corrupt(f"table author, row {row + 1}", str(fault), "a name in UTF-8") from fault


def _written(name: str | None) -> bytes:
    if name is None:
        return bytes((_FREE,)) * _NAME
    data = name.encode()
    return bytes((len(data),)) + data.ljust(AUTHOR_BYTES, b"\0")
