"""A queued message of which more is known than its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsadapter.engine.flow import Outstanding


class Message(bytes):
    """A queued message that somebody is answerable for, or that may get too old. Other messages are plain bytes."""

    cause: Outstanding | None = None
    until: float = 0.0
    """When it is dropped unless it was begun; 0 is never."""
