"""A patch: what changed between two trees, with all that must still be so for it to be done to a third.

Rule: three preconditions. Old values: a place that was changed has the old value, or the new one already, value and
metadata apart. Names: below a place that was removed there is just what was removed, or it is gone already. Parents:
the parent of what was made, changed or removed exists. Whatever does not hold is a clash, and all clashes are returned.
So a patch is refused wherever a three-way merge from the same old tree conflicts; what it cannot know is whether
that old tree is what the two have in common. If it is not, a change that was taken back meanwhile is made
again: a patch is asked for by name, and no merge becomes one silently (docs/semantics.md, rule 7).
Pure. Cost: O(changes x 32 x log32 names), and the size of what was removed. Prior art: diff and patch, whose context
is lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rrdstore.tree import edit
from rrdstore.tree.diff import differing, equal
from rrdstore.tree.merge import Clash, Merged
from rrdstore.tree.path import join

if TYPE_CHECKING:
    from rrdstore.tree.node import Node


class Step(NamedTuple):
    """One place: what it was, and what it is to be. None where there is no node; all below counts only then."""

    names: tuple[str, ...]
    old: Node | None
    new: Node | None


Patch = tuple[Step, ...]
"""Steps, parents before children."""


def made(old: Node, new: Node) -> Patch:
    """The patch that makes `new` of `old`."""
    steps: list[Step] = []
    stack: list[tuple[tuple[str, ...], Node | None, Node | None]] = [((), old, new)]
    while stack:
        names, was, now = stack.pop()
        if was is now:
            continue
        if was is None or now is None or (was.value, was.meta) != (now.value, now.meta):
            steps.append(Step(names, was, now))
        if now is not None:
            below = differing(None if was is None else was.kids, now.kids)
            stack += [((*names, name), before, after) for name, before, after in below]
    return tuple(steps)


def applied(patch: Patch, ours: Node, number: int) -> Merged:
    """`ours` with the patch done to it, as commit `number`, and what stands against it; there it is as it was."""
    root, mark = ours, edit.new_edit()
    clashes: list[Clash] = []
    for names, old, new in patch:
        here = edit.find(ours, names)
        orphan = here is None and edit.find(root, names[:-1]) is None
        if new is None:
            if orphan or (here is not None and not equal(here, old)):
                clashes.append(Clash(join(names), old, here, None))
            elif here is not None:
                root = edit.remove(root, names, mark)
            continue
        if orphan or (here is None and old is not None):
            clashes.append(Clash(join(names), old, None, new))
            continue
        (our, our_meta), (was, was_meta) = ((node.value, node.meta) if node else (None, None) for node in (here, old))
        value, meta = _kept(our, was, new.value), _kept(our_meta, was_meta, new.meta)
        if value is None or meta is None:
            clashes.append(Clash(join(names), old, here, new))
        elif here is None or (value, meta) != (here.value, here.meta):
            root = edit.put(root, names, value, meta, number, mark)
    return Merged(root, tuple(sorted(clashes, key=lambda clash: clash.path)))


def _kept(here: bytes | None, old: bytes | None, new: bytes) -> bytes | None:
    """The new value if the old one, or nothing, is here; what is here if nobody changed it; None if neither."""
    if here in (old, new):
        return new
    return here if old == new else None
