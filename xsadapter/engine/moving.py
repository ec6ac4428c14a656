"""Going on in another store, while clients are served.

Rules
1. The other store gets the tree that clients see as a commit on top of what it has; its history stays, and what lies
   between is only in the store that is left. More than one commit holds becomes several: the first takes away the
   mark that the tree is this boot's, the last gives it back, so who is killed meanwhile begins with a fresh tree, never
   with half of one.
2. Nothing is told: no client sees a difference. A transaction goes on, with what was asked in it asked again; if it has
   read what has changed since, it ends in EAGAIN (`repeating`).
3. If the other store refuses, nothing has changed.

Cost: O(nodes).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine import lives, private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xsadapter.engine.daemon import Daemon

_CHANGES: Final = 2000
_BYTES: Final = 1 << 18
_MESSAGE: Final = "MOVE from another store"


def move(daemon: Daemon, store: rrdstore.Store) -> rrdstore.Store:
    """Have the daemon go on in `store`; the one it leaves, which is the caller's to close. StoreError, OSError."""
    branch = store.branch("main")
    pieces = deque(_pieces(_net(store.diff(branch.tree, daemon.head.still()))))
    whole, begun = len(pieces) < 2, False
    while pieces:
        piece = pieces.popleft()
        try:
            with branch.transaction(message=_MESSAGE, author=lives.AUTHOR) as commit:
                _made(commit, piece, mark=whole, unmark=not whole and not begun and private.BOOT in branch.tree)
        except rrdstore.TooLarge:
            if len(piece) < 2:
                raise
            half = len(piece) // 2
            pieces.extendleft((piece[half:], piece[:half]))
            whole = False
        else:
            begun = True
    boot = daemon.head.tree.get(private.BOOT)
    if not whole and boot is not None:
        branch.set(private.BOOT, boot.value, meta=boot.meta, message=_MESSAGE, author=lives.AUTHOR)
    return goes_on_in(daemon, store)


def goes_on_in(daemon: Daemon, store: rrdstore.Store) -> rrdstore.Store:
    """Have the daemon go on in a store that has its tree; the one it leaves. O(what was asked in transactions)."""
    left, daemon.store = daemon.store, store
    daemon.head.store = store
    daemon.head.branch = daemon.branch = store.branch("main")
    daemon.past_listings.clear()
    daemon.head.spots.clear()  # They are where the store that is left has it.
    daemon.head.moved()
    if daemon.counting is not None:
        daemon.counting.moved()
    for connection in daemon.connections.values():
        for transaction in connection.transactions.values():
            transaction.moved()
    return left


def _made(commit: rrdstore.Transaction, piece: list[rrdstore.Change], *, mark: bool, unmark: bool) -> None:
    if unmark:
        commit.set(private.BOOT, b"")
    for change in piece:
        if change.path == private.BOOT and not mark:
            continue
        if change.new is None:
            commit.remove(change.path)
        else:
            commit.set(change.path, change.new.value, meta=change.new.meta)


def _net(changes: Iterable[rrdstore.Change]) -> Iterator[rrdstore.Change]:
    """Without what goes with something above it."""
    gone = "//"
    for change in changes:
        if not change.path.startswith(gone):
            if change.new is None:
                gone = f"{change.path}/"
            yield change


def _pieces(changes: Iterable[rrdstore.Change]) -> Iterator[list[rrdstore.Change]]:
    piece: list[rrdstore.Change] = []
    size = 0
    for change in changes:
        piece.append(change)
        size += len(change.path) + (len(change.new.value) if change.new is not None else 0)
        if len(piece) >= _CHANGES or size >= _BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
