"""Columns: numbers side by side in the fewest bytes, as what they have in common and what each has beyond it.

    column  = [base] [what each is above it]: the bytes of both by form, `FORMS`; a base of 0 bytes is 0

Little endian. The form is kept elsewhere, in four bits of what the column is a part of; a column of none takes none.
What has numbers that are all the same, or below 256, is made without a look at each: most columns are such.
Cost: O(numbers), half a microsecond for few. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMS = ((0, 0), (1, 0), (4, 0), (8, 0), (0, 1), (0, 2), (0, 4), (0, 8), (4, 1), (4, 2), (8, 1), (8, 2), (8, 4))
"""Of a column: bytes of the base, and of what each number has beyond it (0: nothing)."""

_NONE, _SAME_BYTE, _SAME_WORD, _SAME_LONG, _BYTES, _SHORTS, _WORDS, _LONGS = range(8)
_FROM_WORD, _FROM_LONG = 8, 10
_CODES = {0: "", 1: "B", 2: "H", 4: "I", 8: "Q"}
_WORD, _LONG = Struct("<I").pack, Struct("<Q").pack
_BYTE_TOP, _SHORT_TOP, _WORD_TOP = 1 << 8, 1 << 16, 1 << 32
SINGLE = ((_NONE, b""), *[(_SAME_BYTE, bytes((value,))) for value in range(1, _BYTE_TOP)])
"""Form and bytes of a column of one number, by that."""


def fitted(numbers: list[int]) -> tuple[int, bytes]:
    """Form and bytes of a column that is not empty."""
    first = numbers[0]
    if numbers.count(first) == len(numbers):
        if first < _BYTE_TOP:
            return SINGLE[first]
        return (_SAME_WORD, _WORD(first)) if first < _WORD_TOP else (_SAME_LONG, _LONG(first))
    high = max(numbers)
    if high < _BYTE_TOP:
        return _BYTES, bytes(numbers)
    low = min(numbers)
    span = high - low
    if high < _SHORT_TOP:
        form = _FROM_WORD if span < _BYTE_TOP and len(numbers) > 4 else _SHORTS
    elif high < _WORD_TOP:
        form = _FROM_WORD if span < _BYTE_TOP else _FROM_WORD + 1 if span < _SHORT_TOP else _WORDS
    elif span < _WORD_TOP:
        form = _FROM_LONG if span < _BYTE_TOP else _FROM_LONG + 1 if span < _SHORT_TOP else _FROM_LONG + 2
    else:
        form = _LONGS
    if form == _FROM_WORD:
        return form, _WORD(low) + bytes([number - low for number in numbers])
    if form < _FROM_WORD:
        return form, column(form, len(numbers)).pack(*numbers)
    return form, column(form, len(numbers)).pack(low, *[number - low for number in numbers])


def small(numbers: bytes) -> tuple[int, bytes]:
    """The same of numbers that are below 256, given as so many bytes."""
    first = numbers[0]
    return SINGLE[first] if numbers.count(first) == len(numbers) else (_BYTES, numbers)


@lru_cache(maxsize=2048)
def column(form: int, count: int) -> Struct:
    """One column; IndexError if there is no such form."""
    return Struct("<" + codes(form, count))


def codes(form: int, count: int) -> str:
    """The same as `struct` writes it, without the order of bytes."""
    base, width = FORMS[form]
    return _CODES[base] + (f"{count}{_CODES[width]}" if width else "") if count else ""


def spread(packed: tuple[int, ...], at: int, form: int, count: int) -> tuple[Sequence[int], int]:
    """The numbers of a column of which the packed ones begin at `at`, and where the next begins."""
    base_size, width = FORMS[form]
    if not count:
        return (), at
    base = 0
    if base_size:
        base = packed[at]
        at += 1
    if not width:
        return (base,) * count, at
    found = packed[at : at + count]
    return ([base + one for one in found] if base else found), at + count
