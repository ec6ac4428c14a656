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

from typing import TYPE_CHECKING, Any, Protocol, cast

from blake3 import blake3

from rrdstore.native import mypyc_attr
from rrdstore.tree.order import Late, noted, settled
from rrdstore.tree.sharing import REMEMBERED, shared

if TYPE_CHECKING:
    from rrdstore.tree.order import Order

FANOUT = 32
"""Names a bucket holds at most, and sets a `Wide` has."""

SMALL = 192
"""Bytes of value and metadata of a leaf small enough to be stored inside its bucket."""

BITS = 5
DEEPEST = 12
"""Levels of `Wide` that 64 bits of hash can tell apart; the sets below are buckets of any size."""

LEFT = -1
"""The `edit` of a container that another has taken the place of (rrdstore/tree/spot.py)."""

_HASHES = 32768
_hashes: dict[str, int] = {}  # An lru_cache takes 90 bytes a name more.


class Source(Protocol):
    """Where the parts of a tree that are not in memory come from."""

    @property
    def keeps(self) -> bool:
        """Whether what is loaded now may take the place of its stub, and so stay as long as what it hangs on."""
        ...

    def load(self, number: int) -> Node | Bucket | Wide:
        """The object of this number; Corrupt if its bytes are not what was written, Thinned if it is gone."""
        ...


class Stub:
    """A stored part of a tree that is not loaded: its object number and where to get it."""

    __slots__ = ("number", "source")

    def __init__(self, number: int, source: Source) -> None:
        self.number, self.source = number, source

    def load(self) -> Node | Bucket | Wide:
        """The part itself; the caller puts it in the stub's place, if its source keeps what it loads."""
        return self.source.load(self.number)


@mypyc_attr(acyclic=True)
class Node:
    """A place in the tree: a value, metadata, and children. Never changes.

    `value` and `meta` are bytes, meta for the user of the engine (xenstore keeps permissions there);
    `created` and `modified` are the numbers of the commits that made the node and last set it.
    `kids`, `number` (in the file, 0 if it has none) and `hashed` are the engine's. A node of this very class is
    a small leaf, which has none of the three and takes a third less memory; all others are an `Inode`.
    """

    __slots__ = ("created", "meta", "modified", "value")

    def __init__(self, value: bytes, meta: bytes, created: int, modified: int) -> None:
        self.value = value
        self.meta = meta
        self.created = created
        self.modified = modified

    @property
    def kids(self) -> Kids | None:
        """Its children."""
        return None

    @property
    def number(self) -> int:
        """The number of its object in the file."""
        return 0

    @property
    def hashed(self) -> bytes | None:
        """Its digest."""
        return None

    @property
    def children(self) -> int:
        """How many children there are; O(1)."""
        return size(self.kids)

    def __repr__(self) -> str:
        return f"Node({self.value!r}, meta={self.meta!r}, created={self.created}, modified={self.modified})"


@mypyc_attr(acyclic=True)
class Inode(Node):
    """A node that has an object of its own in the file: the root, and what has children or is not small."""

    __slots__ = ("hashed", "kids", "number")
    kids: Kids | None
    number: int
    hashed: bytes | None

    def __init__(
        self, value: bytes, meta: bytes, created: int, modified: int, kids: Kids | None = None, number: int = 0
    ) -> None:
        # One by one, here and below: a tuple of them costs more, and a change makes one for each level.
        self.value = value
        self.meta = meta
        self.created = created
        self.modified = modified
        self.kids = kids
        self.number = number
        self.hashed = None


@mypyc_attr(acyclic=True)
class Bucket:
    """At most 32 names and their nodes (more only where 60 bits of hash collide)."""

    __slots__ = ("edit", "hashed", "names", "number", "order", "weighed")

    def __init__(
        self,
        names: dict[str, Node | Stub],
        edit: int,
        number: int = 0,
        order: Order | None = None,
        weighed: int = -1,
    ) -> None:
        self.names = names
        self.edit = edit
        self.number = number
        self.order = order
        self.weighed = weighed
        self.hashed: bytes | None = None


@mypyc_attr(acyclic=True)
class Wide:
    """More than 32 names, in 32 sets by 5 bits of name hash; `count` of them in all."""

    __slots__ = ("count", "edit", "hashed", "number", "order", "slots")

    def __init__(
        self,
        slots: list[Bucket | Wide | Stub | None],
        count: int,
        edit: int,
        number: int = 0,
        order: Order | None = None,
    ) -> None:
        self.slots = slots
        self.count = count
        self.edit = edit
        self.number = number
        self.order = order
        self.hashed: bytes | None = None


Kids = Bucket | Wide
Stored = Inode | Bucket | Wide
"""What has an object of its own in the file, and so a number and a digest."""


def new_node(value: bytes, meta: bytes, created: int, modified: int, kids: Kids | None = None) -> Node:
    """A node of the class that fits."""
    if kids is None and len(value) + len(meta) <= SMALL:
        return Node(value, meta, created, modified)
    return Inode(value, meta, created, modified, kids)


def name_hash(name: str) -> int:
    """64 bits of BLAKE3 of the name: fixed for ever, hard to steer (Python's own hash is neither)."""
    found = _hashes.get(name)
    if found is None:
        found = int.from_bytes(blake3(name.encode()).digest(length=8), "little")
        if len(name) <= REMEMBERED:
            if len(_hashes) >= _HASHES:
                _hashes.clear()
            _hashes[name] = found
    return found


def size(kids: Kids | None) -> int:
    """How many names there are; O(1)."""
    return 0 if kids is None else len(kids.names) if kids.__class__ is Bucket else cast("Wide", kids).count


