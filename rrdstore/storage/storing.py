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
from typing import TYPE_CHECKING, Any, cast

from rrdstore.errors import Corrupt
from rrdstore.storage.codec import encode, is_inline
from rrdstore.storage.objects import HEADER, LENGTH_BITS
from rrdstore.storage.splice import Change, Key, Part, Written
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.node import BITS, FANOUT, Bucket, Inode, Node, Stub, Wide, name_hash

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rrdstore.storage.objects import Objects
    from rrdstore.tree.node import Kids, Stored

Names = dict[str, Node | Stub]
Work = tuple[Key, "Part | Stub", "Part | Stub | None", int]
"""A part to be written: its key, itself, what the tree before has in its place, and its levels of hash."""


_WRITTEN_AT_ONCE = 16
"""Parts that a step writes, about."""
_REMEMBERED = 8192
"""Objects of which the bytes are remembered, to be spliced: those of one piece."""
MOST_REPLACED = 128
"""What a commit replaces is remembered up to so many objects; of more, it is found out when it matters."""
_SETS = range(FANOUT)
_MOST_CHANGES = 8
"""Changes in one part that are put into the bytes that were; more are not worth it."""


class _Frame:
    """A part being written: what of it is left to do before it is, and what it was."""

    __slots__ = ("below", "changes", "key", "part", "was", "work", "written")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.work: list[Work] = []
        self.key: Key = ""
        self.below: Part | Stub | None = None
        self.was: Part | None = None
        self.written: Written | None = None
        """The bytes of what it was, if they are remembered."""
        self.changes: list[Change] | None = None
        """All that is not as it was; None if that cannot be said, or is more than this."""


