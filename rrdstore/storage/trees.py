"""Trees built again from objects of which some may be lost: whole ones, and what is left of the others.

Rule: a tree is whole if every object that it reaches can be read; then it is what was stored, in new parts without
numbers that are shared wherever objects were. Of one that is not, `holed` gives every place that can be read, in the
shape that these names have, and names the places that cannot: nothing is in it that was not there.
Cost: O(objects), each read once; memory for all that was built. No recursion over depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from rrdstore.errors import Corrupt, StoreError
from rrdstore.storage.codec import decode
from rrdstore.storage.packing import Missing
from rrdstore.tree.edit import new_edit
from rrdstore.tree.node import Bucket, Node, Stub, Wide, new_node, with_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rrdstore.tree.node import Kids, Stored

Part = Node | Bucket | Wide
Names = tuple[str, ...]
SOME = "*"
"""Stands for the names of a set that cannot be read, of which it is not known what they were."""


class _Left(NamedTuple):
    """What is left of a node that is not whole, and the places below it that are lost."""

    node: Node
    lost: tuple[Names, ...]


class _Nowhere:
    """The source of stubs that are resolved by hand."""

    keeps = True

    def load(self, number: int) -> Part:
        raise Corrupt(f"object {number}", "a part loaded before its time", "none")


class Trees:
    """Trees by the object number of their root. `read` gives kind and bytes of an object; Missing, Corrupt."""

    def __init__(self, read: Callable[[int], tuple[int, bytes]]) -> None:
        self._read = read
        self._whole: dict[int, Part] = {}
        self._torn: dict[int, Part | None] = {}
        """What is not whole: itself, with stubs, or None if it cannot be read."""
        self._left: dict[int, _Left] = {}
        self.faults: dict[int, str] = {}
        """Why objects cannot be read."""

    def whole(self, root: int) -> Node | None:
        """The tree, or None if anything of it is lost. O(objects not seen before)."""
        pending: dict[int, Part] = {}
        stack = [root]
        while stack:
            number = stack[-1]
            if number in self._whole or number in self._torn:
                stack.pop()
                continue
            part = pending.get(number) or self._load(number)
            if part is None:
                continue
            pending[number] = part
            below = list(_stubs(part))
            missing = [stub.number for stub in below if not self._known(stub.number) and stub.number < number]
            if missing:
                stack += missing
                continue
            del pending[number]
            if all(stub.number in self._whole for stub in below) and self._resolve(part):
                self._whole[number] = part
            else:
                self._torn[number] = part
        found = self._whole.get(root)
        return found if isinstance(found, Node) else None

    def _known(self, number: int) -> bool:
        return number in self._whole or number in self._torn

    def _load(self, number: int) -> Part | None:
        try:
            kind, data = self._read(number)
            part = decode(kind, data, number, _Nowhere())
        except Missing:
            self.faults[number] = "nothing"
        except StoreError as fault:
            self.faults[number] = str(fault)
        else:
            cast("Stored", part).number = 0
            if isinstance(part, Node) and part.kids is not None:
                part.kids.number = 0
            return part
        self._torn[number] = None
        return None

    def _resolve(self, part: Part) -> bool:
        """Put the parts below in the place of their stubs; whether they are of the kind that belongs there."""
        kids = part.kids if isinstance(part, Node) else cast("Kids | None", part)
        if kids.__class__ is Bucket:
            for name, child in kids.names.items():
                if child.__class__ is Stub:
                    node = self._whole[child.number]
                    if not isinstance(node, Node):
                        return False
                    kids.names[name] = node
        elif kids is not None:
            slots = cast("Wide", kids).slots
            for index, below in enumerate(slots):
                if below.__class__ is Stub:
                    found = self._whole[below.number]
                    if isinstance(found, Node):
                        return False
                    slots[index] = found
        return True

    # What is left

    def holed(self, root: int) -> tuple[Node | None, list[Names]]:
        """What can be read of a tree, None if its root cannot, and the places that cannot. O(what is not whole)."""
        found = self.whole(root)
        if found is not None:
            return found, []
        if not isinstance(self._torn.get(root), Node):
            return None, []
        stack = [root]
        while stack:
            number = stack[-1]
            if number in self._left:
                stack.pop()
                continue
            node = cast("Node", self._torn[number])
            torn = [below for _, below in self._entries(node.kids) if below.__class__ is int and below]
            missing = [below for below in torn if below not in self._left]
            if missing:
                stack += missing
            else:
                self._left[number] = self._pruned(node)
        return self._left[root].node, list(self._left[root].lost)

    def _pruned(self, torn: Node) -> _Left:
        kids: Kids | None = None
        mark = new_edit()
        lost: list[Names] = []
        for name, below in self._entries(torn.kids):
            if isinstance(below, Node):
                kids = with_child(kids, name, below, mark)
            elif below:
                left = self._left[below]
                kids = with_child(kids, name, left.node, mark)
                lost += [(name, *rest) for rest in left.lost]
            else:
                lost.append((name,))
        return _Left(new_node(torn.value, torn.meta, torn.created, torn.modified, kids), tuple(lost))

    def _entries(self, kids: Kids | None) -> Iterator[tuple[str, Node | int]]:
        """Names with their whole nodes, the numbers of those that are torn, or 0; SOME with 0 where a set is lost."""
        if kids is None:
            return
        if kids.__class__ is Bucket:
            for name, child in kids.names.items():
                yield name, child if isinstance(child, Node) else self._node(child.number)
            return
        for below in cast("Wide", kids).slots:
            found = self._part(below.number) if below.__class__ is Stub else below
            if found.__class__ is Bucket or found.__class__ is Wide:
                yield from self._entries(found)
            elif below is not None:
                yield SOME, 0

    def _part(self, number: int) -> Part | None:
        return self._whole.get(number) or self._torn.get(number)

    def _node(self, number: int) -> Node | int:
        found = self._part(number)
        if not isinstance(found, Node):
            return 0
        return found if number in self._whole else number


def _stubs(part: Part) -> Iterator[Stub]:
    kids = part.kids if isinstance(part, Node) else cast("Kids | None", part)
    if kids is None:
        return
    below = kids.names.values() if kids.__class__ is Bucket else cast("Wide", kids).slots
    for one in below:
        if one.__class__ is Stub:
            yield one
