r"""What commands print: text for people, and the JSON shapes that programs may rely on.

Rule: in JSON, bytes are a string if they are UTF-8 and else {"base64": ...}; times are ISO 8601 in UTC; a
document is printed whole. In text, what cannot be printed (control characters, broken UTF-8) is shown as
`\xNN`, so that nothing stored can steer a terminal or fake a line.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import rrdstore


def print_json(document: object) -> None:
    """One JSON document, readable."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def json_bytes(data: bytes) -> str | dict[str, str]:
    """Bytes in JSON."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def json_time(time: datetime | None) -> str | None:
    """A moment in JSON: always UTC, always with microseconds."""
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def json_fill(tier: rrdstore.Fill) -> dict[str, Any]:
    """How much of a tier is in use."""
    return {
        "tier": tier.tier,
        "used": tier.used,
        "rows": tier.rows,
        "oldest": json_micros(tier.oldest),
        "newest": json_micros(tier.newest),
        "pressed": tier.pressed,
    }


def json_micros(micros: int | None) -> str | None:
    """The same from microseconds since the epoch."""
    return (
        None
        if micros is None
        else json_time(datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000))
    )


def json_commit(commit: rrdstore.Commit) -> dict[str, Any]:
    """A commit in JSON."""
    return {
        "id": commit.id,
        "number": commit.number,
        "time": json_time(commit.time),
        "wall": json_time(commit.wall),
        "branch": commit.branch,
        "author": commit.author,
        "message": commit.message,
        "parents": list(commit.parents),
        "kept_parents": list(commit.kept_parents),
        "thinned": commit.thinned,
        "authors": dict(commit.authors),
        "others": commit.others,
    }


def json_node(path: str, node: rrdstore.Node) -> dict[str, Any]:
    """A node in JSON; `created` and `modified` are numbers of commits."""
    return {
        "path": path,
        "value": json_bytes(node.value),
        "meta": json_bytes(node.meta),
        "created": node.created,
        "modified": node.modified,
        "children": node.children,
    }


def on_terminal() -> bool:
    """Whether standard output is one."""
    return sys.stdout.isatty()


def shown(data: str | bytes) -> str:
    r"""Text for a terminal, on one line: what cannot be printed as `\xNN`, and a backslash doubled."""
    text = data.decode(errors="surrogateescape") if isinstance(data, bytes) else data
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        "\\\\" if c == "\\" else c if c.isprintable() else "".join(f"\\x{byte:02x}" for byte in _bytes(c)) for c in text
    )


def _bytes(character: str) -> bytes:
    return character.encode(errors="surrogateescape" if "\udc80" <= character <= "\udcff" else "replace")


def shown_time(time: datetime) -> str:
    """A moment for people, in whole seconds of UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def shown_commit(commit: rrdstore.Commit) -> str:
    """A commit on one line: id, time, author, message."""
    parts = (commit.id, shown_time(commit.time), shown(commit.author), shown(commit.message))
    return "  ".join(part for part in parts if part)


def columns(rows: Iterable[Sequence[str]], right: str = "") -> list[str]:
    """Rows in columns as wide as needed; those with an `r` at their place in `right` are set to the right."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            f"{cell:>{width}}" if right[index : index + 1] == "r" else f"{cell:<{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def duration(micros: float) -> str:
    """A length of time for people: the two largest units that say it."""
    seconds = round(micros / 1_000_000)
    parts: list[str] = []
    for unit, length in (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"