def child(kids: Kids | None, name: str) -> Node | None:
    """The node called `name`, or None; O(log32 names), and one load if it was not in memory."""
    if kids.__class__ is Wide:
        left = name_hash(name)
        while kids.__class__ is Wide:
            kids = part(kids, left & (FANOUT - 1))
            left >>= BITS
    if kids.__class__ is not Bucket:
        return None
    found: Any = kids.names.get(name)  # not cast: a cast is a call
    if found.__class__ is not Stub:
        return found  # type: ignore[no-any-return]  # a Node or None
    loaded = cast("Node", found.load())
    if found.source.keeps:
        kids.names[name] = loaded
    return loaded


def part(wide: Wide, index: int) -> Kids | None:
    """The set at `index` of a wide one, loaded if it was not."""
    below = wide.slots[index]
    if below is None or below.__class__ is Bucket or below.__class__ is Wide:
        return below
    stub = cast("Stub", below)
    loaded = cast("Kids", stub.load())
    if stub.source.keeps:
        wide.slots[index] = loaded
    return loaded


def entries(kids: Kids | None) -> dict[str, Node | Stub]:
    """Every name with its node, or its stub if that is not loaded; in no order, not to be changed. O(names)."""
    if kids is None:
        return {}
    if kids.__class__ is Bucket:
        return kids.names
    found: dict[str, Node | Stub] = {}
    for index in range(FANOUT):
        found |= entries(part(cast("Wide", kids), index))
    return found


def listing(kids: Kids | None) -> tuple[str, ...]:
    """All names, sorted; kept with the container and carried along by changes. O(1) if it was asked before."""
    if kids is None:
        return ()
    order = kids.order
    if order is None:
        order = kids.order = tuple(sorted(entries(kids)))
    elif order.__class__ is Late:
        order = kids.order = settled(order)
    return cast("tuple[str, ...]", order)


def with_child(kids: Kids | None, name: str, node: Node | Stub, edit: int) -> Kids:
    """`kids` with `name` leading to `node`; in place if `edit` made them. O(log32 names)."""
    if kids.__class__ is not Wide:
        return _in_bucket(cast("Bucket | None", kids), name, node, edit, 0)
    hashed = left = name_hash(name)
    above: list[Wide] = []
    while kids.__class__ is Wide:
        above.append(kids)
        kids = part(kids, left & (FANOUT - 1))
        left >>= BITS
    bucket = cast("Bucket | None", kids)
    grew = bucket is None or name not in bucket.names
    changed = _in_bucket(bucket, name, node, edit, len(above))
    while above:
        wide = _owned(above.pop(), edit)
        wide.slots[(hashed >> (BITS * len(above))) & (FANOUT - 1)] = changed
        if grew:
            wide.count += 1
            wide.order = noted(wide.order, name, there=True)
        changed = wide
    return changed


def _in_bucket(bucket: Bucket | None, name: str, node: Node | Stub, edit: int, depth: int) -> Kids:
    if bucket is None:
        return Bucket({shared(name): node}, edit)
    names = bucket.names
    grew = name not in names
    if grew and len(names) >= FANOUT and depth < DEEPEST:
        if bucket.edit == edit:
            bucket.edit = LEFT
        return spread([*names.items(), (name, node)], depth, edit)
    order = None if grew else bucket.order
    weighed = bucket.weighed
    if weighed >= 0:
        weighed += leaf_bytes(node) + name_bytes(name) if grew else leaf_bytes(node) - leaf_bytes(names[name])
    if bucket.edit != edit:
        names = names.copy()
        bucket = Bucket(names, edit)
    names[shared(name) if grew else name] = node
    bucket.weighed = weighed
    bucket.order = order
    bucket.hashed = None
    return bucket


def without_child(kids: Kids, name: str, edit: int, depth: int = 0) -> Kids | None:
    """`kids` without `name`, None if nothing is left; the caller knows it is there. O(log32 names)."""
    if kids.__class__ is Bucket:
        bucket = kids
        if len(bucket.names) == 1:
            return None
        if bucket.edit != edit:
            bucket = Bucket(bucket.names.copy(), edit)
        del bucket.names[name]
        bucket.order = bucket.hashed = None
        bucket.weighed = -1
        return bucket
    wide = cast("Wide", kids)
    if wide.count - 1 <= FANOUT:
        left = entries(wide)
        del left[name]
        return Bucket(left, edit)
    index = (name_hash(name) >> (BITS * depth)) & (FANOUT - 1)
    changed = without_child(cast("Kids", part(wide, index)), name, edit, depth + 1)
    wide = _owned(wide, edit)
    wide.slots[index] = changed
    wide.count -= 1
    wide.order = noted(wide.order, name, there=False)
    return wide


def weight(bucket: Bucket) -> int:
    """Bytes of a bucket's names and of the small leaves among them; carried along by changes, else O(names)."""
    if bucket.weighed < 0:
        weighed = 0
        for name, one in bucket.names.items():
            weighed += len(name) if name.isascii() else 4 * len(name)
            weighed += len(one.value) + len(one.meta) if type(one) is Node else 0
        bucket.weighed = weighed
    return bucket.weighed


def name_bytes(name: str) -> int:
    """Bytes that a name takes inside a bucket, at most."""
    return len(name) if name.isascii() else 4 * len(name)


def leaf_bytes(node: Node | Stub) -> int:
    """Bytes that a node takes inside its bucket: none unless it is a small leaf."""
    return len(node.value) + len(node.meta) if node.__class__ is Node else 0


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
    return Wide(wide.slots.copy(), wide.count, edit, 0, wide.order)


def spread(items: list[tuple[str, Node | Stub]], depth: int, edit: int) -> Wide:
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
            slots.append(spread(members, depth + 1, edit))
    return Wide(slots, len(items), edit)
