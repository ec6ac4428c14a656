"""Views: what the rows of fixed length hide, as columns that any SQLite program can show.

Rule: for looking only; nothing of ours reads them, and they hold no data. They take pages of the schema, counted by
the layout, and are made with the tables. A view decodes what docs/format.md says; where a row of a branch goes on in
another, it shows what the first one has. Times are UTC.

    commits    number, branch, time, wall, author, message, thinned, epoch, root
    branches   name, id, head, fork, upstream, base, keep
    tags       name, number, epoch
    pins       number
    segments   segment, used, live
    byte       i: 0 to 7, the places of a number's bytes

Cost: O(rows) a look, some 20 us a number. Needs SQLite 3.8.3 (2014): no function that is newer.
"""

from __future__ import annotations

_DIGITS = "123456789ABCDEF"
"""`instr` gives the value of a hexadecimal digit; 0 is not in it, so its value is 0."""


def _number(at: str | int, size: int, data: str = "d") -> str:
    """An expression for the number of `size` bytes, low ones first, from byte `at` on, counted from 0."""
    digit = f"instr('{_DIGITS}', substr(hex(substr({data}, {at} + i + 1, 1)), {{}}, 1))"
    return f"(SELECT sum(({digit.format(1)} * 16 + {digit.format(2)}) << 8 * i) FROM byte WHERE i < {size})"


def _text(at: str, size: str) -> str:
    """An expression for text."""
    return f"CAST(substr(d, {at} + 1, {size}) AS TEXT)"


def _time(at: int) -> str:
    """An expression for a moment in microseconds, as ISO text."""
    micros = _number(at, 8)
    return (
        f"(SELECT strftime('%Y-%m-%dT%H:%M:%S', (t - (t % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch') "
        f"|| printf('.%06dZ', (t % 1000000 + 1000000) % 1000000) FROM (SELECT {micros} AS t))"
    )


def _select(table: str, columns: dict[str, str], where: str) -> str:
    shown = ",\n  ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return f"SELECT\n  {shown}\nFROM {table} WHERE {where}"


_AUTHOR, _MESSAGE = _number(4, 1), _number(5, 1)
_KEPT_AUTHOR, _KEPT_MESSAGE = _number(4, 1, "kept.d"), _number(5, 1, "kept.d")
_NAME = _number(103, 1)
_MESSAGE_TEXT = (
    f"CASE WHEN {_AUTHOR} + {_MESSAGE} <= 99 THEN {_text(f'62 + {_AUTHOR}', _MESSAGE)} ELSE "
    f"(SELECT CAST(substr(kept.d, 63 + {_KEPT_AUTHOR}, 99 - {_KEPT_AUTHOR}) "
    f"|| substr(more.d, 9, {_KEPT_AUTHOR} + {_KEPT_MESSAGE} - 99) AS TEXT) "
    "FROM kept AS more WHERE substr(more.d, 1, 2) = x'0300' AND substr(more.d, 3, 6) = substr(kept.d, 12, 6)) END"
)
"""The rest of a long one is in the commit's second row."""

_COUNTED = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "

SELECTS: dict[str, str] = {
    "byte": "SELECT 0 AS i UNION ALL VALUES (1), (2), (3), (4), (5), (6), (7)",
    "commits": _select(
        "kept",
        {
            "number": _number(11, 6),
            "branch": _number(17, 6),
            "time": _time(46),
            "wall": _time(54),
            "author": _text("62", _AUTHOR),
            "message": _MESSAGE_TEXT,
            "thinned": _number(41, 5),
            "epoch": _number(7, 4),
            "root": _number(35, 6),
        },
        f"{_number(0, 1)} = 1 ORDER BY number",
    ),
    "branches": _select(
        "branch",
        {
            "name": _text("110", _NAME),
            "id": _number(7, 8),
            "head": _number(15, 8),
            "fork": _number(23, 8),
            "upstream": _number(31, 8),
            "base": _number(39, 8),
            "older": _number(47, 8),
            "keep": _text(f"110 + {_NAME}", _number(104, 2)),
        },
        f"{_number(0, 1)} = 1 AND {_number(1, 2)} = 0 ORDER BY id",
    ),
    "tags": _select(
        "tag",
        {"name": _text("13", _number(0, 1)), "number": _number(5, 8), "epoch": _number(1, 4)},
        f"{_number(0, 1)} > 0 ORDER BY name",
    ),
    "pins": _COUNTED.format(502)
    + f"SELECT {_number('(4 + n.i * 8)', 8)} AS number FROM pin, n WHERE n.i < {_number(0, 4)} ORDER BY number",
    "segments": _COUNTED.format(502)
    + f"SELECT (id - 1) * 503 + n.i + 1 AS segment, {_number('(n.i * 8)', 4)} AS used, "
    f"{_number('(n.i * 8 + 4)', 4)} AS live FROM segm, n "
    "WHERE segment <= (SELECT CAST(v AS INTEGER) FROM meta WHERE k = 'segments') ORDER BY segment",
}

VIEWS: dict[str, str] = {name: f"CREATE VIEW {name} AS {select}" for name, select in SELECTS.items()}
"""What makes each of them, in the order of creation."""

PAGES = 1 + sum(len(sql) + 64 for sql in VIEWS.values()) // 4000
"""Pages of the schema that they take, at most, beside the one that it has without them."""
