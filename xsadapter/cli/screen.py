"""A screen of `xsadapter top`: two moments' figures as lines, or as one JSON object. Pure functions of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from xsadapter.cli.status import mebibytes, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xsadapter.client.figures import Figures, Spans

_OPERATION: Final = "operations-"
_SHOWN: Final = 3
_UNITS: Final = ((1_000_000, "s"), (1_000, "ms"), (1, "µs"))
SPANS: Final = (("turn", "turns"), ("wait", "waits for a transaction's turn"), ("tick-slice", "slices of ticks"))


class Column(NamedTuple):
    """One of a domain's: the daemon's name for it, its title, its width, and whether it is shown as a rate."""

    name: str
    title: str
    width: int
    rate: bool = False
    limited: bool = False


COLUMNS: Final = (
    Column("operations", "operations/s", 13, rate=True),
    Column("conflicts", "conflicts/s", 12, rate=True),
    Column("refusals", "refusals/s", 11, rate=True),
    Column("nodes", "nodes", 11, limited=True),
    Column("memory", "memory", 16, limited=True),
    Column("watches", "watches", 9, limited=True),
    Column("transactions", "open", 6, limited=True),
    Column("outstanding", "waiting", 8, limited=True),
    Column("queued", "queued", 7),
)
BY_NAME: Final = {column.name: column for column in COLUMNS}


def busiest(now: Figures, before: Figures | None, by: str, rows: int) -> list[int]:
    """The domains to be shown: those with the most of a column, which may be none of those that are idle."""
    column = BY_NAME[by]

    def weight(domid: int) -> float:
        return now.rate(before, domid, by) if column.rate else now.domains[domid][by]

    return sorted(now.domains, key=lambda domid: (-weight(domid), domid))[:rows]


def lines(now: Figures, before: Figures | None, shown: Sequence[int], names: Mapping[int, str]) -> list[str]:
    """One screen. O(domains shown)."""
    elapsed = now.elapsed(before)
    rate = now.since(before, "operations")
    kinds = {
        name.removeprefix(_OPERATION): now.since(before, name) for name in now.counters if name.startswith(_OPERATION)
    }
    most = sorted(kinds, key=lambda kind: -kinds[kind])[:_SHOWN]
    shares = ", ".join(f"{kind} {kinds[kind] / rate:.0%}" for kind in most if rate)
    counters = now.counters
    found = [
        (
            f"up {span(int(now.seconds))}, of the last {elapsed:.0f} s: {rate:,.0f} operations/s"
            f"{f' ({shares})' if shares else ''}, {now.since(before, 'conflicts'):,.1f} conflicts/s"
        ),
        (
            f"connections {counters['connections']:,}   domains {counters['domains']:,}   "
            f"watches {counters['watches']:,}   transactions open {counters['open-transactions']:,}, "
            f"in turn {counters['turns-held']:,}   queued {counters['queued-bytes']:,} bytes"
        ),
        (
            f"commits {now.since(before, 'commits-made'):,.0f}/s, {counters['commits-kept']:,} kept, "
            f"{counters['commits-unstored']:,} to be stored   store {_of_store(counters)}"
        ),
    ]
    for name, title in SPANS:
        spans = now.spans[name] if before is None else now.spans[name].since(before.spans[name])
        found.append(f"{title}: {_spans(spans, elapsed)}")
    found += ["", "  domid  name" + " " * 14 + "".join(column.title.rjust(column.width) for column in COLUMNS)]
    for domid in shown:
        row = now.domains[domid]
        cells = "".join(_cell(column, now, before, domid).rjust(column.width) for column in COLUMNS)
        found.append(f"{row['domid']:>7}  {names.get(domid, '')[:16]:<18}{cells}")
    return found


def _of_store(counters: Mapping[str, int]) -> str:
    size = counters["store-size"]
    return f"{mebibytes(counters['store-bytes'])} of {mebibytes(size)}" if size else "in memory"


def _spans(spans: Spans, elapsed: float) -> str:
    if not spans.count:
        return "none"
    quantiles = ", ".join(f"{share:g} % {_time(spans.quantile(share / 100))}" for share in (50, 99, 99.9))
    return f"{spans.count / elapsed:,.1f}/s, at most {quantiles}; longest ever {_time(spans.longest)}"


def _time(microseconds: int) -> str:
    size, unit = next((unit for unit in _UNITS if microseconds >= unit[0]), _UNITS[-1])
    return f"{microseconds / size:.3g} {unit}"


def _cell(column: Column, now: Figures, before: Figures | None, domid: int) -> str:
    if column.rate:
        found = now.rate(before, domid, column.name)
        return f"{found:,.1f}" if found else "0"
    row = now.domains[domid]
    limit = row.get(f"{column.name}-limit", 0)
    return f"{row[column.name]}/{limit}" if column.limited and limit and domid else str(row[column.name])


def as_json(now: Figures, before: Figures | None, shown: Sequence[int], names: Mapping[int, str]) -> str:
    """The same as one JSON object: counters as they are, what happened a second, domains as shown."""
    return json.dumps(
        {
            "seconds": round(now.seconds, 3),
            "elapsed": round(now.elapsed(before), 3),
            "counters": dict(now.counters),
            "per_second": {
                name: round(now.since(before, name), 3) for name in ("operations", "conflicts", "commits-made")
            },
            "microseconds": {
                name: {
                    "count": spans.count,
                    "sum": spans.total,
                    "longest": spans.longest,
                    "p50": spans.quantile(0.5),
                    "p99": spans.quantile(0.99),
                    "p999": spans.quantile(0.999),
                }
                for name, spans in (
                    (name, of if before is None else of.since(before.spans[name])) for name, of in now.spans.items()
                )
            },
            "domains": [
                {
                    "name": names.get(domid, ""),
                    **now.domains[domid],
                    **{
                        f"{column.name}_per_second": round(now.rate(before, domid, column.name), 3)
                        for column in COLUMNS
                        if column.rate
                    },
                }
                for domid in shown
            ],
        }
    )
