"""Indexes: which domain has a name, kept in the tree beside the names.

Rules
1. A projection says what of each domain is indexed, and by which value: `/local/domain/<domid>/name`. Its index has a
   node for each value, which holds the lowest domid that has it; the others are nodes below it, each with its own
   number. All that is below "/.xsadapter/index", changed in the commits that change what is projected: so it is right
   in a transaction, at any kept time and after any crash, by nobody's doing.
2. A value is spelled with `@xx` for each byte outside of `[A-Za-z0-9_-]`, so a client can name it, in one way only.
   What is empty, or would be too long to be asked for, is in no index; nor is a home whose name is no domid.
3. Changes depend on the values that are projected and on what the index holds. Inside a transaction both join what it
   has read; if either is another at the END, the requests are replayed, which have the same answers: no EAGAIN.
4. `/local/domain` as a whole empties every index, whatever else is there by then.
5. Clients read it as `/@index/NAME/VALUE`, where no node of theirs can be (`commands.access`). A tree that was made
   without the index is read by looking at every domain.

Cost: one test of a path's end for what is no name; O(log domains) for a name, O(n) once n domains have the same and the
lowest of them goes. `mend` O(domains).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import rrdstore
from xsadapter.engine import private
from xsadapter.engine.permissions import DEFAULT as PERMISSIONS
from xsadapter.engine.permissions import DOMID_MAX
from xsadapter.paths import ABSOLUTE_MAX, spelled
from xsadapter.paths import INDEX as TOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from xsadapter.engine.view import What

_DOMAINS: Final = "/local/domain"
_ALL: Final = frozenset((_DOMAINS, "/local"))
_HOME: Final = re.compile(f"{_DOMAINS}/(0|[1-9][0-9]{{0,4}})(?=/|$)")
_SPELLING: Final = re.compile(rf"([A-Za-z0-9_-]+)={_DOMAINS}/\*/([A-Za-z0-9_@-]+(?:/[A-Za-z0-9_@-]+)*)")
_FORM: Final = 1
"""To be raised when the same names are to make another index."""
_VALUE, _DOMID = 3, 4
"""How many slashes a client's path of a value in an index has, and of one of that value's domids."""

Edit = tuple[str, bytes | None, bytes | None]
"""As `Branch.change` takes it."""

Held = dict[str, tuple[str, ...]]
"""By the places of values the domids that have them, the lowest first and the others in no order."""


class Seen(Protocol):
    """What is asked for the nodes of an index: a view of the tree, or what there was."""

    def node(self, path: str, what: What) -> rrdstore.Node | None:
        """See View."""
        ...

    def names(self, path: str) -> tuple[str, ...]:
        """See View."""
        ...


class Move(NamedTuple):
    """A domain gets a value or loses it; without a domid, an index loses all."""

    place: str
    domid: int | None
    comes: bool


class Projection(NamedTuple):
    """One index: its name, which node below a domain's home counts, and what its values begin with in vain."""

    name: str
    node: str
    prefix: bytes = b""

    @classmethod
    def parse(cls, text: str) -> Projection:
        """One as it is spelled: `NAME=/local/domain/*/NODE`; ValueError."""
        found = _SPELLING.fullmatch(text)
        if found is None:
            raise ValueError(f"{text}: expected NAME={_DOMAINS}/*/NODE, in letters, digits, - and _")
        return cls(found[1], found[2])

    @property
    def root(self) -> str:
        """Where its values are."""
        return f"{private.INDEX}/{self.name}"

    def place(self, value: bytes) -> str:
        """The place of a value; empty if it has none."""
        key = spelled(value.removeprefix(self.prefix))
        shown = len(TOP) + len(self.name) + len(key) + 2
        return f"{self.root}/{key}" if key and shown <= ABSOLUTE_MAX else ""


DEFAULT: Final = (Projection("name", "name"), Projection("uuid", "vm", b"/vm/"))


def is_index(path: str) -> bool:
    """Whether a client's path is one of an index, or of all of them."""
    return path.startswith(TOP) and path[len(TOP) : len(TOP) + 1] in {"", "/"}


def shown(path: str) -> str:
    """A path as clients know it, if it is one of an index."""
    return TOP + path[len(private.INDEX) :] if path.startswith(private.INDEX) else path


def node(view: Seen, path: str, what: What) -> rrdstore.Node | None:
    """What a client finds at a path of an index; see View."""
    place = _place(path)
    found = view.node(place, what)
    if found is None and path.count("/") == _DOMID:
        value, _, domid = place.rpartition("/")
        lowest = view.node(value, "value")
        if lowest is not None and lowest.value == domid.encode():
            return lowest
    return found


