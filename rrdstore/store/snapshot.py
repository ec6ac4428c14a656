"""The tree at a moment of the past, held open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Closed
from rrdstore.history.holds import SNAPSHOT
from rrdstore.store.commit import Commit, moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.node import Node
    from rrdstore.tree.tree import Tree


class Snapshot:
    """What a branch was at some moment, as far as is known. A context manager: while it is open its commit is kept.

    Rule: it is the newest kept commit at or before the moment, and says how good that is: no kept commit
    came in `.window`, and `.exact` tells whether no dropped one could have been current at the moment.
    Immutable; may be read from any thread.
    """

    __slots__ = ("__weakref__", "_following", "_leases", "_ledger", "_record", "_tree", "exact")

    def __init__(self, ledger: Ledger, record: Record, following: Record | None, *, exact: bool) -> None:
        self._leases: list[tuple[int, str]] = []
        self._tree: Tree | None = None
        self._ledger, self._record, self._following = ledger, record, following
        self.exact = exact
        """Whether this is what the branch was at the moment asked for, without doubt."""
        self._tree = ledger.tree(record)
        self._leases.append(ledger.leases.take(record, SNAPSHOT))

    @property
    def window(self) -> tuple[datetime, datetime | None]:
        """From when to when no other commit of the branch was kept when it was opened; the end is None at the head."""
        following = self._following
        return moment(self._record.rt), moment(following.rt) if following else None

    @property
    def commit(self) -> Commit:
        """The commit it shows."""
        return Commit(self._ledger, self._record)

    @property
    def tree(self) -> Tree:
        """The whole tree; Closed."""
        if self._tree is None:
            raise Closed("snapshot")
        self._ledger.check_open()
        return self._tree

    def get(self, path: str) -> bytes:
        """The value at `path`; NotFound. O(depth), and a load for each part not in memory."""
        return self.tree.stat(path).value

    def stat(self, path: str) -> Node:
        """The node at `path`; NotFound."""
        return self.tree.stat(path)

    def list(self, path: str) -> tuple[str, ...]:
        """The names below `path`, sorted; NotFound."""
        return self.tree.list(path)

    def walk(self, path: str) -> Iterator[Node]:
        """The nodes on the way to `path`, as `Tree.walk`."""
        return self.tree.walk(path)

    def __contains__(self, path: str) -> bool:
        return path in self.tree

    def close(self) -> None:
        """Let the commit go; closing twice is no error. What was read of it alone is freed bit by bit."""
        tree, self._tree = self._tree, None
        if tree is not None:
            self._ledger.history.parting.remains.parts.append(tree.root)
        try:
            self._ledger.leases.ended.append(self._leases.pop())
        except IndexError:  # Given back before, by another thread maybe.
            return

    __del__ = close

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
