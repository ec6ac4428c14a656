"""The sorted names of a wide set, carried along by its changes.

Rule: names are sorted once. After that a change puts a note beside the names known so far, which all
versions share; whoever asks next gets the notes worked in. So neither a set that nobody lists nor the
versions between two listings pay for ten thousand names.
Cost: O(notes) a change, O(names) a listing after changes, O(1) a listing after a listing.
"""

from __future__ import annotations

from bisect import bisect_left

from rrdstore.native import mypyc_attr

Notes = tuple[tuple[str, bool], ...]

NOTES = 128
"""Notes that are carried at most: then they are worked in, asked or not."""


@mypyc_attr(acyclic=True)
class Late:
    """Names that are sorted, and what came (True) and went (False) since, in order. Never changes."""

    __slots__ = ("names", "notes")

    def __init__(self, names: tuple[str, ...], notes: Notes) -> None:
        self.names, self.notes = names, notes


Order = tuple[str, ...] | Late


def noted(order: Order | None, name: str, *, there: bool) -> Order | None:
    """The order after `name` came or went; None, nobody has asked, stays None."""
    if order is None:
        return None
    if not isinstance(order, Late):
        return Late(order, ((name, there),))
    if len(order.notes) < NOTES:
        return Late(order.names, (*order.notes, (name, there)))
    return Late(settled(order), ((name, there),))


def settled(order: Order) -> tuple[str, ...]:
    """All names, sorted, with the notes worked in."""
    if not isinstance(order, Late):
        return order
    names = list(order.names)
    for name, there in order.notes:
        at = bisect_left(names, name)
        if there:
            names.insert(at, name)
        else:
            del names[at]
    return tuple(names)