def names(view: Seen, path: str) -> tuple[str, ...]:
    """What a client finds below a path of an index that exists: of a value all its domids, the lowest first."""
    place, level = _place(path), path.count("/")
    if level >= _DOMID:
        return ()
    found = view.names(place)
    if level == _VALUE:
        lowest = view.node(place, "value")
        if lowest is not None:
            return (lowest.value.decode(), *sorted(found, key=int))
    return found


def _place(path: str) -> str:
    return private.INDEX + path[len(TOP) :]


class Indexes:
    """The indexes of a daemon. `ends` is what the path of a projected node may end with, `asked` with a NUL behind."""

    __slots__ = ("_mark", "_projections", "asked", "ends")

    def __init__(self, projections: Sequence[Projection] = DEFAULT) -> None:
        self._projections = {projection.name: projection for projection in projections}
        self.ends = tuple(f"/{projection.node}" for projection in projections)
        self.asked = tuple(end.encode("ascii") + b"\0" for end in self.ends)
        self._mark = repr((_FORM, *sorted(self._projections.values()))).encode()

    def sources(self, path: str) -> list[tuple[Projection, int, str]]:
        """The nodes at or below a path of one domain that are projected: how, whose they are, and where."""
        home = _HOME.match(path)
        if home is None or int(home[1]) > DOMID_MAX:
            return []
        nodes = ((projection, f"{home[0]}/{projection.node}") for projection in self._projections.values())
        return [(projection, int(home[1]), place) for projection, place in nodes if f"{place}/".startswith(f"{path}/")]

    def written(self, path: str, old: bytes, new: bytes) -> list[Move]:
        """What becomes of the indexes when a node gets this value, and had that one, or none: an empty one.

        Ask only if the path ends with one of `ends`.
        """
        found: list[Move] = []
        if old == new:
            return found
        for projection, domid, source in self.sources(path):
            was, now = projection.place(old), projection.place(new)
            if source == path and was != now:
                found += [Move(place, domid, comes) for place, comes in ((was, False), (now, True)) if place]
        return found

    def removed(self, tree: rrdstore.Tree, path: str) -> list[Move]:
        """What becomes of them when all that there is at and below a path goes."""
        if path in _ALL:
            return [Move(projection.root, None, False) for projection in self._projections.values()]
        there = [(projection, domid, tree.get(source)) for projection, domid, source in self.sources(path)]
        places = [(projection.place(gone.value), domid) for projection, domid, gone in there if gone is not None]
        return [Move(place, domid, False) for place, domid in places if place]

    def mend(self, change: rrdstore.Transaction, most: int | None = None) -> bool:
        """Make them what they have to be for this tree, and mark it; changes nothing if they are that. O(domains).

        Of so many places at `most`; whether that was all, and the tree is marked.
        """
        tree, left = change.tree, -1 if most is None else most
        for name in _listed(tree, private.INDEX):
            if name not in self._projections:
                change.remove(f"{private.INDEX}/{name}")
        for projection in self._projections.values():
            if projection.root not in tree:
                change.set(projection.root, b"")
            have, wanted = _held(tree, projection), _wanted(tree, projection)
            for place in _differing(have, wanted):
                if not left:
                    return False
                left -= 1
                if place in have:
                    change.remove(place)
                for number, domid in enumerate(wanted.get(place, ())):
                    change.set(f"{place}/{domid}" if number else place, domid.encode())
        if not self.marked(tree):
            change.set(private.INDEXED, self._mark, meta=PERMISSIONS)
        return True

    def made_of(self, nodes: Mapping[str, tuple[bytes, bytes]]) -> list[tuple[str, bytes, bytes]]:
        """The places (value and list of each) that they are of, in a tree of these nodes; last the mark. O(domids)."""
        found: list[tuple[str, bytes, bytes]] = []
        for projection in self._projections.values():
            found.append((projection.root, b"", b""))
            values = ((domid, nodes.get(f"{_DOMAINS}/{domid}/{projection.node}")) for domid in range(DOMID_MAX + 1))
            for place, domids in _having(projection, ((domid, node[0]) for domid, node in values if node)).items():
                lowest, *others = (domid.encode() for domid in domids)
                found += [(place, lowest, b""), *((f"{place}/{other.decode()}", other, b"") for other in others)]
        return [*found, (private.INDEXED, self._mark, PERMISSIONS)]

    def marked(self, tree: rrdstore.Tree) -> bool:
        """Whether a daemon has made these very indexes in this tree. O(1)."""
        found = tree.get(private.INDEXED)
        return found is not None and found.value == self._mark

    def differences(self, tree: rrdstore.Tree) -> Iterator[str]:
        """What is wrong in them, in words. O(domains)."""
        for projection in self._projections.values():
            have, wanted = _held(tree, projection), _wanted(tree, projection)
            for place in _differing(have, wanted):
                mine, other = (", ".join(held.get(place, ("nobody",))) for held in (have, wanted))
                yield f"{shown(place)}: has {mine}, should have {other}"

    def then(self, tree: rrdstore.Tree, path: str) -> Seen:
        """What a path of an index is looked up in, for a tree of the past. O(domains) if that has no such index."""
        _, _, name, *_ = f"{path}/".split("/")
        projection = self._projections.get(name)
        if projection is None or projection.root in tree:
            return _Kept(tree)
        return _Made(projection, _wanted(tree, projection))


