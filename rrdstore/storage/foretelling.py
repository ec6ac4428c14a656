"""Foretelling: what dropping commits one after the other frees, before any of them is dropped.

Rule: the steps that the table of kept commits goes through are gone through beside it, on copies: each commit takes
leave of its neighbours, and what the one before it has as well its heir replaces from then on. What is foretold is
freed at least; of a commit that several were stored beside nothing is, as it stays for storage.
Cost: O(what is remembered) a commit; where nobody remembers (after an opening), the walk that would free it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rrdstore.storage.kept import handed_on
from rrdstore.storage.layout import CHARGE
from rrdstore.storage.objects import LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.history.commit import Record
    from rrdstore.storage.kept import KeptTable
    from rrdstore.storage.records import Kept

    Look = Callable[[int, int, int], int]
    """Bytes of what a tree has above a number, by the numbers of its root, of that, and of another tree's root."""


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
        dying = handed_on(kept, heir, floor)
        if dying is not None:
            return sum(max(CHARGE, one & LENGTH) for one in dying)
        return self._look(record.root_number, floor, heir.record.root_number) if self._look else 0

    def _copy(self, number: int) -> Kept:
        if number not in self._copies:
            self._copies[number] = replace(self._table.commits[number])
        return self._copies[number]

    def _after(self, number: int) -> tuple[int, ...]:
        found = self._beside.get(number)
        return self._table.beside(number) if found is None else found
