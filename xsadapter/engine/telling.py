"""What guests are told of a commit later than at once: who was reached by which change, and not one event of it yet.

Rules
1. Privileged watchers are told at once. Guests are, of one commit, as long as there are at most `AT_ONCE` watches to
   tell, and each as long as it reads: who has `MADE` messages waiting is told when they are gone.
2. What is told later is the changes, once for all, and of each guest that it is to be told of them. So a commit costs
   what it changes and whom it reaches, and not the product: a guest may make 900 nodes at once below 128 watches of
   each of a hundred others, which were 11 million events, and 8 seconds. Changes count `TOGETHER` at a time, so that of
   a commit that is more than a guest has memory for it is told the first.
3. The events are the same as at once, and in the same order: nothing overtakes them, as a guest that is behind is told
   whatever comes later behind it, and its requests wait. The same change that waits already is not told again. Among a
   guest's watches the order of one change may be another.
4. Who may know of a change is settled when it is made (`events`, 4).
5. Made are `SLICE` events a turn, for each that reads, so that a guest's events take their turns as its requests do.
6. A daemon that takes over is told what is owed (`Owed`), and makes the same of it, once more if some of it was told.

Cost: O(1) for each guest that is reached, and each place; O(places on the way) a change when it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.events import Change
    from xsadapter.engine.flow import Outstanding
    from xsadapter.engine.watches import Chain, Watch

AT_ONCE: Final = 256
MADE: Final = 32
SLICE: Final = 32
TOGETHER: Final = 1024
_COST: Final = 512
_HIT: Final = 64


class Hit(NamedTuple):
    """A change, and the places at which it is told: all on the way, or `exactly` its own."""

    change: Change
    chain: Chain
    exactly: bool = False


class LateChange(NamedTuple):
    """A change as a value: whether it is only for who watches exactly its path, and the lists that say who may know."""

    path: str
    exactly: bool
    lists: tuple[bytes, ...]


Owed = tuple[LateChange, ...]
"""A telling as a value."""


def written(owed: Owed) -> list[list[Any]]:
    """As JSON has it: a character for each byte."""
    return [[path, exactly, [each.decode("latin-1") for each in lists]] for path, exactly, lists in owed]


def read(changes: Iterable[Sequence[Any]]) -> Owed:
    """What was written so."""
    return tuple(
        LateChange(path, exactly, tuple(each.encode("latin-1") for each in lists)) for path, exactly, lists in changes
    )


class Telling:
    """Changes of one commit, of which there were so many before that were told later."""

    __slots__ = ("_owed", "hits", "key", "number")

    def __init__(self, hits: Sequence[Hit], number: int) -> None:
        self.hits, self.number = hits, number
        self.key: object = (hits[0].change.path, hits[0].chain) if len(hits) == 1 else self
        """Two that have the same are the same to whoever is told."""
        self._owed: Owed = ()

    @property
    def cost(self) -> int:
        """Bytes that it counts with each guest that is to be told."""
        return _COST + _HIT * len(self.hits)

    @property
    def owed(self) -> Owed:
        """What of it a daemon that takes over has to know: the same object each time. O(changes) once."""
        if not self._owed:
            self._owed = tuple(LateChange(change.path, exactly, change.lists) for change, _, exactly in self.hits)
        return self._owed

    def events(self, connection: Connection) -> Iterator[tuple[str, Watch] | None]:
        """What a guest is told: paths and watches; None for a change that is not for it. O(places on the way) each."""
        for change, chain, _ in self.hits:
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


def tell_later(telling: Telling, connections: Iterable[Connection]) -> None:
    """Have these guests be told."""
    for connection in connections:
        connection.later(telling)


def tell_all_later(telling: Telling) -> None:
    """Have every guest be told that watches where these changes are told."""
    hits = telling.hits
    reached: dict[Connection, None] = {}
    looked: set[int] = set()
    for _, chain, _ in hits:
        for place, _ in chain:
            if place.guests and id(place) not in looked:
                looked.add(id(place))
                reached.update(dict.fromkeys(place.parted[1]))
    if len(hits) > 1:
        tell_later(telling, reached)
    else:  # What counts as the same is what a guest is told.
        tell_later(telling, [each for each in reached if hits[0].change.may_see(each.identities)])
