"""Which branches merge, and from which base.

Rule: a branch and the upstream it was forked from merge for ever, either way, from one stored base: the
commit that was merged in last, at first the fork point. It is moved at each merge, so no history is
walked and thinning cannot change a result (docs/semantics.md, rules 6 and 7). Two branches without a
stored base are refused: an approximate base loses changes silently.
In a merge a write against a write is a conflict, even an unread one; in a transaction the later wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Conflict, Unmergeable
from rrdstore.history.commit import Edit
from rrdstore.tree import edit
from rrdstore.tree.diff import diff
from rrdstore.tree.merge import merge
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from rrdstore.history.branch import Line
    from rrdstore.tree.node import Node


def paired(line: Line, other: Line) -> Line:
    """The one of the two that carries their base; Unmergeable."""
    if line is other:
        raise Unmergeable(line.name, other.name, "a branch does not merge with itself")
    if other.upstream == line.id and other.base:
        return other
    if line.upstream == other.id and line.base:
        return line
    raise Unmergeable(line.name, other.name, "neither was forked from the other, so no exact merge base is stored")


def merge_edits(base: Node, ours: Node, theirs: Node, number: int) -> tuple[Edit, ...]:
    """What merging `theirs` does to `ours`, as edits; Conflict naming every path. O(changes)."""
    merged = merge(base, ours, theirs, number)
    if merged.clashes:
        raise Conflict((clash.path for clash in merged.clashes), "merge")
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
    for step in edits:
        names = split(step.path)
        if step.value is not None:
            root = edit.put(root, names, step.value, step.meta, number, mark)
        elif edit.find(root, names) is not None:
            root = edit.remove(root, names, mark)
    return root
