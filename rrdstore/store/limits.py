"""What may be given out: how many of a kind, and under which names."""

from __future__ import annotations

from rrdstore.errors import InvalidName, LimitReached

MAX_NAME_BYTES = 255


def check_limit(what: str, used: int, limit: int) -> None:
    """LimitReached if all of `limit` are in use; 0 is no limit."""
    if limit and used >= limit:
        raise LimitReached(what, limit)


def check_name(what: str, name: str) -> None:
    """InvalidName unless a branch or a tag can be called so."""
    if not isinstance(name, str) or not name or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidName(what, name, f"printable text of 1 to {MAX_NAME_BYTES} bytes in UTF-8")
