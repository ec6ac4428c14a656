"""What a store tells of itself: plans, explanations, and its fill; values, not sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rrdstore.errors import Thinned
from rrdstore.history.commit import commit_id
from rrdstore.history.holds import SNAPSHOT, TRANSACTION
from rrdstore.policy import Fill, Plan, Reason, Rings, parse, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Record
    from rrdstore.series import Fill as SeriesFill
    from rrdstore.store.holding import HeldBy
    from rrdstore.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a commit is kept, or that it is not.

    `reasons` says which rules keep it and until when at the earliest; empty if it was thinned, and then
    `before` and `after` are the ids of the nearest kept commits.
    """

    id: str
    kept: bool
    reasons: tuple[Reason, ...]
    thinned: int = 0
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Plans:
    """The batch plan of each branch over its kept commits, and ids for their numbers.

    `keep` and `drop` are disjoint and together all kept commits. Nothing is to be dropped as long as the
    policy is what it was and the tiers are whole: the plan is the oracle of the incremental tiers.
    """

    branches: Mapping[str, Plan]
    others: Mapping[int, tuple[Reason, ...]]
    """The commits of deleted branches that are held, by number."""
    ids: Mapping[int, str]
    pressed: Mapping[str, int] = field(default_factory=dict)
    """Of each branch, by name, how many of its slots byte pressure has emptied, if any."""

    @property
    def keep(self) -> dict[str, tuple[Reason, ...]]:
        """Of each commit that stays, by id, the reasons."""
        kept = {number: why for made in self.branches.values() for number, why in made.keep.items()}
        return {self.ids[number]: why for number, why in {**kept, **self.others}.items()}

    @property
    def drop(self) -> dict[str, str]:
        """Of each commit that goes, by id, the id of the one that won its place."""
        return {
            self.ids[number]: self.ids[winner]
            for made in self.branches.values()
            for number, winner in made.drop.items()
        }


@dataclass(frozen=True, slots=True)
class BranchInfo:
    """One branch: how many commits were made on it and are kept, and how full each tier is."""

    name: str
    head: str
    keep: str
    kept: int
    made: int
    tiers: tuple[Fill, ...]
    wanted: str | None = None
    """The policy that the program that opened the store asks for; None if it is this one, or nothing is asked."""


@dataclass(frozen=True, slots=True)
class Info:
    """A store in figures. Bytes; 0 where there is no bound."""

    path: str
    uuid: str
    epoch: int
    commits: int
    """Made in its whole life."""
    kept: int
    bound: int
    """What `kept` never exceeds: slots + heads + 4 a fork + tags + pins + open transactions and snapshots."""
    branches: tuple[BranchInfo, ...]
    tags: int
    pins: int
    unstored: int
    size: int
    used: int
    """Bytes of all files now."""
    files: Mapping[str, int] = field(default_factory=dict)
    room: int = 0
    live: int = 0
    objects: int = 0
    journal: int = 0
    journal_used: int = 0
    ticks: int = 0
    series: tuple[SeriesFill, ...] = ()
    """Of each declared pattern, how full its columns are."""
    memory: int = 0
    """Bytes of the process at most, by the formula of docs/semantics.md; 0 if no bound was asked for."""
    held: HeldBy | None = None
    """Which other process keeps the store from being written back, if one does, and since when."""
    full: bool = False
    """Whether even the smallest change has to thin first, or is refused."""

    @property
    def pressed(self) -> int:
        """Slots that byte pressure emptied, of all branches: what the policy would have kept, had there been room."""
        return sum(tier.pressed for branch in self.branches for tier in branch.tiers)

    @property
    def degraded(self) -> bool:
        """Whether it keeps less than its policies say, is full, or has changes in memory only."""
        return self.pressed > 0 or self.full or (self.held is not None and self.held.lost_since is not None)


LEASES = (TRANSACTION, SNAPSHOT)


def always(ledger: Ledger) -> dict[int, str]:
    """What is kept beside the tiers, by number, with the reasons in words."""
    history = ledger.history
    said: dict[int, list[str]] = {}
    for line in history.lines.values():
        name = line.name or "a deleted branch"
        held = (
            (line.head, "head"),
            (line.fork, "fork point"),
            (line.base, "merge base"),
            (line.older, "older merge base"),
        )
        for number, what in held:
            if number:
                said.setdefault(number, []).append(f"{what} of {name}")
        for base in (line.base, line.older):
            for number in history.needed(base)[1:]:
                said.setdefault(number, []).append(f"beside merge base {base}")
    for name, key in sorted(history.tags.items()):
        said.setdefault(key.number, []).append(f"tag {name}")
    for number in history.pins:
        said.setdefault(number, []).append("pin")
    for number in history.holds.numbers():
        leased = [f"open {reason}" for reason in history.holds.reasons(number) if reason in LEASES]
        if leased:
            said.setdefault(number, []).extend(leased)
    return {number: ", ".join(words) for number, words in said.items()}


