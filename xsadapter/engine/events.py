"""What watchers are told of a change: its net effect.

Rules
1. An effect is (path, removed): a path that was named by WRITE, by a MKDIR that created, by
   SET_PERMS or by RM, and whether RM named it. Parents made on the way are no effects.
2. An effect tells everyone who watches the path or an ancestor, if the node exists before the
   change or after it, whether it was removed by its own name or, in the same transaction, with its parent. What was
   created and removed again in one transaction tells nobody.
3. A removal tells first those who watch exactly a node below that existed before and does not
   afterwards: each its own path, the deepest first.
4. An unprivileged connection is told of a node that it may read, or whose parent it may read,
   after the change, or that it could read before the change (XSA-115).
5. Where guests have many watches, or do not read, they are told later (`telling`).

Cost: O(depth) an effect, and as much for each watch that it tells; for removals also the places watched
below them, each once however many of them are nested, never the number of nodes that went. A guest chooses
depth, nesting and 128 watches, so nothing here may be looked up again for each watch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine import private
from xsadapter.engine.connection import event_message
from xsadapter.engine.permissions import READ, allows, listed
from xsadapter.engine.telling import AT_ONCE, TOGETHER, Hit, Telling, tell_all_later, tell_later
from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Iterable

    import rrdstore
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.telling import Owed
    from xsadapter.engine.watches import Chain, Place, Watch, Watches

Effect = tuple[str, bool]


def tell(watches: Watches, effects: Iterable[Effect], before: rrdstore.Tree, after: rrdstore.Tree) -> None:
    """Queue the events of one commit."""
    if not watches.count:
        return
    told: set[str] = set()
    looked: set[int] = set()
    teller = _Teller(watches)
    for path, removed in effects:
        if path.startswith(private.ROOT):
            continue
        if removed:
            for place in watches.below(path, looked, before):
                below = place.here[0].path
                if below not in told:
                    change = Change(below, before, after)
                    if change.old is not None and change.new is None:
                        teller.tell_exactly(change, place)
        if watches.reach(path):
            change = Change(path, before, after)
            if change.new is not None or change.old is not None:
                told.add(path)
                teller.tell(change)
    teller.end()


def tell_unread(watches: Watches, effects: Iterable[Effect]) -> None:
    """The events of a commit whose trees cannot be read: to domain 0 what may have been, to guests nothing.

    Whether a node was there, and who may read it, is not known then. Domain 0 may know of everything, and looks; a
    guest that is told nothing learns nothing that it may not.
    """
    looked: set[int] = set()
    for path, removed in effects:
        if path.startswith(private.ROOT):
            continue
        for place in watches.below(path, looked) if removed else ():
            for watch in place.here:
                if watch.connection.privileged:
                    watch.tell(watch.path)
        for watch in watches.matching(path):
            if watch.connection.privileged:
                watch.tell(path)


def tell_replaced(watches: Watches, path: str, tree: rrdstore.Tree) -> bool:
    """The same for a client's value that was replaced: its node was there and is, and the same may read it.

    Whether anybody watches there.
    """
    found = watches.matching(path, 0)
    if watches.crowd:
        teller = _Teller(watches)
        teller.tell(Change(path, tree, tree))
        teller.end()
        return True
    token, strip, payload, message = b"", -1, b"", b""
    for watch in found:  # None is a guest's.
        if watch.token != token or watch.strip != strip:
            token, strip = watch.token, watch.strip
            payload, message = event_message(path[strip:] if strip else path, token)
        watch.connection.told(payload, message)
    return bool(found)


def telling_again(watches: Watches, owed: Owed) -> Telling:
    """What a daemon before this one had not told yet. O(changes)."""
    hits: list[Hit] = []
    for path, exactly, lists in owed:
        chain = watches.chain(path)
        if exactly:
            chain = tuple((place, reach) for place, reach in chain if not reach)
        hits.append(Hit(Change(path, lists=lists), chain, exactly))
    return Telling(hits, watches.telling())


class Change:
    """What became of one path, and who may know of it."""

    __slots__ = ("_lists", "_named", "_now", "_others", "_verdicts", "new", "old", "path")

    def __init__(
        self,
        path: str,
        before: rrdstore.Tree | None = None,
        after: rrdstore.Tree | None = None,
        lists: tuple[bytes, ...] | None = None,
    ) -> None:
        """From the trees, or from the lists that say who may know."""
        self.path = path
        self.old = None if before is None else before.get(path)
        self.new = None if after is None else after.get(path)
        # What is gone is judged by what was there: its parent's list counts as it was then.
        self._now = after if self.new is not None else before
        self._lists: tuple[bytes, ...] | None = None
        self._named: set[int] = set()
        """Whom the lists name; all others are the same to them."""
        self._others = False
        self._verdicts: dict[tuple[int, ...], bool] = {}
        if lists is not None:
            self._judge_by(lists)

    def tell(self, found: Iterable[Watch]) -> dict[Connection, None]:
        """Queue the events for these watches; the guests that are to be told later, as they do not read."""
        path = self.path
        late: dict[Connection, None] = {}
        at_once: set[Connection] = set()
        for watch in found:
            connection = watch.connection
            if not connection.privileged:
                if connection in late or not self.may_see(connection.identities):
                    continue
                if connection not in at_once:
                    if connection.crowded:
                        late[connection] = None
                        continue
                    at_once.add(connection)
            strip = watch.strip
            connection.event(path[strip:] if strip else path, watch.token)
        return late

    def may_see(self, identities: tuple[int, ...]) -> bool:
        """Whether a guest with these rights may know."""
        lists = self.lists
        if self._named.isdisjoint(identities):
            return self._others
        verdict = self._verdicts.get(identities)
        if verdict is None:
            verdict = self._verdicts[identities] = any(allows(each, identities, READ) for each in lists)
        return verdict

    @property
    def lists(self) -> tuple[bytes, ...]:
        """Those that say who may know: the node's, its parent's, and what was the node's."""
        lists = self._lists
        if lists is None:
            assert self._now is not None
            nodes = (self.new, self._now.get(parent(self.path)), self.old)
            lists = self._judge_by(tuple(node.meta for node in nodes if node is not None))
        return lists

    def _judge_by(self, lists: tuple[bytes, ...]) -> tuple[bytes, ...]:
        self._lists = lists
        self._named.update(domid for each in lists for domid in listed(each).named)
        self._others = any(allows(each, (), READ) for each in lists)
        return lists

    def settle(self) -> Change:
        """Find out what it takes to judge, and let go of the trees."""
        _ = self.lists
        self.old = self.new = self._now = None
        return self


