"""Redoing: what the journal holds, done once when it was acknowledged and again at recovery, by the same code.

Rule: nothing here is refused; whatever forbids a change is asked before it is journalled. What an entry names was kept
when it was made, perhaps by an open snapshot alone, which a crash has closed: so all that any entry names is held
while all of them are done again. Cost: a commit O(its edits x depth), a change of refs O(1) and what is dropped by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrdstore.history.branch import begun
from rrdstore.history.commit import Record
from rrdstore.policy import Rings, parse
from rrdstore.storage.protocol import Begun, Ended, Entry, Fitted, Pinned, Planted, Tagged, Unpinned, Untagged
from rrdstore.store.costs import change_cost
from rrdstore.store.merging import applied
from rrdstore.store.planting import planted
from rrdstore.store.refitting import refit
from rrdstore.tree.edit import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rrdstore.storage.protocol import Acknowledged
    from rrdstore.store.ledger import Ledger


def _commit(ledger: Ledger, entry: Entry) -> Record:
    """Make the commit of an entry, and reserve its room."""
    run = ledger.run
    record = run.redo(entry) if run.branch == entry.branch else None
    if record is not None:
        return record
    line = ledger.history.lines[entry.branch]
    head = ledger.history.graph.records[line.head] if line.head else None
    before = ledger.root(head) if head else EMPTY
    root = applied(before, entry.edits, entry.number)
    record = Record(
        entry.number,
        entry.epoch,
        entry.branch,
        entry.parents,
        entry.rt,
        entry.wall,
        entry.author,
        entry.message,
        root,
    )
    if ledger.storage.forgets_trees:
        crossing = entry.meeting is not None and entry.meeting.crossing is not None
        more = ledger.branching.crossing_cost(entry.meeting) if entry.meeting and crossing else 0
        ledger.room.reserve(change_cost(before, entry.edits) + more)
    ledger.admit(line, record, entry.edits, entry.meeting)
    run.begin(line, record)
    return record


def _begun(ledger: Ledger, made: Begun) -> Record | None:
    rings = Rings(parse(made.keep))
    ledger.history.begin(
        begun(made.line, made.name, made.keep, rings, made.upstream, made.head, made.lease, made.until)
    )
    return None if made.first is None else _commit(ledger, made.first)


def _ended(ledger: Ledger, made: Ended) -> None:
    if ledger.run.places.line == made.line:
        ledger.run.places.clear()  # Else they would hold its tree, and let go of it at once later.
    ledger.history.end(ledger.history.lines[made.line])


_DONE: dict[type, Callable[[Ledger, Any], Record | None]] = {
    Entry: _commit,
    Planted: planted,
    Begun: _begun,
    Ended: _ended,
    Tagged: lambda ledger, made: ledger.history.tag(made.name, made.key),
    Untagged: lambda ledger, made: ledger.history.untag(made.name),
    Pinned: lambda ledger, made: ledger.history.pin(made.number),
    Unpinned: lambda ledger, made: ledger.history.unpin(made.number),
    Fitted: refit,
}


def redo(ledger: Ledger, entry: Acknowledged) -> Record | None:
    """Do what an entry says; the commit that it makes, if it does."""
    return _DONE[type(entry)](ledger, entry)


def named(entries: Iterable[Acknowledged]) -> Iterator[int]:
    """The commits that entries name beside those of a branch's own line."""
    for entry in entries:
        if isinstance(entry, Entry):
            yield from (key.number for key in entry.parents[1:])
        elif isinstance(entry, Tagged):
            yield entry.key.number
        elif isinstance(entry, Pinned):
            yield entry.number
        elif isinstance(entry, Fitted):
            for fit in entry.fits:
                yield from fit.picks
