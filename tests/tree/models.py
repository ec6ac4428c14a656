"""What trees are held against: flat dicts, the shape by its definition, and a source that counts its loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3
from hypothesis import strategies as st

from rrdstore.tree import edit
from rrdstore.tree.node import SMALL, Bucket, Inode, Node, Stub, Wide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Names = tuple[str, ...]
Content = tuple[bytes, bytes]  # value, meta
Model = dict[Names, Content]  # every place of a tree, the root among them

EMPTY: Model = {(): (b"", b"")}

# A tree as a model is hashable by nothing and small: few names, so that changes meet.
few = st.sampled_from(["a", "b", "\U0001f600"])
many = st.integers(0, 120).map("n{}".format)
places = st.lists(few, max_size=3).map(tuple) | st.tuples(st.sampled_from(["a", "w"]), many)
contents = st.sampled_from([b"", b"0", b"1", b"22"])
metas = st.none() | st.sampled_from([b"", b"m", b"n"])
sets = st.tuples(st.just("set"), places, contents, metas)
removals = st.tuples(st.just("remove"), places)
steps = st.lists(sets | sets | sets | removals, max_size=25)
"""Changes to make; a removal of the root or of nothing does nothing."""


def wide(base: str, names: range) -> list[tuple[str, Names, bytes, None]]:
    """The steps that make many names below one place, so that its set is a wide one."""
    return [("set", (base, f"n{index}"), b"w", None) for index in names]


def beneath(model: Model, names: Names) -> Model:
    """The part of a model at and below a place."""
    return {place: content for place, content in model.items() if place[: len(names)] == names}


def step_model(model: Model, step: tuple) -> None:
    """Do a step to a model."""
    kind, names, *content = step
    if kind == "set":
        for depth in range(len(names)):
            model.setdefault(names[:depth], (b"", b""))
        value, meta = content
        model[names] = (value, model.get(names, (b"", b""))[1] if meta is None else meta)
    elif names:
        for place in beneath(model, names):
            del model[place]


def step_root(root: Node, step: tuple, number: int, mark: int) -> Node:
    """Do a step to a tree."""
    kind, names, *content = step
    if kind == "set":
        return edit.put(root, names, *content, number, mark)
    if names and edit.find(root, names) is not None:
        return edit.remove(root, names, mark)
    return root


def grown(root: Node, model: Model, made: list[tuple]) -> tuple[Node, Model]:
    """A tree and its model after some steps; neither argument is changed."""
    model, mark = dict(model), edit.new_edit()
    for number, step in enumerate(made, 1):
        step_model(model, step)
        root = step_root(root, step, number, mark)
    return root, model


def tree_of(model: Model, *, backwards: bool = False) -> Node:
    """A tree made of nothing but a model."""
    root, mark = edit.EMPTY, edit.new_edit()
    for names in sorted(model, reverse=backwards):
        root = edit.put(root, names, *model[names], 1, mark)
    return root


def pairs(kids: Bucket | Wide | None) -> Iterator[tuple[str, Node]]:
    """The names of a set with their nodes, found by looking everywhere; stubs are loaded and not put in place."""
    if isinstance(kids, Bucket):
        for name, node in kids.names.items():
            yield name, node.load() if isinstance(node, Stub) else node
    elif isinstance(kids, Wide):
        for slot in kids.slots:
            yield from pairs(slot.load() if isinstance(slot, Stub) else slot)


def model_of(root: Node) -> Model:
    """What a tree holds, by exhaustive search."""
    model: Model = {}
    stack: list[tuple[Names, Node]] = [((), root)]
    while stack:
        names, node = stack.pop()
        model[names] = (node.value, node.meta)
        stack.extend(((*names, name), below) for name, below in pairs(node.kids))
    return model


def shape(kids: Bucket | Wide | None) -> object:
    """The structure of a set: the sorted names of a bucket, the list of the parts of a wide one."""
    if isinstance(kids, Wide):
        parts = [shape(slot.load() if isinstance(slot, Stub) else slot) for slot in kids.slots]
        assert kids.count == sum(1 for _ in pairs(kids))
        return parts
    return None if kids is None else sorted(kids.names)


def hash_by_definition(name: str) -> int:
    """64 bits of BLAKE3."""
    return int.from_bytes(blake3(name.encode()).digest()[:8], "little")


def shape_by_definition(names: set[str], hashed: Callable[[str], int], depth: int = 0) -> object:
    """The structure that a set of names must have, whatever happened before."""
    if not names:
        return None
    if len(names) <= 32 or depth == 12:
        return sorted(names)
    sets: list[set[str]] = [set() for _ in range(32)]
    for name in names:
        sets[hashed(name) // 32**depth % 32].add(name)
    return [shape_by_definition(part, hashed, depth + 1) for part in sets]


def assert_shaped(root: Node, hashed: Callable[[str], int] = hash_by_definition) -> None:
    """Every set of the tree has the shape its names define."""
    stack = [root]
    while stack:
        node = stack.pop()
        below = dict(pairs(node.kids))
        assert shape(node.kids) == shape_by_definition(set(below), hashed)
        # A small leaf is a bare Node, unless it came from an object of its own (as a root does).
        large = node.kids is not None or len(node.value) + len(node.meta) > SMALL
        assert isinstance(node, Inode) or (type(node) is Node and not large)
        stack.extend(below.values())


class Shelf:
    """A source of parts by number, as a storage is: it hands out new objects each time, and notes which."""

    keeps = True

    def __init__(self) -> None:
        self.parts: dict[int, Node | Bucket | Wide] = {}
        self.loads: list[int] = []
        self.numbers: dict[int, tuple[int, object]] = {}

    def load(self, number: int) -> Node | Bucket | Wide:
        self.loads.append(number)
        return self.fresh(number)

    def fresh(self, number: int) -> Node | Bucket | Wide:
        """A part with stubs for what is below it; a node comes with the set of its children, as from a file."""
        part = self.parts[number]
        if isinstance(part, Node):
            kids = None if part.kids is None else self.fresh(self.store(part.kids))
            return Inode(part.value, part.meta, part.created, part.modified, kids, number)
        if isinstance(part, Bucket):
            return Bucket({name: Stub(self.store(node), self) for name, node in part.names.items()}, 0, number)
        slots = [None if slot is None else Stub(self.store(slot), self) for slot in part.slots]
        return Wide(slots, part.count, 0, number)

    def store(self, part: Node | Bucket | Wide | Stub) -> int:
        """The number of a part, a new one if it has none yet."""
        if part.number:
            return part.number
        if id(part) not in self.numbers:
            number = len(self.numbers) + 1
            self.numbers[id(part)] = (number, part)  # the part is kept, so its id stays its own
            self.parts[number] = part
        return self.numbers[id(part)][0]

    def shelved(self, root: Node) -> Node:
        """The tree, stored, and loaded again no further than its root."""
        return self.fresh(self.store(root))

    def reach(self, root: Node) -> set[int]:
        """All numbers in a tree, found without a load being noted."""
        found: set[int] = set()
        stack: list[Node | Bucket | Wide | Stub | None] = [root]
        while stack:
            part = stack.pop()
            if part is None:
                continue
            if isinstance(part, Stub):
                part = self.fresh(part.number)
            found.add(part.number)
            if isinstance(part, Node):
                stack.append(part.kids)
            else:
                stack.extend(part.names.values() if isinstance(part, Bucket) else part.slots)
        return found - {0}
