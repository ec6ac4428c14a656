"""Loading: the ledger becomes what the storage has, at opening and when a change has come to nothing.

Rule: the last tick's state first, then the journal's entries one after the other (`redoing`), each only if it goes on
from what is before it: what does not is damage that no checksum shows, and is named.
What this process holds (open snapshots and transactions) is held again. Cost: O(kept + entries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt
from rrdstore.history.branch import Line
from rrdstore.history.clock import RetentionClock, Stamp
from rrdstore.history.history import History
from rrdstore.history.holds import RECOVERY
from rrdstore.history.parting import Parting
from rrdstore.policy import Rings, parse
from rrdstore.storage.protocol import Entry
from rrdstore.storage.refs import Refs
from rrdstore.store import redoing
from rrdstore.store.consolidation import loaded
from rrdstore.store.room import Room
from rrdstore.store.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.history.commit import Record
    from rrdstore.storage.protocol import Acknowledged, State
    from rrdstore.store.ledger import Ledger


def load(ledger: Ledger) -> list[tuple[Record, bytes]]:
    """Make the ledger what its storage has; the commits that the journal held, each with its opaque part."""
    state = ledger.storage.state()
    ledger.uuid, ledger.epoch, ledger.number = state.uuid, state.epoch, state.number
    last_line, parting = ledger.history.last_line, ledger.history.parting
    for known in ledger.history.graph.records.values():
        parting.stored(known, None)
    ledger.room, ledger.ticks = Room(ledger), Ticks(ledger)
    ledger.history = history = History()
    history.last_line = max(last_line, state.line)
    history.parting = Parting(parting.remains)
    ledger.leases.hold_again()
    named = list(redoing.named(state.pending))
    for number in named:
        history.holds.hold(number, RECOVERY)
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
    recovered = []
    for entry in _in_order(state):
        record = redoing.redo(ledger, entry)
        if record is not None:
            recovered.append((record, entry.opaque if isinstance(entry, Entry) else b""))
    history = ledger.history  # It is told of all.
    for number in named:
        history.release(number, RECOVERY)
    if recovered:
        newest = recovered[-1][0]
        ledger.retention = RetentionClock(ledger.clock, Stamp(newest.rt, newest.wall))
    return recovered


def _in_order(state: State) -> Iterator[Acknowledged]:
    """What the journal holds; Corrupt where an entry does not go on from what is before it."""
    if not state.pending:
        return
    kept = (record.key for record in state.commits)
    refs = Refs.of(kept, state.number, state.branches, state.tags, state.pins)
    for entry in state.pending:
        wrong = refs.doubt(entry)
        if wrong is not None:
            raise Corrupt(wrong.where, wrong.found, wrong.expected)
        refs.follow(entry)
        yield entry


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
