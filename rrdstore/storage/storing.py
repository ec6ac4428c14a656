"""Storing a tree beside the one before it: what is new gets numbers, the rest is shared.

Rule: a part is shared if the tree before has the same object at the same place (path, or set of a wide
directory), and in no other case. What came from elsewhere, by a merge or a revert, has a number already and
is written again under a new one: of an object, all trees that hold it are then neighbours in one line, so
it can be freed by looking at two neighbours alone (`freeing`). Sharing by content, or with other lines,
would lose live data at the first drop.
A part that has no number gets one in place; what is to be written again is copied first, and the parent,
which is new itself, is pointed at the copy. What is stored never changes; a copy's content is the same.
What the tree before has and this one has not is found on the way, and remembered (`replaced`): when that commit is
dropped, this is what dies with it (`kept`), and no object need be read.
Children before parents, no recursion over depth. Parts are found first and written then, some at a time, so that their
numbers, their room and their checksums cost one call for all. Cost: O(what differs x 32), 4 to 8 us a part.
"""

from __future__ import annotations

from itertools import compress
from operator import is_not
from typing import TYPE_CHECKING, Any, cast

from rrdstore.errors import Corrupt
from rrdstore.storage.codec import encode, is_inline
from rrdstore.storage.packing import LENGTH_BITS
from rrdstore.storage.replaced import MOST
from rrdstore.storage.splice import Key, Part, Written
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.node import BITS, FANOUT, Bucket, Inode, Node, Stub, Wide, name_hash

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rrdstore.storage.objects import Objects
    from rrdstore.tree.node import Kids, Stored

Work = tuple[Part, "Part | Stub | None", int]
"""A part to be written, what the tree before has in its place, and its levels of hash; -1 when all below it is done."""


