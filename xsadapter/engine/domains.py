"""Domains: who is known, what each has and may have, and who is introduced.

Rules
1. A domain is known from the moment it owns a node, is named in a permission list, is given a
   feature or a quota, or is introduced, until it dies. What is kept of it is kept by (domid, unique
   id): another domain with the same number begins with nothing (XSA-322, 417, 483).
2. Introduced is a known domain whose ring is served, or was until the guest broke it: such a one
   stays, ignored, so that its death is told (XSA-325).
3. A target is a number, and each target knows its servants' numbers: whoever dies first ends the link,
   and a domain that gets the number later is nobody's target (XSA-233). One a domain, the latest
   counts, not transitive.
4. Places (`Domain.places`) count the nodes that name a domain, by the part of the tree they are in,
   so that death does not search the whole tree: 10,000 domains have 400,000 nodes, one dead guest 40.

Cost: O(1) each.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from xsadapter.engine.quotas import Usage, defaults
from xsadapter.engine.touched import Touched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.hypervisor import Hypervisor, Life

RECONNECTION: Final = 1
ERROR_FIELD: Final = 2
DEPTH: Final = 4
WILDCARD: Final = 8
FEATURES: Final = RECONNECTION | ERROR_FIELD | DEPTH | WILDCARD
"""What a ring may have; a socket has all."""


class Charged(NamedTuple):
    """What one domain has of a tree: nodes, their bytes, and by area how many nodes name it."""

    nodes: int
    stored: int
    places: dict[str, int]


class Pace:
    """How much the trail was told of a domain's refusals lately."""

    __slots__ = ("omitted", "since", "told")

    def __init__(self) -> None:
        self.since, self.told, self.omitted = 0.0, 0, 0


class Domain:
    """What the daemon knows of one domain."""

    __slots__ = (
        "_crossed",
        "_eased",
        "above",
        "clients",
        "conflicts",
        "connection",
        "domid",
        "features",
        "home",
        "limits",
        "maxima",
        "operations",
        "pace",
        "places",
        "refusals",
        "servants",
        "shut",
        "stalls",
        "stored",
        "target",
        "told",
        "unique",
        "usage",
    )

    def __init__(
        self,
        domid: int,
        unique: int,
        limits: dict[str, int],
        crossed: dict[int, Domain],
        eased: dict[int, Domain],
    ) -> None:
        self.domid, self.unique = domid, unique
        self._crossed, self._eased = crossed, eased
        self.stalls = False
        """Whether a client of it is not read, for what it has outstanding, in memory, or is behind with."""
        self.above = False
        """Whether it was above its soft memory when the log was told last."""
        self.home = f"/local/domain/{domid}"
        self.limits = dict(limits)
        self.usage, self.maxima = Usage(), Usage()
        self.stored = 0
        """Bytes of its memory that are nodes."""
        self.features = FEATURES
        self.connection: Connection | None = None
        """That of its ring; None until it is introduced."""
        self.clients: set[Connection] = set()
        """Those of local sockets that are confined to it."""
        self.target: int | None = None
        self.servants: set[int] = set()
        """Whose target it is."""
        self.shut = False
        """Its shutdown has been told; RESUME clears it."""
        self.pace = Pace()
        self.places: dict[str, int] = {}
        self.operations = self.conflicts = 0
        """Requests of its connections that have ended, and all that were answered EAGAIN."""
        self.refusals: dict[str, int] = {}
        """Of each quota, how often it refused something."""
        self.told: dict[str, float] = {}
        """Of each quota, and what else it may provoke, when the log was told last."""

    @property
    def introduced(self) -> bool:
        """Whether its ring is served, or was until the guest broke it."""
        return self.connection is not None

    @property
    def exceeds(self) -> bool:
        """Whether it has more memory than its soft quota."""
        return 0 < self.limits["soft-memory"] < self.usage.memory

    @property
    def charged(self) -> Charged:
        """What it has of the tree. O(places)."""
        return Charged(self.usage.nodes, self.stored, dict(self.places))

    def uncharge(self) -> None:
        """Forget what it has of the tree, which is to be counted again."""
        self.charge(-self.stored)
        self.usage.nodes = self.stored = 0
        self.places.clear()

    def charge(self, more: int) -> None:
        """It has so many bytes more, or less if that is negative. O(1)."""
        memory = self.usage.memory = self.usage.memory + more
        if more < 0:
            self.ease()
        self.maxima.memory = max(self.maxima.memory, memory)
        if self.domid and (0 < self.limits["soft-memory"] < memory) is not self.above:
            self._crossed[self.domid] = self

    def ease(self) -> None:
        """It has less than before, or may have more: who was not to be read may be now. O(1)."""
        if self.stalls:
            self._eased[self.domid] = self


