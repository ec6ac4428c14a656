"""The records of a migration stream, and the numbers that both directions share.

Rules
1. A stream is a header of 16 bytes in network order ("xenstore", version, flags), then records in the order of
   bytes that flag 0 names (1 is big): type, length of the body, the body, and NULs to a multiple of 8. The last
   record is of type 0. C xenstored counts the NULs in the length; either is read.
2. What a record refers to comes before it: connections before their watches, parents before children.
3. A record of a type that is not known is passed on as it is (`Foreign`): readers leave it out.

    type  record                 body (offsets from its start)
    1     GLOBAL_DATA            i32 listening socket, i32 event channels; -1 none
    2     CONNECTION_DATA        u32 id, u16 kind (0 ring, 1 socket), u16 bit 0: a unique id follows
                                 ring: u16 domid, u16 target (0x7ff4 none), u32 port
                                 socket: i32 descriptor, 4 unused
                                 u16 unread, u16 begun, u32 unsent, so many bytes unread, so many unsent
                                 at the next multiple of 8 u64 unique id
    3     WATCH_DATA             u32 connection, u16 path, u16 token, path, token
    4     TRANSACTION_DATA       u32 connection, u32 id
    5     NODE_DATA              u32 connection, u32 transaction, u16 path, u16 value, u16 access, u16 entries
                                 an entry: u8 letter, u8 1 if stale, u16 domid
                                 path, value
    6     GLOBAL_QUOTA_DATA      u16 per domain, u16 global only, u32 each, their names
    7     DOMAIN_DATA            u16 domid, u16 quotas, u32 features, u32 each, their names
    8     WATCH_DATA_EXTENDED    u32 connection, u16 path, u16 token, u16 depth (0xffff none), 2 unused, path, token

Lengths of paths and tokens count their NUL, that of a value is all of it. Names end in a NUL each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

HEADER_SIZE: Final = 16
RECORD_HEADER: Final = 8
ALIGNMENT: Final = 8
IDENT: Final = b"xenstore"
VERSIONS: Final = (1, 2)
BIG: Final = 1
"""The flag of a stream whose records are big endian."""

END, GLOBAL, CONNECTION, WATCH, TRANSACTION, NODE, QUOTAS, DOMAIN, EXTENDED = range(9)
NAMES: Final = (
    "END",
    "GLOBAL_DATA",
    "CONNECTION_DATA",
    "WATCH_DATA",
    "TRANSACTION_DATA",
    "NODE_DATA",
    "GLOBAL_QUOTA_DATA",
    "DOMAIN_DATA",
    "WATCH_DATA_EXTENDED",
)
NO_TARGET: Final = 0x7FF4
NO_DEPTH: Final = 0xFFFF
RING, SOCKET = range(2)
UNIQUE: Final = 1
STALE: Final = 1
LETTERS: Final = "nrwb"


class StreamError(Exception):
    """A stream, or a record for one, that cannot be: in which record (name and number), at which byte, and why."""

    def __init__(self, record: str, offset: int, found: str, expected: str) -> None:
        self.record, self.offset, self.found, self.expected = record, offset, found, expected
        super().__init__(f"{record}, at byte {offset}: found {found}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Global:
    """Descriptors that all share; None is none."""

    listener: int | None = None
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Ring:
    """A guest's ring: whose, whose rights it has beside its own, and the daemon's end of its event channel."""

    domid: int
    target: int | None
    port: int


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that was accepted."""

    descriptor: int


@dataclass(frozen=True, slots=True)
class Connection:
    """A client. Of `unsent` the first `begun` bytes are the rest of a message that was begun."""

    identifier: int
    channel: Ring | Socket
    unread: bytes = b""
    """Requests that came and are not carried out; the last may be cut."""
    unsent: bytes = b""
    begun: int = 0
    unique: int | None = None
    """The hypervisor's id of the domain."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch, its path as the client spelled it; `depth` None is without a bound."""

    connection: int
    path: bytes
    token: bytes
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction."""

    connection: int
    identifier: int


class Permission(NamedTuple):
    """An entry of a node's list; a stale one names a domain that is gone."""

    letter: str
    domid: int
    stale: bool = False


class Node(NamedTuple):
    """A node of the tree, or what a transaction did to it (`access`: 1 read, 2 written, 0 removed)."""

    path: bytes
    value: bytes
    permissions: tuple[Permission, ...]
    connection: int = 0
    transaction: int = 0
    access: int = 0


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits that new domains begin with, and limits of the whole daemon."""

    per_domain: tuple[tuple[str, int], ...] = ()
    whole: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    """What one domain may have; the features count from version 2 of the stream on."""

    domid: int
    features: int = 0
    limits: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record of a type that this code does not know."""

    kind: int
    body: bytes


Record = Global | Connection | Watch | Transaction | Node | Quotas | Domain | Foreign


def padded(size: int) -> int:
    """The next multiple of 8."""
    return -(-size // ALIGNMENT) * ALIGNMENT
