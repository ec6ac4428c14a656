"""Storing a tree beside the one before it: what is new gets numbers, the rest is shared.

Rule: a part is shared if the tree before has the same object at the same place (path, or set of a wide
directory), and in no other case. What came from elsewhere, by a merge or a revert, has a number already and
is written again under a new one: of an object, all trees that hold it are then neighbours in one line, so
it can be freed by looking at two neighbours alone (`freeing`). Sharing by content, or with other lines,
would lose live data at the first drop.
A part that has no number gets one in place; what is to be written again is copied first, and the parent,
which is new itself, is pointed at the copy. What is stored never changes; a copy's content is the same.
Children before parents, no recursion over depth. Cost: O(what differs x 32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rrdstore.errors import Corrupt
from rrdstore.storage.codec import encode, is_inline
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.node import BITS, FANOUT, Bucket, Inode, Node, Stub, Wide, name_hash

if TYPE_CHECKING:
    from collections.abc import Generator

    from rrdstore.storage.objects import Objects
    from rrdstore.tree.node import Kids

Part = Node | Bucket | Wide
Key = str | int
"""The name of a node in its bucket, or the index of a set in its wide set."""
Work = tuple[Key, "Part | Stub", "Part | Stub | None", int]
"""A part to be written: its key, itself, what the tree before has in its place, and its levels of hash."""


_WRITTEN_AT_ONCE = 16
"""Parts that a step writes, about."""


class _Frame:
    """A part being written: what of it is left to do before it is."""

    __slots__ = ("below", "key", "part", "work")

    def __init__(self, part: Part, work: list[Work]) -> None:
        self.part, self.work = part, work
        self.key: Key = ""
        self.below: Part | Stub | None = None


class Storing:
    """Writes trees as objects, and can take the numbers back that it gave."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._numbered: list[Part] = []

    def store(self, root: Node, before: Node | None) -> Generator[bool, None, Node]:
        """`root`, or an equal tree, with all its objects written, in steps; Held, Unwritable, Corrupt, StoreFull."""
        if before is not None and (root is before or (root.number and root.number == before.number)):
            return before
        stack = [_opened(root, before, 0)]
        while True:
            frame = stack[-1]
            if frame.work:
                frame.key, frame.below, was, depth = frame.work.pop()
                stack.append(_opened(frame.below, was, depth))
                continue
            stack.pop()
            self._write(frame.part)
            if not len(self._numbered) % _WRITTEN_AT_ONCE:
                yield False
            if not stack:
                return cast("Node", frame.part)
            parent = stack[-1]
            if frame.part is not parent.below:
                _point(parent.part, parent.key, frame.part)

    def _write(self, part: Part) -> None:
        number = self._objects.number()
        kind, data = encode(part, number)
        part.number = number
        self._numbered.append(part)
        if isinstance(part, Node) and part.kids is not None and not part.kids.number:
            part.kids.number = number
            self._numbered.append(part.kids)
        self._objects.add(kind, data, number)

    def undo(self) -> None:
        """Take back all numbers given since the last `done`: the objects are not in the file."""
        for part in self._numbered:
            part.number = 0
        self._numbered.clear()

    def done(self) -> None:
        """The objects are in the file."""
        self._numbered.clear()


def _opened(part: Part | Stub, was: Part | Stub | None, depth: int) -> _Frame:
    if part.__class__ is Stub:
        part = part.load()
    if was.__class__ is Stub:
        try:
            was = was.load()
        except Corrupt:
            was = None  # What cannot be read cannot be shared: all of this part is written again.
    own = cast("Part", part)
    if own.number or own is EMPTY:
        own = _copied(own)
    if isinstance(own, Node):
        kids = own.kids
        if kids is None:
            return _Frame(own, [])
        return _Frame(own, _differing(kids, was.kids if isinstance(was, Node) else None, 0))
    return _Frame(own, _differing(own, cast("Kids | None", was), depth))


def _copied(part: Part) -> Part:
    copy: Part
    if isinstance(part, Node):
        copy = Inode(part.value, part.meta, part.created, part.modified, part.kids)
    elif part.__class__ is Bucket:
        copy = Bucket(dict(part.names), 0)
        copy.order = part.order
    else:
        wide = cast("Wide", part)
        copy = Wide(wide.slots.copy(), wide.count, 0)
        copy.order = wide.order
    copy.hashed = part.hashed
    return copy


def _point(parent: Part, key: Key, part: Part) -> None:
    """Put `part`, equal to what is there, under `key` of an unsaved parent."""
    container = cast("Kids", parent)
    if isinstance(parent, Node):
        container = cast("Kids", parent.kids)
        if container.number:
            # Some stored node has it too: leave it that one.
            container = cast("Inode", parent).kids = cast("Kids", _copied(container))
    if container.__class__ is Bucket:
        container.names[cast("str", key)] = cast("Node", part)
    else:
        cast("Wide", container).slots[cast("int", key)] = cast("Kids", part)


def _differing(kids: Kids, was: Kids | None, depth: int) -> list[Work]:
    """What in `kids` needs an object of its own that `was`, at the same place, does not have there."""
    if kids is was or (was is not None and kids.number and kids.number == was.number):
        return []
    work: list[Work] = []
    if kids.__class__ is Bucket:
        old = was.names if was.__class__ is Bucket else None
        for name, node in kids.names.items():
            before = old.get(name) if old is not None else _under(was, name, depth)
            if node is before or (isinstance(node, Node) and is_inline(node)):
                continue
            if not (node.number and before is not None and node.number == before.number):
                work.append((name, node, before, 0))
        return work
    slots = cast("Wide", kids).slots
    olds = was.slots if was.__class__ is Wide else None
    for index in range(FANOUT):
        below = slots[index]
        if below is None:
            continue
        # A bucket before, where now is a wide set: its names lie in any of the sets.
        set_before = olds[index] if olds is not None else was
        if below is set_before:
            continue
        if not (below.number and set_before is not None and below.number == set_before.number):
            work.append((index, below, set_before, depth + 1))
    return work


def _under(kids: Kids | None, name: str, depth: int) -> Node | Stub | None:
    """What `kids`, `depth` levels of hash down, have under a name, not loaded."""
    left = name_hash(name) >> (BITS * depth) if kids is not None else 0
    while kids.__class__ is Wide:
        below = kids.slots[left & (FANOUT - 1)]
        if below.__class__ is Stub:
            below = cast("Kids", below.load())
        kids = cast("Kids | None", below)
        left >>= BITS
    return None if kids is None else cast("Bucket", kids).names.get(name)
