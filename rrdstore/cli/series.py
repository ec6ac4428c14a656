"""Verbs on series: fetch, graph, export."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrdstore import interchange
from rrdstore.cli.opening import json_option, reading
from rrdstore.cli.output import columns, print_json, shown
from rrdstore.cli.plot import SUFFIXES, plot
from rrdstore.cli.program import verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rrdstore

since_option = click.option("--since", metavar="WHEN", help="Rows from then on; the tier is chosen to reach it.")
until_option = click.option("--until", metavar="WHEN", help="Rows that begin before then.")
step_option = click.option("--step", metavar="STEP", help="Rows of this length: 5m, or seconds.")


@verb(
    "fetch",
    "rrdstore -C host.rrdb fetch '/local/domain/*/memory/target' --since '1h ago'",
    "rrdstore -C host.rrdb fetch '/local/domain/*/memory/target' --cf max --step 1h --csv",
    moments=True,
)
@click.argument("pattern")
@click.option("--cf", default="average", show_default=True, help="What of each row: average, min, max or last.")
@since_option
@until_option
@step_option
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values, a column a path.")
@json_option
def fetch(
    pattern: str, cf: str, since: str | None, until: str | None, step: str | None, as_csv: bool, as_json: bool
) -> None:
    """Print recorded numbers over time.

    PATTERN is one that was declared when the store was created, or matches some of its paths. Each row is one step of
    a time tier, stamped with its beginning: of the finest that reaches back to --since, or without it of the finest,
    and with --step of one whose step divides it. Where less than half is known there is `nan`. JSON: {times, paths,
    values}, null for what is unknown.
    """
    with reading() as store:
        found = store.series(pattern, cf, since, until, int(step) if step and step.isdecimal() else step)
    times = [f"{time}Z" for time in found.times.astype("datetime64[us]").astype(str)]
    rows = found.values.tolist()
    if as_json:
        values = [[None if math.isnan(value) else value for value in row] for row in rows]
        print_json({"times": times, "paths": list(found.paths), "values": values})
    elif as_csv:
        for line in _csv(times, found.paths, rows):
            click.echo(line)
    else:
        heads = ["time", *map(shown, found.paths)]
        short = [f"{time[:10]} {time[11:19]}Z" for time in times]
        table = [heads, *([at, *(f"{value:.6g}" for value in row)] for at, row in zip(short, rows, strict=True))]
        for line in columns(table, " " + "r" * len(found.paths)):
            click.echo(line)


def _csv(times: list[str], paths: tuple[str, ...], rows: list[list[float]]) -> Iterator[str]:
    """RFC 4180, unknown as nothing; a name is in quotes where it has to be."""
    yield ",".join(_quoted(name) for name in ("time", *paths))
    for time, row in zip(times, rows, strict=True):
        yield ",".join([time, *("" if math.isnan(value) else repr(value) for value in row)])


def _quoted(text: str) -> str:
    text = shown(text)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


@verb(
    "graph",
    "rrdstore -C host.rrdb graph '/local/domain/*/memory/target' -o memory.svg",
    "rrdstore -C host.rrdb graph /local/domain/1/memory/target --since '1d ago' --title web1 -o web1.png",
    moments=True,
)
@click.argument("pattern")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: a name that ends in .svg or .png.")
@since_option
@until_option
@step_option
@click.option("--title", help="Above the plot; else the pattern.")
def graph(pattern: str, output: str, since: str | None, until: str | None, step: str | None, title: str | None) -> None:
    """Draw recorded numbers over time.

    A line for the average of each path, and a band from its minimum to its maximum. Rows are those of `fetch`. Needs
    matplotlib (`pip install "rrdstore[graph]"`); without it the exit code is 12.
    """
    if Path(output).suffix not in SUFFIXES:
        raise click.UsageError(f"-o {output}: expected a name that ends in {' or '.join(SUFFIXES)}")
    steps = int(step) if step and step.isdecimal() else step
    with reading() as store:
        found = [store.series(pattern, cf, since, until, steps) for cf in ("average", "min", "max")]
    plot(_same_rows(found), title or pattern, output)
    click.echo(f"{output}: {len(found[0].times)} rows of {len(found[0].paths)} paths")


def _same_rows(found: list[rrdstore.Series]) -> list[rrdstore.Series]:
    """The rows that all have: time may go on between two questions."""
    common = set.intersection(*(set(each.times.tolist()) for each in found))
    kept = [[time in common for time in each.times.tolist()] for each in found]
    return [
        each._replace(times=each.times[rows], values=each.values[rows]) for each, rows in zip(found, kept, strict=True)
    ]


@verb(
    "export",
    "rrdstore -C host.rrdb export --rrd memory.xml '/local/domain/*/memory/target'",
    "rrdstore -C host.rrdb export --rrd - | rrdtool restore - host.rrd",
)
@click.argument("pattern", default="/**")
@click.option("--rrd", "target", metavar="FILE", required=True, help="Where to, - is standard output.")
@json_option
def export(pattern: str, target: str, as_json: bool) -> None:
    """Write recorded numbers for RRDtool.

    XML that `rrdtool restore` makes a database of: a data source s0, s1, ... for each path, comments saying which,
    and for each time tier the archives AVERAGE, MIN, MAX and LAST. Steps of months and years are left out. JSON,
    not with -: {paths}.
    """
    parts: list[str] = []
    with reading() as store:
        paths = interchange.export_rrd(store, parts.append, pattern)
    if target == "-":
        click.echo("".join(parts), nl=False)
        return
    Path(target).write_text("".join(parts), encoding="utf-8")
    if as_json:
        print_json({"paths": list(paths)})
    else:
        click.echo(f"{target}: {len(paths)} data sources")
