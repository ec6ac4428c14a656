"""Sizes as people write them."""

from __future__ import annotations

import re

from rrdstore.errors import InvalidSize

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"\s*(\d{1,15})\s*([A-Za-z]{0,3})\s*")


def parse_size(size: str | int) -> int:
    """Bytes of "64MiB", "64M" (the same), "64MB" (10**6), or a number; InvalidSize."""
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None or match[2].upper() not in _UNITS or not int(match[1]):
        raise InvalidSize(size, "a number of bytes, or one with KiB, MiB, GiB, kB, MB or GB")
    return int(match[1]) * _UNITS[match[2].upper()]


def format_size(size: float) -> str:
    """Bytes for people: "15.9 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" or size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    return ""
