"""Whether a commit concerns a place, as the log of a path asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Thinned
from rrdstore.tree.diff import equal, same
from rrdstore.tree.edit import find

if TYPE_CHECKING:
    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger


def touches(ledger: Ledger, record: Record, names: tuple[str, ...]) -> bool:
    """Whether a kept commit has changed something at or below a place since what it stands on. O(what differs)."""
    records = ledger.history.graph.records
    before, compared = list(record.grafts), False
    try:
        here = find(ledger.root(record), names)
    except Thinned:
        return False  # by a writer, while we read
    while before:
        older = records[before.pop()]
        try:
            was = find(ledger.root(older), names)
            if same(was, here) or equal(was, here):
                return False
            compared = True
        except Thinned:
            before += older.grafts  # likewise: what came before it stands for it
    return compared or here is not None
