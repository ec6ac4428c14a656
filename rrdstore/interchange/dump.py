"""From a store to lines.

Rule: a dump is what another process that opens the store would see: what only an open snapshot or transaction of
this one keeps is thinned in it. A reader may dump while a writer goes on. A commit whose tree is gone before it was
read is left out, as if it had been thinned before: the one after it stands for it. So a dump is always one that can be
restored, and says what it had to leave out; what is restored dumps the same.
Cost: O(changes) a commit, each written as the difference from the one it shares with; a digest of each head. Memory:
a record for each kept commit.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from rrdstore.errors import Thinned
from rrdstore.history.branch import NOBODY
from rrdstore.history.history import History
from rrdstore.interchange import series
from rrdstore.interchange.delta import delta
from rrdstore.interchange.line import FORMAT, Line, encode, write
from rrdstore.tree.digest import digest
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.path import join

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.history.branch import Line as BranchLine
    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger
    from rrdstore.store.store import Store
    from rrdstore.tree.node import Node


@dataclass(frozen=True, slots=True)
class Dumped:
    """How many commits were written, and the ids of those that went meanwhile."""

    commits: int
    left_out: tuple[str, ...]


def dump(store: Store, write_text: Callable[[str], object]) -> Dumped:
    """Write all of a store, line by line; see rrdstore.interchange for the format. Closed."""
    return _Dump(store.ledger, write_text).run()


class _Dump:
    """One dump on its way."""

    def __init__(self, ledger: Ledger, write_text: Callable[[str], object]) -> None:
        self._ledger, self._history, self._write_text = ledger, _as_opened(ledger.history), write_text
        self._hash, self._lines = blake3(), 0
        self._newest: dict[int, int] = {}
        """Of each branch, the last commit written."""
        self._trees: dict[int, Node] = {}
        """Of the same, by branch."""
        self._written: set[int] = set()
        self._left_out: list[str] = []

    def run(self) -> Dumped:
        ledger, history = self._ledger, self._history
        ledger.check_open()
        size = ledger.storage.usage().size
        self._put(
            {"rrdstore": "dump", "format": FORMAT, "uuid": ledger.uuid.hex(), "epoch": ledger.epoch,
             "number": ledger.number, "line": history.last_line, "size": size, "slots": ledger.storage.max_slots}
        )  # fmt: skip
        for number in history.graph.numbers[:]:
            record = history.graph.records[number]
            try:
                line = self._commit(record)
            except Thinned:
                self._left_out.append(ledger.id(record))
                history.graph.drop(record)
            else:
                self._put(line)
        for branch in sorted(history.lines.values(), key=lambda branch: branch.id):
            self._branch(branch)
        for name, key in sorted(history.tags.items()):
            if key.number in self._written:
                self._put({"tag": name, "commit": key.number})
        for number in sorted(history.pins & self._written):
            self._put({"pin": number})
        for line in series.lines(ledger.series):
            self._put(line)
        self._write_text(write({"end": self._lines, "blake3": self._hash.hexdigest()}))
        return Dumped(len(self._written), tuple(self._left_out))

    def _put(self, line: Line) -> None:
        text = write(line)
        self._hash.update(text.encode())
        self._lines += 1
        self._write_text(text)

    def _commit(self, record: Record) -> Line:
        branch = self._history.lines.get(record.branch)
        start = self._newest.get(record.branch, branch.fork if branch else 0)
        if record.branch == NOBODY:
            start = record.parents[0].number
        start = start if start in self._written else 0
        try:
            new = self._ledger.root(record)
            removed, put = _difference(self._old(start, record.branch), new)
        except Thinned:
            # Perhaps only the older tree is gone: this one may stand alone.
            start, new = 0, self._ledger.root(record)
            removed, put = _difference(EMPTY, new)
        self._newest[record.branch], self._trees[record.branch] = record.number, new
        self._written.add(record.number)
        return {
            "commit": self._ledger.id(record),
            "epoch": record.epoch,
            "branch": record.branch,
            "parents": [list(key) for key in record.parents],
            "time": record.rt,
            "wall": record.wall,
            "author": record.author,
            "message": record.message,
            "thinned": record.thinned,
            "grafts": list(record.grafts),
            "authors": record.authors or {},
            "from": start,
            "removed": removed,
            "set": put,
        }

    def _old(self, start: int, branch: int) -> Node:
        """The tree of commit `start`, from which the next one of the branch differs."""
        if not start:
            return EMPTY
        kept = self._trees.get(branch) if branch != NOBODY else None
        return kept or self._ledger.root(self._history.graph.records[start])

    def _branch(self, branch: BranchLine) -> None:
        """A branch as far as its commits were written; what went with them is not there any more either."""
        fork = branch.fork if branch.fork in self._written else 0
        exact = not branch.base or branch.base in self._written
        older = exact and branch.older in self._written
        head = branch.head if branch.head in self._written else self._newest.get(branch.id, fork)
        if branch.name and not head:
            return
        tree = self._trees.get(branch.id) if head == self._newest.get(branch.id) else None
        if tree is None and branch.name:
            tree = self._ledger.root(self._history.graph.records[head])
        self._put(
            {
                "branch": branch.name,
                "id": branch.id,
                "head": head if branch.name else 0,
                "fork": fork,
                "upstream": branch.upstream if exact else 0,
                "base": branch.base if exact else 0,
                "keep": branch.keep,
                "rings": base64.b64encode(branch.rings.state() if branch.rings else b"").decode(),
                "older": branch.older if older else 0,
                "reach": list(branch.reach if older else (*branch.reach[:2], 0, 0)) if exact else [0, 0, 0, 0],
                "lease": branch.lease,
                "until": branch.until if exact else 0,
                "digest": digest(tree).hex() if branch.name and tree is not None else "",
            }
        )


def _as_opened(history: History) -> History:
    """A history of its own, as an opening would make it of what there is."""
    seen, records = History(), history.graph.records
    seen.last_line = history.last_line
    copies = (records[number].copied(records[number].root) for number in history.graph.numbers)
    seen.load(copies, history.lines.values(), history.tags, history.pins)
    return seen


def _difference(old: Node, new: Node) -> tuple[list[str], list[list[object]]]:
    """What a line says of the way from one tree to another: paths removed, and places set."""
    removed: list[str] = []
    put: list[list[object]] = []
    for names, node in delta(old, new):
        if node is None:
            removed.append(join(names))
        else:
            put.append([join(names), encode(node.value), encode(node.meta), node.created, node.modified])
    return removed, put
