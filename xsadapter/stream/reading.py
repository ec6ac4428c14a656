"""Bytes to records.

Rules
1. Nothing is believed: each length is compared with what is there before it is used, each string must end in its
   one NUL, each number with a meaning must have one. What is wrong raises StreamError.
2. After a record's fields less than 8 bytes may follow, whatever they are; after the END record nothing.
3. C xenstored's WATCH_DATA_EXTENDED has its strings at 10 instead of 12, and without its depth at 8: the first of these
   places that has two strings of the lengths that the record states is taken.

Cost: O(bytes), one record at a time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from xsadapter.stream import records
from xsadapter.stream.records import (
    HEADER_SIZE,
    LETTERS,
    NAMES,
    NO_DEPTH,
    NO_TARGET,
    RECORD_HEADER,
    Connection,
    Domain,
    Foreign,
    Global,
    Node,
    Permission,
    Quotas,
    Ring,
    Socket,
    StreamError,
    Transaction,
    Watch,
    padded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xsadapter.stream.records import Record

_HEADER: Final = struct.Struct(">8sII")
_PLACES: Final = (12, 10, 8)
_FILL: Final = records.ALIGNMENT - 1


class _Body:
    """A record's body, and how far it has been read."""

    __slots__ = ("_data", "_end", "_name", "_start", "at", "order")

    def __init__(self, data: bytes, start: int, end: int, order: str, name: tuple[int, int]) -> None:
        """`name`: of the record, its number and its type."""
        self._data, self._start, self._end, self.order, self._name = data, start, end, order, name
        self.at = 0

    @property
    def left(self) -> int:
        return self._end - self._start - self.at

    @property
    def rest(self) -> bytes:
        return self._data[self._start + self.at : self._end]

    def ahead(self, count: int) -> bytes:
        """The next bytes, as far as there are any, which stay to be read."""
        begin = self._start + self.at
        return self._data[begin : min(begin + count, self._end)]

    def wrong(self, found: str, expected: str, at: int | None = None) -> StreamError:
        return StreamError(_named(*self._name), self._start + (self.at if at is None else at), found, expected)

    def numbers(self, form: str) -> tuple[int, ...]:
        """Integers, as `struct` spells them."""
        form = self.order + form
        found: tuple[int, ...] = struct.unpack(form, self.take(struct.calcsize(form)))
        return found

    def take(self, count: int) -> bytes:
        begin = self._start + self.at
        if begin + count > self._end:
            raise self.wrong(f"{self.left} bytes", f"{count}")
        self.at += count
        return self._data[begin : begin + count]

    def text(self, count: int, what: str) -> bytes:
        """A string of `count` bytes, its NUL included."""
        found = self.take(count)
        if not count or found.find(0) != count - 1:
            raise self.wrong(f"a {what} of {count} bytes without one NUL at its end", "one", self.at - count)
        return found[:-1]

    def names(self, count: int) -> list[str]:
        """Strings up to their NULs."""
        found = []
        for _ in range(count):
            end = self._data.find(0, self._start + self.at, self._end)
            if end < 0:
                raise self.wrong("a name without a NUL", "one")
            found.append(self.text(end + 1 - self._start - self.at, "name").decode("latin-1"))
        return found

    def ends(self) -> None:
        if self.left >= records.ALIGNMENT:
            raise self.wrong(f"{self.left} bytes more", f"less than {records.ALIGNMENT}")


def decode(data: bytes) -> Iterator[Record]:
    """The records of a whole stream, in its order; StreamError."""
    if len(data) < HEADER_SIZE:
        raise StreamError("header", 0, f"{len(data)} bytes", f"{HEADER_SIZE}")
    ident, version, flags = _HEADER.unpack_from(data)
    if ident != records.IDENT:
        raise StreamError("header", 0, repr(ident), repr(records.IDENT))
    if version not in records.VERSIONS:
        raise StreamError("header", 8, f"version {version}", " or ".join(map(str, records.VERSIONS)))
    if flags & ~records.BIG:
        raise StreamError("header", 12, f"flags {flags:#x}", "0 or 1")
    return _records(data, ">" if flags & records.BIG else "<", version)


def _records(data: bytes, order: str, version: int) -> Iterator[Record]:
    header, node = struct.Struct(order + "II").unpack_from, struct.Struct(order + "IIHHHH")
    size, at, number, alike, new = len(data), HEADER_SIZE, 0, _ALIKE_LISTS.get, tuple.__new__
    while True:
        if size - at < RECORD_HEADER:
            raise StreamError(f"record {number}", at, f"{size - at} bytes", "a record, the last one END")
        kind, length = header(data, at)
        start = at + RECORD_HEADER
        at = start + (length + _FILL & -records.ALIGNMENT)
        if at > size:
            raise StreamError(_named(number, kind), start, f"{size - start} bytes", f"{padded(length)}")
        if kind == records.NODE and length >= node.size:
            # What nearly all are, in one go: a node of the tree, with a list as one before.
            connection, transaction, path, value, access, count = node.unpack_from(data, start)
            begin = start + node.size + 4 * count
            end = begin + path
            last = end + value
            entries = alike((order, data[begin - 4 * count : begin]))
            if (
                entries is not None
                and not (transaction or access)
                and last <= start + length < last + records.ALIGNMENT
                and data.find(0, begin, end) == end - 1
            ):
                yield new(Node, (data[begin : end - 1], data[end:last], entries, connection, 0, 0))
                number += 1
                continue
        if kind == records.END:
            if length or at != size:
                raise StreamError(_named(number, kind), start, f"{size - start} bytes after it", "none")
            return
        read = _READERS.get(kind)
        if read is None:
            yield Foreign(kind, data[start : start + length])
        else:
            body = _Body(data, start, start + length, order, (number, kind))
            found = read(body, version)
            body.ends()
            yield found
        number += 1


