"""Loading: the ledger becomes what the storage has, at opening and when a change has come to nothing.

Rule: the last tick's state first, then the journal's entries one after the other, by the code that made them.
What this process holds (open snapshots and transactions) is held again. Cost: O(kept + entries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.history.branch import Line
from rrdstore.history.clock import RetentionClock, Stamp
from rrdstore.history.commit import Record
from rrdstore.history.history import History
from rrdstore.history.holds import MERGING
from rrdstore.policy import Rings, parse
from rrdstore.store.consolidation import loaded
from rrdstore.store.merging import applied
from rrdstore.store.room import Room, change_cost
from rrdstore.store.ticks import Ticks
from rrdstore.tree.edit import EMPTY

if TYPE_CHECKING:
    from rrdstore.storage.protocol import Entry, State
    from rrdstore.store.ledger import Ledger


def load(ledger: Ledger) -> list[tuple[Record, bytes]]:
    """Make the ledger what its storage has; the commits that the journal held, each with its opaque part."""
    state = ledger.storage.state()
    ledger.uuid, ledger.epoch, ledger.number = state.uuid, state.epoch, state.number
    last_line = ledger.history.last_line
    ledger.room, ledger.ticks = Room(ledger), Ticks(ledger)
    ledger.history = history = History()
    history.last_line = max(last_line, state.line)
    ledger.leases.hold_again()
    merged = [key.number for entry in state.pending for key in entry.parents[1:]]
    for number in merged:  # What was merged may have been kept by a snapshot only, which a crash has closed.
        history.holds.hold(number, MERGING)
    history.load(state.commits, _lines(state), state.tags, state.pins)
    last = state.commits[-1] if state.commits else None
    ledger.retention = RetentionClock(ledger.clock, Stamp(last.rt, last.wall) if last else None)
    ledger.rooted = set()
    ledger.series = loaded(state.series, ledger.storage)
    if state.put_off is not None:
        history.uncut(state.put_off.due)
        if ledger.series is not None and state.put_off.series is not None:
            ledger.series.owe(state.put_off.series.cells, state.put_off.series.records)
        ledger.room.reserve(ledger.room.counted())
    recovered = [(_again(ledger, entry), entry.opaque) for entry in state.pending]
    for number in merged:
        history.release(number, MERGING)
    if state.pending:
        newest = state.pending[-1]
        ledger.retention = RetentionClock(ledger.clock, Stamp(newest.rt, newest.wall))
    return recovered


def _lines(state: State) -> list[Line]:
    by_line: dict[int, list[tuple[int, int]]] = {}
    for record in state.commits:
        by_line.setdefault(record.branch, []).append((record.rt, record.number))
    return [
        Line(
            branch.name,
            branch.id,
            branch.head,
            branch.fork,
            branch.upstream,
            branch.base,
            branch.keep,
            Rings.restore(parse(branch.keep), branch.rings, by_line.get(branch.id, ())) if branch.name else None,
            branch.older,
            branch.reach,
            branch.lease,
            branch.until,
        )
        for branch in state.branches
    ]


def _again(ledger: Ledger, entry: Entry) -> Record:
    """Do again what the journal holds, by the code that did it first."""
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
    return record
