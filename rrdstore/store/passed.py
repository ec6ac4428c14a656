"""What is left of the commits of a run that cannot stay any more.

Rule: as each goes, the next inherits who made it and what came before (`history.authors`). So the first is held whole,
to inherit of those before the run in its turn, and of the others who made them, in order. Those that somebody else
holds are told at the end what they stood on; that they are held, Python's own count tells.
Cost: O(1) a commit, and a reference of what each was.
"""

from __future__ import annotations

from itertools import chain, compress
from sys import getrefcount
from typing import TYPE_CHECKING, NamedTuple

from rrdstore.history.authors import stand_for
from rrdstore.history.commit import Record
from rrdstore.tree.undo import undone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrdstore.history.history import History
    from rrdstore.storage.protocol import Brief
    from rrdstore.tree.node import Node
    from rrdstore.tree.undo import Undo

_ALONE: int = next(map(getrefcount, [object()])) + 1
"""What `getrefcount` says, asked by `map`, of what two lists hold and nobody else."""


class Passed(NamedTuple):
    """Those of one run, oldest first."""

    first: Record | None = None
    names: Sequence[Sequence[str]] = ()
    """Who made each of the others, some and some."""
    held: Sequence[Record] = ()
    """Those of the others that somebody else holds."""

    def and_these(self, records: Sequence[Record | Brief]) -> Passed:
        """And some that came after them, in a list of which another has each, too; the first of all is a record."""
        counts = list(map(getrefcount, records))
        others = compress(records, [count > _ALONE for count in counts])
        first, held = self.first, [*self.held, *[record for record in others if isinstance(record, Record)]]
        for record in held:
            record.root = None
        names = [record[2] if isinstance(record, tuple) else record.author for record in records]
        if first is None:
            (first,) = [record for record in records[:1] if isinstance(record, Record)]
            names, held = names[1:], [record for record in held if record is not first]
        return Passed(first, [*self.names, names], held)

    def admit(self, history: History, head: int, staying: Sequence[Record]) -> None:
        """Have history told of all of them, after its `head`, and of those that stay, as if of each in its turn."""
        first = self.first
        if first is not None:
            # It stays until the last comes, and what is dropped meanwhile is told by its count how much was replaced.
            first.grafts, first.root, first.thinned, head = (head,), None, sum(map(len, self.names)), first.number
            history.admit(first)
        last = staying[-1]
        for record in staying:
            record.grafts, head = (head,), record.number
            if record is last and first is not None:
                stand_for(first, chain.from_iterable(self.names))
            history.admit(record)
        if first is not None:
            for record in (first, *self.held):
                record.grafts = staying[0].grafts


def give_trees(records: Sequence[Record], undo: Sequence[Undo], root: Node) -> None:
    """Give each commit its tree, `root` being the last one's. O(depth) each."""
    for at in range(len(records) - 1, -1, -1):
        record = records[at]
        if record.root is None:
            record.root = root
        root = record.root
        if at:
            root = undone(root, undo[at])
