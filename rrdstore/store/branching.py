"""How branches come to be, and come together: forks and merges.

Rule: a branch is there with its first commit or not at all, by one tick; a merge is one commit like any other,
journalled as the edits it makes to the branch that is merged into. Which branches merge, and from which base:
`merging`. Cost: a branch O(1) and a tick, a merge O(what changed since the base).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.policy import BRANCH_DEFAULT, Rings, parse
from rrdstore.store.config import MAIN
from rrdstore.store.limits import check_limit, check_name
from rrdstore.store.merging import merge_edits, paired
from rrdstore.store.room import change_cost
from rrdstore.store.slots import require_slots
from rrdstore.tree.edit import EMPTY

if TYPE_CHECKING:
    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger


class Branching:
    """The branches of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(self, name: str, keep: str | None, origin: Line | None, message: str = "") -> Line:
        """A new branch from the head of `origin`, or from nothing with one empty commit.

        Exists, LimitReached, PolicyError, InvalidName, StoreFull.
        """
        ledger, history, storage = self._ledger, self._ledger.history, self._ledger.storage
        ledger.check_writable()
        check_name("branch", name)
        check_limit("branches", len(history.lines), storage.max_branches)
        policy = parse(keep if keep is not None else ledger.config.keep(name) or BRANCH_DEFAULT)
        require_slots(history.names, MAIN, name, policy, storage.max_slots)
        ledger.holding.check()
        if origin is None and storage.forgets_trees:
            # Before there is a branch that has no commit yet, in case there is no room for it.
            ledger.room.require(change_cost(EMPTY, ()), shrinks=False)
        line = history.begin(name, str(policy), Rings(policy), origin)
        if origin is None:
            ledger.commit(line, (), message, "", straight=True)
        else:
            ledger.settle()
        return ledger.history.lines[line.id]

    def merge(self, line: Line, other: Line, message: str | None, author: str) -> Record:
        """Merge the head of `other` into `line`; the head as it is if there is nothing new. Conflict, Unmergeable."""
        ledger = self._ledger
        ledger.check_writable()
        pair = paired(line, other)
        records = ledger.history.graph.records
        theirs, ours = records[other.head], records[line.head]
        if theirs.number == pair.base:
            return ours
        base = ledger.root(records[pair.base])
        edits = merge_edits(base, ledger.root(ours), ledger.root(theirs), ledger.number + 1)
        said = f"merge {other.name} into {line.name}" if message is None else message
        return ledger.commit(line, edits, said, author, merged=theirs)

    def merged(self, line: Line, theirs: int) -> None:
        """`line` has just merged the commit `theirs`: the next merge starts from there."""
        history = self._ledger.history
        forks = (other for other in history.names.values() if other.upstream == line.id)
        carrier = next((fork for fork in forks if fork.head == theirs), line)
        history.move(carrier, "base", theirs)
