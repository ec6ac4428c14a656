"""What the commit of a transaction says: what was changed, in as much room as a commit's message has.

Cost: O(changes), but no more of them are named than there is room for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 100


def said(changes: Sequence[str]) -> str:
    """Its message."""
    text = f"TRANSACTION {len(changes)}"
    for done, change in enumerate(changes):
        separator = ": " if done == 0 else ", "
        if len(text) + len(separator) + len(change) > _MOST:
            return f"{text}{separator}..."
        text += separator + change
    return text
