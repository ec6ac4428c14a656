"""What differs between two trees.

Rule: what two trees share is skipped by identity, then by object number, then by digest if both have
one. So the cost is in the size of the change, not of the trees: O(changes x 32 x log32 names).
Object numbers mean something within one store only: trees of two are told apart by identity and digest.
Content alone counts: a node set again to what it was is no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rrdstore.tree.node import BITS, FANOUT, Bucket, Node, Stub, Wide, child, entries, name_hash, part
from rrdstore.tree.path import join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.tree.node import Kids


@dataclass(frozen=True, slots=True)
class Change:
    """One place that differs: the node before (None if it was absent) and after (None if it is gone)."""

    path: str
    old: Node | None
    new: Node | None

    @property
    def kind(self) -> str:
        """Which of added, removed and changed it is."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"


Shared = Node | Bucket | Wide | Stub


def same(a: Shared | None, b: Shared | None, *, foreign: bool = False) -> bool:
    """Whether these are known to be equal without looking inside; False means unknown.

    `foreign`: they are of two stores, whose object numbers have nothing to do with each other.
    """
    if a is b:
        return True
    if a is None or b is None:
        return False
    if a.number and a.number == b.number and not foreign:
        return True
    if a.__class__ is Stub or b.__class__ is Stub:
        return False
    hashed = cast("Node | Bucket | Wide", a).hashed
    return hashed is not None and hashed == cast("Node | Bucket | Wide", b).hashed


def inner(kids: Kids | None, name: str, depth: int) -> Node | None:
    """As `child`, of a set that lies `depth` sets below that of its node: of the name's hash the rest counts."""
    left = name_hash(name) >> (BITS * depth)
    while kids.__class__ is Wide:
        kids = part(kids, left & (FANOUT - 1))
        left >>= BITS
    return child(kids, name)


def differing(
    a: Kids | None, b: Kids | None, *, foreign: bool = False, depth: int = 0
) -> Iterator[tuple[str, Node | None, Node | None]]:
    """The names whose nodes are not known to be the same, with both nodes; in no order. `depth` as in `inner`."""
    if same(a, b, foreign=foreign):
        return
    if a.__class__ is Wide and b.__class__ is Wide:
        left, right = a, b
        for index, (old_set, new_set) in enumerate(zip(left.slots, right.slots, strict=True)):
            if old_set is not new_set and not same(old_set, new_set, foreign=foreign):
                yield from differing(part(left, index), part(right, index), foreign=foreign, depth=depth + 1)
        return
    olds, news = entries(a), entries(b)
    for name, old in olds.items():
        new = news.get(name)
        if old is not new and not same(old, new, foreign=foreign):
            yield name, inner(a, name, depth), inner(b, name, depth)
    for name in news:
        if name not in olds:
            yield name, None, inner(b, name, depth)


def diff(a: Node | None, b: Node | None, *, foreign: bool = False) -> Iterator[Change]:
    """Every place that differs between the trees, parents first, siblings by name; `foreign` as in `same`."""
    stack: list[tuple[tuple[str, ...], Node | None, Node | None]] = [] if a is b else [((), a, b)]
    while stack:
        names, old, new = stack.pop()
        if old is None or new is None or old.value != new.value or old.meta != new.meta:
            yield Change(join(names), old, new)
        kids = None if old is None else old.kids
        below = differing(kids, None if new is None else new.kids, foreign=foreign)
        stack.extend(
            ((*names, name), before, after)
            for name, before, after in sorted(below, key=lambda row: row[0], reverse=True)
        )


def equal(a: Node | None, b: Node | None) -> bool:
    """Whether the trees have the same content; stops at the first difference."""
    return a is b or (a is not None and b is not None and next(iter(diff(a, b)), None) is None)
