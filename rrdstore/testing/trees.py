"""Trees as flat dicts: what a set, a removal and a difference do, path by path. Naive on purpose.

Rule: written from the rules of docs/semantics.md, and shares no code with rrdstore.tree. A call is a tuple:
("set", path, value, meta or None), ("remove", path), and for looking ("get" | "stat" | "list" | "in", path).
Cost: O(nodes) each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Tree: TypeAlias = dict[str, tuple[bytes, bytes]]
"""Of each path: value, meta. The root is always there."""

Call: TypeAlias = tuple[Any, ...]

EMPTY: Tree = {"/": (b"", b"")}


def below(tree: Tree, path: str) -> Tree:
    """What is at and below a path."""
    inside = "/" if path == "/" else path + "/"
    return {place: node for place, node in tree.items() if place == path or place.startswith(inside)}


def above(path: str) -> list[str]:
    """The ancestors of a path, the root first."""
    parts = path.split("/")[1:-1]
    return ["/", *("/" + "/".join(parts[: n + 1]) for n in range(len(parts)))] if path != "/" else []


def names(tree: Tree, path: str) -> tuple[str, ...]:
    """The children of a path, sorted."""
    inside = "/" if path == "/" else path + "/"
    rest = (place[len(inside) :] for place in tree if place.startswith(inside) and place != path)
    return tuple(sorted({name for name in rest if "/" not in name}))


def by_names(path: str) -> list[str]:
    """What paths are sorted by."""
    return path.rstrip("/").split("/")


def edited(tree: Tree, edit: Call) -> Tree:
    """The tree after a set or a removal; removing nothing does nothing."""
    tree = dict(tree)
    kind, path, *rest = edit
    if kind == "set":
        value, meta = rest
        for parent in above(path):
            tree.setdefault(parent, (b"", b""))
        tree[path] = (value, tree.get(path, (b"", b""))[1] if meta is None else meta)
    else:
        for place in below(tree, path):
            del tree[place]
    return tree


def after(tree: Tree, edits: Iterable[Call]) -> Tree:
    """The tree after some edits."""
    for edit in edits:
        tree = edited(tree, edit)
    return tree


def differences(a: Tree, b: Tree) -> dict[str, tuple[object, object]]:
    """Of each path that is not the same in both, what it is in either; None where it is not."""
    return {path: (a.get(path), b.get(path)) for path in {*a, *b} if a.get(path) != b.get(path)}


def stamped(
    tree: Tree, stamps: dict[str, tuple[int, int]], edits: Iterable[Call], number: int
) -> dict[str, tuple[int, int]]:
    """Of each path the numbers of the commits that made it and last set it, after edits of `tree` by `number`."""
    stamps = dict(stamps)
    for edit in edits:
        new = edited(tree, edit)
        for path in tree.keys() - new.keys():
            del stamps[path]
        for path in new.keys() - tree.keys():
            stamps[path] = (number, number)
        if edit[0] == "set":
            stamps[edit[1]] = (stamps[edit[1]][0], number)
        tree = new
    return stamps


def restamped(old: Tree, stamps: dict[str, tuple[int, int]], new: Tree, number: int) -> dict[str, tuple[int, int]]:
    """The same, where `number` has made `new` of `old`."""
    stamps = dict(stamps)
    for path, (was, now) in differences(old, new).items():
        if now is None:
            del stamps[path]
        else:
            stamps[path] = (number if was is None else stamps[path][0], number)
    return stamps


class Serial:
    """A transaction by its calls and answers: it may commit wherever all the answers would be the same."""

    def __init__(self, tree: Tree) -> None:
        self.start = self.tree = tree
        self.calls: list[tuple[Call, object]] = []
        self.edits: list[Call] = []

    def call(self, call: Call) -> object:
        """Do one call to the private tree, and remember what it answered."""
        answer, self.tree = answered(self.tree, call)
        self.calls.append((call, answer))
        if call[0] == "set" or (call[0] == "remove" and answer is True):
            self.edits.append(call)
        return answer

    def same_on(self, tree: Tree) -> bool:
        """Whether every call would have answered the same on another tree."""
        for call, answer in self.calls:
            again, tree = answered(tree, call)
            if again != answer:
                return False
        return True

    def changed(self, path: str, tree: Tree) -> bool:
        """Whether anything that a call can tell of a path is different on another tree."""
        return tree.get(path) != self.start.get(path) or names(tree, path) != names(self.start, path)


def answered(tree: Tree, call: Call) -> tuple[object, Tree]:
    """What a call answers, None for NotFound, and the tree after it."""
    kind, path, *_ = call
    node = tree.get(path)
    if kind == "set":
        return True, edited(tree, call)
    if kind == "in":
        return node is not None, tree
    if node is None:
        return None, tree
    if kind == "remove":
        return True, edited(tree, call)
    return {"get": node[0], "stat": node, "list": names(tree, path)}[kind], tree
