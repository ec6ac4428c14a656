"""Watches: a trie beside the tree, keyed by path components, without the levels at which nothing is or parts.

Rules
1. A watch is (connection, canonical path, token), and optionally a depth: 0 the node alone, 1 its
   children too, and so on. The key does not include the depth.
2. A change at p matches watches on p and on its ancestors, as far as their depth reaches.
3. A watch registered with a relative path reports paths without the connection's home.
4. A watch is charged to its connection's domain: one, and the bytes of its path and token.
5. Special names ("@...") have a trie of their own: a watch on "/" never matches them.
6. Guests' watches are counted where they are, and where there are many they are found by whose they are: a thousand
   guests may have 128 each on one place, and what is done for each of those is done for each change (`telling`).
7. There are at most twice as many places as paths with watches, the roots apart, however deep these are: a guest may
   have 128 watches a thousand levels deep, which were 40 MB, and 90 ms for each removal above them.

Cost: a look-up costs the levels that have watches below them, however many watches there are
elsewhere (C xenstored compares every watch with every change: 50 writes a second at 100,000
watches). Registration order is restored by sorting what matched. Prior art: radix trees (Morrison 1968).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.paths import is_special

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rrdstore
    from xsadapter.engine.connection import Connection

_ANY: Final = 1 << 60
_FEW: Final = 8
_SILENT: Final = 16384
"""Some 200 bytes each."""


class Watch:
    """One registration. `strip` is how much of an event's path the client does not want to see."""

    __slots__ = ("connection", "depth", "path", "serial", "strip", "token")

    def __init__(
        self, connection: Connection, path: str, token: bytes, depth: int | None, strip: int, serial: int
    ) -> None:
        self.connection, self.path, self.token = connection, path, token
        self.depth, self.strip, self.serial = depth, strip, serial

    def tell(self, path: str) -> None:
        """Queue the event for a change at `path`."""
        self.connection.event(path[self.strip :] if self.strip else path, self.token)


class Place:
    """A path that has watches on it, or below which paths that have part; `way` leads to it from the place above."""

    __slots__ = ("_parted", "below", "guests", "here", "way")

    def __init__(self, way: tuple[str, ...] = ()) -> None:
        self.way = way
        self.here: list[Watch] = []
        self.guests = 0
        """How many of those here are guests'."""
        self.below: dict[str, Place] = {}
        """By the first name of their ways."""
        self._parted: tuple[list[Watch], dict[Connection, list[Watch]]] | None = None

    @property
    def parted(self) -> tuple[list[Watch], dict[Connection, list[Watch]]]:
        """Those that are privileged, and those of each guest. O(1), O(watches here) after one came or went."""
        found = self._parted
        if found is None:
            found = self._parted = [], {}
            for watch in self.here:
                if watch.connection.privileged:
                    found[0].append(watch)
                else:
                    found[1].setdefault(watch.connection, []).append(watch)
        return found

    def add(self, watch: Watch) -> None:
        """One more."""
        self.here.append(watch)
        self._changed(watch, 1)

    def remove(self, watch: Watch) -> None:
        """One less."""
        self.here.remove(watch)
        self._changed(watch, -1)

    def _changed(self, watch: Watch, more: int) -> None:
        if not watch.connection.privileged:
            self.guests += more
        self._parted = None


Chain = tuple[tuple[Place, int], ...]
"""Places that a change reaches, and how many levels above it each is."""


def _components(path: str) -> tuple[str, ...]:
    if path == "/":
        return ()
    return tuple(path.split("/") if is_special(path) else path[1:].split("/"))


def _alike(way: tuple[str, ...], names: tuple[str, ...], at: int) -> int:
    """How many names of a way are those from `at` on."""
    most = min(len(way), len(names) - at)
    if way[:most] == names[at : at + most]:
        return most
    return next(count for count in range(most) if way[count] != names[at + count])