_WRITTEN_AT_ONCE = 32
"""Parts that a step writes."""
_LONGEST_WAY = 16
_REMEMBERED = 8192
"""Objects of which the bytes are remembered, to be spliced: those of one piece."""
_REMEMBERED_OF_ONE = 128
"""Of one tree so many: of what changes in more places little will be spliced."""
_SETS = range(FANOUT)


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
        return tuple(self._replaced) if self._all_known else None

    def store(self, root: Node, before: Node | None) -> Generator[bool, None, Node]:
        """`root`, or an equal tree, with all its objects written, in steps; Held, Unwritable, Corrupt, StoreFull."""
        self._replaced.clear()
        self._all_known = True
        if before is not None and (root is before or (root.number and root.number == before.number)):
            return before
        if root.number or root is EMPTY:
            root = cast("Node", _copied(root))
        stack: list[Work] = [(root, before, 0)]
        done: list[Part] = []
        written = 0
        while stack:
            part, was, depth = stack.pop()
            below = self._below(part, was, depth) if depth >= 0 else None
            if below:
                stack.append((part, None, -1))
                stack += below
                continue
            done.append(part)
            if len(done) == _WRITTEN_AT_ONCE:
                self._write(done, remember=written < _REMEMBERED_OF_ONE)
                written += len(done)
                done.clear()
                yield False
        if done:
            self._write(done, remember=written < _REMEMBERED_OF_ONE)
        return root

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
            if len(way) == _LONGEST_WAY:
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
        below = 0
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
            below = number
        replaced.reverse()
        sizes = objects.add_run(numbers, [(one.kind, one.data) for one in run])
        if len(remembered) >= _REMEMBERED:
            remembered.clear()
        for number, written, size in zip(numbers, run, sizes, strict=True):
            written.packed = number << LENGTH_BITS | size
            if size:
                remembered[number] = written
        return True

    def _write(self, parts: list[Part], *, remember: bool) -> None:
        """Write these, of which each comes after all that it refers to."""
        objects, numbered, remembered = self._objects, self._numbered, self._written
        numbers = objects.numbers(len(parts))
        numbered += parts
        run: list[tuple[int, bytes | bytearray]] = []
        part: Any
        kids: Any
        for number, part in zip(numbers, parts, strict=True):
            part.number = number
            if part.__class__ is Inode:
                kids = part.kids
                if kids is not None and not kids.number:
                    kids.number = number
                    numbered.append(kids)
            run.append(encode(part))
        sizes = objects.add_run(numbers, run)
        if remember:
            if len(remembered) >= _REMEMBERED:
                remembered.clear()
            for number, (kind, data), size in zip(numbers, run, sizes, strict=True):
                if size:
                    remembered[number] = Written(kind, data, number << LENGTH_BITS | size)

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

    def _below(self, part: Any, was: Any, depth: int) -> list[Work]:
        """What in a part needs an object of its own that the tree before does not have at the same place."""
        if was is None:
            new = part.kids if part.__class__ is Inode else part
            return [] if new is None else self._in_new(part, new, depth)
        if was.__class__ is Stub:
            try:
                was = was.load()
            except Corrupt:
                # What cannot be read cannot be shared: all of this part is written again.
                self._all_known = False
                return self._below(part, None, depth)
        if was.number:
            self._replace(was.number)
        kids: Any = part
        olds: Any = was
        if part.__class__ is Inode:
            kids, olds = part.kids, was.kids if isinstance(was, Node) else None
        if kids is olds:
            return []
        if kids is None:
            self._all_known = False
            return []
        if olds is None:
            return self._in_new(part, kids, 0)
        if kids.number and kids.number == olds.number:
            return []
        if kids.__class__ is Bucket:
            if olds.__class__ is Bucket:
                return self._in_bucket(part, kids.names, olds.names)
        elif olds.__class__ is Wide:
            return self._in_sets(part, kids.slots, olds.slots, depth)
        return self._anew(part, kids, olds, depth)

    def _replace(self, number: int) -> None:
        """Note that the tree before has this object, and the one being stored has not."""
        written, replaced = self._written.pop(number, None), self._replaced
        if len(replaced) < MOST:
            replaced.append(number << LENGTH_BITS if written is None else written.packed)
        else:
            self._all_known = False

    def _in_new(self, part: Any, kids: Any, depth: int) -> list[Work]:
        """The same where nothing was."""
        if kids.__class__ is not Bucket:
            return self._anew(part, kids, None, depth)
        names: dict[str, Any] = kids.names
        work: list[Work] = [(node, None, 0) for node in names.values() if node.__class__ is not Node]
        for node, _, _ in work:
            if node.number or node.kids is None:  # type: ignore[union-attr]  # a node, as a stub has a number
                work = []
                for name, other in list(names.items()):
                    self._compare(work, part, name, other, None)
                break
        return work

    def _in_bucket(self, part: Any, names: dict[str, Any], olds: dict[str, Any]) -> list[Work]:
        """The same for two buckets."""
        work: list[Work] = []
        for name, node in names.items():
            if node.__class__ is not Node:
                before = olds.get(name)
                if node is not before:
                    self._compare(work, part, name, node, before)
        if self._all_known:
            for name, before in olds.items():
                if before.__class__ is not Node and before.number and not _is_object(names.get(name)):
                    # What is gone, or is a small leaf now, may have had objects below.
                    self._all_known = False
                    break
        return work

    def _compare(self, work: list[Work], part: Any, name: str, node: Any, before: Any) -> None:
        if _is_object(node) and not _same(node, before):
            work.append((_own(part, name, node), before, 0))

    def _in_sets(self, part: Any, slots: list[Any], olds: list[Any], depth: int) -> list[Work]:
        """The same for two wide sets."""
        work: list[Work] = []
        triples = zip(_SETS, slots, olds, strict=True)
        for index, below, before in list(compress(triples, map(is_not, slots, olds))):
            if below is None:
                self._all_known = False
            elif not _same(below, before):
                work.append((_own(part, index, below), before, depth + 1))
        return work

    def _anew(self, part: Any, kids: Any, was: Any, depth: int) -> list[Work]:
        """The same where what was there has another shape, or nothing was."""
        if was is not None:
            self._all_known = False
        work: list[Work] = []
        if kids.__class__ is Bucket:
            for name, node in list(kids.names.items()):
                self._compare(work, part, name, node, _under(was, name, depth))
        else:
            # A bucket before, where now is a wide set: its names lie in any of the sets.
            for index, below in enumerate(list(kids.slots)):
                if below is not None:
                    work.append((_own(part, index, below), was, depth + 1))
        return work


def _own(parent: Any, key: Any, part: Any) -> Any:
    """`part` itself if it has no number, else an equal one in its place under `key` of an unsaved parent."""
    if part.__class__ is Stub:
        part = part.load()
    if not part.number:
        return part
    own = _copied(part)
    kids: Any = parent
    if parent.__class__ is Inode:
        kids = parent.kids
        if kids.number:
            # Some stored node has it too: leave it that one.
            kids = parent.kids = _copied(kids)
    if kids.__class__ is Bucket:
        kids.names[key] = own
    else:
        kids.slots[key] = own
    return own


def _is_object(node: Any) -> bool:
    """Whether what stands under a name, a stub too, has or will have an object of its own."""
    return node is not None and node.__class__ is not Node and (node.__class__ is Stub or not is_inline(node))


def _copied(part: Any) -> Any:
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