def own_keys(ledger: Ledger, line: Line) -> list[tuple[int, int]]:
    """What a policy sees of a branch: (retention time, number) of its kept commits, oldest first."""
    records = ledger.history.graph.records
    return [(records[number].rt, number) for number in ledger.history.graph.lines.get(line.id, ())]


def plans(ledger: Ledger, keep: str | None = None, branch: str | None = None) -> Plans:
    """The plan of every branch or of one, by its own policy or by another; O(kept log kept)."""
    history, held = ledger.history, always(ledger)
    records = history.graph.records
    made: dict[str, Plan] = {}
    for line in history.names.values() if branch is None else (history.line(branch),):
        made[line.name] = plan(parse(line.keep if keep is None else keep), own_keys(ledger, line), held)
    others = {
        number: (Reason(held[number]),)
        for number, record in records.items()
        if branch is None and (record.branch not in history.lines or not history.lines[record.branch].name)
    }
    ids = {number: commit_id(ledger.uuid, record.key) for number, record in records.items()}
    pressed = {
        name: sum(tier.pressed for tier in line.rings.fill())
        for name, line in history.names.items()
        if name in made and isinstance(line.rings, Rings)
    }
    return Plans(made, others, ids, {name: count for name, count in pressed.items() if count})


def explain(ledger: Ledger, name: str) -> Explanation:
    """Why it is kept, or that it was thinned; NotFound for what never was."""
    try:
        record = ledger.kept(name)
    except Thinned as thinned:
        return Explanation(thinned.id, kept=False, reasons=(), before=thinned.before, after=thinned.after)
    number = record.number
    line = ledger.history.lines.get(record.branch)
    reasons = line.rings.reasons(number) if line is not None and isinstance(line.rings, Rings) else ()
    held = always(ledger).get(number)
    if held:
        reasons = (*reasons, Reason(held))
    before, after = ledger.history.graph.around(number)
    return Explanation(
        _id(ledger, record) or "", True, reasons, record.thinned, _id(ledger, before), _id(ledger, after)
    )


def info(ledger: Ledger) -> Info:
    """All figures at once; O(kept log kept)."""
    history, usage = ledger.history, ledger.storage.usage()
    graph = history.graph
    branches = tuple(_branch(ledger, line) for _, line in sorted(history.names.items()))
    return Info(
        path=ledger.path,
        uuid=ledger.uuid.hex(),
        epoch=ledger.epoch,
        commits=ledger.number,
        kept=len(graph.records),
        bound=bound(ledger),
        branches=branches,
        tags=len(history.tags),
        pins=len(history.pins),
        unstored=ledger.unstored,
        size=usage.size,
        used=sum(usage.files.values()),
        files=usage.files,
        room=usage.room,
        live=usage.live,
        objects=usage.objects,
        journal=usage.journal,
        journal_used=usage.journal_used,
        ticks=usage.ticks,
        memory=usage.memory,
        series=() if ledger.series is None else ledger.series.fill(),
        held=ledger.holding.now,
        full=ledger.room.full,
    )


def bound(ledger: Ledger) -> int:
    """What the number of kept commits never exceeds as things stand (docs/semantics.md, rule 5)."""
    history = ledger.history
    slots = sum(parse(line.keep).slots for line in history.names.values())
    held = sum(history.holds.total(reason) for reason in (TRANSACTION, SNAPSHOT))
    lines = sum(1 + 4 * bool(line.fork) for line in history.lines.values())
    return slots + lines + len(history.tags) + len(history.pins) + held


def _branch(ledger: Ledger, line: Line) -> BranchInfo:
    graph = ledger.history.graph
    own = [graph.records[number] for number in graph.lines.get(line.id, ())]
    wanted = ledger.config.keep(line.name)
    return BranchInfo(
        name=line.name,
        head=_id(ledger, graph.records[line.head]) or "",
        keep=line.keep,
        kept=len(own),
        made=sum(1 + record.thinned for record in own),
        tiers=line.rings.fill() if isinstance(line.rings, Rings) else (),
        wanted=None if wanted == line.keep else wanted,
    )


def _id(ledger: Ledger, record: Record | None) -> str | None:
    return None if record is None else commit_id(ledger.uuid, record.key)
