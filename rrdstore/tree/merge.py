"""Three-way merge: what `theirs` changed since `base`, done to `ours`.

Rule: value, metadata and each child merge apart. Where one side alone changed, its change stands;
where both made the same change, it stands once; else the place's rule settles it (`resolution`), or it is a
conflict, and conflicts are values: the merge goes on and returns all of them. A removal on one side against
any change below it on the other is a conflict, so nothing is lost silently. The result is exact only with the
right base (docs/semantics.md, rule 7).
A base may itself be the merge of two (`virtual`): where those clash nobody can say what the base is, so there
two sides that differ have both changed.
Cost: the size of what theirs changed, whatever ours did: O(changes x 32 x log32 names). Prior art:
Irmin's merge of directories is quadratic in names; walking only one side's difference is not. git's recursive
merge puts conflict markers into such a base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from rrdstore.tree import edit
from rrdstore.tree.diff import differing, equal
from rrdstore.tree.node import Node, child
from rrdstore.tree.path import join, split
from rrdstore.tree.resolution import MergeRules

if TYPE_CHECKING:
    from rrdstore.tree.resolution import Rule

NO_RULES = MergeRules()
UNKNOWN = blake3(b"rrdstore: the value that two bases do not agree on").digest()
"""What a virtual base holds for a value or metadata that its two sides changed differently."""
NOWHERE = blake3(b"rrdstore: the subtree that two bases do not agree on").digest()
"""What it holds for a subtree that one side removed and the other changed."""


@dataclass(frozen=True, slots=True)
class Clash:
    """One place where both sides changed the same thing differently; None where a side has no node."""

    path: str
    base: Node | None
    ours: Node | None
    theirs: Node | None

    @property
    def kind(self) -> str:
        """What happened: "changed by both", "created by both", "removed by ours" or "removed by theirs"."""
        if self.ours is None or self.theirs is None:
            return "removed by ours" if self.ours is None else "removed by theirs"
        return "created by both" if self.base is None else "changed by both"


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged tree and the clashes. At a clash the tree holds what ours has."""

    root: Node
    clashes: tuple[Clash, ...]


Names = tuple[str, ...]


def merge(base: Node, ours: Node, theirs: Node, number: int, rules: MergeRules = NO_RULES) -> Merged:
    """Merge `theirs` into `ours`, both grown from `base`; nodes with merged values are set by commit `number`."""
    root, mark, always = ours, edit.new_edit(), rules.always
    clashes: list[Clash] = []
    stack: list[tuple[Names, Node | None, Node | None, Node | None]] = [((), base, ours, theirs)]
    while stack:
        names, was, our, their = stack.pop()
        if was is their or (our is their and (our is None or not always)):
            continue
        if was is not None and was.value == NOWHERE:
            side = None if equal(our, their) else rules.rule(names).side
            if side == "theirs":
                root = _taken(root, names, our, their, number, mark)
            elif side != "ours" and not equal(our, their):
                clashes.append(Clash(join(names), None, our, their))
        elif our is not None and their is not None:
            value = _pick(was.value if was else None, our.value, their.value)
            meta = _pick(was.meta if was else None, our.meta, their.meta)
            if value is None or meta is None or (always and _both(was, our, their)):
                value, meta = _settled(rules.rule(names), names, was, our, their, value, meta)
            if value is None or meta is None:
                clashes.append(Clash(join(names), was, our, their))
            elif (value, meta) != (our.value, our.meta):
                root = edit.put(root, names, value, meta, number, mark)
            for name, before, after in differing(was.kids if was else None, their.kids):
                stack.append(((*names, name), before, child(our.kids, name), after))
        elif equal(was, our):
            root = _taken(root, names, our, their, number, mark)
        elif not equal(was, their):
            side = rules.rule(names).side
            if side == "theirs":
                root = _taken(root, names, our, their, number, mark)
            elif side != "ours":
                clashes.append(Clash(join(names), was, our, their))
    return Merged(root, tuple(sorted(clashes, key=lambda clash: clash.path)))


def virtual(base: Node, one: Node, other: Node, number: int, rules: MergeRules = NO_RULES) -> Node:
    """The merge of two bases as a base: the same whichever comes first, and unknown where they clash."""
    merged = merge(base, one, other, number, rules.symmetric)
    root, mark = merged.root, edit.new_edit()
    for clash in merged.clashes:
        names, left, right = split(clash.path), clash.ours, clash.theirs
        if left is None or right is None or (clash.base is None and _was_nowhere(base, names)):
            if left is not None and names:
                root = edit.remove(root, names, mark)
            root = edit.put(root, names, NOWHERE, b"", number, mark)
            continue
        was = clash.base
        value = _pick(was.value if was else None, left.value, right.value)
        meta = _pick(was.meta if was else None, left.meta, right.meta)
        unknown = UNKNOWN if value is None else value, UNKNOWN if meta is None else meta
        root = edit.put(root, names, *unknown, number, mark)
    return root


def _was_nowhere(base: Node, names: Names) -> bool:
    node = edit.find(base, names)
    return node is not None and node.value == NOWHERE


def _taken(root: Node, names: Names, our: Node | None, their: Node | None, number: int, mark: int) -> Node:
    """`root` with what theirs has at a place, or without it."""
    if their is not None:
        return edit.graft(root, names, their, number, mark)
    return root if our is None else edit.remove(root, names, mark)


def _both(was: Node | None, our: Node, their: Node) -> bool:
    """Whether both sides changed the value, be it to the same."""
    before = None if was is None else was.value
    return before not in (our.value, their.value)


def _pick(base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:
    """The side that changed; None if both did, differently."""
    if theirs in (ours, base):
        return ours
    return theirs if ours == base else None


def _settled(
    rule: Rule, names: Names, was: Node | None, our: Node, their: Node, value: bytes | None, meta: bytes | None
) -> tuple[bytes | None, bytes | None]:
    """Value and metadata as the rule has them; None where it leaves a conflict."""
    if rule.side is not None:
        theirs = rule.side == "theirs" or (rule.side == "last" and their.modified > our.modified)
        winner = their if theirs else our
        return winner.value if value is None else value, winner.meta if meta is None else meta
    if rule.function is None or (was is not None and was.value == UNKNOWN):
        return value, meta
    if value is None or (rule.always and _both(was, our, their)):
        made = rule.function(join(names), was.value if was else None, our.value, their.value)
        if made is not None and not isinstance(made, bytes):
            raise TypeError(f"merge rule {rule.name!r} returned {type(made).__name__}, not bytes or None")
        value = value if made is None else made
    return value, meta