class Storing:
    """Writes trees as objects, and can take the numbers back that it gave."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._numbered: list[Part] = []
        self._written: dict[int, Written] = {}
        self._replaced: list[int] = []
        self._all_known = True

    @property
    def replaced(self) -> tuple[int, ...] | None:
        """What the tree before has and the one stored last has not: number << LENGTH_BITS | length (0: not known).

        Parents first. None if it was not found out, or is too much to be remembered.
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
            self._write(frame)
            if not len(self._numbered) % _WRITTEN_AT_ONCE:
                yield False
            if not stack:
                return cast("Node", frame.part)
            parent = stack[-1]
            if frame.part is not parent.below:
                _point(parent.part, parent.key, frame.part)

    def along(self, root: Node, before: Node) -> bool:
        """Store what most commits are, one value set again: all new parts lie on one way. False if it is not so."""
        way: list[tuple[Any, Any, Key]] = []
        part: Any = root  # not cast at each step: a cast is a call
        was: Any = before
        while part.__class__ is not Node:
            kids, olds = part, was
            if part.__class__ is Inode:
                kids, olds = part.kids, was.kids
                if (
                    part.value is not was.value
                    or part.meta is not was.meta
                    or part.modified != was.modified
                    or part.created != was.created
                ):
                    return False
            if part.number or not was.number or kids.__class__ is not olds.__class__:
                return False
            names: Any
            if kids.__class__ is Bucket:
                names, others = kids.names, olds.names
                found: Any = list(compress(names, map(is_not, names.values(), others.values())))
                if len(found) != 1 or tuple(names) != tuple(others):
                    return False
            elif kids.__class__ is Wide and kids.count == olds.count:
                names, others = kids.slots, olds.slots
                found = list(compress(_SETS, map(is_not, names, others)))
                if len(found) != 1:
                    return False
            else:
                return False
            if kids.number:
                return False
            if len(way) == _WRITTEN_AT_ONCE:
                return False
            key = found[0]
            way.append((part, was, key))
            part, was = names[key], others[key]
            if part.__class__ is not was.__class__:
                return False
        if not is_inline(part):
            return False
        return self._add_way(way, part, was)

    def _add_way(self, way: list[tuple[Any, Any, Key]], leaf: Node, before: Node) -> bool:
        objects, remembered, numbered, replaced = self._objects, self._written, self._numbered, self._replaced
        numbers = objects.numbers(len(way))
        replaced.clear()
        self._all_known = True
        run: list[Written] = []
        size = below = 0
        part: Any
        kids: Any
        for number, (part, was, key) in zip(numbers, reversed(way), strict=True):
            written = remembered.pop(was.number, None)
            replaced.append(was.number << LENGTH_BITS if written is None else written.packed)
            cast("Stored", part).number = number
            numbered.append(part)
            if part.__class__ is Inode:
                kids = part.kids
                kids.number = number
                numbered.append(kids)
            if written is None or not (
                written.splice_number(was, key, below) if below else written.splice_value(was, key, leaf, before)
            ):
                written = Written(*encode(part))
            run.append(written)
            size += len(written.data)
            below = number
        replaced.reverse()
        if size + len(way) * (HEADER + objects.grain) <= objects.most:
            sizes = objects.add_run(numbers, [(one.kind, one.data) for one in run])
        else:
            sizes = [objects.write(number, one.kind, one.data) for number, one in zip(numbers, run, strict=True)]
        if len(remembered) >= _REMEMBERED:
            remembered.clear()
        for number, written, size in zip(numbers, run, sizes, strict=True):
            written.packed = number << LENGTH_BITS | size
            if size:
                remembered[number] = written
        return True

    def _write(self, frame: _Frame) -> None:
        part, written, changes = frame.part, frame.written, frame.changes
        if not (
            written is not None
            and changes is not None
            and frame.was is not None
            and written.splice(part, frame.was, changes)
        ):
            written = Written(*encode(part))
        self._add(part, written)

    def _add(self, part: Part, written: Written) -> None:
        (number,) = self._objects.numbers(1)
        numbered, remembered = self._numbered, self._written
        cast("Stored", part).number = number
        numbered.append(part)
        if isinstance(part, Node) and part.kids is not None and not part.kids.number:
            part.kids.number = number
            numbered.append(part.kids)
        size = self._objects.write(number, written.kind, written.data)
        written.packed = number << LENGTH_BITS | size
        if size:
            if len(remembered) >= _REMEMBERED:
                remembered.clear()
            remembered[number] = written

    @property
    def numbered(self) -> Sequence[Part]:
        """What was written since the last `done`."""
        return self._numbered

    def undo(self) -> None:
        """Take back all numbers given since the last `done`: the objects are not in the file."""
        for part in self._numbered:
            cast("Stored", part).number = 0
        self._numbered.clear()
        self._written.clear()

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
        own, old = cast("Part", part), cast("Part | None", was)
        if own.number or own is EMPTY:
            own = _copied(own)
        frame = _Frame(own)
        if old is not None and old.number:
            written = self._written.pop(old.number, None)
            self._replaced.append(old.number << LENGTH_BITS if written is None else written.packed)
            frame.was, frame.written = old, written
        if isinstance(own, Node):
            kids, before = own.kids, old.kids if isinstance(old, Node) else None
            if kids is None:
                if before is not None:
                    self._all_known = False
                return frame
            self._differing(frame, kids, before, 0)
            if not isinstance(old, Node) or not _same_head(own, old):
                frame.changes = None
        else:
            self._differing(frame, own, cast("Kids | None", old), depth)
        return frame

    def _differing(self, frame: _Frame, kids: Kids, was: Kids | None, depth: int) -> None:
        """What in `kids` needs an object of its own that `was`, at the same place, does not have there."""
        if kids is was or (was is not None and kids.number and kids.number == was.number):
            frame.changes = []
        elif was is not None and was.__class__ is not kids.__class__:
            self._all_known = False
            frame.work = _anew(kids, was, depth)
        elif was is None:
            frame.work = _anew(kids, was, depth)
        elif kids.__class__ is Bucket:
            self._in_bucket(frame, kids.names, was.names)  # type: ignore[union-attr]  # of the same class
        else:
            self._in_sets(frame, cast("Wide", kids), cast("Wide", was), depth)

    def _in_bucket(self, frame: _Frame, names: Names, olds: Names) -> None:
        """The same for two buckets: most of their names lead to the very same nodes, and in the same order."""
        work = frame.work
        if tuple(names) != tuple(olds):
            for name, node in names.items():
                before = olds.get(name)
                if node is not before:
                    self._compare(work, name, node, before)
            if any(olds[name].number for name in olds.keys() - names.keys()):
                self._all_known = False
            return
        pairs = zip(names, names.values(), olds.values(), strict=True)
        changes: list[Change] = []
        for name, node, before in compress(pairs, map(is_not, names.values(), olds.values())):
            if not _same(node, before):
                changes.append((name, before))
                self._compare(work, name, node, before)
        if len(changes) <= _MOST_CHANGES:
            frame.changes = changes

    def _compare(self, work: list[Work], name: str, node: Node | Stub, before: Node | Stub | None) -> None:
        if isinstance(node, Node) and is_inline(node):
            if before is not None and before.number:
                self._all_known = False  # What was an object, with objects below perhaps, is a small leaf.
        elif not _same(node, before):
            work.append((name, node, before, 0))

    def _in_sets(self, frame: _Frame, wide: Wide, was: Wide, depth: int) -> None:
        slots, olds = wide.slots, was.slots
        changes: list[Change] = []
        triples = zip(range(FANOUT), slots, olds, strict=True)
        for index, below, before in compress(triples, map(is_not, slots, olds)):
            if below is None:
                self._all_known = False
            elif _same(below, before):
                continue
            else:
                frame.work.append((index, below, before, depth + 1))
            changes.append((index, before))
        if len(changes) <= _MOST_CHANGES and wide.count == was.count:
            frame.changes = changes


def _same_head(node: Node, was: Node) -> bool:
    """Whether two nodes differ in what is below them at most."""
    return (
        node.modified == was.modified
        and node.created == was.created
        and node.value == was.value
        and node.meta == was.meta
    )


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
    container = cast("Kids", parent.kids if isinstance(parent, Node) else parent)
    if isinstance(parent, Node) and container.number:
        # Some stored node has it too: leave it that one.
        container = cast("Inode", parent).kids = cast("Kids", _copied(container))
    if container.__class__ is Bucket:
        container.names[cast("str", key)] = cast("Node", part)
    else:
        cast("Wide", container).slots[cast("int", key)] = cast("Kids", part)


def _anew(kids: Kids, was: Kids | None, depth: int) -> list[Work]:
    """What in `kids` needs an object of its own, where `was` is of another shape or nothing."""
    if was is None and kids.__class__ is Bucket:
        inner = [(name, node) for name, node in kids.names.items() if node.__class__ is not Node]
        return [(name, node, None, 0) for name, node in inner if not (isinstance(node, Node) and is_inline(node))]
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
