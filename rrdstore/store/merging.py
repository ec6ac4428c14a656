"""Which branches merge, and from which base.

Rule: a fork and its upstream merge for ever, either way, from one stored base: all that the two have in common.
It is moved at each merge, so no history is walked and thinning cannot change a result. A commit that is older
than what the other side has merged meanwhile is merged from the base before; the base is then the merge of the two
(`tree.merge.virtual`), a commit of nobody. Any other two branches merge only what a branch between them has
already, on top of its base. Whatever is not proved so is refused: an approximate base loses changes silently.
A base may have a lease: when that has ended there is none, and a patch is all that can go over.
The proofs: docs/semantics.md, rules 6 and 7. In a merge a write against a write is a conflict, even an unread
one; in a transaction the later wins.
Cost: O(1) at a head, O(kept) at an older commit or for any other pair; nothing that was thinned is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.errors import Conflict, LeaseEnded, Unmergeable
from rrdstore.history.branch import NOBODY, Meeting, Reach
from rrdstore.history.commit import Edit, chains
from rrdstore.tree import edit
from rrdstore.tree.diff import diff
from rrdstore.tree.merge import NO_RULES, merge
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Record
    from rrdstore.history.history import History
    from rrdstore.tree.node import Node
    from rrdstore.tree.resolution import MergeRules


@dataclass(frozen=True, slots=True)
class Joint:
    """How a commit is merged: the fork whose base it is, and from which of its bases."""

    fork: Line
    base: int
    """The commit that both sides have grown from."""
    crossing: bool
    """Whether that is the base before the last merge, past which this one goes."""


def joint(history: History, line: Line, other: Line, theirs: Record, name: Callable[[Record], str]) -> Joint | None:
    """How `theirs`, a commit that `other` has, is merged into `line`; None if that has it already.

    Unmergeable, and LeaseEnded, which calls a commit by its `name`.
    """
    if line is other:
        raise Unmergeable(line.name, other.name, "a branch does not merge with itself")
    fork = other if other.upstream == line.id else line if line.upstream == other.id else None
    number = theirs.number
    if fork is not None and fork.base and number == other.head:
        return None if number == fork.base else Joint(fork, fork.base, False)
    graph = history.graph
    if graph.reaches(line.head, number):
        return None
    if not graph.reaches(other.head, number):
        raise Unmergeable(line.name, other.name, f"{other.name!r} does not have commit {number}")
    if fork is not None and fork.base and theirs.branch == other.id:
        reach = fork.reach
        if number >= (reach.fork if fork is other else reach.upstream):
            return Joint(fork, fork.base, False)
        if reach.side == other.id and number >= reach.older:
            return Joint(fork, fork.older, True)
    for between, carrier in _beside(history, line, other):
        base = graph.records.get(carrier.base)
        if base is None or base.branch == NOBODY:
            continue
        if graph.reaches(between.head, number) and graph.reaches(number, base.number):
            return Joint(carrier, base.number, False)
    if fork is not None and not fork.base:
        met = fork.reach.fork if fork is other else fork.reach.upstream
        own = [since for since in graph.lines.get(other.id, ()) if since >= met]
        raise LeaseEnded(line.name, other.name, name(graph.records[own[0]]) if own else None)
    raise Unmergeable(line.name, other.name, _reason(fork, other))


def _beside(history: History, line: Line, first: Line) -> list[tuple[Line, Line]]:
    """The branches beside one, its upstream and its forks, each with the one that carries their base."""
    found = [(fork, fork) for fork in history.names.values() if fork.upstream == line.id]
    if line.upstream:
        found.append((history.lines[line.upstream], line))
    return sorted(found, key=lambda pair: pair[0] is not first)


def _reason(fork: Line | None, other: Line) -> str:
    if fork is None:
        return "no branch beside it has that commit on top of their base, so no exact merge base is known"
    return f"that commit is older than what the two have exchanged since; merge a later one of {other.name!r}"


def meeting(
    history: History, line: Line, theirs: Record, how: Joint, number: int, crossing: tuple[Edit, ...] | None = None
) -> Meeting:
    """What becomes of the base when `line` merges `theirs` by its commit `number`.

    `crossing` makes the new base of the old one, where they go past each other; it is commit `number` - 1.
    """
    fork = how.fork
    merging = line is fork
    other = history.lines[fork.upstream] if merging else fork
    own, its = (fork.reach.fork, fork.reach.upstream) if merging else (fork.reach.upstream, fork.reach.fork)
    if crossing is not None:
        base, older, since, side = number - 1, 0, 0, 0
    else:
        base, older, since, side = theirs.number, how.base, own, line.id
        its = theirs.number if theirs.branch == other.id else other.head
    reach = Reach(number, its, since, side) if merging else Reach(its, number, since, side)
    return Meeting(fork.id, base, older, reach, crossing)


def merge_edits(base: Node, ours: Node, theirs: Node, number: int, rules: MergeRules = NO_RULES) -> tuple[Edit, ...]:
    """What merging `theirs` does to `ours`, as edits; Conflict naming every path. O(changes)."""
    merged = merge(base, ours, theirs, number, rules)
    if merged.clashes:
        raise Conflict((clash.path for clash in merged.clashes), "merge", merged.clashes)
    return difference(ours, merged.root)


def difference(old: Node, new: Node) -> tuple[Edit, ...]:
    """The edits that make `new` of `old`: a removed subtree is one edit. O(changes)."""
    edits: list[Edit] = []
    gone: tuple[str, ...] | None = None
    for change in diff(old, new):
        names = split(change.path)
        if change.new is None:
            if gone is None or names[: len(gone)] != gone:
                gone = names
                edits.append(Edit(change.path, None))
        else:
            edits.append(Edit(change.path, change.new.value, change.new.meta))
    return tuple(edits)


def applied(root: Node, edits: tuple[Edit, ...], number: int) -> Node:
    """`root` with these edits, made by commit `number`; a removal of what is not there does nothing."""
    mark = edit.new_edit()
    for chain in chains(edits) if len(edits) > 1 else (edits,):
        if len(chain) > 1:
            names = split(chain[-1].path)
            if edit.find(root, names[: len(names) - len(chain) + 1]) is None:
                steps = [(step.value or b"", step.meta or b"") for step in chain]
                root = edit.put_chain(root, names, steps, number, mark)
                continue
        for step in chain:
            names = split(step.path)
            if step.value is not None:
                root = edit.put(root, names, step.value, step.meta, number, mark)
            elif edit.find(root, names) is not None:
                root = edit.remove(root, names, mark)
    return root
