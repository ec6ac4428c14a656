"""What becomes of a request that was sent when the connection ended.

Rules
1. What only asks is asked again, and so is what means something to its connection alone: watches are set again, and a
   transaction is begun anew.
2. A transaction is gone with its connection: what was asked in it, and aborting it, changed nothing.
3. Of anything else, a commit among it, nobody knows whether it was carried out.
"""

from __future__ import annotations

from typing import Final

from xsadapter.operations import Kind

_SAFE: Final = frozenset({
    Kind.DIRECTORY, Kind.READ, Kind.GET_PERMS, Kind.WATCH, Kind.UNWATCH, Kind.TRANSACTION_START, Kind.GET_DOMAIN_PATH,
    Kind.IS_DOMAIN_INTRODUCED, Kind.RESET_WATCHES, Kind.DIRECTORY_PART, Kind.GET_FEATURE, Kind.GET_QUOTA,
})  # fmt: skip
_ASKING: Final = (b"history\0", b"metrics\0", b"help\0", b"walk\0/")
"""CONTROL commands that only ask."""


def is_safe(kind: int, payload: bytes) -> bool:
    """Whether it may be sent once more, if it is of no transaction."""
    return kind in _SAFE or (kind == Kind.CONTROL and payload.startswith(_ASKING))


def commits(kind: int, payload: bytes) -> bool:
    """Whether it ends a transaction that is to count."""
    return kind == Kind.TRANSACTION_END and payload[:1] == b"T"