class Watches:
    """All watches of all connections."""

    __slots__ = ("_paths", "_serial", "_specials", "_tellings", "count", "crowd", "silent")

    def __init__(self) -> None:
        self._paths, self._specials = Place(), Place()
        self._serial = self._tellings = 0
        self.count = 0
        self.crowd = 0
        """How many guests' watches there are at the places that `matching` met last."""
        self.silent: set[bytes] = set()
        """Paths, with a NUL behind, that were found to have no watch on them or above: until one comes."""

    def add(self, connection: Connection, path: str, token: bytes, depth: int | None, strip: int) -> None:
        """Register; the caller has made sure that the key is new. O(levels)."""
        self._serial += 1
        watch = Watch(connection, path, token, depth, strip, self._serial)
        self._made(path).add(watch)
        if self.silent:
            self.silent.clear()
        connection.watches[path, token] = watch
        self.count += 1
        connection.flow.touched.watch(watch, gone=False)
        if connection.flow.trail.obj:
            connection.flow.trail.object("CREATE", "watch", connection, path=path)
        _charge(watch, 1)

    def remove(self, watch: Watch) -> None:
        """Forget a watch and every place that nothing needs any more. O(levels + watches on the same path)."""
        place = self._root(watch.path)
        trail: list[Place] = []
        names, at = _components(watch.path), 0
        while at < len(names):
            trail.append(place)
            place = place.below[names[at]]
            at += len(place.way)
        place.remove(watch)
        while trail and not place.here and len(place.below) < 2:
            above = trail.pop()
            if place.below:
                (only,) = place.below.values()
                only.way = place.way + only.way
                above.below[place.way[0]] = only
                break
            del above.below[place.way[0]]
            place = above
        del watch.connection.watches[watch.path, watch.token]
        self.count -= 1
        watch.connection.flow.touched.watch(watch, gone=True)
        if watch.connection.flow.trail.obj:
            watch.connection.flow.trail.object("DESTROY", "watch", watch.connection, path=watch.path)
        _charge(watch, -1)

    def telling(self) -> int:
        """The number of another commit that guests are told later of: they go up."""
        self._tellings += 1
        return self._tellings

    def hush(self, key: bytes) -> None:
        """A change of a value at this path tells nobody, it was found."""
        if len(self.silent) >= _SILENT:
            self.silent.clear()
        self.silent.add(key)

    def remove_all(self, connection: Connection) -> None:
        """Forget every watch of a connection."""
        for watch in list(connection.watches.values()):
            self.remove(watch)

    def matching(self, path: str, most: int = _ANY) -> list[Watch]:
        """Who is to know of a change at `path`, in the order of registration. O(levels + found log found).

        Given up, with too few found, where `crowd` is more than `most`.
        """
        names = _components(path)
        levels, level = len(names), 0
        place = self._root(path)
        found: list[Watch] = []
        places = crowd = 0
        while True:
            if place.here:
                crowd += place.guests
                if crowd > most:
                    break
                reach = levels - level
                found += [watch for watch in place.here if watch.depth is None or watch.depth >= reach]
                places += 1
            below = place.below.get(names[level]) if level < levels else None
            if below is None:
                break
            way, place = below.way, below
            before, level = level, level + len(way)
            if len(way) > 1 and way != names[before:level]:
                break
        self.crowd = crowd
        if places > 1:  # Those of one place are in that order.
            found.sort(key=_by_serial)
        return found

    def reach(self, path: str) -> bool:
        """Whether anybody may have to know of a change at `path`; False is sure. O(levels)."""
        place = self._root(path)
        if place.here:
            return True
        names, at = _components(path), 0
        levels = len(names)
        while at < levels:
            below = place.below.get(names[at])
            if below is None:
                return False
            if below.here:
                return True
            place, at = below, at + len(below.way)
        return False

    def chain(self, path: str) -> Chain:
        """The places on the way to `path`, itself included, at which there are watches. O(levels)."""
        names, level, place = _components(path), 0, self._root(path)
        levels = len(names)
        found = []
        while True:
            if place.here:
                found.append((place, levels - level))
            below = place.below.get(names[level]) if level < levels else None
            if below is None or below.way != names[level : level + len(below.way)]:
                return tuple(found)
            place, level = below, level + len(below.way)

    def below(self, path: str, looked: set[int], tree: rrdstore.Tree | None = None) -> Iterator[Place]:
        """Places strictly below `path` that have watches, the deepest first, siblings by name.

        `looked` keeps where this has been: what it was asked for before is left out. So may be, with a `tree`, what is
        not in it. O(places not left out, or nodes where these are fewer), no recursion.
        """
        place, within = self._root(path), False
        names, at = _components(path), 0
        while at < len(names):
            found = place.below.get(names[at])
            if found is None or id(place) in looked:
                return
            alike = _alike(found.way, names, at)
            if alike < len(found.way) and at + alike < len(names):
                return
            within = alike < len(found.way)
            place, at = found, at + alike
        if within:
            # The path is on the way to that place, which is below it.
            tops = [place]
            path += f"/{'/'.join(place.way[alike:])}"
        elif id(place) in looked:
            return
        else:
            tops = _sorted(place, path, tree)
            looked.add(id(place))
        stack = [(place, iter(tops), path)]
        while stack:
            place, following, above = stack[-1]
            inner = next(following, None)
            if inner is not None:
                here = path if within and len(stack) == 1 else f"{above.rstrip('/')}/{'/'.join(inner.way)}"
                stack.append((inner, iter(() if id(inner) in looked else _sorted(inner, here, tree)), here))
                if within and len(stack) == 2:
                    looked.add(id(inner))
                continue
            stack.pop()
            # The complement stands for a place that was told itself, not only what is below it.
            if stack and place.here and ~id(place) not in looked:
                if within and len(stack) == 1:
                    looked.add(~id(place))
                yield place

    def _made(self, path: str) -> Place:
        """The place of a path, which comes into being if it is none yet."""
        place, names, at = self._root(path), _components(path), 0
        while at < len(names):
            following = place.below.get(names[at])
            if following is None:
                following = place.below[names[at]] = Place(names[at:])
            else:
                alike = _alike(following.way, names, at)
                if alike < len(following.way):
                    parting = place.below[names[at]] = Place(following.way[:alike])
                    following.way = following.way[alike:]
                    parting.below[following.way[0]] = following
                    following = parting
            place, at = following, at + len(following.way)
        return place

    def _root(self, path: str) -> Place:
        return self._specials if is_special(path) else self._paths


def _charge(watch: Watch, sign: int) -> None:
    domain = watch.connection.domain
    usage = domain.usage
    usage.watches += sign
    domain.maxima.watches = max(domain.maxima.watches, usage.watches)
    domain.charge(sign * (len(watch.path) + len(watch.token)))


def _sorted(place: Place, path: str, tree: rrdstore.Tree | None) -> list[Place]:
    """The places below one, by the names at which they part; of a tree at most those where there may be a node."""
    below = place.below
    if tree is None or len(below) < _FEW:
        return [below[name] for name in sorted(below)]
    node = tree.get(path)
    if node is None or not node.children:
        return []
    if node.children < len(below):
        return [below[name] for name in tree.list(path) if name in below]
    return [below[name] for name in sorted(below)]


def _by_serial(watch: Watch) -> int:
    return watch.serial