def _named(number: int, kind: int) -> str:
    return f"record {number} ({NAMES[kind] if kind < len(NAMES) else f'type {kind:#x}'})"


def _global(body: _Body, _: int) -> Global:
    listener, events = body.numbers("ii")
    return Global(None if listener < 0 else listener, None if events < 0 else events)


def _connection(body: _Body, _: int) -> Connection:
    identifier, kind, fields = body.numbers("IHH")
    if not identifier:
        raise body.wrong("connection 0", "another number", 0)
    channel: Ring | Socket
    if kind == records.RING:
        domid, target, port = body.numbers("HHI")
        channel = Ring(domid, None if target == NO_TARGET else target, port)
    elif kind == records.SOCKET:
        descriptor = body.numbers("ii")[0]
        if descriptor < 0:
            raise body.wrong(f"descriptor {descriptor}", "0 or more", 8)
        channel = Socket(descriptor)
    else:
        raise body.wrong(f"kind {kind}", f"{records.RING} or {records.SOCKET}", 4)
    unread, begun, unsent = body.numbers("HHI")
    if begun > unsent:
        raise body.wrong(f"{begun} bytes of a message among {unsent}", "at most as many", 18)
    came, goes = body.take(unread), body.take(unsent)
    unique = None
    if fields & records.UNIQUE:
        body.take(padded(body.at) - body.at)
        unique = body.numbers("Q")[0]
    return Connection(identifier, channel, came, goes, begun, unique)


def _watch(body: _Body, _: int) -> Watch:
    connection, path, token = body.numbers("IHH")
    return Watch(connection, body.text(path, "path"), body.text(token, "token"))


def _extended(body: _Body, _: int) -> Watch:
    connection, path, token, depth = body.numbers("IHHH")
    for place in _PLACES:
        body.at = place
        try:
            found = body.text(path, "path"), body.text(token, "token")
            body.ends()
        except StreamError:
            continue
        return Watch(connection, *found, None if depth == NO_DEPTH or place == _PLACES[-1] else depth)
    raise body.wrong("no two strings of the lengths stated", f"a path of {path} bytes and a token of {token}", 8)


def _transaction(body: _Body, _: int) -> Transaction:
    return Transaction(*body.numbers("II"))


def _node(body: _Body, _: int) -> Node:
    connection, transaction, path, value, access, count = body.numbers("IIHHHH")
    if access > 2 or (access and not transaction):
        raise body.wrong(f"access {access}", "0, or in a transaction 1 or 2", 12)
    alike = body.order, body.ahead(4 * count)
    entries = _ALIKE_LISTS.get(alike)
    if entries is None:
        entries = tuple(_entry(body) for _ in range(count))
        if len(_ALIKE_LISTS) >= _LISTS_MAX:
            _ALIKE_LISTS.clear()
        _ALIKE_LISTS[alike] = entries
    else:
        body.at += 4 * count
    return Node(body.text(path, "path"), body.take(value), entries, connection, transaction, access)


def _entry(body: _Body) -> Permission:
    letter, flags, domid = body.numbers("BBH")
    if chr(letter) not in LETTERS:
        raise body.wrong(f"an entry {chr(letter)!r}", f"one of {', '.join(LETTERS)}", body.at - 4)
    return Permission(chr(letter), domid, bool(flags & records.STALE))


def _quotas(body: _Body, _: int) -> Quotas:
    per_domain, whole = body.numbers("HH")
    limits = _limits(body, per_domain + whole)
    return Quotas(limits[:per_domain], limits[per_domain:])


def _domain(body: _Body, version: int) -> Domain:
    domid, count, features = body.numbers("HHI")
    return Domain(domid, features if version > 1 else 0, _limits(body, count))


def _limits(body: _Body, count: int) -> tuple[tuple[str, int], ...]:
    alike = body.order, count, body.rest
    found = _ALIKE.get(alike)
    if found is not None:
        body.at += len(alike[2])
        return found
    values = body.numbers(f"{count}I")
    found = tuple(zip(body.names(count), values, strict=True))
    body.ends()
    if len(_ALIKE) >= _ALIKE_MAX:
        _ALIKE.clear()
    _ALIKE[alike] = found
    return found


_LISTS_MAX: Final = 1024
_ALIKE_LISTS: Final[dict[tuple[str, bytes], tuple[Permission, ...]]] = {}
"""Lists by their bytes: nodes that lie together mostly have the same."""
_ALIKE_MAX: Final = 64
_ALIKE: Final[dict[tuple[str, int, bytes], tuple[tuple[str, int], ...]]] = {}
"""Limits by the bytes that say them to their record's end: ten thousand domains mostly have the same."""
_READERS: Final[dict[int, Callable[[_Body, int], Record]]] = {
    records.GLOBAL: _global,
    records.CONNECTION: _connection,
    records.WATCH: _watch,
    records.TRANSACTION: _transaction,
    records.NODE: _node,
    records.QUOTAS: _quotas,
    records.DOMAIN: _domain,
    records.EXTENDED: _extended,
}
