"""A branch as the user sees it: a tree to read and change, and the history behind it."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from rrdstore.errors import Conflict, InvalidPath, NotFound
from rrdstore.history.commit import Edit
from rrdstore.history.when import parse_when
from rrdstore.store.commit import Commit
from rrdstore.store.planting import plant
from rrdstore.store.reports import own_keys
from rrdstore.store.snapshot import Snapshot
from rrdstore.store.touching import touches
from rrdstore.store.transaction import Transaction
from rrdstore.store.watch import Watches
from rrdstore.tree.edit import find, way_to
from rrdstore.tree.merge import NO_RULES
from rrdstore.tree.path import split
from rrdstore.tree.resolution import merge_rules
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger
    from rrdstore.store.watch import Watch
    from rrdstore.tree.edit import Way
    from rrdstore.tree.node import Node
    from rrdstore.tree.resolution import Given
    from rrdstore.tree.spot import Spot

T = TypeVar("T")
Place = tuple[str, bytes, bytes]
_tuple = tuple.__new__  # a third of what calling a named tuple costs


class Branch:
    """One line of history. Like a git branch: a head that moves on with each commit."""

    __slots__ = ("_id", "_ledger", "_name")

    def __init__(self, ledger: Ledger, line: Line) -> None:
        self._ledger, self._id, self._name = ledger, line.id, line.name

    @property
    def _line(self) -> Line:
        if self._ledger.closed:
            self._ledger.check_open()
        line = self._ledger.history.lines.get(self._id)
        if line is None or not line.name:
            raise NotFound("branch", self._name)
        return line

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def keep(self) -> str:
        """Its retention policy."""
        return self._line.keep

    @property
    def head(self) -> Commit:
        """The newest commit; a new fork's is its fork point. O(1)."""
        ledger = self._ledger
        run = ledger.run
        newest = run.newest() if run.branch == self._id and run.records and not ledger.closed else self._head
        return Commit(ledger, newest)

    @property
    def tree(self) -> Tree:
        """All there is now, immutable. O(1)."""
        ledger = self._ledger
        if ledger.run.branch == self._id and not ledger.closed:
            return Tree(ledger.run.freeze(), ledger.storage)
        return ledger.tree(self._head)

    @property
    def now(self) -> Tree:
        """The same for whoever is done with it when the next commit is made, which may change it. O(1).

        A tree that nobody keeps spares the next commit the copy of a path.
        """
        ledger = self._ledger
        run = ledger.run
        if run.branch == self._id and not ledger.closed:
            shown = run.shown
            if shown.root is not run.root:
                shown = run.shown = Tree(run.root, ledger.storage)
            return shown
        return ledger.tree(self._head)

    @property
    def keys(self) -> tuple[tuple[int, int], ...]:
        """What a policy sees of its kept commits, oldest first: (retention time in microseconds, number). O(kept)."""
        return tuple(own_keys(self._ledger, self._line))

    @property
    def _head(self) -> Record:
        return self._ledger.history.graph.records[self._line.head]

    # Reading

    def get(self, path: str) -> bytes:
        """The value at `path`; NotFound, InvalidPath. O(depth)."""
        return self.now.stat(path).value

    def stat(self, path: str) -> Node:
        """The node at `path`: value, meta, created, modified; NotFound."""
        return self.tree.stat(path)

    def list(self, path: str) -> tuple[str, ...]:
        """The names below `path`, sorted; NotFound."""
        return self.now.list(path)

    def __contains__(self, path: str) -> bool:
        return path in self.now

    # Changing

    def set(
        self,
        path: str,
        value: bytes,
        meta: bytes | None = None,
        message: str = "",
        author: str = "",
        opaque: bytes = b"",
    ) -> Commit:
        """Set the value at `path`, and its meta unless None, in one commit; parents are made as needed.

        `opaque` goes to the journal with it and is handed back after a crash (`Store.recovered`).
        StoreFull, TooLarge, Held: nothing was changed. O(depth).
        """
        if not isinstance(value, bytes) or not (meta is None or isinstance(meta, bytes)):
            raise TypeError(f"value and meta are bytes, not {type(value).__name__} and {type(meta).__name__}")
        if not isinstance(opaque, bytes):
            raise TypeError(f"opaque is bytes, not {type(opaque).__name__}")
        ledger = self._ledger
        run = ledger.run
        # Who watches may commit before this one is handed out.
        if meta is None and not opaque and run.branch == self._id and not ledger.watches:
            spot = run.spot(split(path))
            if spot is not None and (number := run.set_at(spot, value, message, author, goes_on=False)):
                return Commit(ledger, run.made(number))
        return self._change((_tuple(Edit, (path, value, meta)),), message, author, opaque)

    def change(
        self,
        edits: Iterable[tuple[str, bytes | None, bytes | None]],
        message: str = "",
        author: str = "",
        opaque: bytes = b"",
    ) -> Commit:
        """Several changes in one commit, in order: the value at a path (None: the subtree goes) and its meta or None.

        Nothing is read, so nothing conflicts; a removal of what is not there does nothing. Else as `set`.
        """
        made = tuple([Edit(*one) for one in edits])
        if not made:
            raise ValueError("no edits: expected one at least")
        for path, value, meta in made:
            if not (value is None or isinstance(value, bytes)) or not (meta is None or isinstance(meta, bytes)):
                raise TypeError(f"value and meta are bytes, not {type(value).__name__} and {type(meta).__name__}")
            if value is None and not split(path):
                raise InvalidPath(path, "the root cannot be removed")
        if not isinstance(opaque, bytes):
            raise TypeError(f"opaque is bytes, not {type(opaque).__name__}")
        return self._change(made, message, author, opaque)

    def plant(self, places: Iterable[Place], message: str = "", author: str = "", *, later: bool = False) -> Commit:
        """Make many new places: the path of each, its value and its meta; those above them are made as needed.

        The same as to set them one by one, in a third of the time if parents come before their children. In one commit,
        or in several if one would be larger than the store takes; the last of them. More than a thousand are stored at
        once, past the journal; or `later`, by the ticks that come, and lie until then in a file beside the store,
        `PATH-apart`, beyond its size, so that a kill loses nothing.
        InvalidPath, Exists for a place that is there or comes twice, ValueError for none at all: nothing was changed.
        StoreFull, TooLarge, Held: nothing of that commit was. O(places).
        """
        made = tuple([_tuple(Edit, one) for one in places])
        if not made:
            raise ValueError("no places: expected one at least")
        if {type(value) for _, value, _ in made} | {type(meta) for _, _, meta in made} != {bytes}:
            for _, value, meta in made:
                if not (isinstance(value, bytes) and isinstance(meta, bytes)):
                    raise TypeError(f"value and meta are bytes, not {type(value).__name__} and {type(meta).__name__}")
        self._ledger.check_writable()
        record = plant(self._ledger, line := self._line, made, message, author, later=later)
        self._ledger.run.begin(line, record)
        return Commit(self._ledger, record)

    def _change(self, edits: tuple[Edit, ...], message: str, author: str, opaque: bytes) -> Commit:
        ledger = self._ledger
        run = ledger.run
        if run.branch == self._id:
            record = run.append(edits, message, author, opaque)
            if record is not None:
                return Commit(ledger, record)
        line = self._line
        record = ledger.commit(line, edits, message, author, opaque)
        run.begin(line, record)
        return Commit(ledger, record)

    def way(self, names: tuple[str, ...]) -> Way | None:
        """Where a path leads now, for a `make` before any other commit; its `node` is what is there.

        None altogether if that cannot be now. O(depth).
        """
        run = self._ledger.run
        if run.branch != self._id:
            return None
        run.looked = self._ledger.number
        return way_to(run.root, names)

    def spot(self, names: tuple[str, ...]) -> Spot | None:
        """Where a node is now, of the components of a path: to read it again, and to set it by `set_at`.

        None if it is not there, if it is not in memory (as what was never looked at since an opening), or if nobody
        can tell now. A spot stays right whatever is done: its `node` is what is there, or None where that is known no
        more. O(depth), and less beside one that is known.
        """
        run = self._ledger.run
        if run.branch != self._id and not run.resumed(self._line):
            return None
        return run.spot(names)

    def set_at(self, spot: Spot, value: bytes, saying: str = "", author: str = "") -> int:
        """Set the small leaf at a spot of this branch to another small value, in one commit: its number, or 0.

        The commit's message is `saying` and the path of the spot. For who sets what it knows again and again: nothing
        is looked up, and no commit is handed out. 0 is that nothing has happened, as it is more than that (what is
        there is a directory or gone, or becomes large, or there is no room without a tick) or the spot is known no
        more: then `spot` it again, or `set`. All other spots stay known. Held, Unwritable. O(1) where one of the last
        thousands of commits has been, else a copied path.
        """
        if not isinstance(value, bytes):
            raise TypeError(f"value is bytes, not {type(value).__name__}")
        run = self._ledger.run
        if run.branch != self._id and not run.resumed(self._line):
            return 0
        return run.set_at(spot, value, saying, author, goes_on=True)

    def make(
        self, places: Sequence[str], way: Way, value: bytes, meta: bytes, message: str = "", author: str = ""
    ) -> int:
        """Make a place where `way` leads to nothing, and all that is missing above it, with no value but this meta too.

        `places` are all of these, the lowest first. In one commit: its number; 0, and nothing has happened, if that
        cannot be in a run. O(depth).
        """
        run = self._ledger.run
        if run.branch != self._id or run.looked != self._ledger.number or way.node is not None:
            return 0
        edits = [_tuple(Edit, (place, b"", meta)) for place in reversed(places)]
        edits[-1] = _tuple(Edit, (places[0], value, meta))
        record = run.append(tuple(edits), message, author, b"", way)
        return 0 if record is None else record.number

    def remove(self, path: str, message: str = "", author: str = "", opaque: bytes = b"") -> Commit:
        """Remove the subtree at `path` in one commit; NotFound, and InvalidPath for the root. O(depth)."""
        names = split(path)
        if not names:
            raise InvalidPath(path, "the root cannot be removed")
        if find(self.now.root, names) is None:
            raise NotFound("node", path)
        return self._change((Edit(path, None),), message, author, opaque)

    def transaction(self, message: str = "", author: str | None = "") -> Transaction:
        """Changes that happen together: a context manager, or `commit()` and `abort()` by hand. O(1)."""
        self._ledger.leases.end_all()
        return Transaction(self._ledger, self._line, message, author or "")

    def update(self, change: Callable[[Transaction], T], retries: int = 8, message: str = "", author: str = "") -> T:
        """Run `change` in a transaction, again at most `retries` times on Conflict; what it returned."""
        while True:
            try:
                with self.transaction(message, author) as tx:
                    result = change(tx)
            except Conflict:
                if retries <= 0:
                    raise
                retries -= 1
            else:
                return result

    def fork(self, name: str, keep: str | None = None, lease: str | int | None = None) -> Branch:
        """A new branch from the head of this one, with its own policy; Exists, LimitReached, PolicyError.

        The two merge for ever, unless a `lease` is given ("30d", or seconds): then as long as no commit is made so
        much later than their last merge. After that LeaseEnded, and `patch` is the way out.
        """
        return Branch(self._ledger, self._ledger.branching.begin(name, keep, self._line, lease=lease))

    def merge(
        self,
        other: str | Branch,
        message: str | None = None,
        author: str = "",
        at: str | datetime | int | None = None,
        rules: Given = NO_RULES,
    ) -> Commit:
        """Merge `other` into this one: its head, or the kept commit that it has `at` that moment, id or tag.

        Where both sides changed the same place `rules` settle it (pairs of a path pattern and the name of a rule or a
        function), then those of the configuration; else Conflict naming the paths. Conflict, Unmergeable: nothing is
        changed. Returns the head as it is if there is nothing new. O(what changed since they last met).
        """
        ledger, settled = self._ledger, merge_rules(rules)
        line = ledger.history.line(other if isinstance(other, str) else other.name)
        theirs = None if at is None else ledger.find(line, at).record
        return Commit(ledger, ledger.branching.merge(self._line, line, theirs, message, author, settled))

    def patch(
        self,
        other: str | Branch,
        since: str | datetime | int,
        message: str | None = None,
        author: str = "",
        at: str | datetime | int | None = None,
    ) -> Commit:
        """Do here what `other` changed `since` a commit that it has, to its head or the one `at` a moment, id or tag.

        No merge: nothing is known of what the two have in common, and nothing is remembered. Each place must have its
        old value, a removed directory the names that it had, and what is made a parent; else Conflict, and nothing
        is changed. What was taken back here since it came over is done again. One commit with one parent, or the head
        as it is if there is nothing to do. Unmergeable if `other` does not have the commits. O(what changed).
        """
        ledger = self._ledger
        line = ledger.history.line(other if isinstance(other, str) else other.name)
        start, theirs = ledger.find(line, since).record, None if at is None else ledger.find(line, at).record
        return Commit(ledger, ledger.branching.patch(self._line, line, start, theirs, message, author))

    # History

    def at(self, when: str | datetime | int) -> Snapshot:
        """The tree as it was: "2h ago", a datetime, "@unix", ISO text, a tag, an id or a prefix of one.

        The shortest prefix is the number. NotFound before the first commit, Thinned for what was dropped,
        InvalidWhen, LimitReached for too many at once.
        """
        found = self._ledger.find(self._line, when)
        return Snapshot(self._ledger, found.record, found.following, exact=found.exact)

    def log(
        self,
        path: str | None = None,
        since: str | datetime | int | None = None,
        until: str | datetime | int | None = None,
    ) -> Iterator[Commit]:
        """The kept commits that led here, newest first; with `path`, those that changed something at or below it.

        Where commits were thinned, a commit stands for a change made at any time since the one before it. What
        is thinned while you look is left out. InvalidPath, InvalidWhen, NotFound. O(kept log kept).
        """
        now = self._ledger.clock.wall()
        first, last = self._moment(since, now), self._moment(until, now)
        names = None if path is None else split(path)
        line = self._ledger.history.graph.ancestry(self._line.head)
        reached = takewhile(lambda record: first is None or record.rt >= first, line)
        # All of them now: what is thinned while the caller looks must not hide what came before it.
        return self._logged([record.number for record in reached if last is None or record.rt <= last], names)

    def _logged(self, numbers: Sequence[int], names: tuple[str, ...] | None) -> Iterator[Commit]:
        for number in numbers:
            record = self._ledger.history.graph.records.get(number)
            if record is not None and (names is None or touches(self._ledger, record, names)):
                yield Commit(self._ledger, record)

    def watch(
        self, path: str, callback: Callable[[Commit, tuple[str, ...]], object], depth: int | None = None
    ) -> Watch:
        """Be called with (commit, changed paths) after each commit that concerns `path`; see rrdstore.store.watch."""
        watches = self._ledger.watches.setdefault(self._line.id, Watches())
        return watches.add(path, callback, depth, self.head)

    def _moment(self, when: str | datetime | int | None, now: int) -> int | None:
        if when is None:
            return None
        moment = None if when in self._ledger.history.tags else parse_when(when, now)
        return self._ledger.find(self._line, when).record.rt if moment is None else moment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Branch) and (self._ledger, self._id) == (other._ledger, other._id)

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return f"<Branch {self._name!r}>"