class _Kept:
    """An index that is in the tree."""

    def __init__(self, tree: rrdstore.Tree) -> None:
        self._tree = tree

    def node(self, path: str, what: What) -> rrdstore.Node | None:  # noqa: ARG002 - see Seen
        return self._tree.get(path)

    def names(self, path: str) -> tuple[str, ...]:
        return self._tree.list(path)


class _Made:
    """An index that is not: made of the names of all domains."""

    def __init__(self, projection: Projection, held: Held) -> None:
        self._root, self._held = projection.root, held

    def node(self, path: str, what: What) -> rrdstore.Node | None:  # noqa: ARG002 - see Seen
        if path == self._root:
            return rrdstore.Node(b"", b"", 0, 0)
        value, _, domid = path.rpartition("/")
        if path in self._held:
            domid = self._held[path][0]
        elif domid not in self._held.get(value, ()):
            return None
        return rrdstore.Node(domid.encode(), b"", 0, 0)

    def names(self, path: str) -> tuple[str, ...]:
        if path == self._root:
            return tuple(sorted(place.rpartition("/")[2] for place in self._held))
        return self._held[path][1:]


def edits(tree: rrdstore.Tree, moves: Iterable[Move]) -> list[Edit]:
    """What to change in the tree, for moves of different places."""
    found: list[Edit] = []
    for place, domid, comes in moves:
        if domid is None:
            found += [(place, None, None), (place, b"", None)]
            continue
        held, number = tree.get(place), b"%d" % domid
        if comes:
            found += _joined(place, held, number)
        elif held is None or held.value != number:
            found.append((f"{place}/{domid}", None, None))
        elif others := tree.list(place):
            heir = min(others, key=int)
            found += [(place, heir.encode(), None), (f"{place}/{heir}", None, None)]
        else:
            found.append((place, None, None))
    return found


def _joined(place: str, held: rrdstore.Node | None, number: bytes) -> list[Edit]:
    if held is None:
        return [(place, number, None)]
    other = max(held.value, number, key=int)
    below: Edit = (f"{place}/{other.decode()}", other, None)
    return [below] if other == number else [below, (place, number, None)]


def apply(change: rrdstore.Transaction, moves: Iterable[Move]) -> None:
    """Change the indexes in a transaction, before what they project is changed."""
    for move in moves:
        if move.domid is not None:
            change.note(move.place, "value")
            change.note(move.place, "list")
        for path, value, _ in edits(change.now, (move,)):
            if value is not None:
                change.set(path, value)
            elif path in change.now:
                change.remove(path)


def _listed(tree: rrdstore.Tree, path: str) -> tuple[str, ...]:
    return tree.list(path) if path in tree else ()


def _held(tree: rrdstore.Tree, projection: Projection) -> Held:
    """What is in an index."""
    places = [f"{projection.root}/{name}" for name in _listed(tree, projection.root)]
    return {place: (tree.stat(place).value.decode(errors="replace"), *tree.list(place)) for place in places}


def _wanted(tree: rrdstore.Tree, projection: Projection) -> Held:
    """What has to be in it."""
    homes = (_HOME.fullmatch(f"{_DOMAINS}/{name}") for name in _listed(tree, _DOMAINS))
    domids = [int(home[1]) for home in homes if home and int(home[1]) <= DOMID_MAX]
    nodes = ((domid, tree.get(f"{_DOMAINS}/{domid}/{projection.node}")) for domid in domids)
    return _having(projection, ((domid, node.value) for domid, node in nodes if node is not None))


def _having(projection: Projection, values: Iterable[tuple[int, bytes]]) -> Held:
    """The same, of these domains' values."""
    found: dict[str, list[int]] = {}
    for domid, value in values:
        if place := projection.place(value):
            found.setdefault(place, []).append(domid)
    return {place: tuple(map(str, sorted(domids))) for place, domids in found.items()}


def _differing(have: Held, wanted: Held) -> Iterator[str]:
    """The places that do not hold what they should. What is below a lowest domid is in no order."""
    for place in sorted(have.keys() | wanted.keys()):
        mine, other = have.get(place, ()), wanted.get(place, ())
        if mine[:1] != other[:1] or sorted(mine) != sorted(other):
            yield place
