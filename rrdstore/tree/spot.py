"""Spots: where a node was found, for who asks for it again, or sets it.

Rule: a spot is a name in a bucket, and the place of that bucket: what it stands in, up to the root. As long as these
are the newest tree's, what the name leads to there is what the tree has at that path. Who sets a leaf by its spot
copies what is not the edit's own yet, from the bucket up; each copy takes its original's place, and the original says
so (`LEFT`). So a spot is known as long as values alone are set by spots (`Branch.set_at`). All else that may take a
bucket out of the tree tells nobody: who keeps spots to read by forgets them after any other commit, and after a tick.
To set by one that is known no more does nothing: what is the edit's own is the newest tree's, and of anything else each
thing on the way up is asked whether it has the one below.
What is not in memory has no spot, as what is loaded may not stay.

Cost: a third of a look-up, and of the memory that it touches: a level is six places, each read after the other. To
set by one touches nothing above the first thing that is the edit's own.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from rrdstore.native import mypyc_attr
from rrdstore.tree.node import BITS, FANOUT, LEFT, Bucket, Inode, Stub, Wide, name_hash

if TYPE_CHECKING:
    from rrdstore.tree.node import Kids, Node

DEEPEST = 32
"""Names that lead to a spot, at most: each directory on the way is remembered by all of its names."""
MOST = 32768
"""Places that are remembered, some 300 bytes each: then all are forgotten."""


@mypyc_attr(acyclic=True)
class Place:
    """Where a set of names stands in the newest tree.

    `above` is the place of what it stands in, None for the root's own names, and `key` what leads from there to it: a
    name, or the number of a set of a wide one. Of the engine's price: `cost` is what writing all on the way takes, when
    so much had `grown`; it holds as long as no more than `spare` has grown since.
    """

    __slots__ = ("above", "container", "cost", "grown", "key", "spare")

    def __init__(self, container: Kids, above: Place | None, key: str | int) -> None:
        self.container = container
        self.above = above
        self.key = key
        self.cost = self.grown = 0
        self.spare = -1


@mypyc_attr(acyclic=True)
class Spot:
    """A name in a bucket, and the place of that; `path` is the node's."""

    __slots__ = ("name", "path", "place")

    def __init__(self, name: str, place: Place, path: str) -> None:
        self.name = name
        self.place = place
        self.path = path

    @property
    def node(self) -> Node | None:
        """What is there now; None if that is known no more, and to be looked up. O(1)."""
        bucket: Any = self.place.container
        found = bucket.names.get(self.name) if bucket.edit != LEFT else None
        return None if type(found) is Stub else found


Places = dict[tuple[str | int, ...], Place]
"""Those of a tree that are known, by the names to a directory, and from there on the numbers of sets."""


def spot(places: Places, root: Node, names: tuple[str, ...]) -> Spot | None:
    """Where a node is; None if it is not there, or not in memory, or is the root. O(depth), O(1) beside a known one."""
    if not names or len(names) > DEEPEST:
        return None
    known: tuple[str | int, ...] = names[:-1]
    place = places.get(known)
    if place is None or place.container.edit == LEFT or place.container.__class__ is not Bucket:
        if len(places) >= MOST:
            places.clear()
        place = _placed(places, root, names)
        if place is None:
            return None
    bucket: Any = place.container
    found = bucket.names.get(names[-1])
    if found is None or found.__class__ is Stub or bucket.edit == LEFT:
        return None
    return Spot(intern(names[-1]), place, "/" + "/".join(names))


def _placed(places: Places, root: Node, names: tuple[str, ...]) -> Place | None:
    """The place of the bucket that the last of these names stands in, and those above it, from the root on."""
    place: Place | None = None
    node: Any = root
    way: tuple[str | int, ...] = ()
    for level, name in enumerate(names):
        above = names[level - 1] if level else ""
        kids = node.kids
        way = names[:level]
        left = name_hash(name) if kids.__class__ is Wide else 0
        place = _known(places, way, kids, place, above)
        while kids.__class__ is Wide:
            index = left & (FANOUT - 1)
            left >>= BITS
            kids = kids.slots[index]
            if kids.__class__ is not Bucket and kids.__class__ is not Wide:
                return None
            way = (*way, index)
            place = _known(places, way, kids, place, index)
        if kids is None or place is None:
            return None
        node = kids.names.get(name)
        if node is None or node.__class__ is Stub:
            return None
    return place


