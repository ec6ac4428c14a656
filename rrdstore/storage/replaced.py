"""What a commit replaces of the one it is stored beside: just what is to be freed when that one is dropped.

Rule: few objects are remembered as they are, with what each takes; of many only the numbers are, packed in runs. They
are freed in the order of their numbers, which is children first, as an object is newer than all it refers to. In memory
only: after an opening, and beyond `MOST`, it is found out when it matters (`freeing`).
Cost: O(objects), some 0.2 us each to pack and 0.1 to unpack; a byte or two each where it lies. Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from heapq import merge
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING, NamedTuple
from zlib import compress, decompress

from rrdstore.storage.packing import LENGTH_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FEW = 128
"""Objects that are remembered as they are, at most."""
MOST = 1 << 16
"""And packed."""
_A_RUN = 2048
_LOOSE, _RUN = 40, 128
"""Bytes of an object that is not packed, and of a run beside its numbers."""


class Run(NamedTuple):
    """Some numbers in order, packed."""

    first: int
    last: int
    objects: int
    data: bytes


class Many:
    """More objects than are remembered as they are: most in runs, and `loose` what came one by one. Never changes."""

    __slots__ = ("loose", "runs")

    def __init__(self, runs: tuple[Run, ...], loose: tuple[int, ...] = ()) -> None:
        self.runs, self.loose = runs, loose

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return _LOOSE * len(self.loose) + sum([_RUN + len(run.data) for run in self.runs])

    def __len__(self) -> int:
        return len(self.loose) + sum([run.objects for run in self.runs])

    def __iter__(self) -> Iterator[int]:
        """Each as one of few is, in the order of their numbers."""
        return merge(sorted(self.loose), *map(_objects, self.runs))

    def tight(self) -> Many:
        """The same with nothing that is loose."""
        return Many((*self.runs, *runs(self.loose)))


Replaced = tuple[int, ...] | Many
"""Few: number << LENGTH_BITS | length of each (0: not known). Or many."""


def runs(objects: Iterable[int]) -> Iterator[Run]:
    """Objects, packed, a run at a time."""
    numbers = sorted([one >> LENGTH_BITS for one in objects])
    for at in range(0, len(numbers), _A_RUN):
        yield _run(numbers[at : at + _A_RUN])


def _run(numbers: list[int]) -> Run:
    deltas = array("Q", map(sub, numbers, [0, *numbers[:-1]]))
    return Run(numbers[0], numbers[-1], len(numbers), compress(deltas.tobytes(), 1))


def _numbers(run: Run) -> list[int]:
    return list(accumulate(array("Q", decompress(run.data))))


def _objects(run: Run) -> Iterator[int]:
    for number in _numbers(run):
        yield number << LENGTH_BITS


def handed_on(replaced: Replaced, floor: int, before: Replaced | None) -> tuple[Replaced, Replaced | None]:
    """What dies with a commit, and what the one after it replaces from then on.

    That one has `replaced` this, which has replaced what was `before`; what is not above the `floor` that one has too.
    """
    border = (floor + 1) << LENGTH_BITS
    loose = replaced if isinstance(replaced, tuple) else replaced.loose
    older = tuple([one for one in loose if one < border])
    if isinstance(replaced, tuple):
        if not older:
            return replaced, before
        return tuple([one for one in replaced if one >= border]), _joined(before, (), older)
    above, rest = _split(replaced.runs, floor)
    dying = Many(tuple(above), tuple([one for one in loose if one >= border]))
    return dying, _joined(before, tuple(rest), older) if rest or older else before


def _joined(before: Replaced | None, packed: tuple[Run, ...], loose: tuple[int, ...]) -> Replaced | None:
    if before is None:
        return None
    if isinstance(before, tuple):
        loose = before + loose
    else:
        packed, loose = before.runs + packed, before.loose + loose
    if not packed and len(loose) <= FEW:
        return loose
    both = Many(packed, loose)
    return both if len(both) <= MOST else None


def _split(packed: Sequence[Run], floor: int) -> tuple[list[Run], list[Run]]:
    """Those above the floor, and those that are not."""
    above: list[Run] = []
    rest: list[Run] = []
    for run in packed:
        if run.first > floor:
            above.append(run)
        elif run.last <= floor:
            rest.append(run)
        else:
            numbers = _numbers(run)
            at = bisect_left(numbers, floor + 1)
            rest.append(_run(numbers[:at]))
            above.append(_run(numbers[at:]))
    return above, rest
