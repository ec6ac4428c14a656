r"""Values as printable text, as the stock clients show them, and back.

    \t \n \r \\     those four
    \ooo            other bytes below 8: three octal digits
    \xhh            every other byte that is not printable ASCII

Back (`write` without -R): the same, with one to three octal digits; what follows \x is what C's scanf reads with
"%2x", blanks before it and a sign among the two included. A backslash before anything else is dropped, and one at
the end stands for a NUL.
"""

from __future__ import annotations

import re
from typing import Final

_SHORT: Final = {9: b"\\t", 10: b"\\n", 13: b"\\r", 92: b"\\\\"}
_OCTAL_BELOW: Final = 8


def _shown(byte: int) -> bytes:
    if byte in _SHORT:
        return _SHORT[byte]
    if 32 <= byte < 127:
        return bytes((byte,))
    return b"\\%03o" % byte if byte < _OCTAL_BELOW else b"\\x%02x" % byte


_SHOWN: Final = tuple(_shown(byte) for byte in range(256))
_PLAIN: Final = re.compile(rb"[ -\[\]-~]*")
_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{1,3})|x[ \t-\r]*([+-][0-9A-Fa-f]|0[xX]|[0-9A-Fa-f]{1,2})|(.?))", re.DOTALL)
_MEANT: Final = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"": b"\0"}


def printable(value: bytes) -> bytes:
    """A value as one printable line. O(value)."""
    return value if _PLAIN.fullmatch(value) else b"".join([_SHOWN[byte] for byte in value])


def meant(text: bytes) -> bytes:
    """The value that an escaped text stands for. O(text)."""
    return _ESCAPE.sub(_byte, text) if b"\\" in text else text


def _byte(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, other = found.groups()
    if octal is not None:
        return bytes((int(octal, 8) & 255,))
    if hexadecimal is not None:
        return bytes((int(hexadecimal.removesuffix(b"x").removesuffix(b"X"), 16) & 255,))
    return _MEANT.get(other, other)
