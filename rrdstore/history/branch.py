"""A branch as the engine holds it: where it stands, where it came from, and which of its commits stay.

A fork carries what is known of it and its upstream: their base, which is all that the two have in common, and
by number which commits of either have it. Why that is enough: docs/semantics.md, rule 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from rrdstore.history.commit import Edit

NOBODY = 0
"""The branch of a commit that belongs to none: a base that two merges past each other have made."""


class Rings(Protocol):
    """The tiers of one branch, as admission needs them (the real ones: rrdstore.policy.tiers)."""

    @property
    def quiet(self) -> tuple[int, int]:
        """The time and the number before which commits in order come and go as the newest few, and change no tier."""
        ...

    @property
    def newest(self) -> int:
        """How many those few are; one at least, the head."""
        ...

    def offer(self, rt: int, number: int) -> tuple[int, ...]:
        """Offer a commit to all tiers; the numbers that none keeps any more."""
        ...

    def holds(self, number: int) -> bool:
        """Whether any tier keeps it."""
        ...

    def relieve(self, protected: Collection[int]) -> int | None:
        """Empty picks under byte pressure until one number is kept by no tier, and return it; None if none is left."""
        ...

    def state(self) -> bytes:
        """What offering the kept commits again would not bring back."""
        ...


class Reach(NamedTuple):
    """Which commits of a fork and of its upstream have their base, by number."""

    fork: int = 0
    """The fork's own commits have it from this number on."""
    upstream: int = 0
    """The upstream's own commits likewise."""
    older: int = 0
    """The commits of `side`, from this number to before the one from which they have the base, have the older one."""
    side: int = 0
    """The id of the branch that merged last, 0 if there is no older base to merge from."""


NO_REACH = Reach()


class Meeting(NamedTuple):
    """What a merge makes of a fork and its upstream."""

    fork: int
    """The id of the fork."""
    base: int
    """A commit's number, as is `older`."""
    older: int
    reach: Reach
    crossing: tuple[Edit, ...] | None = None
    """How the base, which is then a commit of nobody, differs from the base before."""


@dataclass(slots=True)
class Line:
    """One branch. `head`, `fork`, `base` and `older` are commit numbers, `upstream` a branch id; 0 is none."""

    name: str
    """Empty once it is deleted."""
    id: int
    head: int
    fork: int
    upstream: int
    base: int
    keep: str
    rings: Rings | None
    """None once it is deleted."""
    older: int = 0
    """The base before the last merge; after two merges past each other 0."""
    reach: Reach = NO_REACH
    lease: int = 0
    """How long after the last merge its base is kept, microseconds; 0 is for ever."""
    until: int = 0
    """The retention time at which that ends."""


def begun(
    ident: int, name: str, keep: str, rings: Rings, upstream: int = 0, head: int = 0, lease: int = 0, until: int = 0
) -> Line:
    """A branch as it begins: at commit `head` of the branch `upstream`, or with nothing. No upstream, no base."""
    base = head if upstream else 0
    return Line(name, ident, head, head, upstream, base, keep, rings, 0, Reach(upstream=base), lease, until)
