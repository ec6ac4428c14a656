"""A node and the shape of its children.

Rule: a set of names is one `Bucket` if it has at most 32 names, else a `Wide` of 32 sets by name
hash, at every level and in both directions. The shape depends on the set of names alone, so equal
trees have equal shapes and digests in whatever order they were made. No hysteresis: with one, the
shape would depend on history (docs/semantics.md, rule "shape").

What anyone but the writer can see never changes. `Node` is fixed from birth; a container is changed
in place only by the edit (a transaction, a commit) that made it, told by its `edit` mark. Filling a
`Stub`, a part not loaded yet, is invisible.

Cost: a look-up, a change or a removal is O(log32 names); a container copied holds at most 32 entries.
Prior art: hash array mapped tries (Bagwell 2001); Irmin's inodes, which split at 32 as well.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, cast

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Iterator

FANOUT = 32
"""Names a bucket holds at most, and sets a `Wide` has."""

BITS = 5
DEEPEST = 12
"""Levels of `Wide` that 64 bits of hash can tell apart; the sets below are buckets of any size."""


class Source(Protocol):
    """Where the parts of a tree that are not in memory come from."""

    def load(self, number: int) -> Node | Bucket | Wide:
        """The object of this number; Corrupt if its bytes are not what was written, Thinned if it is gone."""
        ...


class Stub:
    """A stored part of a tree that is not loaded: its object number and where to get it."""

    __slots__ = ("number", "source")

    def __init__(self, number: int, source: Source) -> None:
        self.number, self.source = number, source

    def load(self) -> Node | Bucket | Wide:
        """The part itself; the caller puts it in the stub's place."""
        return self.source.load(self.number)


class Node:
    """A place in the tree: a value, metadata, and children. Never changes.

    `value` and `meta` are bytes, meta for the user of the engine (xenstore keeps permissions there);
    `created` and `modified` are the numbers of the commits that made the node and last set it.
    `kids`, `number` (in the file, 0 if it has none) and `hashed` are the engine's.
    """

    __slots__ = ("created", "hashed", "kids", "meta", "modified", "number", "value")

    def __init__(
        self, value: bytes, meta: bytes, created: int, modified: int, kids: Kids | None = None, number: int = 0
    ) -> None:
        self.value, self.meta, self.created, self.modified = value, meta, created, modified
        self.kids, self.number = kids, number
        self.hashed: bytes | None = None

    @property
    def children(self) -> int:
        """How many children there are; O(1)."""
        return size(self.kids)

    def __repr__(self) -> str:
        return f"Node({self.value!r}, meta={self.meta!r}, created={self.created}, modified={self.modified})"


class Bucket:
    """At most 32 names and their nodes (more only where 60 bits of hash collide)."""

    __slots__ = ("edit", "hashed", "names", "number", "order")

    def __init__(self, names: dict[str, Node | Stub], edit: int, number: int = 0) -> None:
        self.names, self.edit, self.number = names, edit, number
        self.order: tuple[str, ...] | None = None
        self.hashed: bytes | None = None


class Wide:
    """More than 32 names, in 32 sets by 5 bits of name hash; `count` of them in all."""

    __slots__ = ("count", "edit", "hashed", "number", "order", "slots")

    def __init__(self, slots: list[Bucket | Wide | Stub | None], count: int, edit: int, number: int = 0) -> None:
        self.slots, self.count, self.edit, self.number = slots, count, edit, number
        self.order: tuple[str, ...] | None = None
        self.hashed: bytes | None = None


Kids = Bucket | Wide


@lru_cache(maxsize=32768)
def name_hash(name: str) -> int:
    """64 bits of BLAKE3 of the name: fixed for ever, hard to steer (Python's own hash is neither)."""
    return int.from_bytes(blake3(name.encode()).digest(length=8), "little")


def size(kids: Kids | None) -> int:
    """How many names there are; O(1)."""
    if kids is None:
        return 0
    return len(kids.names) if kids.__class__ is Bucket else cast("Wide", kids).count


def child(kids: Kids | None, name: str) -> Node | None:
    """The node called `name`, or None; O(log32 names), and one load if it was not in memory."""
    if kids is None:
        return None
    if kids.__class__ is Wide:
        left = name_hash(name)
        while kids.__class__ is Wide:
            below = part(kids, left & (FANOUT - 1))
            if below is None:
                return None
            left >>= BITS
            kids = below
    names = cast("Bucket", kids).names
    found = names.get(name)
    if found.__class__ is Stub:
        found = names[name] = cast("Node", found.load())
    return cast("Node | None", found)


def part(wide: Wide, index: int) -> Kids | None:
    """The set at `index` of a wide one, loaded if it was not."""
    below = wide.slots[index]
    if below.__class__ is Stub:
        below = wide.slots[index] = cast("Kids", below.load())
    return cast("Kids | None", below)


