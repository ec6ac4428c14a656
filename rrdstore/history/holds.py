"""What keeps a commit beside the tiers: heads, fork points, bases, tags, pins, transactions, snapshots.

Rule: a commit is kept while its branch's tiers hold it or anybody holds it here. Holds are counted by
reason, so two tags on a commit are two holds. Bound: 5 a branch (head, fork point, base, the base before,
and what a base that is no branch's commit is stored beside), one a tag, pin, open transaction and open
snapshot. What is being merged, and what recovery will name, is held meanwhile. Cost: O(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import KeysView

HEAD, FORK, BASE, TAG, PIN, TRANSACTION, SNAPSHOT, MERGING, RECOVERY = (
    "head",
    "fork point",
    "merge base",
    "tag",
    "pin",
    "transaction",
    "snapshot",
    "merge",
    "recovery",
)


class Holds:
    """Who holds which commit, by number."""

    __slots__ = ("_held", "held")

    def __init__(self) -> None:
        self._held: dict[int, dict[str, int]] = {}
        self.held: KeysView[int] = self._held.keys()
        """The numbers that are held: a live view, `in` is O(1)."""

    def hold(self, number: int, reason: str) -> None:
        """One more reason to keep `number`."""
        held = self._held.get(number)
        if held is None:
            self._held[number] = {reason: 1}
        else:
            held[reason] = held.get(reason, 0) + 1

    def release(self, number: int, reason: str) -> None:
        """One reason less."""
        held = self._held[number]
        if held[reason] > 1:
            held[reason] -= 1
        elif len(held) > 1:
            del held[reason]
        else:
            del self._held[number]

    def pass_on(self, before: int, number: int, reason: str) -> bool:
        """Give the hold that `before` has for this reason to `number`; whether `before` is held still."""
        held = self._held
        if number not in held and len(held[before]) == 1 and held[before].get(reason) == 1:
            held[number] = held.pop(before)
            return False
        self.hold(number, reason)
        self.release(before, reason)
        return before in held

    def __contains__(self, number: int) -> bool:
        return number in self._held

    def reasons(self, number: int) -> tuple[str, ...]:
        """Why `number` is held, sorted; empty if it is not."""
        return tuple(sorted(self._held.get(number, ())))

    def numbers(self) -> tuple[int, ...]:
        """All that is held, ascending."""
        return tuple(sorted(self._held))

    def total(self, reason: str) -> int:
        """How many holds there are for this reason."""
        return sum(held.get(reason, 0) for held in self._held.values())
