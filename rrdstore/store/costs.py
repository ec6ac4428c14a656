"""Costs: the most bytes that a change takes in the file once it is stored.

Rule: every container on the way to a changed place is written again, whole, with the small leaves inside it, and so are
the value and the commit's record (`room` reserves that much).
Pure. Cost: O(edits x depth x 32) a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrdstore.storage.layout import CHARGE
from rrdstore.tree.node import (
    BITS,
    FANOUT,
    SMALL,
    Bucket,
    Inode,
    Node,
    Stub,
    Wide,
    child,
    entries,
    name_hash,
    part,
    weight,
)
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.history.commit import Edit
    from rrdstore.tree.node import Kids
    from rrdstore.tree.spot import Place

RECORD = 256
"""A commit's own row, and its share of what tables change with it."""
FIXED = 80
"""Of an object: its header, a node's or a container's fixed part, and padding."""
ENTRY = 40
"""Of a name in a bucket beside the name: the widest columns there are."""
SET = 8
"""Of one of 32 sets in a wide one: its number."""
PIECE = 900
"""What is larger may be cut into pieces, which have headers too."""
_LEAST = CHARGE - FIXED


def change_cost(root: Node, edits: tuple[Edit, ...]) -> int:
    """The most bytes that these edits of the tree `root` take in the file."""
    if len(edits) == 1:
        cost = _rewrite_cost(root, edits[0])
        if cost:
            return cost
    charges = _Charges()
    for edit in edits:
        charges.add(root, edit)
    return RECORD + charges.total()


def tree_cost(root: Node, beside: Node | None) -> int:
    """The most bytes that storing a commit with this tree beside another takes. O(what differs)."""
    cost = RECORD
    stack: list[tuple[Any, Any]] = [] if root is beside else [(root, beside)]
    while stack:
        here, there = stack.pop()
        inside, kids, was = 0, here, there
        if here.__class__ is not Bucket and here.__class__ is not Wide:
            inside, kids = len(here.value) + len(here.meta), here.kids
            was = there.kids if isinstance(there, Node) else None
        pairs: list[tuple[Any, Any]] = []
        if kids.__class__ is Bucket:
            inside += ENTRY * len(kids.names) + (kids.weighed if kids.weighed >= 0 else weight(kids))
            olds = was.names if was.__class__ is Bucket else {}
            pairs = [(node, olds.get(name)) for name, node in kids.names.items() if node.__class__ is not Node]
        elif kids is not None:
            inside += FANOUT * SET
            # What was one set shares its names with each of those that it has become.
            pairs = [*zip(kids.slots, was.slots if was.__class__ is Wide else [was] * FANOUT, strict=True)]
        cost += _object(inside)
        # By content too would be wrong: what is not the same object is written.
        for one, old in pairs:
            if old is None:
                cost += 0 if one is None else _new_cost(one)
            elif one is not old and one is not None and not 0 < one.number == old.number:
                new = one.load() if one.__class__ is Stub else one
                stack.append((new, old.load() if old.__class__ is Stub else old))
    return cost


def _new_cost(top: Any) -> int:
    """What a node or a set takes, with all below it, where none of it was before. O(containers)."""
    cost, left = 0, [top]
    while left:
        here = left.pop()
        if here.__class__ is Stub:
            here = here.load()
        inside, kids = 0, here
        if here.__class__ is not Bucket and here.__class__ is not Wide:
            inside, kids = len(here.value) + len(here.meta), here.kids
        if kids.__class__ is Bucket:
            inside += ENTRY * len(kids.names) + (kids.weighed if kids.weighed >= 0 else weight(kids))
            left += [node for node in kids.names.values() if node.__class__ is not Node]
        elif kids is not None:
            inside += FANOUT * SET
            left += [one for one in kids.slots if one is not None]
        cost += inside + FIXED if _LEAST <= inside <= PIECE else _object(inside)
    return cost


