"""Numbers in values that anybody writes.

Rule: a number is at most 40 bytes of ASCII, `[+-] digits [. digits] [e [+-] digits]` with a digit before or
behind the point, and of magnitude at most 1e100. All else is unknown: text, nothing, `nan`, `inf`, `1e999`, hex,
underscores, blanks. So sums over centuries of microseconds stay far from what a double can hold, and no
value raises an error. Unknown is NaN. Cost: O(1).
"""

from __future__ import annotations

import re

UNKNOWN = float("nan")
LIMIT = 1e100
"""The greatest magnitude that counts as a number."""
MAX_BYTES = 40

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")


def number(value: bytes | None) -> float:
    """The number that a value says; UNKNOWN if it says none, or is absent (None)."""
    if value is None or len(value) > MAX_BYTES or _NUMBER.fullmatch(value) is None:
        return UNKNOWN
    found = float(value)
    return found if -LIMIT <= found <= LIMIT else UNKNOWN
