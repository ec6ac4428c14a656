"""Lineage: whether commits, branches, tags and pins say the same of each other.

Rule: what is referred to is there, and is older; each kept commit stands on its nearest kept ancestors, none of which
is an ancestor of another; a parent that is kept is an ancestor; the commits that share objects are a forest.
Cost: O(kept) for each commit with several ancestors. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.storage.protocol import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rrdstore.history.commit import Key, Record
    from rrdstore.storage.kept import KeptTable
    from rrdstore.storage.protocol import Acknowledged, BranchState
    from rrdstore.storage.refs import Refs
    from rrdstore.storage.superblock import Superblock


def commits(kept: KeptTable, superblock: Superblock) -> Iterator[Problem]:
    """Every stored commit against the others."""
    records = {number: one.record for number, one in kept.commits.items() if not one.ghost}
    yield from _order(kept)
    for number, one in kept.commits.items():
        where, record = f"commit {number}", one.record
        if one.before and (one.before not in kept.commits or one.before >= number):
            yield Problem(where, f"stored beside {one.before}", "a stored commit before it")
        if not 0 < number <= superblock.number or record.epoch > superblock.epoch:
            expected = f"numbers to {superblock.number}, epochs to {superblock.epoch}"
            yield Problem(where, f"number {number} of epoch {record.epoch}", expected)
        if not 0 < record.root_number <= record.top <= superblock.top:
            expected = f"a root below {record.top}, and that up to {superblock.top}"
            yield Problem(where, f"root {record.root_number}, top {record.top}", expected)
        if not one.ghost:
            yield from links(record, records)
    if len(kept) != superblock.kept:
        yield Problem("the superblock", f"{superblock.kept} commits", f"{len(kept)}")
    if superblock.reaped > superblock.dying:
        yield Problem("the superblock", f"{superblock.reaped} freed", f"at most {superblock.dying}, which are dying")
    if superblock.top >= superblock.next:
        yield Problem("the superblock", f"next object {superblock.next}", f"one above {superblock.top}")


def _order(kept: KeptTable) -> Iterator[Problem]:
    """Time and epochs never fall, and a branch's commits are stored one beside the other."""
    last: Record | None = None
    newest: dict[int, int] = {}
    for number, one in sorted(kept.commits.items()):
        where, record = f"commit {number}", one.record
        if last is not None:
            yield from later(record, last)
        before = newest.get(record.branch) if record.branch else 0  # Bases that are on no branch are stored anywhere.
        if before and one.before not in {before, 0}:
            yield Problem(where, f"stored beside {one.before}", f"the one before it on its branch, {before}")
        if sum((record.authors or {}).values()) > record.thinned + 1:
            yield Problem(where, f"{sum((record.authors or {}).values())} by its authors", f"{record.thinned + 1}")
        last, newest[record.branch] = record, number


def later(record: Record, last: Record) -> Iterator[Problem]:
    """A commit against the one with the number before it that is kept: neither time nor epoch falls."""
    if record.epoch < last.epoch or record.rt < last.rt:
        found = f"epoch {record.epoch}, time {record.rt}"
        expected = f"none before epoch {last.epoch} or time {last.rt}, of commit {last.number}"
        yield Problem(f"commit {record.number}", found, expected)


def links(record: Record, records: Mapping[int, Record]) -> Iterator[Problem]:
    """What a kept commit stands on, against the others."""
    where = f"commit {record.number}"
    if not record.branch and not record.parents:
        yield Problem(where, "of no branch and no parents", "a merge base's parents")
    for graft in record.grafts:
        if graft not in records or graft >= record.number:
            yield Problem(where, f"stands on {graft}", "kept commits before it")
            return
    wanted = [parent.number for parent in record.parents if parent.number in records]
    above: set[int] = set()
    if len(record.grafts) > 1 or not set(wanted).issubset(record.grafts):
        above = _ancestors(record.grafts, min((*record.grafts, *wanted)), records)
    for graft in above.intersection(record.grafts):
        yield Problem(where, f"stands on {graft}", "the nearest only, and another of them stands on that")
    for parent in record.parents:
        if parent.number >= record.number:
            yield Problem(where, f"parent {parent.number}", "one before it")
        elif parent.number in records and records[parent.number].key != parent:
            yield Problem(where, f"parent {parent.number} of epoch {parent.epoch}", f"{records[parent.number].epoch}")
        elif parent.number in records and parent.number not in above and parent.number not in record.grafts:
            yield Problem(where, f"does not stand on {parent.number}", "its parent, which is kept")


def _ancestors(grafts: Sequence[int], least: int, records: Mapping[int, Record]) -> set[int]:
    """What lies above these, from `least` on; themselves only if another stands on them."""
    found: set[int] = set()
    stack = list(grafts)
    while stack:
        record = records.get(stack.pop())
        for ancestor in record.grafts if record else ():
            if ancestor >= least and ancestor not in found:
                found.add(ancestor)
                stack.append(ancestor)
    return found


def branches(states: Sequence[BranchState], records: Mapping[int, Record], line: int = 0) -> Iterator[Problem]:
    """Every branch against the commits, and against the others; `line` is the highest id given out."""
    names: set[str] = set()
    idents = {state.id for state in states}
    for state in states:
        where = f"branch {state.name or state.id!r}"
        if state.name and state.name in names:
            yield Problem(where, "the name again", "each once")
        names.add(state.name)
        for what, number in (("head", state.head), ("base", state.base), ("older base", state.older)):
            if number and number not in records:
                yield Problem(where, f"{what} {number}", "a kept commit")
        own = [number for number, record in records.items() if record.branch == state.id]
        if state.fork in records and records[state.fork].branch == state.id:
            yield Problem(where, f"fork point {state.fork}", "a commit of another branch")
        if state.name and not state.head:
            yield Problem(where, "no head", "a kept commit")
        if state.name and own and state.head != max(own):
            yield Problem(where, f"head {state.head}", f"its newest commit, {max(own)}")
    if line and max(idents, default=0) > line:
        yield Problem("the superblock", f"{line} the highest id of a branch", f"{max(idents)}")
    if len(idents) < len(states):
        yield Problem("table branch", f"{len(states)} branches", f"{len(idents)} ids")


def names(tags: Mapping[str, Key], pins: frozenset[int], records: Mapping[int, Record]) -> Iterator[Problem]:
    """Tags and pins against the commits."""
    for name, key in tags.items():
        if key.number not in records or records[key.number].key != key:
            yield Problem(f"tag {name!r}", f"commit {key.number} of epoch {key.epoch}", "a kept commit")
    for number in sorted(pins.difference(records)):
        yield Problem("a pin", f"commit {number}", "a kept commit")


def entries(pending: Sequence[Acknowledged], refs: Refs) -> Iterator[Problem]:
    """The journal against what it goes on from, to the first entry that does not fit."""
    for entry in pending:
        wrong = refs.doubt(entry)
        if wrong is not None:
            yield wrong
            return
        refs.follow(entry)
