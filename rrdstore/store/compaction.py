"""Compaction: what the plan says, done at once.

Rule: each branch drops what its plan drops and nothing else, and the tiers are fitted to what is left. As
long as a policy is what it was there is nothing to drop: commits leave one by one as newer ones come.
Cost: O(kept log kept), and a tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.policy import Rings, parse
from rrdstore.store.reports import plans

if TYPE_CHECKING:
    from rrdstore.store.ledger import Ledger


def compact(ledger: Ledger) -> tuple[str, ...]:
    """Drop what the plan drops, and bring everything to disk; the ids of what was dropped, oldest first."""
    ledger.check_writable()
    history, planned = ledger.history, plans(ledger)
    dropped: list[int] = []
    for line in list(history.names.values()):
        made = planned.branches[line.name]
        if made.drop:
            kept = [(history.graph.records[number].rt, number) for number in made.keep]
            line.rings = Rings.restore(parse(line.keep), b"", kept)
            for number in made.drop:
                history.let_go(number)
            dropped += [number for number in made.drop if number not in history.graph.records]
    ledger.settle()
    return tuple(planned.ids[number] for number in sorted(dropped))
