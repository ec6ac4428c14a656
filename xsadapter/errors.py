"""The error a request can end in, named as on the wire.

Rule: only the sixteen names below may leave the daemon, because stock clients turn every other
name into EINVAL. Both ends use the same class: the daemon raises it to refuse, the client library
raises it when it was refused.
"""

from __future__ import annotations

from typing import Final

ERROR_NAMES: Final = (
    "EINVAL",
    "EACCES",
    "EEXIST",
    "EISDIR",
    "ENOENT",
    "ENOMEM",
    "ENOSPC",
    "EIO",
    "ENOTEMPTY",
    "ENOSYS",
    "EROFS",
    "EBUSY",
    "EAGAIN",
    "EISCONN",
    "E2BIG",
    "EPERM",
)
"""The order is that of the public header; only membership matters here."""


class RequestError(Exception):
    """A request that was refused: `name` as on the wire, and what was asked where that is known."""

    def __init__(self, name: str, operation: str = "", subject: str = "") -> None:
        self.name, self.operation, self.subject = name, operation, subject
        super().__init__(name, operation, subject)

    def __str__(self) -> str:
        asked = " ".join(part for part in (self.operation, self.subject) if part)
        return f"{asked}: {self.name}" if asked else self.name


class TransactionLostError(RequestError):
    """A transaction that went with its connection, uncommitted: EAGAIN, as it is to be done again."""

    def __init__(self, operation: str = "", subject: str = "") -> None:
        super().__init__("EAGAIN", operation, subject)


class OutcomeUnknownError(ConnectionError):
    """The connection ended before the answer: whether the request was carried out is not known.

    `kind` and `payload` are the request's, `operation` and `subject` what it is called and is about.
    """

    def __init__(self, kind: int, operation: str, subject: str, payload: bytes) -> None:
        self.kind, self.operation, self.subject, self.payload = kind, operation, subject, payload
        asked = " ".join(part for part in (operation, subject) if part)
        super().__init__(f"{asked}: the connection ended before the answer; whether it was carried out is not known")
