"""Records to bytes.

Rules
1. The length of a record counts its NULs at the end, as C xenstored writes and reads it.
2. A watch with a depth is a WATCH_DATA_EXTENDED in the documented form. Version 1 has none: its client is then told
   more than it asked for, never less. Features of a domain are 0 there.
3. What no field can hold raises StreamError; its offset is 0, and nothing is written.

Cost: O(bytes).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from xsadapter.stream import records
from xsadapter.stream.records import (
    NAMES,
    NO_DEPTH,
    NO_TARGET,
    Connection,
    Domain,
    Foreign,
    Global,
    Node,
    Quotas,
    Ring,
    StreamError,
    Transaction,
    Watch,
    padded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from xsadapter.stream.records import Record

Order = Literal["little", "big"]
_NULS: Final = b"\0" * records.ALIGNMENT


def encode(stream: Iterable[Record], version: int = 2, order: Order = "little") -> Iterator[bytes]:
    """The stream in pieces: the header, then a piece a record; StreamError."""
    if version not in records.VERSIONS:
        raise StreamError("header", 8, f"version {version}", " or ".join(map(str, records.VERSIONS)))
    sign = "<" if order == "little" else ">"
    yield struct.pack(">8sII", records.IDENT, version, records.BIG if order == "big" else 0)
    for number, record in enumerate(stream):
        kind, write = _WRITERS[type(record)]
        if isinstance(record, Watch) and record.depth is not None and version > 1:
            kind, write = records.EXTENDED, _extended
        if isinstance(record, Foreign):
            kind = record.kind
        try:
            body = write(record, sign, version)
        except (struct.error, UnicodeEncodeError) as error:
            name = NAMES[kind] if kind < len(NAMES) else f"type {kind:#x}"
            raise StreamError(f"record {number} ({name})", 0, f"{record!r:.200}", str(error)) from None
        size = padded(len(body))
        yield struct.pack(sign + "II", kind, size) + body + _NULS[: size - len(body)]
    yield struct.pack(sign + "II", records.END, 0)


def _global(record: Global, sign: str, _: int) -> bytes:
    return struct.pack(sign + "ii", *(-1 if each is None else each for each in (record.listener, record.events)))


def _connection(record: Connection, sign: str, _: int) -> bytes:
    channel = record.channel
    fields = 0 if record.unique is None else records.UNIQUE
    if isinstance(channel, Ring):
        target = NO_TARGET if channel.target is None else channel.target
        place = struct.pack(
            sign + "IHHHHI", record.identifier, records.RING, fields, channel.domid, target, channel.port
        )
    else:
        place = struct.pack(sign + "IHHii", record.identifier, records.SOCKET, fields, channel.descriptor, 0)
    sizes = struct.pack(sign + "HHI", len(record.unread), record.begun, len(record.unsent))
    body = place + sizes + record.unread + record.unsent
    if record.unique is not None:
        body += _NULS[: padded(len(body)) - len(body)] + struct.pack(sign + "Q", record.unique)
    return body


def _watch(record: Watch, sign: str, _: int) -> bytes:
    lengths = struct.pack(sign + "IHH", record.connection, len(record.path) + 1, len(record.token) + 1)
    return b"%b%b\0%b\0" % (lengths, record.path, record.token)


def _extended(record: Watch, sign: str, _: int) -> bytes:
    depth = NO_DEPTH if record.depth is None else min(record.depth, NO_DEPTH - 1)
    lengths = struct.pack(sign + "IHHHH", record.connection, len(record.path) + 1, len(record.token) + 1, depth, 0)
    return b"%b%b\0%b\0" % (lengths, record.path, record.token)


def _transaction(record: Transaction, sign: str, _: int) -> bytes:
    return struct.pack(sign + "II", record.connection, record.identifier)


def _node(record: Node, sign: str, _: int) -> bytes:
    head = struct.pack(
        sign + "IIHHHH",
        record.connection,
        record.transaction,
        len(record.path) + 1,
        len(record.value),
        record.access,
        len(record.permissions),
    )
    entries = b"".join(
        struct.pack(sign + "BBH", ord(entry.letter), records.STALE if entry.stale else 0, entry.domid)
        for entry in record.permissions
    )
    return b"%b%b%b\0%b" % (head, entries, record.path, record.value)


def _quotas(record: Quotas, sign: str, _: int) -> bytes:
    counts = struct.pack(sign + "HH", len(record.per_domain), len(record.whole))
    return counts + _limits((*record.per_domain, *record.whole), sign)


def _domain(record: Domain, sign: str, version: int) -> bytes:
    features = record.features if version > 1 else 0
    return struct.pack(sign + "HHI", record.domid, len(record.limits), features) + _limits(record.limits, sign)


@lru_cache(maxsize=64)
def _limits(limits: tuple[tuple[str, int], ...], sign: str) -> bytes:
    values = struct.pack(f"{sign}{len(limits)}I", *(value for _, value in limits))
    return values + b"".join(b"%b\0" % name.encode("latin-1") for name, _ in limits)


def _foreign(record: Foreign, _sign: str, _: int) -> bytes:
    return record.body


_WRITERS: Final[dict[type[Record], tuple[int, Callable[..., bytes]]]] = {
    Global: (records.GLOBAL, _global),
    Connection: (records.CONNECTION, _connection),
    Watch: (records.WATCH, _watch),
    Transaction: (records.TRANSACTION, _transaction),
    Node: (records.NODE, _node),
    Quotas: (records.QUOTAS, _quotas),
    Domain: (records.DOMAIN, _domain),
    Foreign: (records.END, _foreign),
}
