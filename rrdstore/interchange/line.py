"""One line of a dump: what it may hold, and how bytes are written.

Rule: a line is a JSON object whose first key tells its kind; each kind has exactly the fields of KINDS, of
exactly these types, and every number is one that a file can hold (LIMITS). What does not fit is Corrupt, naming the
line and the field. Cost: O(length).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from rrdstore.errors import Corrupt

FORMAT = 1

Line = dict[str, Any]

KINDS: dict[str, dict[str, type]] = {
    "rrdstore": {
        "rrdstore": str,
        "format": int,
        "uuid": str,
        "epoch": int,
        "number": int,
        "line": int,
        "size": int,
        "slots": int,
    },
    "commit": {
        "commit": str,
        "epoch": int,
        "branch": int,
        "parents": list,
        "time": int,
        "wall": int,
        "author": str,
        "message": str,
        "thinned": int,
        "grafts": list,
        "authors": dict,
        "from": int,
        "removed": list,
        "set": list,
    },
    "branch": {
        "branch": str,
        "id": int,
        "head": int,
        "fork": int,
        "upstream": int,
        "base": int,
        "keep": str,
        "rings": str,
        "older": int,
        "reach": list,
        "lease": int,
        "until": int,
        "digest": str,
    },
    "tag": {"tag": str, "commit": int},
    "pin": {"pin": int},
    "series": {"series": str},
    "column": {"column": int, "path": str, "record": str, "cells": list},
    "end": {"end": int, "blake3": str},
}

_COUNT, _EPOCH, _MICROS = (0, 1 << 48), (0, 1 << 32), (-(1 << 63), 1 << 63)
LIMITS = {"epoch": _EPOCH, "time": _MICROS, "wall": _MICROS, "until": _MICROS, "lease": (0, 1 << 63)}
"""The least number of a field, and the first that is too great; of all others _COUNT."""


def write(line: Line) -> str:
    """The text of a line, its end included."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def read(text: str, number: int) -> tuple[str, Line]:
    """Kind and fields of line `number`; Corrupt."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Corrupt(where(number), f"no JSON ({error})", "a JSON object") from None
    kind = next(iter(line), "") if isinstance(line, dict) else ""
    fields = KINDS.get(kind)
    if fields is None:
        raise Corrupt(where(number), text[:40].strip() or "nothing", f"a line of one of the kinds {', '.join(KINDS)}")
    if kind == "rrdstore" and line.get("format") != FORMAT:  # before all else, which may be of another day
        raise Corrupt(
            where(number, "format"), f"{line.get('format')!r:.40}", f"{FORMAT}, which is all this version reads"
        )
    found = {name: type(value) for name, value in line.items()}
    if found != fields:
        wrong = next(name for name in {**fields, **found} if fields.get(name) is not found.get(name))
        expected = _TYPES[fields[wrong]] if wrong in fields else "no such field"
        raise Corrupt(where(number, wrong), f"{line[wrong]!r:.40}" if wrong in line else "nothing", expected)
    for name, value in line.items():
        if fields[name] is int:
            whole(value, number, name)
    return kind, line


_TYPES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


def whole(value: object, number: int, field: str) -> int:
    """A number that a file can hold in that field; Corrupt."""
    least, above = LIMITS.get(field, _COUNT)
    if type(value) is not int or not least <= value < above:
        raise Corrupt(where(number, field), f"{value!r:.40}", f"a whole number from {least} to {above - 1}")
    return value


def where(number: int, field: str = "") -> str:
    """What an error calls the line, and the field in it."""
    return f"dump, line {number}, {field}" if field else f"dump, line {number}"


def encode(data: bytes) -> str | dict[str, str]:
    """Bytes as JSON: text if they are UTF-8, else base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def decode(data: object, number: int, field: str) -> bytes:
    """The bytes again; Corrupt."""
    try:
        if isinstance(data, str):
            return data.encode()
        if isinstance(data, dict) and list(data) == ["base64"]:
            return base64.b64decode(data["base64"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        pass
    raise Corrupt(where(number, field), f"{data!r:.40}", 'text or {"base64": text}')
