"""A transaction: a private branch for a moment.

Rule: it sees its branch as it was at START, and its own changes. What it read is remembered; at the end
it commits if nothing of that has changed since (Conflict otherwise, and nothing is done), and then its
changes are done to the head as it is now: a write that read nothing never conflicts, the later END wins,
and a removal covers whatever is below by then. A transaction that changed nothing commits nothing.
Values are compared, not versions: what was changed and changed back did not change.
Cost: O(1) to start; at the end O(reads + changes), and O(1) for the reads if the head has not moved.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NoReturn

from rrdstore.errors import Closed, Conflict, InvalidPath, NotFound
from rrdstore.history.commit import Edit
from rrdstore.history.holds import TRANSACTION
from rrdstore.store.commit import Commit
from rrdstore.tree import edit
from rrdstore.tree.node import listing, new_node
from rrdstore.tree.path import split
from rrdstore.tree.sharing import shared_meta
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rrdstore.history.branch import Line
    from rrdstore.store.ledger import Ledger
    from rrdstore.tree.node import Node

What = Literal["exists", "value", "meta", "list"]
_EXISTS, _VALUE, _META, _LIST, _CHILDREN = 1, 2, 4, 8, 16
_BITS: dict[str, int] = {"exists": _EXISTS, "value": _VALUE, "meta": _META, "list": _LIST}
_MADE = _EXISTS | _VALUE | _META
_tuple = tuple.__new__  # a third of what calling a named tuple costs


class Transaction:
    """Changes to one branch that happen together or not at all.

    A context manager: the end of the body commits, a body that raises commits nothing.
    """

    def __init__(self, ledger: Ledger, line: Line, message: str, author: str) -> None:
        self._ledger, self._branch, self._name = ledger, line.id, line.name
        self.message, self.author = message, author
        """What its commit will say; may be set until the end."""
        self._start = ledger.history.graph.records[line.head]
        self._before = self._root = ledger.root(self._start)
        self._mark = edit.new_edit()
        self._number = ledger.number + 1
        self._edits: list[Edit] = []
        self._reads: dict[str, int] = {}
        """What was read of each path, in bits; and below what it has changed itself."""
        self._own: dict[str, int] = {}
        self._open = True
        self._lease = ledger.leases.take(self._start, TRANSACTION)

    @property
    def start(self) -> Commit:
        """The commit its snapshot was taken of."""
        return Commit(self._ledger, self._start)

    @property
    def tree(self) -> Tree:
        """The private tree as it is now, immutable; reads through it are not remembered (see `note`)."""
        self._check()
        return Tree(self._shown(self._root), self._ledger.storage)

    @property
    def now(self) -> Tree:
        """The same for whoever is done with it when the next change is made, which may change it. O(1).

        A tree that nobody keeps spares the next change the copy of a path.
        """
        self._check()
        return Tree(self._root, self._ledger.storage)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What it has changed so far, in order."""
        return tuple(self._edits)

    def note(self, path: str, what: What) -> None:
        """Remember that something was decided by this: the node's existence, value, meta or list of children.

        InvalidPath; ValueError for another word.
        """
        if not self._open or self._ledger.closed:
            self._check()
        bit, known, own = _BITS.get(what) or _bit(what), self._reads.get(path, 0), self._own.get(path, 0)
        if not (known | own) & bit:
            if not known | own:
                split(path)
            self._reads[path] = known | bit

    def _note(self, path: str, bit: int) -> None:
        if not self._own.get(path, 0) & bit:
            self._reads[path] = self._reads.get(path, 0) | bit

    def look(self, path: str, what: What) -> Node | None:
        """The node at `path`, as it is until the next change, or None; what of it decides is remembered (`note`)."""
        return self.reach(path, split(path), what)

    def reach(self, path: str, names: tuple[str, ...], what: What) -> Node | None:
        """The same, for who has the components of the path already."""
        if not self._open or self._ledger.closed:
            self._check()
        bit = _BITS.get(what) or _bit(what)
        node = edit.find(self._root, names)
        if node is None:
            bit = _EXISTS
        if not self._own.get(path, 0) & bit:
            self._reads[path] = self._reads.get(path, 0) | bit
        return node

    def get(self, path: str) -> bytes:
        """The value at `path`; NotFound. Remembered."""
        return self._find(path, "value").value

    def stat(self, path: str) -> Node:
        """The node at `path`; NotFound. Its value, its meta and how many children it has are remembered."""
        node = self._find(path, "value")
        self._note(path, _META)
        if edit.find(self._before, split(path)) is not None:
            self._reads[path] = self._reads.get(path, 0) | _CHILDREN
        # A leaf can be shown as it is: no later change is made inside it.
        return node if node.kids is None else self._shown(node)

    def list(self, path: str) -> tuple[str, ...]:
        """The names below `path`, sorted; NotFound. Remembered."""
        return listing(self._find(path, "list").kids)

    def __contains__(self, path: str) -> bool:
        self._check()
        names = split(path)
        self._note(path, _EXISTS)
        return edit.find(self._root, names) is not None

    def way(self, names: tuple[str, ...]) -> edit.Way:
        """Where a path leads now, for a `set` or `make` before any other change, by its components. O(depth).

        Not remembered (`note`).
        """
        if not self._open or self._ledger.closed:
            self._check()
        return edit.way_to(self._root, names)

    def set(
        self,
        path: str,
        value: bytes,
        meta: bytes | None = None,
        parents: bytes | None = None,
        way: edit.Way | None = None,
    ) -> None:
        """Set the value at `path`, and its meta unless None; parents are made as needed. Reads nothing.

        Parents that are made have no value, and the meta `parents` if that is given: then it is remembered that they
        were missing. O(depth), also if all of them are made. `way` is that of this path and moment, if it is known.
        """
        if not self._open or self._ledger.closed:
            self._check()
        if way is None:
            way = edit.way_to(self._root, split(path))
        if parents is not None and way.node is None and self._chain(path, way, value, meta, _bytes(parents, "parents")):
            return
        if value.__class__ is not bytes or (meta is not None and meta.__class__ is not bytes):
            value, meta = _bytes(value, "value"), None if meta is None else _bytes(meta, "meta")
        self._root = edit.put_at(self._root, way, value, meta, self._number, self._mark)
        self._edits.append(_tuple(Edit, (path, value, meta)))
        self._own[path] = self._own.get(path, 0) | (_EXISTS | _VALUE if meta is None else _MADE)

    def make(self, places: Sequence[str], way: edit.Way, value: bytes, meta: bytes) -> None:
        """Make a place where `way` leads to nothing, and all that is missing above it, with no value but this meta too.

        `places` are all of these, the lowest first. It is remembered that the topmost was missing, and so all were.
        ValueError if there is something. O(depth).
        """
        if not self._open or self._ledger.closed:
            self._check()
        names, containers, _, node = way
        levels = len(names) - len(places) + 1
        if node is not None or levels != way.levels:
            raise ValueError(f"{places[0]!r} is not missing as its way says")
        if value.__class__ is not bytes or meta.__class__ is not bytes:
            value, meta = _bytes(value, "value"), _bytes(meta, "meta")
        own, number = self._own, self._number
        top = places[-1]
        if not own.get(top, 0) & _EXISTS:
            self._reads[top] = self._reads.get(top, 0) | _EXISTS
        if len(places) == 1:
            fresh = new_node(value, shared_meta(meta), number, number)
        else:
            contents = [(b"", meta)] * (len(places) - 1)
            fresh = edit.grown(names[levels:], [*contents, (value, meta)], number, self._mark)
        self._root = edit.hung(containers, names[:levels], fresh, number, self._mark)
        for place in reversed(places):
            self._edits.append(_tuple(Edit, (place, b"" if place is not places[0] else value, meta)))
            own[place] = _MADE

    def _chain(self, path: str, way: edit.Way, value: bytes, meta: bytes | None, parents: bytes) -> bool:
        """Make a node that has more than one level to be made, at the end of a way; False if it has not."""
        names = way.names
        there = len(edit.nodes_of(way.containers)) - 1
        if len(names) - there < 2:
            return False
        ends = accumulate(map(len, names), lambda end, size: end + 1 + size, initial=0)
        places = [path[:end] for end in list(ends)[there + 1 :]]
        steps = [Edit(place, b"", parents) for place in places]
        steps[-1] = Edit(path, _bytes(value, "value"), None if meta is None else _bytes(meta, "meta"))
        made = [(b"", parents)] * (len(steps) - 1) + [(value, meta or b"")]
        self._note(places[0], _EXISTS)
        self._root = edit.put_chain(self._root, names, made, self._number, self._mark)
        self._edits += steps
        self._own.update(dict.fromkeys(places, _MADE))
        return True

    def remove(self, path: str) -> None:
        """Remove the subtree at `path`; NotFound if there is none (which is remembered), InvalidPath for the root."""
        self._check()
        names = split(path)
        if not names:
            raise InvalidPath(path, "the root cannot be removed")
        self._note(path, _EXISTS)
        try:
            self._root = edit.remove(self._root, names, self._mark)
        except KeyError:
            raise NotFound("node", path) from None
        self._edits.append(Edit(path, None))

    def commit(self) -> Commit:
        """End it: one commit of the changes, or the head as it is if there are none.

        Conflict, StoreFull, NotFound if the branch was deleted, Closed: nothing was done.
        """
        self._check()
        ledger, ready = self._ledger, None
        try:
            history = ledger.history
            line = history.lines.get(self._branch)
            if line is None or not line.name:
                raise NotFound("branch", self._name)
            head = history.graph.records[line.head]
            if head.number != self._start.number:
                self._validate(ledger.root(head))
            elif ledger.number + 1 == self._number:
                ready = self._root
            if not self._edits:
                return Commit(ledger, head)
            record = ledger.commit(line, self.edits, self.message, self.author, root=ready)
        finally:
            self.abort()
        ledger.run.begin(line, record)
        return Commit(ledger, record)

    def abort(self) -> None:
        """End it with nothing done; ending twice is no error."""
        if self._open:
            self._open = False
            self._ledger.history.parting.remains.parts += (self._before, self._root)
            self._before = self._root = edit.EMPTY
            self._ledger.leases.end(self._lease)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._open:
            self.commit()
        else:
            self.abort()

    def _check(self) -> None:
        if not self._open:
            raise Closed("transaction")
        if self._ledger.closed:
            self._ledger.check_open()

    def _shown(self, node: Node) -> Node:
        """The node, which from now on somebody else sees: later changes copy what is below it."""
        self._mark = edit.new_edit()
        return node

    def _find(self, path: str, what: What) -> Node:
        node = self.look(path, what)
        if node is None:
            raise NotFound("node", path)
        return node

    def _validate(self, now: Node) -> None:
        if now is self._before:
            return
        clashes: dict[str, None] = {}
        for path, bits in self._reads.items():
            names = split(path)
            was, is_ = edit.find(self._before, names), edit.find(now, names)
            if was is not is_ and (was is None or is_ is None or _differ(was, is_, bits)):
                clashes[path] = None
        if clashes:
            raise Conflict(clashes)


def _bit(what: str) -> NoReturn:
    """Another word than those that may be read of a node."""
    raise ValueError(f"what {what!r}: expected one of {', '.join(_BITS)}")


def _differ(was: Node, is_: Node, bits: int) -> bool:
    """Whether anything of a node that was read is another now."""
    return bool(
        (bits & _VALUE and was.value != is_.value)
        or (bits & _META and was.meta != is_.meta)
        or (bits & _LIST and listing(was.kids) != listing(is_.kids))
        or (bits & _CHILDREN and was.children != is_.children)
    )


def _bytes(data: object, what: str) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f"{what} is bytes, not {type(data).__name__}")
    return data
