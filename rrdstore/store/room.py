"""Room: what a change may take once it is stored, and where that comes from when bytes are short.

Rule: every container on the way to a changed place is written again, whole, with the small leaves inside
it, and so are the value and the commit's record. That much is reserved when a change is acknowledged, and
given back at the tick, when the true figure is known. Reservations add up until then, dropped commits or
not: what a dropped commit changed is stored with the next one.
If it does not fit: a tick; then commits beyond the policy go (docs/semantics.md, rule 10), a slack more than
needed, so that it is not done again for each commit; and if what nothing may thin leaves no room,
StoreFull, before anything was thinned in vain.
Cost: O(edits x depth x 32) a change. Pressure: O(objects) once in a while.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rrdstore.errors import StoreFull, TooLarge
from rrdstore.storage.codec import INLINE
from rrdstore.storage.layout import CHARGE
from rrdstore.tree.node import BITS, FANOUT, Bucket, Node, Stub, Wide, child, entries, name_hash, part
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from rrdstore.history.commit import Edit
    from rrdstore.history.history import History
    from rrdstore.storage.protocol import Storage
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.node import Kids

log = logging.getLogger("rrdstore")

RECORD = 256
"""A commit's own row, and its share of what tables change with it."""
FIXED = 80
"""Of an object: its header, a node's or a container's fixed part, and padding."""
ENTRY = 40
"""Of a name in a bucket beside the name: the widest columns there are."""
SET = 8
"""Of one of 32 sets in a wide one: its number."""
PIECE = 900
"""What is larger may be cut into pieces, which have headers too."""
BATCH = 32
"""Commits that are thinned between two ticks under pressure."""


class Room:
    """The reservations of one store, and its way out when they do not fit."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.reserved = 0
        """Bytes that all commits since the last tick may take."""
        self._held = -1
        """What cannot be thinned, at most: weighed once, and added to by each reservation since; -1 is unknown."""

    def reserve(self, cost: int) -> None:
        """A change of this cost was acknowledged."""
        self.reserved += cost
        if self._held >= 0:
            self._held += cost

    def settled(self) -> None:
        """A tick was done: what was reserved is stored."""
        self.reserved = 0

    def require(self, cost: int, *, shrinks: bool) -> None:
        """Thin until `cost` bytes more fit; StoreFull, TooLarge, and what `tick` raises: nothing was changed."""
        storage, history, tick = self._ledger.storage, self._ledger.history, self._ledger.tick
        if storage.largest and cost > storage.largest:
            raise TooLarge("one change", cost, storage.largest)
        if storage.lacking(cost + self.reserved, shrinks=shrinks) <= 0:
            return
        tick()
        lacking = storage.lacking(cost, shrinks=shrinks)
        if lacking <= 0:
            return
        thinnable = self._thinnable(storage, history, lacking)
        if lacking > thinnable:
            raise StoreFull(cost, max(0, cost - lacking + thinnable))
        log.warning("%s: thinning beyond the policy to stay within the size", self._ledger.path)
        slack = 2 * storage.largest
        while lacking + slack > 0 and history.relieve():
            if len(history.gone) >= BATCH:
                tick()
                lacking = storage.lacking(cost, shrinks=shrinks)
        tick()
        lacking = storage.lacking(cost, shrinks=shrinks)
        if lacking > 0:
            raise StoreFull(cost, max(0, cost - lacking))

    def _thinnable(self, storage: Storage, history: History, lacking: int) -> int:
        """Bytes that thinning would free, at least; weighed anew only if what was known does not suffice."""
        live = storage.usage().live
        if self._held < 0 or live - self._held < lacking:
            held = (history.graph.records.get(number) for number in history.holds.numbers())
            self._held = storage.weigh([record for record in held if record is not None and record.stored])
        return live - self._held


def change_cost(root: Node, edits: tuple[Edit, ...]) -> int:
    """The most bytes that these edits of the tree `root` take in the file."""
    charges: dict[object, int] = {}
    for edit in edits:
        _charge(charges, root, split(edit.path), edit)
    return RECORD + sum(charges.values())


def _charge(charges: dict[object, int], root: Node, names: tuple[str, ...], edit: Edit) -> None:
    """Add each object that is written again for one edit, once for all edits: a container is named by its identity."""
    value = 0 if edit.value is None else len(edit.value) + len(edit.meta or b"")
    node: Node | None = root
    for depth, name in enumerate(names):
        entry = ENTRY + _length(name) + (min(value, INLINE) if depth == len(names) - 1 else 0)
        if node is None:
            charges[names[:depth]] = charges.get(names[:depth], _object(0)) + entry
            continue
        _charge_kids(charges, node, name, entry, leaving=edit.value is None and depth == len(names) - 1)
        node = child(node.kids, name)
    if edit.value is not None:
        if node is not None and node.kids is not None:
            _charge_kids(charges, node, None, 0, leaving=False)
        if value > INLINE or (node is not None and node.kids is not None):
            charges[names, "value"] = _object(value)
        if node is not None and edit.meta is None:
            charges[names, "meta"] = len(node.meta)


def _charge_kids(charges: dict[object, int], node: Node, name: str | None, entry: int, *, leaving: bool) -> None:
    """A node's own object with the container in it, and the containers below on the way to `name`."""
    kids = node.kids
    inside = len(node.value) + len(node.meta)
    left = name_hash(name) if name is not None and kids.__class__ is Wide else 0
    depth = 0
    while True:
        key = id(kids) if kids is not None else (id(node), depth)
        if key not in charges:
            charges[key] = _object(inside + _inside(kids))
        charges[key] += entry
        if kids.__class__ is Bucket:
            if name is not None and not leaving and len(kids.names) >= FANOUT and name not in kids.names:
                # One name more makes it 32 sets, each an object.
                charges[key, "spread"] = FANOUT * (CHARGE + FIXED)
            return
        if kids.__class__ is not Wide or name is None:
            return
        if leaving and kids.count <= 2 * FANOUT:
            # It may become one bucket again.
            charges[key, "gathered"] = _object(_names(entries(kids)))
        kids = part(kids, left & (FANOUT - 1))
        left >>= BITS
        depth += 1
        inside = 0


def _inside(kids: Kids | None) -> int:
    """Bytes of a container, whole."""
    if kids is None:
        return 0
    if kids.__class__ is Bucket:
        return _names(kids.names)
    return FANOUT * SET


def _names(names: dict[str, Node | Stub]) -> int:
    """Bytes of a bucket with these names, the small leaves in it."""
    size = ENTRY * len(names)
    for name, node in names.items():
        size += _length(name)
        if node.__class__ is Node and node.kids is None and len(node.value) + len(node.meta) <= INLINE:
            size += len(node.value) + len(node.meta)
    return size


def _length(name: str) -> int:
    return len(name) if name.isascii() else 4 * len(name)


def _object(size: int) -> int:
    """What an object of so many bytes counts for at most."""
    if size <= PIECE:
        return max(CHARGE, size + FIXED)
    return size + size // 16 + FIXED + 2 * CHARGE
