"""The operation table: everything about an operation that is not its behaviour.

Rule: a number without a row here, or a row without a handler, is ENOSYS and the connection lives
on. A row says how the payload is cut, who may ask, and what a transaction id means to it:

    USED      the request acts inside the transaction, is recorded and may be replayed at END
    LOOKED_UP the id must name an open transaction of the connection, but the request acts outside
    IGNORED   the id is only echoed

Numbers and names are those of the public protocol header.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xsadapter import arguments

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind:
    """The numbers that requests, replies and events carry."""

    CONTROL: Final = 0
    DIRECTORY: Final = 1
    READ: Final = 2
    GET_PERMS: Final = 3
    WATCH: Final = 4
    UNWATCH: Final = 5
    TRANSACTION_START: Final = 6
    TRANSACTION_END: Final = 7
    INTRODUCE: Final = 8
    RELEASE: Final = 9
    GET_DOMAIN_PATH: Final = 10
    WRITE: Final = 11
    MKDIR: Final = 12
    RM: Final = 13
    SET_PERMS: Final = 14
    WATCH_EVENT: Final = 15
    ERROR: Final = 16
    IS_DOMAIN_INTRODUCED: Final = 17
    RESUME: Final = 18
    SET_TARGET: Final = 19
    RESET_WATCHES: Final = 21
    DIRECTORY_PART: Final = 22
    GET_FEATURE: Final = 23
    SET_FEATURE: Final = 24
    GET_QUOTA: Final = 25
    SET_QUOTA: Final = 26


class TransactionUse(Enum):
    """What a transaction id in the header means to an operation."""

    USED = "used"
    LOOKED_UP = "looked up"
    IGNORED = "ignored"


class Operation(NamedTuple):
    """One row. `prefix_varies`: the reply up to its first NUL may differ between equal states."""

    number: int
    name: str
    cut: Callable[[bytes], Any]
    privileged: bool
    transaction: TransactionUse
    handler: str
    prefix_varies: bool = False


_USED, _LOOKED_UP, _IGNORED = TransactionUse.USED, TransactionUse.LOOKED_UP, TransactionUse.IGNORED

OPERATIONS: Final = (
    Operation(Kind.CONTROL, "CONTROL", arguments.strings(1, None), True, _LOOKED_UP, "control"),
    Operation(Kind.DIRECTORY, "DIRECTORY", arguments.one, False, _USED, "directory"),
    Operation(Kind.READ, "READ", arguments.one, False, _USED, "read"),
    Operation(Kind.GET_PERMS, "GET_PERMS", arguments.one, False, _USED, "get_perms"),
    Operation(Kind.WATCH, "WATCH", arguments.strings(2, 3), False, _IGNORED, "watch"),
    Operation(Kind.UNWATCH, "UNWATCH", arguments.strings(2, 2), False, _IGNORED, "unwatch"),
    Operation(Kind.TRANSACTION_START, "TRANSACTION_START", arguments.ignored, False, _LOOKED_UP, "transaction_start"),
    Operation(Kind.TRANSACTION_END, "TRANSACTION_END", arguments.one, False, _LOOKED_UP, "transaction_end"),
    Operation(Kind.INTRODUCE, "INTRODUCE", arguments.strings(3, None), True, _LOOKED_UP, "introduce"),
    Operation(Kind.RELEASE, "RELEASE", arguments.one, True, _LOOKED_UP, "release"),
    Operation(Kind.GET_DOMAIN_PATH, "GET_DOMAIN_PATH", arguments.one, False, _LOOKED_UP, "get_domain_path"),
    Operation(Kind.WRITE, "WRITE", arguments.path_and_data, False, _USED, "write"),
    Operation(Kind.MKDIR, "MKDIR", arguments.one, False, _USED, "mkdir"),
    Operation(Kind.RM, "RM", arguments.one, False, _USED, "rm"),
    Operation(Kind.SET_PERMS, "SET_PERMS", arguments.strings(2, None), False, _USED, "set_perms"),
    Operation(
        Kind.IS_DOMAIN_INTRODUCED, "IS_DOMAIN_INTRODUCED", arguments.one, True, _LOOKED_UP, "is_domain_introduced"
    ),
    Operation(Kind.RESUME, "RESUME", arguments.one, True, _LOOKED_UP, "resume"),
    Operation(Kind.SET_TARGET, "SET_TARGET", arguments.strings(2, None), True, _LOOKED_UP, "set_target"),
    Operation(Kind.RESET_WATCHES, "RESET_WATCHES", arguments.ignored, False, _LOOKED_UP, "reset_watches"),
    Operation(Kind.DIRECTORY_PART, "DIRECTORY_PART", arguments.strings(2, 2), False, _USED, "directory_part", True),
    Operation(Kind.GET_FEATURE, "GET_FEATURE", arguments.strings(0, 1), False, _LOOKED_UP, "get_feature"),
    Operation(Kind.SET_FEATURE, "SET_FEATURE", arguments.strings(2, 2), True, _LOOKED_UP, "set_feature"),
    Operation(Kind.GET_QUOTA, "GET_QUOTA", arguments.strings(0, 2), True, _LOOKED_UP, "get_quota"),
    Operation(Kind.SET_QUOTA, "SET_QUOTA", arguments.strings(2, 3), True, _LOOKED_UP, "set_quota"),
)

BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
NAMES: Final = {operation.number: operation.name for operation in OPERATIONS}