def _known(
    places: Places, way: tuple[str | int, ...], kids: Kids | None, above: Place | None, key: str | int
) -> Place | None:
    """The place of a set, which is made if it is new or not of this tree."""
    if kids is None:
        return None
    place = places.get(way)
    if place is None or place.container is not kids or place.above is not above:
        place = places[way] = Place(kids, above, key)
    return place


class Lifted:
    """What a change takes where it is not in place: copies up to the first thing that is the edit's own.

    `below` goes to `key` of `target`, which is None if it is a new root. `climbed` is how many directories are
    between that and the leaf's own, -1 for the root, `level` which of the wide sets inside each other it is, -1 for
    none, and `old` what was there. `moved` are the places of what was copied, `copies` what takes them.
    """

    __slots__ = ("below", "climbed", "copies", "key", "level", "moved", "old", "target")

    def __init__(
        self,
        below: Any,
        target: Kids | None,
        key: str | int,
        climbed: int,
        level: int,
        old: Node | Kids,
        moved: list[Place],
        copies: list[Kids],
    ) -> None:
        self.below = below
        self.target = target
        self.key = key
        self.climbed = climbed
        self.level = level
        self.old = old
        self.moved = moved
        self.copies = copies


def lifted(place: Place, name: str, fresh: Node, root: Node, edit: int) -> Lifted | None:
    """What takes a small leaf for another at a place that is not the edit's own; nothing of the tree has changed.

    None if it is not of the tree of this root, or if that has digests. O(what is not the edit's own).
    """
    kids: Any = place.container
    names = kids.names.copy()
    node = names[name]
    names[name] = fresh
    weighed = kids.weighed
    if weighed >= 0:
        weighed += len(fresh.value) + len(fresh.meta) - len(node.value) - len(node.meta)
    below: Any = Bucket(names, edit, 0, kids.order, weighed)
    moved, copies, climbed = [place], [below], 0
    while True:
        above = place.above
        key: Any = place.key
        if above is None:
            if root.kids is not kids:
                return None
            below = Inode(root.value, root.meta, root.created, root.modified, below)
            return Lifted(below, None, "", -1, -1, root, moved, copies)
        upper: Any = above.container
        if upper.__class__ is Bucket:
            old = upper.names.get(key)
            if old.__class__ is not Inode or old.kids is not kids:
                return None
            below = Inode(old.value, old.meta, old.created, old.modified, below)
            climbed += 1
            if upper.edit == edit:
                return None if upper.hashed is not None else Lifted(below, upper, key, climbed, -1, old, moved, copies)
            names = upper.names.copy()
            names[key] = below
            below = Bucket(names, edit, 0, upper.order, upper.weighed)
        else:
            if upper.slots[key] is not kids:
                return None
            if upper.edit == edit:
                if upper.hashed is not None:
                    return None
                return Lifted(below, upper, key, climbed, _wides_above(above), kids, moved, copies)
            slots = upper.slots.copy()
            slots[key] = below
            below = Wide(slots, upper.count, edit, 0, upper.order)
        moved.append(above)
        copies.append(below)
        kids, place = upper, above


def _wides_above(place: Place) -> int:
    """How many wide sets a wide one stands in, of the same directory."""
    level, above = 0, place.above
    while above is not None and above.container.__class__ is Wide:
        level, above = level + 1, above.above
    return level


def linked(lift: Lifted, root: Node) -> Node:
    """The root, with what was lifted in its place. O(what was copied)."""
    target: Any = lift.target
    key: Any = lift.key
    if target is None:
        root = lift.below
    elif target.__class__ is Bucket:
        target.names[key] = lift.below
    else:
        target.slots[key] = lift.below
    for place, copied in zip(lift.moved, lift.copies, strict=True):
        place.container.edit = LEFT
        place.container = copied
    return root
