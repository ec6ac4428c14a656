"""Compaction: what the plan says, done at once.

Rule: each branch drops what its plan drops and nothing else, and the tiers are fitted to what is left. As
long as a policy is what it was there is nothing to drop: commits leave one by one as newer ones come. A
policy given for this once drops what it does not keep; the tiers of the branch's own go on with the rest,
so doing it again drops nothing. All branches change together (`refitting`); the ticks that follow free what went.
Cost: O(kept log kept); no tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.policy import Rings, parse, plan
from rrdstore.storage.protocol import Fitted
from rrdstore.store.refitting import fit
from rrdstore.store.reports import always, own_keys

if TYPE_CHECKING:
    from rrdstore.storage.protocol import Fit
    from rrdstore.store.ledger import Ledger


def compact(ledger: Ledger, branch: str | None = None, keep: str | None = None) -> tuple[str, ...]:
    """Drop what the plan drops; the ids of what was dropped, oldest first. NotFound, PolicyError, Held."""
    ledger.check_writable()
    history = ledger.history
    lines = list(history.names.values()) if branch is None else [history.line(branch)]
    records, held = history.graph.records, always(ledger)
    once = None if keep is None else parse(keep)
    fits: list[Fit] = []
    going: dict[int, str] = {}
    for line in lines:
        policy = parse(line.keep)
        own = own_keys(ledger, line)
        made = plan(once or policy, own, held)
        if made.drop and isinstance(line.rings, Rings):
            rings = Rings.fitted(policy, [key for key in own if key[1] in made.keep], line.rings)
            fits.append(fit(line.id, policy, rings))
            going |= {number: ledger.id(records[number]) for number in made.drop}
    if fits:
        ledger.change(Fitted(tuple(fits)))
    left = ledger.history.graph.records
    return tuple(id_ for number, id_ in sorted(going.items()) if number not in left)
