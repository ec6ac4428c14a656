"""Tuning: another policy for a branch, and what it costs and gives.

Rule: the commits that stay at once are those that `plan` keeps of the kept ones under the new policy; what
was thinned before cannot come back, so new tiers fill from now on, finer ones from empty. The tiers are
fitted to what stays by the code that restores them, tombstones included: what pressure took stays taken.
The policy, its tiers and what they drop change together (`refitting`); the ticks that follow free it.
A dry run is the same path less that change. The policy that a branch has already changes nothing.
Cost: O(kept log kept); no tick, and nothing in the size of a tree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rrdstore.policy import CHANGE, Fill, Plan, Rings, forecast, parse, plan
from rrdstore.storage.protocol import Fitted
from rrdstore.store.config import MAIN
from rrdstore.store.consolidation import foretold
from rrdstore.store.refitting import fit
from rrdstore.store.reports import always, bound, own_keys
from rrdstore.store.slots import require_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdstore.history.branch import Line
    from rrdstore.policy import Forecast, Policy, Reason
    from rrdstore.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a change of policy did, or would do. Bytes; 0 where there is no bound."""

    branch: str
    before: str
    """The policy as it was, canonical."""
    after: str
    keep: Mapping[str, tuple[Reason, ...]]
    """Of each commit of the branch that stays, by id, the reasons."""
    drop: Mapping[str, str]
    """Of each that is lost at once, by id, the id of the one that won its place."""
    tiers: tuple[Fill, ...]
    """The tiers from now on, and how much of each is in use at once: the rest fills as commits are made."""
    gained: tuple[str, ...]
    """The tiers that were not there before, as the policy writes them."""
    lost: tuple[str, ...]
    """The tiers that are not there any more."""
    plan: Plan
    """The whole plan by number: what each tier holds at once, oldest first."""
    slots_before: int
    slots_after: int
    bound_before: int
    """What the commits kept in the whole store never exceeded."""
    bound_after: int
    live: int
    """What all kept commits took when this was asked."""
    full_before: int
    """About what they would take with every slot of every branch in use, if commits go on as they were."""
    full_after: int
    room: int
    """Bytes that there are; beyond them pressure thins."""
    applied: bool
    """False for a dry run, and where nothing was to be changed."""


def tune(ledger: Ledger, name: str, keep: str, *, dry_run: bool) -> Tuned:
    """Give branch `name` the policy `keep`; NotFound, PolicyError, LimitReached, Held."""
    if dry_run:
        ledger.check_open()
    else:
        ledger.check_writable()
    ledger.leases.end_all()
    line, policy = ledger.history.line(name), parse(keep)
    require_slots(ledger.history.names, MAIN, name, policy, ledger.storage.max_slots)
    made, rings = planned(ledger, line, policy)
    changes = str(policy) != line.keep
    tuned = _tuned(ledger, line, made, rings, applied=changes and not dry_run)
    if tuned.applied:
        ledger.change(Fitted((fit(line.id, policy, rings),)))
    return tuned


def planned(ledger: Ledger, line: Line, policy: Policy) -> tuple[Plan, Rings]:
    """What `policy` keeps of a branch, and tiers of it that hold just that."""
    own = own_keys(ledger, line)
    before = line.rings if isinstance(line.rings, Rings) else Rings(policy)
    return plan(policy, own, always(ledger)), Rings.fitted(policy, own, before)


def _tuned(ledger: Ledger, line: Line, made: Plan, rings: Rings, *, applied: bool) -> Tuned:
    old, new, id_of = parse(line.keep), made.policy, _ids(ledger)
    slots = sum(parse(other.keep).slots for other in ledger.history.names.values())
    more = new.slots - old.slots
    usage, (base, each) = ledger.storage.usage(), measured(ledger)
    before, after = ([str(tier) for tier in policy.tiers] for policy in (old, new))
    return Tuned(
        branch=line.name,
        before=line.keep,
        after=str(new),
        keep={id_of[number]: why for number, why in made.keep.items()},
        drop={id_of[number]: id_of[winner] for number, winner in made.drop.items()},
        tiers=rings.fill(),
        gained=tuple(tier for tier in after if tier not in before),
        lost=tuple(tier for tier in before if tier not in after),
        plan=made,
        slots_before=old.slots,
        slots_after=new.slots,
        bound_before=bound(ledger),
        bound_after=bound(ledger) + more,
        live=usage.live,
        full_before=base + slots * each,
        full_after=base + (slots + more) * each,
        room=usage.room,
        applied=applied,
    )


def differing(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Each branch whose policy is not the one asked for at opening: its name, what it has, what was asked for."""
    wanted = ((line, ledger.config.keep(name)) for name, line in sorted(ledger.history.names.items()))
    return [(line.name, line.keep, keep) for line, keep in wanted if keep is not None and keep != line.keep]


def foreseen_here(ledger: Ledger, name: str, keep: str | None) -> Forecast:
    """What a policy will cost on a branch, at the pace and the size of the commits made there so far."""
    line = ledger.history.line(name)
    keys = own_keys(ledger, line)
    records = ledger.history.graph.records
    made = sum(1 + records[number].thinned for _, number in keys[1:])
    every = (keys[-1][0] - keys[0][0]) // made if made else 0
    tree, each = measured(ledger)
    policy = parse(line.keep if keep is None else keep)
    told = forecast(policy, each or CHANGE, tree=tree, every=every or None, now=ledger.clock.wall())
    paths, path = foretold(None if ledger.series is None else ledger.series.declared, policy)
    return replace(told, series_paths=paths, series_bytes=path)


def _ids(ledger: Ledger) -> dict[int, str]:
    return {number: ledger.id(record) for number, record in ledger.history.graph.records.items()}


def measured(ledger: Ledger) -> tuple[int, int]:
    """Bytes that the newest stored trees take, and that each kept commit takes beside them, on average so far: about.

    (0, 0) where nothing is stored, or nothing has a bound. O(kept).
    """
    stored = [record for record in ledger.history.graph.records.values() if record.root_number]
    usage = ledger.storage.usage()
    if not stored or not usage.room:
        return 0, 0
    each = ledger.storage.each(stored)
    others = len(stored) - len({record.branch for record in stored})
    return max(0, usage.live - others * each), each
