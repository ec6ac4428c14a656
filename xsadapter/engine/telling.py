"""What guests are told of a commit later than at once: who was reached by which change, and not one event of it yet.

Rules
1. Privileged watchers are told at once. Guests are, of one commit, as long as there are at most `AT_ONCE` watches to
   tell, and each as long as it reads: who has `MADE` messages waiting is told when they are gone.
2. What is told later is the changes, once for all, and of each guest that it is to be told of them. So a commit costs
   what it changes and whom it reaches, and not the product: a guest may make 900 nodes at once below 128 watches of
   each of a hundred others, which were 11 million events, and 8 seconds.
3. The events are the same as at once, and in the same order: nothing overtakes them, as a guest that is behind is told
   whatever comes later behind it, and its requests wait. The same change that waits already is not told again. Among a
   guest's watches the order of one change may be another.
4. Who may know of a change is settled when it is made (`events`, 4).
5. Made are `SLICE` events a turn, for each that reads, so that a guest's events take their turns as its requests do.

Cost: O(1) for each guest that is reached, and each place; O(places on the way) a change when it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.events import Change
    from xsadapter.engine.flow import Outstanding
    from xsadapter.engine.watches import Chain, Watch

AT_ONCE: Final = 256
MADE: Final = 32
SLICE: Final = 32
_COST: Final = 512
_HIT: Final = 64


class Hit(NamedTuple):
    """A change, and the places at which it is told."""

    change: Change
    chain: Chain


class Telling:
    """Changes of one commit."""

    __slots__ = ("hits", "key")

    def __init__(self, hits: Sequence[Hit]) -> None:
        self.hits = hits
        self.key: object = (hits[0].change.path, hits[0].chain) if len(hits) == 1 else self
        """Two that have the same are the same to whoever is told."""

    @property
    def cost(self) -> int:
        """Bytes that it counts with each guest that is to be told."""
        return _COST + _HIT * len(self.hits)

    def events(self, connection: Connection) -> Iterator[tuple[str, Watch] | None]:
        """What a guest is told: paths and watches; None for a change that is not for it. O(places on the way) each."""
        for change, chain in self.hits:
            found: list[Watch] = []
            if change.may_see(connection.identities):
                for place, reach in chain:
                    mine = place.parted[1].get(connection)
                    if mine is not None:
                        found += [watch for watch in mine if watch.depth is None or watch.depth >= reach]
            if not found:
                yield None
            for watch in found:
                yield change.path, watch


class Late(NamedTuple):
    """That a guest is to be told, and for how long; 0 is for ever."""

    telling: Telling
    cause: Outstanding | None
    until: float


def tell_later(hits: Sequence[Hit], connections: Iterable[Connection]) -> None:
    """Have these guests be told."""
    telling = Telling(hits)
    for connection in connections:
        connection.later(telling)


def tell_all_later(hits: Sequence[Hit]) -> None:
    """Have every guest be told that watches where these changes are told."""
    reached: dict[Connection, None] = {}
    looked: set[int] = set()
    for _, chain in hits:
        for place, _ in chain:
            if place.guests and id(place) not in looked:
                looked.add(id(place))
                reached.update(dict.fromkeys(place.parted[1]))
    if len(hits) > 1:
        tell_later(hits, reached)
    else:  # What counts as the same is what a guest is told.
        tell_later(hits, [each for each in reached if hits[0].change.may_see(each.identities)])
