"""Rings and domains by the thousand, a column for each thing that is known of them: handed over to our own code.

Rule: a ring is in columns if nothing else is to be said of it: nothing half read, nothing to be sent, no transaction,
and it is served. As objects ten thousand of them take 0.3 s to be described, written, read and restored, in which
nobody is served; in columns a fifth of that.

Cost: O(rings + domains).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xsadapter.engine.connection import RING
from xsadapter.engine.domains import Charged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.domains import Domain


@dataclass(frozen=True, slots=True)
class Rings:
    """All of one length, a ring's things at the same place of each."""

    serials: list[int] = field(default_factory=list)
    domids: list[int] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    """The event channels that they were introduced with."""
    following: list[int] = field(default_factory=list)
    """The number of each one's next transaction."""
    channels: list[int] = field(default_factory=list)
    """The daemon's ends of their event channels, which whoever carries them adds."""

    def __len__(self) -> int:
        return len(self.serials)

    def homes(self) -> dict[int, int]:
        """Whose each is, by serial number."""
        return dict(zip(self.serials, self.domids, strict=True))


@dataclass(frozen=True, slots=True)
class Known:
    """Domains, likewise."""

    domids: list[int] = field(default_factory=list)
    uniques: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    """Which of `kinds` each has."""
    kinds: list[dict[str, int]] = field(default_factory=list)
    targets: dict[str, int] = field(default_factory=dict)
    """Of those that have one, by domid in decimal."""
    shut: list[int] = field(default_factory=list)
    """Those whose shutdown has been told."""
    nodes: list[int] = field(default_factory=list)
    """What each has of the tree, with the two below; empty if that is not known."""
    stored: list[int] = field(default_factory=list)
    places: list[dict[str, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.domids)

    @property
    def charges(self) -> Iterator[tuple[int, Charged]]:
        """What each has of the tree."""
        return zip(self.domids, map(Charged, self.nodes, self.stored, self.places), strict=True)


NO_RINGS: Final = Rings()
NO_DOMAINS: Final = Known()


def is_plain(connection: Connection) -> bool:
    """Whether columns say all of it."""
    reader = connection.reader
    return (
        connection.peer == RING
        and not connection.output
        and not connection.behind
        and connection.let_go <= reader.base + reader.at
        and connection.held is None
        and not connection.transactions
        and not connection.ignored
    )


def rings(plain: list[Connection]) -> Rings:
    """Those, which are plain."""
    return Rings(
        [each.serial for each in plain],
        [each.domid for each in plain],
        [each.port for each in plain],
        [each.next_transaction for each in plain],
    )


def domains(known: Iterable[Domain], *, charged: bool) -> Known:
    """All of them, and if `charged` with what they have of the tree."""
    every = list(known)
    found: dict[tuple[int, ...], int] = {}
    kinds: list[dict[str, int]] = []
    limits = []
    for domain in every:
        # All have the same names in the same order.
        values = tuple(domain.limits.values())
        kind = found.get(values)
        if kind is None:
            kind = found[values] = len(kinds)
            kinds.append(dict(domain.limits))
        limits.append(kind)
    return Known(
        [each.domid for each in every],
        [each.unique for each in every],
        [each.features for each in every],
        limits,
        kinds,
        {str(each.domid): each.target for each in every if each.target is not None},
        [each.domid for each in every if each.shut],
        [each.usage.nodes for each in every] if charged else [],
        [each.stored for each in every] if charged else [],
        [each.places for each in every] if charged else [],
    )
