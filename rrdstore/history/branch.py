"""A branch as the engine holds it: where it stands, where it came from, and which of its commits stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


class Rings(Protocol):
    """The tiers of one branch, as admission needs them (the real ones: rrdstore.policy.tiers)."""

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


@dataclass(slots=True)
class Line:
    """One branch. `head`, `fork` and `base` are commit numbers, `upstream` a branch id; 0 is none."""

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
