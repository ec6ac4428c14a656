"""Spots: where a node was found, for who asks for it again, or sets it.

Rule: a spot is a name in a bucket, and the place of that bucket: what it stands in, up to the root. A place has what
the newest tree has in its directory, or nothing at all. Who sets a leaf by its spot copies what is not the edit's own
yet, from the bucket up, and each copy takes its original's place; all else that changes the tree says by which edits
(`Places.moved`). So a spot is right as long as anybody has it.
What a place stands in is what it stood in when it was found. So who sets by it takes for granted only what is the
edit's own, which is the newest tree's; of anything else each thing on the way up is asked whether it has the one below.
What is not in memory has no spot, as what is loaded may not stay.

Cost: a third of a look-up, and of the memory that it touches: a level is six places, each read after the other. To
set by one touches nothing above the first thing that is the edit's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import TYPE_CHECKING, Any

from rrdstore.native import mypyc_attr
from rrdstore.tree.edit import EMPTY, find
from rrdstore.tree.node import BITS, FANOUT, LEFT, Bucket, Inode, Stub, Wide, name_hash
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from rrdstore.tree.node import Kids, Node

DEEPEST = 32
"""Names that lead to a spot, at most: each directory on the way is remembered by all of its names."""
FOLLOWED = 64
"""Edits of one commit, and nodes that each takes away, beyond which all is forgotten."""
MOST = 32768
"""Places that are remembered, some 300 bytes each: then all are forgotten."""

_NOWHERE = Bucket({}, LEFT)
Edits = Sequence[tuple[str, bytes | None, bytes | None]]
Key = tuple[str | int, ...]
"""Of a place: the names to its directory, and from there on the numbers of sets."""


@mypyc_attr(acyclic=True)
class Place:
    """Where a set of names stands in the newest tree.

    `above` is the place of what it stands in, None for the root's own names, and `key` what leads from there to it: a
    name, or the number of a set of a wide one. `price` is what writing it takes in the file, -1 if that is not known.
    """

    __slots__ = ("above", "container", "key", "price")

    def __init__(self, container: Kids, above: Place | None, key: str | int) -> None:
        self.container = container
        self.above = above
        self.key = key
        self.price = -1


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
        container: Any = self.place.container
        found = container.names.get(self.name)
        return None if type(found) is Stub else found


class Places:
    """Those of one tree that are known."""

    __slots__ = ("_at", "line", "root")

    def __init__(self) -> None:
        self._at: dict[Key, Place] = {}
        self.root: Node = EMPTY
        """That tree: all that is known is of it."""
        self.line = 0
        """Which branch it is the newest of."""

    def spot(self, names: tuple[str, ...]) -> Spot | None:
        """Where a node is in this tree, which is `root`; None if it is not there, not in memory, or the root.

        O(depth), O(1) beside one that is known.
        """
        if not names or len(names) > DEEPEST:
            return None
        place = self._at.get(names[:-1])
        if place is None or place.container.__class__ is not Bucket:
            place = self._placed(names)
            if place is None:
                return None
        bucket: Any = place.container
        found = bucket.names.get(names[-1])
        if found is None or found.__class__ is Stub:
            return None
        return Spot(intern(names[-1]), place, "/" + "/".join(names))

    def _placed(self, names: tuple[str, ...]) -> Place | None:
        """The place of the bucket that the last of these names stands in, from the nearest above that is known on."""
        if len(self._at) >= MOST:
            self.clear()
        known, place = len(names), None
        while place is None and known:
            known -= 1
            place = self._at.get(names[:known])
        if place is None:
            if self.root.kids is None:
                return None
            place = self._new((), self.root.kids, None, "")
        for level in range(known, len(names)):
            name = names[level]
            kids: Any = place.container
            if kids.__class__ is Wide:
                key: Key = names[:level]
                left = name_hash(name)
                while kids.__class__ is Wide:
                    index = left & (FANOUT - 1)
                    left >>= BITS
                    kids = kids.slots[index]
                    if kids.__class__ is not Bucket and kids.__class__ is not Wide:
                        return None
                    key = (*key, index)
                    place = self._at.get(key) or self._new(key, kids, place, index)
                    kids = place.container
            if level + 1 == len(names):
                break
            node = kids.names.get(name)
            if node is None or node.__class__ is Stub or node.kids is None:
                return None
            place = self._new(names[: level + 1], node.kids, place, name)
        return place

    def _new(self, key: Key, kids: Kids, above: Place | None, name: str | int) -> Place:
        place = self._at[key] = Place(kids, above, name)
        return place

    def _follow(self, root: Node, names: tuple[str, ...]) -> None:
        """Be of this tree, which differs from the one before on the way to these names, and at their end. O(depth)."""
        node: Any = root
        at, key = self._at, names[:0]
        for level, name in enumerate(names):
            key = names[:level]
            kids: Any = node.kids
            if key in at:
                self._moved(key, kids)
            if kids.__class__ is Wide:
                kids = self._followed(key, kids, name)
            below = kids.names.get(name) if kids.__class__ is Bucket else None
            if below is None or below.__class__ is Stub:
                return
            node = below
        if names in at:
            self._moved(names, node.kids)

    def _followed(self, key: Key, kids: Any, name: str) -> Any:
        """The same inside of a wide set, to the bucket of a name."""
        left = name_hash(name)
        while kids.__class__ is Wide:
            index = left & (FANOUT - 1)
            left >>= BITS
            kids = kids.slots[index]
            key = (*key, index)
            if key in self._at:
                self._moved(key, kids)
        return kids

    def _moved(self, key: Key, kids: Any) -> None:
        place = self._at[key]
        place.price = -1
        if kids is not place.container:
            if kids.__class__ is place.container.__class__:
                place.container = kids
            else:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        """There is no such place any more, nor the sets in it."""
        place = self._at.pop(key, None)
        if place is not None:
            wide = place.container.__class__ is Wide
            place.container, place.price = _NOWHERE, -1
            for index in range(FANOUT if wide else 0):
                self._drop((*key, index))

    def leaves(self, edits: Edits) -> bool:
        """Forget what these remove of the tree; whether they do so little that the rest can be followed. O(nodes)."""
        if not self._at:
            return True
        if len(edits) > FOLLOWED:
            return False
        return all(value is not None or self._forgotten(split(path)) for path, value, _ in edits)

    def _forgotten(self, names: tuple[str, ...]) -> bool:
        """Forget what is at and below these names, unless that is much, or not in memory."""
        node, seen = find(self.root, names), 0
        left: list[tuple[tuple[str, ...], Any]] = [] if node is None else [(names, node.kids)]
        while left:
            key, kids = left.pop()
            if kids is None:
                continue
            self._drop(key)
            sets: list[Any] = [kids]
            while sets:
                one = sets.pop()
                if one.__class__ is Wide:
                    sets += [each for each in one.slots if each is not None]
                elif one.__class__ is Stub:
                    return False
                else:
                    seen += len(one.names)
                    if seen > FOLLOWED:
                        return False
                    left += [((*key, name), each.kids) for name, each in one.names.items() if each.__class__ is Inode]
        return True

    def follows(self, edits: Edits, root: Node) -> None:
        """Be of this tree, by these edits of which `leaves` has said that they can be followed. O(edits x depth)."""
        if self._at:
            for path, _, _ in edits:
                self._follow(root, split(path))
        self.root = root

    def grew(self, names: tuple[str, ...]) -> None:
        """In place, and nothing else: a name has come into a bucket. O(1)."""
        key: Key = names[:-1]
        place = self._at.get(key)
        if place is not None and place.container.__class__ is Wide:
            left = name_hash(names[-1])
            while place is not None and place.container.__class__ is Wide:
                key = (*key, left & (FANOUT - 1))
                left >>= BITS
                place = self._at.get(key)
        if place is not None:
            place.price = -1

    def moved(self, line: int, root: Node | None, edits: Edits) -> None:
        """A branch has this tree now, by these edits of the one before; both in one. O(edits x depth)."""
        if line != self.line or root is self.root:
            return
        if root is not None and self.leaves(edits):
            self.follows(edits, root)
        else:
            self.clear()

    def leave(self, names: tuple[str, ...]) -> None:
        """Forget what is on the way to these names and does not stand where the tree has it. O(depth)."""
        node: Any = self.root
        above: Place | None = None
        broken = False
        for level, name in enumerate(names):
            key: Key = names[:level]
            kids: Any = node.kids
            above, broken = self._checked(key, kids, above, broken)
            left = name_hash(name) if kids.__class__ is Wide else 0
            while kids.__class__ is Wide:
                index = left & (FANOUT - 1)
                left >>= BITS
                kids = kids.slots[index]
                key = (*key, index)
                above, broken = self._checked(key, kids, above, broken)
            node = kids.names.get(name) if kids.__class__ is Bucket else None
            if node is None or node.__class__ is Stub:
                return

    def _checked(self, key: Key, kids: Any, above: Place | None, broken: bool) -> tuple[Place | None, bool]:
        place = self._at.get(key)
        if place is not None and not broken and place.container is kids and place.above is above:
            return place, False
        self._drop(key)
        return None, True

    def clear(self) -> None:
        """Forget all. O(places)."""
        for place in self._at.values():
            place.container, place.price = _NOWHERE, -1
        self._at.clear()
        self.root = EMPTY


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
        place.container = copied
    return root
