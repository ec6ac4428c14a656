"""Foretelling: what dropping commits one after the other frees, before any of them is dropped; what each takes.

Rule: the steps that the table of kept commits goes through are gone through beside it, on copies: each commit takes
leave of its neighbours, and what the one before it has as well its heir replaces from then on. What is foretold is
freed at least; of a commit that several were stored beside nothing is, as it stays for storage.
Cost: O(what is remembered) a commit; where nobody remembers (after an opening), the walk that would free it.
What each takes on average is told by all that is remembered, and where nobody does by some ways down their trees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rrdstore.storage.layout import CHARGE
from rrdstore.storage.packing import LENGTH
from rrdstore.storage.replaced import handed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.kept import KeptTable
    from rrdstore.storage.records import Kept

    Look = Callable[[int, int, int], int]
    """Bytes of what a tree has above a number, by the numbers of its root, of that, and of another tree's root."""
    Guess = Callable[[int, int, int], int]
    """About how many bytes a tree has that another has not, by the numbers of their roots, and how many ways to go."""


SAMPLE = 24
"""Commits of which objects are looked at, where nobody remembers: so many that have most, and so many others."""
_WAYS = 12
"""Ways down the tree of the commit that has most, often nearly all there is; half as many for the second, and so on."""


class Foretelling:
    """Asked for one commit after the other, as if those before were gone."""

    def __init__(self, table: KeptTable, look: Look | None) -> None:
        self._table, self._look = table, look
        self._copies: dict[int, Kept] = {}
        self._beside: dict[int, tuple[int, ...]] = {}

    def __call__(self, record: Record) -> int:
        """Bytes that go with it at least; 0 if nobody knows."""
        number = record.number
        after = self._after(number)
        if number not in self._table.commits or len(after) != 1:
            return 0
        kept, heir = self._copy(number), self._copy(after[0])
        before = kept.before
        floor = self._table.commits[before].record.top if before else 0
        self._beside[before] = (*(one for one in self._after(before) if one != number), after[0])
        heir.before = before
        if heir.replaced is not None:
            dying, heir.replaced = handed_on(heir.replaced, floor, kept.replaced)
            return sum(max(CHARGE, one & LENGTH) for one in dying)
        return self._look(record.root_number, floor, heir.record.root_number) if self._look else 0

    def _copy(self, number: int) -> Kept:
        if number not in self._copies:
            self._copies[number] = replace(self._table.commits[number])
        return self._copies[number]

    def _after(self, number: int) -> tuple[int, ...]:
        found = self._beside.get(number)
        return self._table.beside(number) if found is None else found


def each(table: KeptTable, commits: Sequence[Record], guess: Guess) -> int:
    """About what each of these has, on average, that the next one stored beside it has not; 0 if there are none.

    Where nobody remembers, those between which most objects were made are looked at, and some others. O(commits).
    """
    remembered, others = [], []
    for record in commits:
        for number in table.beside(record.number)[-1:]:
            heir = table.commits[number]
            if not isinstance(heir.replaced, tuple):
                others.append((heir.record.top - record.top, record.root_number, heir.record.root_number))
            else:
                remembered.append(sum(max(CHARGE, one & LENGTH) for one in heir.replaced))
    others.sort(reverse=True)
    most, rest = others[:SAMPLE], others[SAMPLE:]
    some = rest[:: max(1, -(-len(rest) // SAMPLE))]
    guessed = sum(guess(root, beside, max(1, _WAYS // at)) for at, (_, root, beside) in enumerate(most, 1))
    if some:
        guessed += sum(guess(root, beside, 1) for _, root, beside in some) * len(rest) // len(some)
    count = len(remembered) + len(others)
    return (sum(remembered) + guessed) // count if count else 0
