"""What the commit of a transaction says: what was changed, in as much room as a commit's message has.

Cost: O(changes), but no more of them are named than there is room for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 100


def said(changes: Sequence[tuple[str, str]]) -> str:
    """Its message, of operations and paths."""
    text = f"TRANSACTION {len(changes)}"
    for done, (operation, path) in enumerate(changes):
        separator, change = ": " if done == 0 else ", ", f"{operation} {path}"
        if len(text) + len(separator) + len(change) > _MOST:
            return f"{text}{separator}..."
        text += separator + change
    return text
