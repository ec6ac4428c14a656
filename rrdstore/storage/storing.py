"""Storing a tree beside the one before it: what is new gets numbers, the rest is shared.

Rule: a part is shared if the tree before has the same object at the same place (path, or set of a wide
directory), and in no other case. What came from elsewhere, by a merge or a revert, has a number already and
is written again under a new one: of an object, all trees that hold it are then neighbours in one line, so
it can be freed by looking at two neighbours alone (`freeing`). Sharing by content, or with other lines,
would lose live data at the first drop.
A part that has no number gets one in place; what is to be written again is copied first, and the parent,
which is new itself, is pointed at the copy. What is stored never changes; a copy's content is the same.
What the tree before has and this one has not is found on the way, and remembered if it is little: when that commit is
dropped, this is what dies with it (`kept`), and no object need be read.
Children before parents, no recursion over depth. Cost: O(what differs x 32).
"""

from __future__ import annotations

from itertools import compress
from operator import is_not
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
Names = dict[str, Node | Stub]
Key = str | int
"""The name of a node in its bucket, or the index of a set in its wide set."""
Work = tuple[Key, "Part | Stub", "Part | Stub | None", int]
"""A part to be written: its key, itself, what the tree before has in its place, and its levels of hash."""


_WRITTEN_AT_ONCE = 16
"""Parts that a step writes, about."""
_REMEMBERED = 16384
"""Objects whose length is remembered."""
LENGTH_BITS = 24
LENGTH = (1 << LENGTH_BITS) - 1
MOST_REPLACED = 128
"""What a commit replaces is remembered up to so many objects; of more, it is found out when it matters."""


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
        self._lengths: dict[int, int] = {}
        """What objects written lately take, if each is in one piece."""
        self._replaced: list[int] = []
        self._all_known = True

    @property
    def replaced(self) -> tuple[int, ...] | None:
        """What the tree before has and the one stored last has not: number << 24 | length (0: not known) of each.

        None if it was not found out, or is too much to be remembered.
        """
        return tuple(self._replaced) if self._all_known and len(self._replaced) <= MOST_REPLACED else None

    def store(self, root: Node, before: Node | None) -> Generator[bool, None, Node]:
        """`root`, or an equal tree, with all its objects written, in steps; Held, Unwritable, Corrupt, StoreFull."""
        self._replaced.clear()
        self._all_known = True
        if before is not None and (root is before or (root.number and root.number == before.number)):
            return before
        stack = [self._opened(root, before, 0)]
        while True:
            frame = stack[-1]
            if frame.work:
                frame.key, frame.below, was, depth = frame.work.pop()
                stack.append(self._opened(frame.below, was, depth))
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
        objects, lengths = self._objects, self._lengths
        number = objects.number()
        kind, data = encode(part, number)
        part.number = number
        self._numbered.append(part)
        if isinstance(part, Node) and part.kids is not None and not part.kids.number:
            part.kids.number = number
            self._numbered.append(part.kids)
        if len(lengths) >= _REMEMBERED:
            lengths.clear()
        lengths[number] = objects.write(number, kind, data)

    def undo(self) -> None:
        """Take back all numbers given since the last `done`: the objects are not in the file."""
        for part in self._numbered:
            part.number = 0
        self._numbered.clear()
        self._lengths.clear()

    def done(self) -> None:
        """The objects are in the file."""
        self._numbered.clear()

    def _opened(self, part: Part | Stub, was: Part | Stub | None, depth: int) -> _Frame:
        if part.__class__ is Stub:
            part = part.load()
        if was.__class__ is Stub:
            try:
                was = was.load()
            except Corrupt:
                # What cannot be read cannot be shared: all of this part is written again.
                was, self._all_known = None, False
        own = cast("Part", part)
        if own.number or own is EMPTY:
            own = _copied(own)
        old = cast("Part | None", was)
        if old is not None and old.number:
            self._replaced.append(old.number << LENGTH_BITS | self._lengths.pop(old.number, 0))
        if isinstance(own, Node):
            kids, before = own.kids, old.kids if isinstance(old, Node) else None
            if kids is None:
                if before is not None:
                    self._all_known = False
                return _Frame(own, [])
            return _Frame(own, self._differing(kids, before, 0))
        return _Frame(own, self._differing(own, cast("Kids | None", old), depth))

    def _differing(self, kids: Kids, was: Kids | None, depth: int) -> list[Work]:
        """What in `kids` needs an object of its own that `was`, at the same place, does not have there."""
        if kids is was or (was is not None and kids.number and kids.number == was.number):
            return []
        if was is not None and was.__class__ is not kids.__class__:
            self._all_known = False
        elif kids.__class__ is Bucket:
            if was is not None:
                return self._in_bucket(kids.names, was.names)  # type: ignore[union-attr]  # of the same class
        else:
            return self._in_sets(cast("Wide", kids), cast("Wide | None", was), depth)
        return _anew(kids, was, depth)

    def _in_bucket(self, names: Names, olds: Names) -> list[Work]:
        """The same for two buckets: most of their names lead to the very same nodes, and in the same order."""
        work: list[Work] = []
        if tuple(names) != tuple(olds):
            for name, node in names.items():
                before = olds.get(name)
                if node is not before:
                    self._compare(work, name, node, before)
            if any(olds[name].number for name in olds.keys() - names.keys()):
                self._all_known = False
            return work
        pairs = zip(names, names.values(), olds.values(), strict=True)
        for name, node, before in compress(pairs, map(is_not, names.values(), olds.values())):
            self._compare(work, name, node, before)
        return work

    def _compare(self, work: list[Work], name: str, node: Node | Stub, before: Node | Stub | None) -> None:
        if isinstance(node, Node) and is_inline(node):
            if before is not None and before.number:
                self._all_known = False  # What was an object, with objects below perhaps, is a small leaf.
            return
        if not _same(node, before):
            work.append((name, node, before, 0))

    def _in_sets(self, wide: Wide, was: Wide | None, depth: int) -> list[Work]:
        slots = wide.slots
        olds = [None] * FANOUT if was is None else was.slots
        work: list[Work] = []
        triples = zip(range(FANOUT), slots, olds, strict=True)
        for index, below, before in compress(triples, map(is_not, slots, olds)):
            if below is None:
                self._all_known = False
            elif not _same(below, before):
                work.append((index, below, before, depth + 1))
        return work


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


def _anew(kids: Kids, was: Kids | None, depth: int) -> list[Work]:
    """What in `kids` needs an object of its own, where `was` is of another shape or nothing."""
    if kids.__class__ is Bucket:
        return [
            (name, node, _under(was, name, depth), 0)
            for name, node in kids.names.items()
            if not (isinstance(node, Node) and is_inline(node)) and not _same(node, _under(was, name, depth))
        ]
    # A bucket before, where now is a wide set: its names lie in any of the sets.
    return [(index, below, was, depth + 1) for index, below in enumerate(cast("Wide", kids).slots) if below is not None]


def _same(part: Part | Stub, was: Part | Stub | None) -> bool:
    """Whether two parts are one object."""
    return part is was or (part.number != 0 and was is not None and part.number == was.number)


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
