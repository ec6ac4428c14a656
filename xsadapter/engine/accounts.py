"""Accounts: what each domain is charged for, and where it is named.

Rules
1. A node is charged to its owner: one node, and 16 bytes + 8 an entry of its list + its value + its
   path + its name and a NUL. (C xenstored charges the name to the parent's owner; the sum is the same.)
2. The account follows the tree: it is settled with the change of each commit, after the commit, so it
   cannot be wrong about what was not done (XSA-272, 421), and equals what a recount finds.
3. What the daemon keeps for itself is nobody's, and so is what the wildcard owns, which is no domain.
   Domain 0 dies never, so where it is named is not counted.
4. An area is a domain's home, or else the first six components of a path: what a toolstack makes for
   one domain elsewhere (`/local/domain/0/backend/vbd/5`) is one area. A shorter path is that node alone.

5. Charges add up in any order: a whole tree may be tallied, bit by bit, while changes that were made after it are
   settled. Until the tally is added a domain seems to have less than it has, or less than nothing.

Cost: O(entries of its list) a node that came, went, or changed its list; O(1) for a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.engine import private
from xsadapter.engine.domains import Charged
from xsadapter.engine.permissions import ANY_DOMAIN, listed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    import rrdstore
    from xsadapter.engine.domains import Domain, Domains
    from xsadapter.engine.index import Edit

NODE: Final = 16
ENTRY: Final = 8
_LEVELS: Final = 6


def size(node: rrdstore.Node, path: str) -> int:
    """Bytes that a node is charged for."""
    return NODE + ENTRY * len(listed(node.meta).entries) + len(node.value) + 2 * len(path) - path.rfind("/")


def area(path: str, domain: Domain) -> str:
    """The part of the tree in which `path` is, as far as the domain is concerned. O(length)."""
    home = domain.home
    if path.startswith(home) and path[len(home) : len(home) + 1] in {"", "/"}:
        return home
    end = 0
    for _ in range(_LEVELS):
        end = path.find("/", end + 1)
        if end < 0:
            return path
    return path[:end]


def whole(place: str, domain: Domain) -> bool:
    """Whether an area is all below a place, and not that node alone."""
    return place == domain.home or place.count("/") == _LEVELS


class _Alike:
    """The nodes that have the same list: how many, their bytes less what a list counts, and whom it names where."""

    __slots__ = ("bytes", "named", "nodes")

    def __init__(self, named: tuple[tuple[Domain, dict[str, int]], ...]) -> None:
        self.nodes = self.bytes = 0
        self.named = named


class Tally:
    """Nodes that are counted and not charged for yet."""

    __slots__ = ("_alike", "_domains")

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._alike: dict[bytes, _Alike] = {}

    def add(self, path: str, node: rrdstore.Node) -> None:
        """One node. O(entries of its list)."""
        self.count(path, node.meta, len(node.value))

    def count(self, path: str, meta: bytes, size: int) -> None:
        """The same of a node with this metadata and a value of so many bytes."""
        if path.startswith(private.ROOT):
            return
        alike = self._alike.get(meta)
        if alike is None:
            known = [domid for domid in listed(meta).named if domid and domid != ANY_DOMAIN]
            alike = self._alike[meta] = _Alike(tuple((self._domains.record(domid), {}) for domid in known))
        alike.nodes += 1
        alike.bytes += size + 2 * len(path) - path.rfind("/")
        for domain, places in alike.named:
            place = area(path, domain)
            places[place] = places.get(place, 0) + 1

    def charges(self) -> Iterator[tuple[int, Charged]]:
        """What is to be charged, to which domain. O(lists)."""
        for meta, alike in self._alike.items():
            entries = listed(meta).entries
            yield entries[0].domid, Charged(alike.nodes, alike.bytes + alike.nodes * (NODE + ENTRY * len(entries)), {})
            for domain, places in alike.named:
                yield domain.domid, Charged(0, 0, places)


class Accounts:
    """Charges, to the records of `domains`."""

    __slots__ = ("_domains",)

    def __init__(self, domains: Domains) -> None:
        self._domains = domains

    def recount(self, tree: rrdstore.Tree) -> None:
        """Charge for a whole tree. O(nodes)."""
        tally = Tally(self._domains)
        for path, node in tree.descend("/"):
            tally.add(path, node)
        self.charge(tally.charges())

    def charge(self, charges: Iterable[tuple[int, Charged]]) -> None:
        """Charge for what was counted, here or by a daemon before this one. O(domains)."""
        for domid, charged in charges:
            self._charge(domid, charged.nodes, charged.stored)
            if charged.places:
                domain = self._domains.record(domid)
                for place, count in charged.places.items():
                    _named(domain, place, count)

    def came(self, path: str, node: rrdstore.Node) -> None:
        """There is a node more."""
        self._settle(path, node, 1)

    def made(self, paths: Sequence[str], meta: bytes, size: int) -> None:
        """There are these nodes more, all with this metadata and one with a value of so many bytes. O(nodes)."""
        found = listed(meta)
        for path in paths:
            size += 2 * len(path) - path.rfind("/")
        self._charge(found.entries[0].domid, len(paths), size + len(paths) * (NODE + ENTRY * len(found.entries)))
        for domid in found.named:
            if domid and domid != ANY_DOMAIN:
                domain = self._domains.record(domid)
                for path in paths:
                    _named(domain, area(path, domain), 1)

    def went(self, path: str, node: rrdstore.Node) -> None:
        """There is a node less."""
        self._settle(path, node, -1)

    def grew(self, meta: bytes, more: int) -> None:
        """A value became longer, or shorter if `more` is negative."""
        self._charge(listed(meta).entries[0].domid, 0, more)

    def changed(self, changes: Iterable[rrdstore.Change]) -> None:
        """Settle a commit's changes. O(changes)."""
        for change in changes:
            if change.old is not None:
                self.went(change.path, change.old)
            if change.new is not None:
                self.came(change.path, change.new)

    def edited(self, before: rrdstore.Tree, edits: Iterable[Edit], made: Container[str]) -> bool:
        """Settle a commit by its edits of the tree before it, where those places that were `made` were not.

        False, and nothing is done, if it removed something. O(edits).
        """
        final: dict[str, tuple[int, bytes | None]] = {}
        for path, value, meta in edits:
            if value is None:
                return False
            known = final.get(path)
            final[path] = len(value), known[1] if meta is None and known is not None else meta
        tally = Tally(self._domains)
        for path, (size, meta) in final.items():
            if path.startswith(private.ROOT):
                continue
            old = None if path in made else before.get(path)
            if old is not None:
                if meta is None or meta == old.meta:
                    if size != len(old.value):
                        self.grew(old.meta, size - len(old.value))
                    continue
                self.went(path, old)
            tally.count(path, meta or b"", size)
        self.charge(tally.charges())
        return True

    def _settle(self, path: str, node: rrdstore.Node, sign: int) -> None:
        if path.startswith(private.ROOT):
            return
        found = listed(node.meta)
        self._charge(found.entries[0].domid, sign, sign * size(node, path))
        for domid in found.named:
            if domid and domid != ANY_DOMAIN:
                domain = self._domains.record(domid)
                _named(domain, area(path, domain), sign)

    def _charge(self, domid: int, nodes: int, memory: int) -> None:
        if domid == ANY_DOMAIN:
            return
        domain = self._domains.record(domid)
        domain.stored += memory
        domain.charge(memory)
        if nodes:
            usage, maxima = domain.usage, domain.maxima
            usage.nodes += nodes
            maxima.nodes = max(maxima.nodes, usage.nodes)


def _named(domain: Domain, place: str, more: int) -> None:
    count = domain.places.get(place, 0) + more
    if count:
        domain.places[place] = count
    else:
        domain.places.pop(place, None)
