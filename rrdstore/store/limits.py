"""What may be given out: how many of a kind, under which names, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Exists, InvalidName, LimitReached, NotFound, PolicyError
from rrdstore.policy import Step

if TYPE_CHECKING:
    from collections.abc import Container

MAX_NAME_BYTES = 255


def check_limit(what: str, used: int, limit: int) -> None:
    """LimitReached if all of `limit` are in use; 0 is no limit."""
    if limit and used >= limit:
        raise LimitReached(what, limit)


def check_free(what: str, name: str, taken: Container[str]) -> None:
    """Exists if a branch or tag has this name."""
    if name in taken:
        raise Exists(what, name)


def check_there(what: str, name: object, there: Container[object]) -> None:
    """NotFound unless it is one of these."""
    if name not in there:
        raise NotFound(what, str(name))


def check_name(what: str, name: str) -> None:
    """InvalidName unless a branch or a tag can be called so."""
    if not isinstance(name, str) or not name or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidName(what, name, f"printable text of 1 to {MAX_NAME_BYTES} bytes in UTF-8")


def lease_of(length: str | int | None) -> int:
    """Microseconds of a lease such as "30d", or of so many seconds; 0 for none. PolicyError."""
    if length is None:
        return 0
    text = f"{length}s" if isinstance(length, int) and not isinstance(length, bool) else str(length)
    try:
        return Step(int(text[:-1]) if text[:-1].isdecimal() and len(text) < 12 else 0, text[-1:]).length
    except ValueError:
        raise PolicyError(text, "no lease", "a number with a unit of s m h d w M y, such as '30d'") from None
