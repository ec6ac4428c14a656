"""Untying a net: what it has, as the entries that a repair does again on what it finds of the tables.

Rule: each commit is made on the kept one before it; a branch that no table has begins where it was forked, before its
upstream goes on; tags, pins and deletions come last. Who merged what is not in a net, and since when places are there
neither. So a fork that has merged since merges no more: its base would be an approximate one.
Pure. Cost: O(net).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rrdstore.history.branch import Reach
from rrdstore.history.commit import Edit, Key
from rrdstore.storage import delta, net
from rrdstore.storage.protocol import Begun, Ended, Entry, Pinned, Tagged, Unpinned, Untagged
from rrdstore.tree.path import join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rrdstore.storage.net import Fresh, Net
    from rrdstore.storage.protocol import Acknowledged, BranchState


@dataclass(slots=True)
class Untied:
    """What was in a net."""

    entries: list[Acknowledged] = field(default_factory=list)
    parted: set[int] = field(default_factory=set)
    """Branches of the tables that have merged, or lost their upstream, since: by id."""


def untied(
    data: bytes, keys: Iterable[Key], branches: Iterable[BranchState], tags: Mapping[str, Key], pins: Iterable[int]
) -> Untied:
    """The entries that make a net of tables with these, and with commits of these keys; Corrupt."""
    found = net.decode(data)
    epochs = dict(keys) | {record.number: record.epoch for record, _, _ in found.fresh}
    known = {branch.id: branch for branch in branches}
    now = {branch.id: branch for branch in found.branches}
    made = Untied(list(_made(found, known, epochs)))
    for name in tags.keys() - found.tags.keys():
        made.entries.append(Untagged(name))
    for name, key in sorted(found.tags.items()):
        if tags.get(name) != key:
            made.entries += [Untagged(name)] if name in tags else []
            made.entries.append(Tagged(name, key))
    made.entries += [Unpinned(number) for number in sorted(set(pins) - found.pins)]
    made.entries += [Pinned(number) for number in sorted(found.pins - set(pins))]
    for ident in sorted(known | now):
        was, branch = known.get(ident), now.get(ident)
        if (was is None or was.name) and (branch is None or not branch.name):
            made.entries.append(Ended(ident))
        elif was and branch and branch.upstream and _met(was) != _met(branch):
            made.parted.add(ident)
    return made


def _met(branch: BranchState) -> tuple[int, Reach]:
    """What a branch and its upstream have in common."""
    return branch.base, branch.reach


def _made(found: Net, known: Mapping[int, BranchState], epochs: Mapping[int, int]) -> Iterator[Acknowledged]:
    """The commits, and the branches that no table has, in an order in which they can have been made."""
    new = {branch.id: branch for branch in found.branches if branch.id not in known}
    forks = sorted((branch.fork, branch.id) for branch in new.values() if branch.fork)
    bare = {branch.id for branch in new.values() if not branch.fork}
    fresh = {one.record.number: one for one in found.fresh}
    points = {number for number, _ in forks}
    yield from (_begun(new[ident]) for number, ident in forks if number not in fresh)
    for number, one in sorted(fresh.items()):
        branch = one.record.branch
        if branch in bare:
            bare.discard(branch)
            state = new[branch]
            yield Begun(branch, _name(state), state.keep, first=_entry(one, epochs))
        else:
            yield _entry(one, epochs)
        if number in points:
            yield from (_begun(new[ident]) for point, ident in forks if point == number)


def _begun(branch: BranchState) -> Begun:
    still = _met(branch) == (branch.fork, Reach(upstream=branch.fork))
    upstream = branch.upstream if still else 0
    return Begun(branch.id, _name(branch), branch.keep, upstream, branch.fork, branch.lease, branch.until)


def _name(branch: BranchState) -> str:
    """Its name; of one that is deleted, and of which commits are kept, one that no branch can have."""
    return branch.name or f"\0{branch.id}"


def _entry(one: Fresh, epochs: Mapping[int, int]) -> Entry:
    record, before, tree = one
    steps = tuple(Edit(join(names), value, meta) for names, value, meta in delta.edits(tree))
    parents = (Key(before, epochs.get(before, record.epoch)),) if before else ()
    said = record.rt, record.wall, record.author, record.message
    return Entry(record.number, record.epoch, record.branch, parents, *said, steps)
