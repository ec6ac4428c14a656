"""How branches come to be, and come together: forks and merges.

Rule: a branch is there with its first commit or not at all, by one entry of the journal (that which a store begins
with by a tick, without which the file is no store yet); a merge is one commit like any other, journalled as the edits
it makes to the branch that is merged into. Which branches merge, and from which base: `merging`.
Cost: a branch O(1), a merge O(what changed since the base).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Conflict, Unmergeable
from rrdstore.history.branch import NOBODY
from rrdstore.history.commit import MESSAGE_BYTES, Record, cut
from rrdstore.history.holds import MERGING
from rrdstore.policy import BRANCH_DEFAULT, parse
from rrdstore.storage.protocol import Begun, Entry
from rrdstore.store.config import MAIN
from rrdstore.store.costs import change_cost
from rrdstore.store.limits import check_free, check_limit, check_name, lease_of
from rrdstore.store.merging import applied, difference, joint, meeting, merge_edits
from rrdstore.store.slots import require_slots
from rrdstore.tree import patch
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.merge import NO_RULES, virtual

if TYPE_CHECKING:
    from rrdstore.history.branch import Line, Meeting
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.resolution import MergeRules


class Branching:
    """The branches of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(
        self, name: str, keep: str | None, origin: Line | None, message: str = "", lease: str | int | None = None
    ) -> Line:
        """A new branch from the head of `origin`, or from nothing with one empty commit.

        Exists, LimitReached, PolicyError, InvalidName, StoreFull, Held.
        """
        ledger, history, storage = self._ledger, self._ledger.history, self._ledger.storage
        ledger.check_writable()
        check_name("branch", name)
        check_limit("branches", len(history.lines), storage.max_branches)
        policy = parse(keep if keep is not None else ledger.config.keep(name) or BRANCH_DEFAULT)
        require_slots(history.names, MAIN, name, policy, storage.max_slots)
        length = lease_of(lease if lease is not None else ledger.config.lease(name))
        check_free("branch", name, history.names)
        ident = history.last_line + 1
        if origin is None:
            if storage.forgets_trees:
                ledger.room.require(change_cost(EMPTY, ()), shrinks=False)
            said = cut(message, MESSAGE_BYTES)
            first = Entry(ledger.number + 1, ledger.epoch, ident, (), *ledger.retention.stamp(), "", said, ())
            made = Begun(ident, name, str(policy), first=first)
        else:
            until = ledger.now() + length if length else 0
            made = Begun(ident, name, str(policy), origin.id, origin.head, length, until)
        try:
            ledger.change(made, straight=not history.names)
        except BaseException:
            if origin is None:
                ledger.retention.unmade()
            raise
        return ledger.history.lines[ident]

    def merge(
        self,
        line: Line,
        other: Line,
        at: Record | None,
        message: str | None,
        author: str,
        rules: MergeRules = NO_RULES,
    ) -> Record:
        """Merge a commit of `other`, its head if None, into `line`; the head as it is if there is nothing new.

        Conflict, Unmergeable.
        """
        ledger, history = self._ledger, self._ledger.history
        ledger.check_writable()
        records = history.graph.records
        theirs, ours = at or records[other.head], records[line.head]
        how = joint(history, line, other, theirs, ledger.id)
        if how is None:
            return ours
        rules = rules.before(ledger.config.merge)
        base, their = ledger.root(records[how.base]), ledger.root(theirs)
        edits = merge_edits(base, ledger.root(ours), their, ledger.number + 1, rules)
        number, crossing = ledger.number + 1, None
        if how.crossing:
            met = ledger.root(records[how.fork.base])
            crossing = difference(met, virtual(base, met, their, number, ledger.config.merge))
            number += 1
        said = f"merge {other.name} into {line.name}" if message is None else message
        made = meeting(history, line, theirs, how, number, crossing)
        history.holds.hold(theirs.number, MERGING)  # That pressure does not take it meanwhile.
        try:
            return ledger.commit(line, edits, said, author, merged=theirs, meeting=made)
        finally:
            if ledger.history is history:  # else it has gone back to what was acknowledged, and holds nothing
                history.release(theirs.number, MERGING)

    def patch(
        self, line: Line, other: Line, since: Record, at: Record | None, message: str | None, author: str
    ) -> Record:
        """Do what `other` has changed since a commit to `line`, as a patch; the head as it is if that is nothing.

        Conflict, Unmergeable.
        """
        ledger, history = self._ledger, self._ledger.history
        ledger.check_writable()
        graph = history.graph
        theirs, ours = at or graph.records[other.head], graph.records[line.head]
        for record in (since, theirs):
            if not graph.reaches(other.head, record.number):
                raise Unmergeable(line.name, other.name, f"{other.name!r} does not have commit {record.number}")
        before, root = ledger.root(ours), ledger.root(theirs)
        done = patch.applied(patch.made(ledger.root(since), root), before, ledger.number + 1)
        if done.clashes:
            raise Conflict((clash.path for clash in done.clashes), "patch", done.clashes)
        edits = difference(before, done.root)
        if not edits:
            return ours
        said = f"patch of {other.name} since {since.number}" if message is None else message
        return ledger.commit(line, edits, said, author)

    def met(self, record: Record, made: Meeting) -> None:
        """Do what a merge makes of the base; `record` is its commit, which is admitted."""
        ledger, history = self._ledger, self._ledger.history
        fork = history.lines[made.fork]
        if made.crossing is not None:
            records = history.graph.records
            old = records[fork.base]
            root = applied(ledger.root(old), made.crossing, made.base)
            names = f"merge base of {fork.name} and {history.lines[fork.upstream].name}"
            said = cut(names, MESSAGE_BYTES)
            parents = (old.key, record.parents[1])
            base = Record(made.base, record.epoch, NOBODY, parents, record.rt, record.wall, "", said, root)
            base.grafts = history.graph.reduced([key.number for key in parents])
            history.add_base(base)
        history.meet(fork, made.base, made.older, made.reach, record.rt)

    def crossing_cost(self, made: Meeting) -> int:
        """What a base that a merge makes takes in the file, at most."""
        history = self._ledger.history
        old = history.graph.records[history.lines[made.fork].base]
        return change_cost(self._ledger.root(old), made.crossing or ())
