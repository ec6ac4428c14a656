"""Planting: many new places at once, in commits that are stored and not journalled.

Rule: as if they had been set one by one. All are looked at before anything is made, so a bad one changes nothing. They
come in one commit if the store takes one so large, else in as many as it takes, in their order, each true by a tick of
its own before the next is begun: whoever is killed meanwhile finds some of the first of them, and no commit by half.
Few are journalled like any commit: that costs less than a tick.
Or they are to be stored `later`: each commit's places are written beside the store (`storage/apart`), the journal says
where, and ticks store them, in slices as all else. If the file system does not take that, they are stored now.
Cost: O(places), some 5 us each in a file, 3 if later, and 2 in memory, where one by one they take three times as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.history.commit import Record
from rrdstore.storage.protocol import Entry, Planted
from rrdstore.store.costs import change_cost, tree_cost
from rrdstore.tree import bulk
from rrdstore.tree.edit import EMPTY, new_edit
from rrdstore.tree.node import SMALL, Node, new_node
from rrdstore.tree.sharing import shared_meta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Edit
    from rrdstore.store.ledger import Ledger

FEW = 1000
"""Places up to which a commit is journalled."""
_A_PLACE = 96
"""Bytes that a place takes beside value and metadata, about: only how many are tried at once follows from it."""


def plant(ledger: Ledger, line: Line, edits: tuple[Edit, ...], message: str, author: str, *, later: bool) -> Record:
    """Make these places, at least one, each with value and metadata; the last commit.

    InvalidPath, Exists, Held, Unwritable, StoreFull, TooLarge; the last two leave what commits before have made.
    """
    head = ledger.history.graph.records[line.head] if line.head else None
    bulk.check(EMPTY if head is None else ledger.root(head), [edit.path for edit in edits])
    record = None
    for some in _pieces(edits, ledger.storage.largest * 3 // 4):
        record = _piece(ledger, line, some, message, author, later=later)
    assert record is not None
    return record


def _pieces(edits: tuple[Edit, ...], most: int) -> Iterator[tuple[Edit, ...]]:
    """All of them in order, in pieces that may be of a size that a commit can have; 0 is any."""
    begin = size = 0
    for at, (_, value, meta) in enumerate(edits if most else ()):
        size += _A_PLACE + len(value or b"") + len(meta or b"")
        if size > most and at > begin:
            yield edits[begin:at]
            begin, size = at, 0
    yield edits[begin:]


def _piece(ledger: Ledger, line: Line, edits: tuple[Edit, ...], message: str, author: str, *, later: bool) -> Record:
    """The same in one commit, or in two if one would be too large."""
    largest = ledger.storage.largest
    before = ledger.root(ledger.history.graph.records[line.head]) if line.head else EMPTY
    after = _after(before, edits, ledger.number + 1)
    if len(edits) <= FEW and not change_cost(before, edits) > largest > 0:
        return ledger.commit(line, edits, message, author, root=after)
    cost = tree_cost(after, before) if largest else 0
    if cost > largest and len(edits) > 1:
        half = len(edits) // 2
        _piece(ledger, line, edits[:half], message, author, later=later)
        return _piece(ledger, line, edits[half:], message, author, later=later)
    return ledger.commit(line, edits, message, author, root=after, straight=cost, kind=Planted if later else Entry)


def _after(before: Node, edits: tuple[Edit, ...], number: int) -> Node:
    places: list[tuple[str, Node]] = []
    last, own = b"", b""
    for path, value, meta in edits:
        if meta is not last:  # Those that lie together mostly have the same.
            last, own = meta or b"", shared_meta(meta or b"")
        if value is not None and len(value) + len(own) <= SMALL:
            places.append((path, Node(value, own, number, number)))
        else:
            places.append((path, new_node(value or b"", own, number, number)))
    return bulk.planted(before, places, number, new_edit())


def planted(ledger: Ledger, entry: Planted) -> Record:
    """Make the commit of an entry of such a kind again, and reserve its room."""
    history = ledger.history
    line = history.lines[entry.branch]
    before = ledger.root(history.graph.records[line.head]) if line.head else EMPTY
    number, epoch, branch, parents, rt, wall, author, message, edits, *_ = entry
    after = _after(before, edits, number)
    if ledger.storage.forgets_trees:
        ledger.room.reserve(tree_cost(after, before))
    record = Record(number, epoch, branch, parents, rt, wall, author, message, after)
    ledger.admit(line, record, edits)
    ledger.run.begin(line, record)
    return record
