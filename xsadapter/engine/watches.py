"""Watches: a trie beside the tree, keyed by path components.

Rules
1. A watch is (connection, canonical path, token), and optionally a depth: 0 the node alone, 1 its
   children too, and so on. The key does not include the depth.
2. A change at p matches watches on p and on its ancestors, as far as their depth reaches.
3. A watch registered with a relative path reports paths without the connection's home.
4. A watch is charged to its connection's domain: one, and the bytes of its path and token.
5. Special names ("@...") have a trie of their own: a watch on "/" never matches them.

Cost: a look-up costs the levels that have watches below them, however many watches there are
elsewhere (C xenstored compares every watch with every change: 50 writes a second at 100,000
watches). Registration order is restored by sorting what matched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.paths import is_special

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.connection import Connection


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


class _Place:
    """A path that has watches on it or below it."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.here: list[Watch] = []
        self.below: dict[str, _Place] = {}


def _components(path: str) -> list[str]:
    if path == "/":
        return []
    return path.split("/") if is_special(path) else path[1:].split("/")


class Watches:
    """All watches of all connections."""

    __slots__ = ("_paths", "_serial", "_specials", "count")

    def __init__(self) -> None:
        self._paths, self._specials = _Place(), _Place()
        self._serial = 0
        self.count = 0

    def add(self, connection: Connection, path: str, token: bytes, depth: int | None, strip: int) -> None:
        """Register; the caller has made sure that the key is new. O(levels)."""
        self._serial += 1
        watch = Watch(connection, path, token, depth, strip, self._serial)
        place = self._root(path)
        for name in _components(path):
            place = place.below.setdefault(name, _Place())
        place.here.append(watch)
        connection.watches[path, token] = watch
        self.count += 1
        connection.flow.touched.watch(watch, gone=False)
        if connection.flow.trail.obj:
            connection.flow.trail.object("CREATE", "watch", connection, path=path)
        _charge(watch, 1)

    def remove(self, watch: Watch) -> None:
        """Forget a watch and every place that nothing needs any more. O(levels + watches on the same path)."""
        place = self._root(watch.path)
        trail = []
        for name in _components(watch.path):
            trail.append((place, name))
            place = place.below[name]
        place.here.remove(watch)
        while trail and not place.here and not place.below:
            place, name = trail.pop()
            del place.below[name]
        del watch.connection.watches[watch.path, watch.token]
        self.count -= 1
        watch.connection.flow.touched.watch(watch, gone=True)
        if watch.connection.flow.trail.obj:
            watch.connection.flow.trail.object("DESTROY", "watch", watch.connection, path=watch.path)
        _charge(watch, -1)

    def remove_all(self, connection: Connection) -> None:
        """Forget every watch of a connection."""
        for watch in list(connection.watches.values()):
            self.remove(watch)

    def matching(self, path: str) -> list[Watch]:
        """Who is to know of a change at `path`, in the order of registration. O(levels + found log found)."""
        names = _components(path)
        levels = len(names)
        place: _Place | None = self._root(path)
        found: list[Watch] = []
        places = 0
        for level in range(levels + 1):
            if place is None:
                break
            if place.here:
                reach = levels - level
                found += [watch for watch in place.here if watch.depth is None or watch.depth >= reach]
                places += 1
            place = place.below.get(names[level]) if level < levels else None
        if places > 1:  # Those of one place are in that order.
            found.sort(key=_by_serial)
        return found

    def below(self, path: str, looked: set[int]) -> Iterator[tuple[str, list[Watch]]]:
        """Places strictly below `path` and their watches, the deepest first, siblings by name.

        `looked` keeps where this has been: what it was asked for before is left out. O(places not left out), no
        recursion.
        """
        place = self._root(path)
        for name in _components(path):
            found = place.below.get(name)
            if found is None or id(place) in looked:
                return
            place = found
        if id(place) in looked:
            return
        looked.add(id(place))
        stack = [(place, iter(sorted(place.below)))]
        while stack:
            place, names = stack[-1]
            following = next(names, None)
            if following is not None:
                inner = place.below[following]
                below = () if id(inner) in looked else sorted(inner.below)
                stack.append((inner, iter(below)))
                continue
            stack.pop()
            if stack and place.here:
                yield place.here[0].path, place.here

    def _root(self, path: str) -> _Place:
        return self._specials if is_special(path) else self._paths


def _charge(watch: Watch, sign: int) -> None:
    domain = watch.connection.domain
    usage = domain.usage
    usage.watches += sign
    domain.maxima.watches = max(domain.maxima.watches, usage.watches)
    domain.charge(sign * (len(watch.path) + len(watch.token)))


def _by_serial(watch: Watch) -> int:
    return watch.serial
