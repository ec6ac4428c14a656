"""A history made straight on a storage, and what every kept commit of it must read: the oracle is a dict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.history.commit import Key, Record
from rrdstore.storage.protocol import BranchState, Tick
from rrdstore.tree import edit
from rrdstore.tree.merge import merge
from rrdstore.tree.path import split
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from rrdstore.storage.protocol import Storage
    from rrdstore.tree.node import Node

Content = dict[str, tuple[bytes, bytes]]


@dataclass
class Branch:
    id: int
    head: int
    fork: int


def content(root: Node) -> Content:
    """All of a tree, loaded where it is not."""
    return {path: (node.value, node.meta) for path, node in Tree(root).descend()}


class Past:
    """Branches of commits at random, some of them kept: a policy that knows no rule."""

    def __init__(self, storage: Storage, random: Random, names: int = 60, values: int = 400) -> None:
        self.storage, self.random = storage, random
        self.names, self.values = names, values
        self.number = 0
        self.kept: dict[int, Record] = {}
        self.contents: dict[int, Content] = {}
        self.fresh: list[Record] = []
        self.gone: list[Record] = []
        self.changed: dict[int, Record] = {}
        self.branches: dict[int, Branch] = {1: Branch(1, 0, 0)}
        self.last_branch = 1
        self.tags: dict[str, Key] = {}
        self.pins: set[int] = set()
        self.commit(self.branches[1], edit.EMPTY, ())

    # What happens

    def commit(self, branch: Branch, root: Node, others: tuple[Key, ...]) -> None:
        self.number += 1
        parents = ((self.kept[branch.head].key,) if branch.head else ()) + others
        grafts = self.nearest(key.number for key in parents)
        text = "é" * self.random.randrange(20)
        record = Record(self.number, 1, branch.id, parents, self.number * 1000, -5, text, text * 2, root, grafts)
        self.kept[self.number] = record
        self.contents[self.number] = content(root)
        self.fresh.append(record)
        branch.head = self.number

    def nearest(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Those of which no other is a descendant."""
        wanted = tuple(dict.fromkeys(numbers))
        above: set[int] = set()
        stack = list(wanted)
        while stack:
            for ancestor in self.kept[stack.pop()].grafts:
                if ancestor not in above:
                    above.add(ancestor)
                    stack.append(ancestor)
        return tuple(number for number in wanted if number not in above)

    def root(self, number: int) -> Node:
        record = self.kept[number]
        return record.root or self.storage.root(record)

    def change(self, branch: Branch) -> None:
        root, mark = self.root(branch.head), edit.new_edit()
        for _ in range(self.random.choice((1, 1, 2, 5))):
            names = self.place()
            if self.random.random() < 0.2:
                try:
                    root = edit.remove(root, names, mark)
                except KeyError:
                    continue
            else:
                size = self.random.choice((3, 30, self.values, self.values * 4))
                value = self.random.randbytes(self.random.randrange(size))
                root = edit.put(root, names, value, b"n%d" % self.random.randrange(3), self.number + 1, mark)
        self.commit(branch, root, ())

    def place(self) -> tuple[str, ...]:
        """Wide directories and deep ones, and the way across 32 names both ways."""
        pick = self.random.randrange
        shape = pick(4)
        if shape == 0:
            return ("wide", f"n{pick(self.names)}")
        if shape == 1:
            return ("wide", f"n{pick(self.names)}", f"below{pick(3)}")
        if shape == 2:
            return split("/deep" + "/d" * (1 + pick(6)))
        return (f"top{pick(4)}", f"k{pick(40)}")

    def empty(self, branch: Branch) -> None:
        root, mark = self.root(branch.head), edit.new_edit()
        try:
            root = edit.remove(root, (self.random.choice(("wide", "deep", "top1")),), mark)
        except KeyError:
            return
        self.commit(branch, root, ())

    def revert(self, branch: Branch) -> None:
        self.commit(branch, self.root(self.random.choice(sorted(self.kept))), ())

    def fork(self, branch: Branch) -> None:
        self.last_branch += 1
        self.branches[self.last_branch] = Branch(self.last_branch, branch.head, branch.head)

    def merge(self, branch: Branch, other: Branch) -> None:
        base = self.root(self.random.choice(sorted(self.kept)))  # any will do: what is stored is what matters here
        merged = merge(base, self.root(branch.head), self.root(other.head), self.number + 1)
        self.commit(branch, merged.root, (self.kept[other.head].key,))

    def delete(self, branch: Branch) -> None:
        del self.branches[branch.id]
        for number, record in sorted(self.kept.items(), reverse=True):
            if record.branch == branch.id and number not in self.held():
                self.let_go(number)

    def held(self) -> set[int]:
        """Heads, tags and pins. Fork points are not: the storage keeps what it needs of them."""
        heads = {branch.head for branch in self.branches.values()}
        return heads | self.pins | {key.number for key in self.tags.values()}

    def let_go(self, number: int) -> None:
        record = self.kept.pop(number)
        del self.contents[number]
        self.changed.pop(number, None)
        if record.stored:
            self.gone.append(record)
        else:
            self.fresh.remove(record)
        for other in self.kept.values():
            if number in other.grafts:
                other.grafts = self.nearest((*(n for n in other.grafts if n != number), *record.grafts))
                other.thinned += 1
                if other.stored:
                    self.changed[other.number] = other

    def thin(self, most: int) -> None:
        while len(self.kept) > most:
            free = sorted(set(self.kept) - self.held())
            if not free:
                return
            self.let_go(self.random.choice(free))

    def step(self) -> None:
        """One thing at random."""
        branch = self.random.choice(list(self.branches.values()))
        what = self.random.random()
        if what < 0.08 and len(self.branches) < 4:
            self.fork(branch)
        elif what < 0.16 and len(self.branches) > 1:
            self.merge(branch, self.random.choice(list(self.branches.values())))
        elif what < 0.22:
            self.revert(branch)
        elif what < 0.25 and len(self.branches) > 1:
            self.delete(self.random.choice(list(self.branches.values())))
        elif what < 0.29:
            self.empty(branch)
        elif what < 0.31 and len(self.tags) < 4:
            self.tags[f"tag é{self.number}"] = self.kept[self.random.choice(sorted(self.kept))].key
        elif what < 0.32 and self.tags:
            del self.tags[self.random.choice(sorted(self.tags))]
        elif what < 0.34:
            self.pins ^= {self.random.choice(sorted(self.kept))}
            if len(self.pins) > 4:
                self.pins.clear()
        else:
            self.change(branch)

    # Bringing it to the storage

    def due(self) -> Tick:
        """What the next tick has to do."""
        states = tuple(
            BranchState(f"b{one.id}", one.id, one.head, one.fork, 1, 0, "last:3", b"rings" * one.id)
            for one in self.branches.values()
        )
        changed = tuple(self.changed.values())
        return Tick(
            self.number, tuple(self.fresh), tuple(self.gone), changed, states, dict(self.tags), frozenset(self.pins)
        )

    def tick(self) -> None:
        self.storage.tick(self.due())
        self.ticked()

    def ticked(self) -> None:
        self.fresh.clear()
        self.gone.clear()
        self.changed.clear()
        heads = {branch.head for branch in self.branches.values()}
        for number, record in self.kept.items():
            if number not in heads or self.random.random() < 0.3:
                record.root = None

    def reopened(self, storage: Storage) -> None:
        """Go on with what a storage says there is; it must be what was ticked."""
        self.storage = storage
        state = storage.state()
        was = self.described(self.kept.values())
        assert self.described(state.commits) == was
        assert {branch.id: branch.head for branch in state.branches} == {
            one.id: one.head for one in self.branches.values()
        }
        assert (state.tags, state.pins, state.number) == (self.tags, frozenset(self.pins), self.number)
        self.kept = {record.number: record for record in state.commits}

    @staticmethod
    def described(records: object) -> list[object]:
        return sorted(
            (one.number, one.epoch, one.branch, one.parents, one.rt, one.wall, one.author, one.message,
             sorted(one.grafts), one.thinned, one.top, one.root_number)
            for one in records
        )  # fmt: skip

    def verify(self) -> None:
        """Every kept commit reads from the file what it read when it was made."""
        for number, record in self.kept.items():
            if record.stored:
                assert content(self.storage.load(record.root_number)) == self.contents[number], number