def _rewrite_cost(root: Node, edit: Edit) -> int:
    """The same for what changes are nearly always, a leaf set again; 0 if it is anything else. O(depth)."""
    if edit.value is None:
        return 0
    node: Any = root  # not cast at each step: a cast is a call
    cost = RECORD
    for name in split(edit.path):
        kids, inside = node.kids, len(node.value) + len(node.meta)
        if kids.__class__ is Wide:
            left = name_hash(name)
            while kids.__class__ is Wide:
                cost += _object(inside + FANOUT * SET)
                kids, inside = part(kids, left & (FANOUT - 1)), 0
                left >>= BITS
        if kids.__class__ is not Bucket:
            return 0
        names = kids.names
        node = names.get(name)
        if node is None or node.__class__ is Stub:
            return 0
        size = inside + ENTRY * len(names) + (kids.weighed if kids.weighed >= 0 else weight(kids))
        cost += size + FIXED if _LEAST <= size <= PIECE else _object(size)
    if node.kids is not None:
        return 0
    value = len(edit.value) + len(node.meta if edit.meta is None else edit.meta)
    return cost + (ENTRY + value if value <= SMALL else _object(value))


def leaf_cost(way: list[Any], size: int) -> int:
    """The same for a small leaf that is set again, of so many bytes, by what lies on the way to it. O(depth)."""
    return RECORD + ENTRY + size + _way_cost(way, 0)


def spot_cost(place: Place | None, root: Node) -> int:
    """The same by the place of its bucket in the tree of this root, but for the leaf; -1 if it is not of that tree.

    What writing each thing on the way takes is remembered with its place. O(depth).
    """
    cost = RECORD + ENTRY
    while place is not None:
        price = place.price
        if price < 0:
            price = place.price = _own_cost(place, root)
            if price < 0:
                return -1
        cost += price
        place = place.above
    return cost


def _own_cost(place: Place, root: Node) -> int:
    """What writing a set takes, with the node that it is of if it is all of that; -1 as above."""
    kids: Any = place.container
    above, inside = place.above, 0
    upper: Any = None if above is None else above.container
    key: Any = place.key
    if upper.__class__ is Wide:
        if upper.slots[key] is not kids:
            return -1
    else:
        node: Any = root if upper is None else upper.names.get(key)
        if node.__class__ is not Inode or node.kids is not kids:
            return -1
        inside = len(node.value) + len(node.meta)
    if kids.__class__ is Wide:
        return _object(inside + FANOUT * SET)
    weighed = kids.weighed
    return _object(inside + ENTRY * len(kids.names) + (weighed if weighed >= 0 else weight(kids)))


def creation_cost(way: list[Any], made: Sequence[tuple[str, int]]) -> int:
    """The same for places that come into being below each other, topmost first: their names, and bytes of each.

    `way` is what lies on the way to the first. O(depth).
    """
    sizes = [ENTRY + 4 * len(name) + (size if size <= SMALL else 0) for name, size in made]
    lowest = way[-1]
    cost = RECORD + _way_cost(way, sizes[0])
    if lowest.__class__ is Wide:
        cost += _object(sizes[0])
    elif lowest.__class__ is Bucket and len(lowest.names) >= FANOUT:
        # A full set becomes 32.
        cost += (FANOUT + 1) * (CHARGE + FIXED) + 2 * _object(FANOUT * SET)
    for (_, size), inside in zip(made[:-1], sizes[1:], strict=True):
        cost += _object(size + inside)
    size = made[-1][1]
    return cost if size <= SMALL else cost + _object(size)


def _way_cost(way: list[Any], more: int) -> int:
    """What is written again on a way, the lowest set with so many bytes more."""
    cost = inside = whole = lowest = 0
    for one in way:
        kind = one.__class__
        if kind is Bucket:
            weighed = one.weighed
            whole = inside + ENTRY * len(one.names) + (weighed if weighed >= 0 else weight(one))
            lowest = whole + FIXED if _LEAST <= whole <= PIECE else _object(whole)
            cost += lowest
            inside = 0
        elif kind is Wide:
            inside += FANOUT * SET
            cost += inside + FIXED if _LEAST <= inside <= PIECE else _object(inside)
            inside = 0
        else:
            inside = len(one.value) + len(one.meta)
    kind = way[-1].__class__
    if kind is Bucket:
        return cost - lowest + _object(whole + more) if more else cost
    return cost if kind is Wide else cost + _object(inside + more)


