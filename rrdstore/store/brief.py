"""What a run holds of a commit that sets one small leaf: a tuple, of which few ever become records.

Rule: its number follows from its place in the run, its epoch is the writer's, and it stands on the commit before it,
which is of the same epoch. So what makes a `Record` of it, if it stays or somebody asks, is all that is said here.
Cost: a tenth of a record, of its memory and of the time to make it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.history.commit import Key, Record
from rrdstore.tree.node import Bucket, Node, Wide
from rrdstore.tree.path import split
from rrdstore.tree.undo import Undo

if TYPE_CHECKING:
    from rrdstore.storage.protocol import Brief

Part = tuple[int, int, Node | Bucket | Wide]
"""How many directories are between the leaf's own and the one where something was replaced, -1 for the root; in which
of its wide sets, -1 for none; and what was there."""


_key = tuple.__new__  # a third of what calling a named tuple costs


def record_of(brief: Brief, number: int, epoch: int, branch: int) -> Record:
    """The commit itself, without its tree."""
    rt, wall, author, said, path, goes_on = brief
    message = said + path if goes_on else said
    return Record(number, epoch, branch, (_key(Key, (number - 1, epoch)),), rt, wall, author, message, None)


def undo_at(path: str, old: Node | Part | Undo) -> Undo:
    """What takes back a commit that set this path: the leaf that was there, or what was replaced above it."""
    if isinstance(old, Undo):
        return old
    names = split(path)
    if isinstance(old, Node):
        return Undo(names, len(names) - 1, -1, old, made=False)
    climbed, level, was = old
    return Undo(names, -1 if climbed < 0 else len(names) - 1 - climbed, level, was, made=False)
