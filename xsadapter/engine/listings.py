"""The listings of directories as bytes, as DIRECTORY and DIRECTORY_PART send them.

Rules
1. The bytes of a listing, its names each with a NUL, are remembered, and known to be current because the engine
   hands out the same tuple, and notes of what came and went since (`Tree.order`), until there are many of these.
2. What the notes say is spliced into the bytes that were there, and so is what changed at a few places where the tuple
   is another: to sort and join ten thousand names again for one that came takes 5 ms.
3. A listing has a generation: the sum of 64 bits of hash of its names. It changes whenever the listing does, is the
   same after a restart, and is carried along by a change. It tells a reader to begin again and proves nothing, so
   that a sum can be made equal on purpose harms whoever does so alone.

Cost: O(1) for a listing seen before; O(names) bytes copied for each that came or went, some 6 us for ten thousand;
O(names) pointers compared for another tuple, about 0.1 ms, once for 128 changes; O(names) hashes for a new one.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from blake3 import blake3

if TYPE_CHECKING:
    Notes: TypeAlias = tuple[tuple[str, bool], ...]
    """Which names came (True) and went (False), in order."""

_MAX: Final = 256
_PLACES: Final = 8
"""Names that came or went since, at most, where what is there is spliced."""
_REACH: Final = 32
"""Bytes beside where a name is thought to stand that are looked at first; then four times as many, and so on."""
_ALL: Final = (1 << 64) - 1


class Listing(NamedTuple):
    """One directory's names, as they were handed out and as they are sent."""

    names: tuple[str, ...]
    notes: Notes
    packed: bytes
    generation: int


EMPTY: Final = Listing((), (), b"", 0)


class Listings:
    """The listings asked for last, by path."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Listing] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def get(self, path: str, order: tuple[tuple[str, ...], Notes], hidden: str = "") -> Listing:
        """The listing of a directory whose names are these, as the engine has them, without the hidden one."""
        names, notes = order
        known = self._known.get(path)
        if known is not None and known.names is names:
            before = len(known.notes)
            if known.notes is notes:
                return known
            if known.notes == notes[:before] and not hidden:
                listing = _carried(known, names, notes, before)
                self._known[path] = listing
                return listing
        if not names and not notes:
            return EMPTY
        sorted_now = _worked_in(names, notes)
        made = None
        if known is not None and not hidden:
            made = _spliced(known._replace(names=_worked_in(known.names, known.notes)), sorted_now)
        if made is None:
            shown = [name for name in sorted_now if name != hidden]
            packed = "".join([f"{name}\0" for name in shown]).encode()
            made = Listing(sorted_now, (), packed, sum(map(_hash, shown)) & _ALL)
        if len(self._known) >= _MAX:
            self._known.clear()
        listing = self._known[path] = made._replace(names=names, notes=notes)
        return listing


def _worked_in(names: tuple[str, ...], notes: Notes) -> tuple[str, ...]:
    """All names, sorted, with what came and went."""
    if not notes:
        return names
    found = list(names)
    for name, there in notes:
        at = bisect_left(found, name)
        if there:
            found.insert(at, name)
        else:
            del found[at]
    return tuple(found)


def _carried(known: Listing, names: tuple[str, ...], notes: Notes, done: int) -> Listing:
    """A known listing after all notes, of which the first are in it."""
    packed, generation = known.packed, known.generation
    for name, there in notes[done:]:
        entry = b"%b\0" % name.encode()
        about = len(packed) * bisect_left(names, name) // (len(names) + 1)
        at, bytes_of = _place(packed, entry[:-1], about), memoryview(packed)
        if there:
            packed = b"".join((bytes_of[:at], entry, bytes_of[at:]))
            generation += _hash(name)
        else:
            packed = b"".join((bytes_of[:at], bytes_of[at + len(entry) :]))
            generation -= _hash(name)
    return Listing(names, notes, packed, generation & _ALL)


def _place(packed: bytes, name: bytes, about: int) -> int:
    """Where a name stands, or has to, `about` there; the order of names is that of their bytes."""
    low, high, middle, reach = 0, len(packed), about, _REACH
    while low < high:
        begin = packed.rfind(0, low, middle) + 1 or low
        end = packed.index(0, begin)
        if packed[begin:end] < name:
            low = end + 1
            middle = min(low + reach, (low + high) // 2)
        else:
            high = begin
            middle = max(high - reach, (low + high) // 2)
        reach *= 4
    return low


def _spliced(known: Listing, names: tuple[str, ...]) -> Listing | None:
    """The listing of `names`, made of a known one; None where they differ at many places."""
    old, packed, generation = known.names, known.packed, known.generation
    if abs(len(names) - len(old)) > _PLACES:
        return None
    pieces: list[bytes] = []
    at = here = there = 0
    for _ in range(_PLACES):
        if old[here:] == names[there:]:
            break
        alike = _alike(old, here, names, there)
        here, there = here + alike, there + alike
        before = _offset(packed, old[here].encode(), at) if here < len(old) else len(packed)
        pieces.append(packed[at:before])
        at = before
        if there == len(names) or (here < len(old) and old[here] < names[there]):
            at += len(old[here].encode()) + 1
            generation -= _hash(old[here])
            here += 1
        else:
            pieces.append(b"%b\0" % names[there].encode())
            generation += _hash(names[there])
            there += 1
    else:
        if old[here:] != names[there:]:
            return None
    return Listing(names, (), b"".join([*pieces, packed[at:]]), generation & _ALL)


def _alike(old: tuple[str, ...], here: int, names: tuple[str, ...], there: int) -> int:
    """How many names from these places on are the same; by halves, as slices are compared without a step for each."""
    low, high = 0, min(len(old) - here, len(names) - there)
    while low < high:
        middle = (low + high + 1) // 2
        if old[here + low : here + middle] == names[there + low : there + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _offset(packed: bytes, name: bytes, at: int) -> int:
    """Where a name stands, at or behind a place where one begins."""
    return at if packed.startswith(b"%b\0" % name, at) else packed.index(b"\0%b\0" % name, at) + 1


@lru_cache(maxsize=32768)
def _hash(name: str) -> int:
    return int.from_bytes(blake3(name.encode()).digest(length=8), "big")