class _Charges:
    """What some edits write, each thing once, however many of them touch it.

    An edit goes on from where its path leaves that of the one before: a chain costs its length, not its square, and
    a subtree as many levels as it has nodes.
    """

    __slots__ = ("_arrivals", "_entries", "_names", "_objects", "_path", "_way")

    def __init__(self) -> None:
        self._objects: dict[object, int] = {}
        """Containers that are written again, by identity, and new ones, by path."""
        self._entries: dict[str, int] = {}
        """What each new or changed place adds to its bucket."""
        self._names: dict[str, tuple[int, int]] = {}
        """Of each directory that gets new names: how many it has, and gets."""
        self._path, self._way = "", list[tuple[int, "Node | None"]]()
        """Where the last edit was, if it set something, and what the tree has on the way there, each with its place."""
        self._arrivals: dict[int, int] = {}
        """Of each set of a wide one, by identity, how many new names it gets at most."""

    def add(self, root: Node, edit: Edit) -> None:
        """One edit of the tree `root`."""
        path, sets = edit.path, edit.value is not None
        value = len(edit.value or b"") + len(edit.meta or b"")
        way = self._way
        while way and not (path.startswith("/", way[-1][0]) and path.startswith(self._path[: way[-1][0]])):
            way.pop()
        if not way:
            way.append((0, root))
        at, node = way[-1]
        for name in split(path[at:]):
            above, at = path[:at], at + 1 + len(name)
            last = at == len(path)
            below = None
            if node is not None:
                self._containers(node, name, leaving=not sets and last)
                below = child(node.kids, name)
            elif above not in self._objects:
                self._objects[above] = _object(0)
            if sets and (below is None or last):
                inside = ENTRY + 4 * len(name) + (min(value, SMALL) if last else 0)
                self._place(above, path[:at], inside, node, new=below is None)
            node = below
            way.append((at, node))
        self._path = path
        if not sets:
            way.clear()
        if sets:
            held = 0 if node is None else len(node.meta) if edit.meta is None else 0
            if node is not None and node.kids is not None:
                self._containers(node, None, leaving=False)
                self._objects[path, "value"] = _object(value + held)
            elif value + held > SMALL:
                self._objects[path, "value"] = _object(value + held)
            elif held:
                self._objects[path, "meta"] = held

    def _place(self, above: str, path: str, inside: int, parent: Node | None, *, new: bool) -> None:
        before = self._entries.get(path)
        if before is None and new:
            had, got = self._names.get(above, (0 if parent is None else parent.children, 0))
            self._names[above] = had, got + 1
        self._entries[path] = max(before or 0, inside)

    def _containers(self, node: Node, name: str | None, *, leaving: bool) -> None:
        """A node's own object with the container in it, and the containers below on the way to `name`."""
        kids, objects = node.kids, self._objects
        inside = len(node.value) + len(node.meta)
        if kids is None:
            objects[id(node)] = _object(inside)
            return
        left = name_hash(name) if name is not None and kids.__class__ is Wide else 0
        while kids is not None:
            key = id(kids)
            if key not in objects:
                objects[key] = _object(inside + _inside(kids))
            if kids.__class__ is not Wide or name is None:
                if kids is not node.kids and kids.__class__ is Bucket and name not in kids.names:
                    self._arrivals[key] = self._arrivals.get(key, 0) + 1
                    if len(kids.names) + self._arrivals[key] > FANOUT:
                        # A full set becomes 32.
                        objects[key, "spread"] = FANOUT * (CHARGE + FIXED) + _object(FANOUT * SET)
                return
            if leaving and kids.count <= 2 * FANOUT:
                # It may become one bucket again.
                objects[key, "gathered"] = _object(_inside(Bucket(entries(kids), 0)))
            kids = part(kids, left & (FANOUT - 1))
            left >>= BITS
            inside = 0

    def total(self) -> int:
        """Bytes of all of it."""
        cost = sum(self._objects.values()) + sum(self._entries.values())
        for had, got in self._names.values():
            if had + got > FANOUT:
                # A directory that is or becomes wide: a new name may begin a set, and so may one that moves.
                wides = 1 + (had + got) // (FANOUT + 1)
                sets = min(had + got if had <= FANOUT else got, FANOUT * wides)
                cost += sets * (CHARGE + FIXED) + min(wides, 1 + got) * _object(FANOUT * SET)
        return cost


def _inside(kids: Kids) -> int:
    """Bytes of a container, whole."""
    if kids.__class__ is Bucket:
        return ENTRY * len(kids.names) + weight(kids)
    return FANOUT * SET


def _object(size: int) -> int:
    """What an object of so many bytes counts for at most."""
    if size <= PIECE:
        return max(CHARGE, size + FIXED)
    return size + size // 16 + FIXED + 2 * CHARGE