class Domains:
    """All that are known."""

    __slots__ = ("_hypervisor", "_known", "crossed", "eased", "limits", "maxima", "touched")

    def __init__(self, hypervisor: Hypervisor, quotas: Mapping[str, int] = MappingProxyType({})) -> None:
        """`quotas`: what a domain begins with where it is not the default."""
        self._hypervisor = hypervisor
        self.limits = {**defaults(), **quotas}
        """What a domain begins with."""
        self.maxima = Usage()
        """The most that any one has had of each."""
        self.crossed: dict[int, Domain] = {}
        """Those that are above their soft memory, or below it again, and the log does not know."""
        self.eased: dict[int, Domain] = {}
        """Those with a client that is not read, which may be by now."""
        self._known: dict[int, Domain] = {}
        self.touched = Touched()
        self.record(0)

    def __iter__(self) -> Iterator[Domain]:
        """All of them, as they are now; they may die meanwhile."""
        return iter(list(self._known.values()))

    def get(self, domid: int) -> Domain | None:
        """The record, if the domain is known."""
        return self._known.get(domid)

    def record(self, domid: int, unique: int | None = None) -> Domain:
        """The record, made if need be, without asking whether there is such a domain.

        `unique` is who it is known to be; otherwise it is who has the number now.
        """
        found = self._known.get(domid)
        if found is None:
            if unique is None:
                life = self._hypervisor.life(domid)
                unique = life.unique if life else 0
            found = self._known[domid] = Domain(domid, unique, self.limits, self.crossed, self.eased)
            self.touched.domain(domid)
        return found

    def unique(self, domid: int) -> int:
        """The id that tells a domain from others of its number; 0 if there is none or it has none."""
        life = self._hypervisor.life(domid)
        return life.unique if life else 0

    def life(self, domid: int) -> Life | None:
        """What the hypervisor says of it now."""
        return self._hypervisor.life(domid)

    def living(self) -> Mapping[int, Life]:
        """What the hypervisor says now of all that are known, those that are gone left out."""
        return self._hypervisor.living(self._known)

    def forget(self, domain: Domain) -> None:
        """It is dead, and all that it had is gone."""
        del self._known[domain.domid]
        self.crossed.pop(domain.domid, None)
        self.eased.pop(domain.domid, None)
        self.touched.domain(domain.domid)

    def aim(self, domain: Domain, target: Domain | None) -> None:
        """Give a domain the rights of another, besides its own; None takes them back."""
        if domain.target is not None:
            self._known[domain.target].servants.discard(domain.domid)
        domain.target = None if target is None else target.domid
        self.touched.domain(domain.domid)
        if target is not None:
            target.servants.add(domain.domid)
        for connection in (domain.connection, *domain.clients):
            if connection is not None:
                connection.identities = self.identities(domain)

    @staticmethod
    def identities(domain: Domain) -> tuple[int, ...]:
        """Whose rights it has: its own, and its target's."""
        return (domain.domid,) if domain.target is None else (domain.domid, domain.target)
