"""An SQLite file read without SQLite: every row that is on any page, wherever the tables say it should be.

Rule: what SQLite refuses as a whole is taken page by page. A leaf gives its rows by itself, so a damaged page costs
what is on it and no more: the header of the file, the schema and the pages above the leaves are not asked. Pages are
those of the last whole transaction in the log, else those of the file. What is read is not believed here: rows of a
store prove themselves by their checksums.
Cost: O(file), memory for the log. Format: https://www.sqlite.org/fileformat2.html, sections 1.3 to 1.6, 2.1 and 4.
"""

from __future__ import annotations

from pathlib import Path
from struct import Struct, error, unpack_from
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"SQLite format 3\0"
_LEAF, _INDEX_LEAF = 0x0D, 0x0A
_SIZES = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}
_WAL = Struct(">8I")
_FRAME = Struct(">6I")
_WAL_MAGIC = 0x377F0682

Value = bytes | str | int | None


class Row(NamedTuple):
    """A row as it lies on a page."""

    page: int
    id: int
    """0 in a table without row ids."""
    values: tuple[Value, ...]
    chain: tuple[int, ...]
    """The pages that the rest of it lies on."""
    local: tuple[int, int, int] = (0, 0, 0)
    """Where it begins on its page, how many bytes are there, and how many there are in all."""


class Pages:
    """The pages of a closed SQLite file and its log. Of chains that do not go on page by page, both ways are tried."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115 - closed by close()
        head = self._file.read(100)
        size = int.from_bytes(head[16:18], "big") if head.startswith(MAGIC) else 0
        self.size = {1: 65536}.get(size, size if size in _SIZES else 4096)
        self.usable = self.size - (head[20] if head.startswith(MAGIC) and size in _SIZES and head[20] < 33 else 0)
        self._log = _logged(path + "-wal", self.size)
        self.count = max(-(-self._file.seek(0, 2) // self.size), *self._log, 0, 0)

    def page(self, number: int) -> bytes:
        """One page, counted from 1; zeros where there is none."""
        found = self._log.get(number)
        if found is None:
            if number < 1:
                return bytes(self.size)
            self._file.seek((number - 1) * self.size)
            found = self._file.read(self.size)
        return found if len(found) == self.size else found.ljust(self.size, b"\0")

    def rows(self) -> Iterator[Row]:
        """Every row of every leaf, by page; those that cannot be are passed over."""
        for number in range(1, self.count + 1):
            page = self.page(number)
            start = 100 if number == 1 else 0
            if page[start] in (_LEAF, _INDEX_LEAF):
                yield from self._leaf(number, page, start)

    def _leaf(self, number: int, page: bytes, start: int) -> Iterator[Row]:
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        for index in range(min(count, self.size // 4)):
            at = start + 8 + 2 * index
            cell = int.from_bytes(page[at : at + 2], "big")
            if start + 8 < cell < self.size:
                try:
                    yield from self._cell(number, page, cell, with_id=page[start] == _LEAF)
                except (error, IndexError, UnicodeDecodeError):
                    continue

    def _cell(self, number: int, page: bytes, at: int, *, with_id: bool) -> Iterator[Row]:
        length, at = _varint(page, at)
        ident, at = _varint(page, at) if with_id else (0, at)
        usable = self.usable
        most = usable - 35 if with_id else (usable - 12) * 64 // 255 - 23
        if length <= most:
            yield Row(number, ident, _record(page[at : at + length]), ())
            return
        least = (usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (usable - 4)
        here = here if here <= most else least
        local, first = page[at : at + here], int.from_bytes(page[at + here : at + here + 4], "big")
        wanted = -(-(length - here) // (usable - 4))
        if wanted > self.count:
            return
        for chain in self._chains(first, wanted):
            whole = local + b"".join(self.page(one)[4:usable] for one in chain)
            yield Row(number, ident, _record(whole[:length]), chain, (at, here, length))

    def again(self, row: Row) -> bytes:
        """The last value of a row that has a chain, read once more."""
        at, here, length = row.local
        whole = self.page(row.page)[at : at + here] + b"".join(self.page(one)[4 : self.usable] for one in row.chain)
        value = _record(whole[:length])[-1]
        return value if isinstance(value, bytes) else b""

    def _chains(self, first: int, wanted: int) -> set[tuple[int, ...]]:
        """The pages behind `first` as they say themselves, and as they were made: one after the other."""
        straight = tuple(range(first, first + wanted))
        chain = [first]
        while len(chain) < wanted:
            after = int.from_bytes(self.page(chain[-1])[:4], "big")
            chain.append(after if 0 < after <= self.count else chain[-1] + 1)
        return {straight, tuple(chain)}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(9):
        byte = data[at + index]
        if index == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at + index + 1


def _record(data: bytes) -> tuple[Value, ...]:
    """The values of a record; IndexError if they are not all there."""
    end, at = _varint(data, 0)
    values: list[Value] = []
    body = end
    while at < end:
        kind, at = _varint(data, at)
        if kind >= 12:
            size = (kind - 12) // 2
            found = data[body : body + size]
            if len(found) < size:
                raise IndexError
            values.append(found.decode() if kind % 2 else found)
        else:
            size = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]
            values.append(int.from_bytes(data[body : body + size], "big", signed=True) if kind not in (0, 7) else None)
            values[-1] = kind - 8 if kind in (8, 9) else values[-1]
        body += size
    return tuple(values)


def _logged(path: str, size: int) -> dict[int, bytes]:
    """The pages of all whole transactions of a log, each as the last one left it."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return {}
    if len(data) < _WAL.size:
        return {}
    magic, _, said, _, salt1, salt2, *check = _WAL.unpack_from(data)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != _WAL_MAGIC or said != size or _sum(data[:24], order, (0, 0)) != tuple(check):
        return {}
    found: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    last = (check[0], check[1])
    for at in range(_WAL.size, len(data) - size - _FRAME.size + 1, _FRAME.size + size):
        number, commit, *salts, check1, check2 = _FRAME.unpack_from(data, at)
        page = data[at + _FRAME.size : at + _FRAME.size + size]
        last = _sum(data[at : at + 8] + page, order, last)
        if salts != [salt1, salt2] or last != (check1, check2):
            break
        pending[number] = page
        if commit:
            found |= pending
            pending.clear()
    return found


def _sum(data: bytes, order: str, begun: tuple[int, int]) -> tuple[int, int]:
    one, two = begun
    words = unpack_from(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        one = (one + words[index] + two) & 0xFFFFFFFF
        two = (two + words[index + 1] + one) & 0xFFFFFFFF
    return one, two