class _Teller:
    """The events of one commit: at once as long as they are few."""

    __slots__ = ("_hits", "_left", "_watches")

    def __init__(self, watches: Watches) -> None:
        self._watches, self._left = watches, AT_ONCE
        self._hits: list[Hit] = []

    def tell(self, change: Change) -> None:
        """Everybody who watches the path or an ancestor."""
        watches, path = self._watches, change.path
        if not self._hits:
            found = watches.matching(path, self._left)
            if watches.crowd <= self._left:
                self._left -= watches.crowd
                if late := change.tell(found):
                    self._tell_later(Hit(change.settle(), watches.chain(path)), late)
                return
        self._later(change, watches.chain(path), exactly=False)

    def tell_exactly(self, change: Change, place: Place) -> None:
        """Those who watch this very path, alone."""
        chain = ((place, 0),)
        if self._hits or place.guests > self._left:
            self._later(change, chain, exactly=True)
        else:
            self._left -= place.guests
            if late := change.tell(place.here):
                self._tell_later(Hit(change.settle(), chain, exactly=True), late)

    def _tell_later(self, hit: Hit, late: Iterable[Connection]) -> None:
        tell_later(Telling((hit,), self._watches.telling()), late)

    def _later(self, change: Change, chain: Chain, *, exactly: bool) -> None:
        trusted = [
            watch for place, reach in chain for watch in place.parted[0] if watch.depth is None or watch.depth >= reach
        ]
        change.tell(sorted(trusted, key=lambda watch: watch.serial) if len(chain) > 1 else trusted)
        self._hits.append(Hit(change.settle(), chain, exactly))

    def end(self) -> None:
        """That was all of it."""
        for at in range(0, len(self._hits), TOGETHER):
            tell_all_later(Telling(self._hits[at : at + TOGETHER], self._watches.telling()))
