"""Compaction: what the plan says, done at once.

Rule: each branch drops what its plan drops and nothing else, and the tiers are fitted to what is left. As
long as a policy is what it was there is nothing to drop: commits leave one by one as newer ones come. A
policy given for this once drops what it does not keep; the tiers of the branch's own go on with the rest,
so doing it again drops nothing. All of it in one tick.
Cost: O(kept log kept), and a tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.policy import Rings, parse, plan
from rrdstore.store.reports import always, own_keys

if TYPE_CHECKING:
    from rrdstore.store.ledger import Ledger


def compact(ledger: Ledger, branch: str | None = None, keep: str | None = None) -> tuple[str, ...]:
    """Drop what the plan drops, and bring everything to disk; the ids of what was dropped, oldest first."""
    ledger.check_writable()
    history = ledger.history
    lines = list(history.names.values()) if branch is None else [history.line(branch)]
    records, held = history.graph.records, always(ledger)
    once = None if keep is None else parse(keep)
    dropped: dict[int, str] = {}
    for line in lines:
        policy = parse(line.keep)
        own = own_keys(ledger, line)
        made = plan(once or policy, own, held)
        if not made.drop:
            continue
        if isinstance(line.rings, Rings):
            line.rings = Rings.fitted(policy, [key for key in own if key[1] in made.keep], line.rings)
        for number in made.drop:
            id_ = ledger.id(records[number])
            history.let_go(number)
            if number not in records:
                dropped[number] = id_
    ledger.settle()
    return tuple(dropped[number] for number in sorted(dropped))
