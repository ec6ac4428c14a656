"""What a run holds: its commits, oldest first, and what is needed to tell history of them.

Rule: most are held in brief (`brief`); of those that cannot stay any more only what whoever inherits needs (`passed`).
A commit has its tree by undoing what came after it: only those that stay need one.
Cost: O(1) a commit; to settle, a copied path for each that stays, and little for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.history.commit import Record
from rrdstore.native import mypyc_attr
from rrdstore.store.brief import record_of, undo_at
from rrdstore.store.passed import Passed, give_trees
from rrdstore.tree.edit import EMPTY, new_edit
from rrdstore.tree.tree import Tree
from rrdstore.tree.undo import Undo

if TYPE_CHECKING:
    from rrdstore.storage.protocol import Brief
    from rrdstore.store.brief import Part
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.node import Node


@mypyc_attr(allow_interpreted_subclasses=True)
class Newest:
    """The newest commits of one branch. `branch` is whose they are, 0 if there is no run."""

    __slots__ = (
        "_edit", "_ledger", "_most", "_passed", "_released", "_rows", "_undo", "_weights", "branch", "records", "root",
        "shown",
    )  # fmt: skip

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.branch = self._rows = self._most = 0
        self._edit = new_edit()
        self.root: Node = EMPTY
        """The newest tree of the branch: to be read before the next commit, and kept by nobody (`freeze`)."""
        self.records: list[Record | Brief] = []
        """The commits, oldest first, but for those that have been let go of: in brief, until they are asked for."""
        self._passed = _NONE
        """What is left of these."""
        self._undo: list[Node | Part | Undo] = []
        """What takes back each of them, in brief as well."""
        self.shown = NOTHING_SHOWN
        """That tree, as it was given out last."""
        self._released = 0
        """Of how many of them, the oldest, nothing is held any more, as they cannot stay."""
        self._weights: dict[int, int] = {}
        """What of them replaces more than one place does: how many."""

    def freeze(self) -> Node:
        """The newest tree, which nothing changes any more."""
        self._edit = new_edit()
        if self.records:
            self.newest().root = self.root
        return self.root

    def newest(self) -> Record:
        """The newest commit of a run that has any."""
        return self._record(len(self.records) - 1)

    def made(self, number: int) -> Record:
        """The newest commit, of this number: of the run, or the one that it stands on."""
        return self.newest() if self.records else self._ledger._history.graph.records[number]

    def _record(self, at: int) -> Record:
        """One of them, which is held as such from now on."""
        record = self.records[at]
        if isinstance(record, Record):
            return record
        made = record_of(record, self._ledger.number - (len(self.records) - 1 - at), self._ledger.epoch, self.branch)
        self._undo[at] = undo_at(record[4], self._undo[at])
        self.records[at] = made
        return made

    def _holds(self, record: Record | Brief, undo: Node | Part | Undo, number: int) -> None:
        """The tree has the change of a commit."""
        self.records.append(record)
        self._undo.append(undo)
        self._ledger.number = number
        if len(self.records) > self._most:
            self._gather()

    def _release(self) -> None:
        """Let go of the trees of those that cannot stay any more. O(1) a commit."""
        for at in range(self._released, len(self.records) - self._rows):
            record = self._record(at)
            record.root, self._undo[at] = None, NOTHING
            self._released = at + 1

    def _gather(self) -> None:
        """Let go of those that cannot stay any more. O(1) a commit."""
        skip = len(self.records) - self._rows
        if self._passed.first is None:
            self._record(0)
        passed = self._passed.and_these(self.records[:skip])
        # All at once: an interrupt finds what was, or what is.
        self._passed, self.records, self._undo, self._released = passed, self.records[skip:], self._undo[skip:], 0

    def settle(self) -> None:
        """Tell history of the commits; there is no run any more. O(commits), and a path copied for each that stays."""
        records, undo = self.records, self._undo
        # Of a run that is longer than `last`, those before the newest have gone as they came.
        skip = max(0, len(records) - self._rows)
        staying: list[Record] = []
        if records:
            if skip and self._passed.first is None:
                self._record(0)
            staying = [self._record(at) for at in range(skip, len(records))]
            # What this loads may be damaged: there still is a run then.
            give_trees(staying, [undo_at("", each) for each in undo[skip:]], self.freeze())
        branch, self.branch = self.branch, 0
        if not records:
            self._forgotten()
            return
        history = self._ledger.history
        head = history.lines[branch].head
        # What is dropped by what follows goes in pieces, if nothing else holds it.
        weights, passed = self._weights, self._passed
        if skip:
            passed = passed.and_these(records[:skip])
        self._forgotten()
        del undo, records
        history.parting.weigh(weights, passed.first or staying[0], staying[0])
        passed.admit(history, head, staying)

    def _forgotten(self) -> None:
        self.records, self._undo, self.root = [], [], EMPTY
        self._weights, self._passed, self._released, self.shown = {}, _NONE, 0, NOTHING_SHOWN


NOTHING_SHOWN = Tree(EMPTY)
_NONE = Passed()
NOTHING = Undo((), -1, -1, EMPTY, made=False)
