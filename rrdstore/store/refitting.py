"""Refitting: branches get another policy, or keep less of what they have; how `tune` and `compact` are done.

Rule: what is decided is journalled as it was decided: the policy, the state of the tiers, and which commits they
hold. It follows from what was kept at that moment, and open snapshots and byte pressure, which have to do with that,
are in no journal: so doing it again decides nothing. All branches of one change are refitted by one entry: a crash
leaves all of the old or all of the new. Nothing is stored or freed by it: that is what ticks are for.
Cost: O(commits of the branch x tiers), and what is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, StoreError
from rrdstore.policy import Rings, parse
from rrdstore.storage.protocol import Fit, Fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdstore.history.commit import Record
    from rrdstore.policy import Policy
    from rrdstore.store.ledger import Ledger


def fit(line: int, policy: Policy, rings: Rings) -> Fit:
    """What a branch is to keep: what these tiers hold."""
    return Fit(line, str(policy), rings.state(), tuple(sorted(rings.kept)))


def refit(ledger: Ledger, made: Fitted) -> None:
    """Do it; Corrupt if it fits nothing, and nothing has happened then."""
    history = ledger.history
    tiers = [rings_of(fit, history.graph.records) for fit in made.fits]
    for fit, rings in zip(made.fits, tiers, strict=True):
        history.refit(history.lines[fit.line], fit.keep, rings)


def rings_of(fit: Fit, records: Mapping[int, Record]) -> Rings:
    """The tiers that a branch gets; Corrupt."""
    where = f"the journal, what is kept of branch {fit.line}"
    foreign = [number for number in fit.picks if number not in records or records[number].branch != fit.line]
    if foreign:
        raise Corrupt(where, f"commit {foreign[0]}", "kept commits of that branch")
    try:
        return Rings.restore(parse(fit.keep), fit.rings, [(records[number].rt, number) for number in fit.picks])
    except StoreError as fault:
        raise Corrupt(where, str(fault), "a policy and the state of its tiers") from fault