def entries(kids: Kids | None) -> Iterator[tuple[str, Node | Stub]]:
    """Every name with its node, or its stub if that is not loaded; in no order. O(names)."""
    if kids is None:
        return
    if kids.__class__ is Bucket:
        yield from kids.names.items()
        return
    for index in range(FANOUT):
        yield from entries(part(cast("Wide", kids), index))


def listing(kids: Kids | None) -> tuple[str, ...]:
    """All names, sorted; kept with the container and carried along by changes. O(1) if it was asked before."""
    if kids is None:
        return ()
    if kids.order is None:
        kids.order = tuple(sorted(name for name, _ in entries(kids)))
    return kids.order


def with_child(kids: Kids | None, name: str, node: Node | Stub, edit: int) -> Kids:
    """`kids` with `name` leading to `node`; in place if `edit` made them. O(log32 names)."""
    if kids is None:
        return Bucket({name: node}, edit)
    return _put(kids, name, node, edit, 0)[0]


def _put(kids: Kids, name: str, node: Node | Stub, edit: int, depth: int) -> tuple[Kids, bool]:
    if kids.__class__ is Bucket:
        bucket = kids
        names = bucket.names
        grew = name not in names
        if grew and len(names) >= FANOUT and depth < DEEPEST:
            spread = _spread([*names.items(), (name, node)], depth, edit)
            spread.order = _spliced(bucket.order, name)
            return spread, True
        if bucket.edit == edit:
            names[name] = node
        else:
            order = bucket.order
            bucket = Bucket({**names, name: node}, edit)
            bucket.order = order
        if grew and bucket.order is not None:
            bucket.order = _spliced(bucket.order, name)
        bucket.hashed = None
        return bucket, grew
    wide = cast("Wide", kids)
    index = (name_hash(name) >> (BITS * depth)) & (FANOUT - 1)
    below = part(wide, index)
    if below is None:
        changed: Kids = Bucket({name: node}, edit)
        grew = True
    else:
        changed, grew = _put(below, name, node, edit, depth + 1)
    wide = _owned(wide, edit)
    wide.slots[index] = changed
    if grew:
        wide.count += 1
        if wide.order is not None:
            wide.order = _spliced(wide.order, name)
    return wide, grew


def without_child(kids: Kids, name: str, edit: int, depth: int = 0) -> Kids | None:
    """`kids` without `name`, None if nothing is left; the caller knows it is there. O(log32 names)."""
    if kids.__class__ is Bucket:
        bucket = kids
        if len(bucket.names) == 1:
            return None
        order = bucket.order
        if bucket.edit != edit:
            bucket = Bucket(dict(bucket.names), edit)
        del bucket.names[name]
        bucket.order = _cut(order, name)
        bucket.hashed = None
        return bucket
    wide = cast("Wide", kids)
    order = _cut(wide.order, name)
    index = (name_hash(name) >> (BITS * depth)) & (FANOUT - 1)
    if wide.count - 1 <= FANOUT:
        left = dict(entries(wide))
        del left[name]
        small = Bucket(left, edit)
        small.order = order
        return small
    changed = without_child(cast("Kids", part(wide, index)), name, edit, depth + 1)
    wide = _owned(wide, edit)
    wide.slots[index] = changed
    wide.count -= 1
    wide.order = order
    return wide


def unhash(kids: Kids | None, name: str) -> None:
    """Forget the digests of the sets on the way to `name`, because something below it has changed in place."""
    left = name_hash(name) if kids.__class__ is Wide else 0
    while kids is not None:
        kids.hashed = None
        if kids.__class__ is Bucket:
            return
        kids = part(cast("Wide", kids), left & (FANOUT - 1))
        left >>= BITS


def _owned(wide: Wide, edit: int) -> Wide:
    if wide.edit == edit:
        wide.hashed = None
        return wide
    copy = Wide(wide.slots.copy(), wide.count, edit)
    copy.order = wide.order
    return copy


def _spread(items: list[tuple[str, Node | Stub]], depth: int, edit: int) -> Wide:
    """More names than one bucket holds, in 32 sets; the sets by the same rule again."""
    sets: list[list[tuple[str, Node | Stub]]] = [[] for _ in range(FANOUT)]
    for name, node in items:
        sets[(name_hash(name) >> (BITS * depth)) & (FANOUT - 1)].append((name, node))
    slots: list[Bucket | Wide | Stub | None] = []
    for members in sets:
        if not members:
            slots.append(None)
        elif len(members) <= FANOUT or depth + 1 >= DEEPEST:
            slots.append(Bucket(dict(members), edit))
        else:
            slots.append(_spread(members, depth + 1, edit))
    return Wide(slots, len(items), edit)


def _spliced(order: tuple[str, ...] | None, name: str) -> tuple[str, ...] | None:
    if order is None:
        return None
    at = bisect_left(order, name)
    return (*order[:at], name, *order[at:])


def _cut(order: tuple[str, ...] | None, name: str) -> tuple[str, ...] | None:
    if order is None:
        return None
    at = bisect_left(order, name)
    return order[:at] + order[at + 1 :]
