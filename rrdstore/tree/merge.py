"""Three-way merge: what `theirs` changed since `base`, done to `ours`.

Rule: value, metadata and each child merge apart. Where one side alone changed, its change stands;
where both made the same change, it stands once; else the place is a conflict, and conflicts are
values: the merge goes on and returns all of them. A removal on one side against any change below it
on the other is a conflict, so nothing is lost silently. The result is exact only with the right base
(docs/semantics.md, rule 7).
Cost: the size of what theirs changed, whatever ours did: O(changes x 32 x log32 names). Prior art:
Irmin's merge of directories is quadratic in names; walking only one side's difference is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdstore.tree import edit
from rrdstore.tree.diff import differing, equal
from rrdstore.tree.node import Node, child
from rrdstore.tree.path import join


@dataclass(frozen=True, slots=True)
class Clash:
    """One place where both sides changed the same thing differently; None where a side has no node."""

    path: str
    base: Node | None
    ours: Node | None
    theirs: Node | None


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged tree and the clashes. At a clash the tree holds what ours has."""

    root: Node
    clashes: tuple[Clash, ...]


Names = tuple[str, ...]


def merge(base: Node, ours: Node, theirs: Node, number: int) -> Merged:
    """Merge `theirs` into `ours`, both grown from `base`; nodes with merged values are set by commit `number`."""
    root, mark = ours, edit.new_edit()
    clashes: list[Clash] = []
    stack: list[tuple[Names, Node | None, Node | None, Node | None]] = [((), base, ours, theirs)]
    while stack:
        names, was, our, their = stack.pop()
        if was is their or our is their:
            continue
        if our is not None and their is not None:
            value = _pick(was.value if was else None, our.value, their.value)
            meta = _pick(was.meta if was else None, our.meta, their.meta)
            if value is None or meta is None:
                clashes.append(Clash(join(names), was, our, their))
            elif (value, meta) != (our.value, our.meta):
                root = edit.put(root, names, value, meta, number, mark)
            for name, before, after in differing(was.kids if was else None, their.kids):
                stack.append(((*names, name), before, child(our.kids, name), after))
        elif equal(was, our):
            root = edit.remove(root, names, mark) if their is None else edit.graft(root, names, their, number, mark)
        elif not equal(was, their):
            clashes.append(Clash(join(names), was, our, their))
    return Merged(root, tuple(sorted(clashes, key=lambda clash: clash.path)))


def _pick(base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:
    """The side that changed; None if both did, differently."""
    if theirs in (ours, base):
        return ours
    return theirs if ours == base else None
