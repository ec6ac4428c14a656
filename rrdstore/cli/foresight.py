"""Verbs that ask before there is a store, or without changing one: forecast, replay."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import rrdstore
from rrdstore.cli.drawing import drawing_options, only_ascii, room
from rrdstore.cli.opening import branch_option, config_file, json_option, reading
from rrdstore.cli.output import columns, duration, json_fill, json_micros, print_json
from rrdstore.cli.program import verb
from rrdstore.policy import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdwMy])|([0-9]+(?:\.[0-9]+)?)/([smhdwMy])")


@verb(
    "forecast",
    "rrdstore forecast --every 10s 'last:100 1m:2h 1h:7d 1M:5y'",
    "rrdstore forecast --every 20/s --change 2KiB --tree 3MiB",
    "rrdstore -C host.rrdb forecast 'last:100 1m:2h'",
)
@click.argument("policy", required=False)
@click.option("--every", metavar="STEP", help="How often commits come: 10s, 1.5m, or so many in a unit, 20/s.")
@click.option("--change", metavar="SIZE", help="Bytes that a kept commit takes; measured for one key if not given.")
@click.option("--tree", metavar="SIZE", help="Bytes of the newest tree.")
@click.option(
    "--series",
    multiple=True,
    metavar="PATTERN:PATHS",
    help="What is to be recorded of numbers, as for `create`. Else what --config says.",
)
@branch_option
@json_option
def forecast(
    policy: str | None,
    every: str | None,
    change: str | None,
    tree: str | None,
    series: tuple[str, ...],
    branch: str,
    as_json: bool,
) -> None:
    """Say what a policy will cost and how far it will reach.

    Slots are the most that it keeps. "back to" is how far a tier reaches by the calendar if it is full now, of commits
    made at every step; "covers" how far at the pace of --every: further where commits are rarer than the step, as
    nothing expires. With a store (-C), pace and sizes are those of its branch so far, and POLICY is the branch's own if
    not given; with an option of your own that is all that counts. JSON: {policy, slots, bytes, kept, expected,
    series_paths, series_bytes, tiers: [{tier, slots, reach, covers, since, bytes}]}; times in seconds, `since` a
    moment, series_bytes of each path.
    """
    at_hand = click.get_current_context().find_root().params.get("store")
    if at_hand and every is change is tree is None and not series:
        with reading() as store:
            keep = policy or store.branch(branch).keep
            made = store.forecast(keep, branch)
    else:
        config = rrdstore.Config.of(config_file())
        keep = policy if policy is not None else config.keep(branch) or rrdstore.DEFAULT
        made = rrdstore.forecast(
            keep,
            every=None if every is None else _seconds(every),
            change=None if change is None else rrdstore.parse_size(change),
            tree=0 if tree is None else rrdstore.parse_size(tree),
            at=time.time(),
            series=series or [str(each) for each in config.series],
        )
    if as_json:
        print_json(_json_forecast(keep, made))
        return
    for line in _forecast_lines(made):
        click.echo(line)


def _seconds(every: str) -> float:
    match = _EVERY.fullmatch(every)
    length = float(match[1] or match[3]) if match else 0
    if match is None or not length:
        raise click.BadParameter(
            f"{every!r}: expected a step such as 10s or 1.5m, or a pace such as 20/s", param_hint="--every"
        )
    unit = UNITS[match[2] or match[4]] / 1e6
    return length * unit if match[1] else unit / length


def _forecast_lines(made: rrdstore.Forecast) -> Iterator[str]:
    size = rrdstore.format_size
    paced = made.kept is not None
    table = [("tier", "slots", "back to", "bytes", *(("covers",) if paced else ()))]
    for tier in made.tiers:
        since = "" if tier.since is None else (json_micros(tier.since) or "")[:19].replace("T", " ")
        row = (tier.tier, str(tier.slots), since, size(tier.bytes))
        more = ("whole life" if tier.covers is None else duration(tier.covers),) if paced else ()
        table.append((*row, *more))
    yield from columns(table, " r rr")
    yield f"keeps at most {made.slots} commits, in about {size(made.bytes)}"
    if paced:
        yield f"at this pace about {made.kept} commits, in about {size(made.expected or 0)}"
    if made.series_paths:
        total = size(made.series_paths * made.series_bytes)
        yield f"series of {made.series_paths} paths take {total} beside that, {made.series_bytes / 1000:.1f} kB a path"
    elif made.series_bytes:
        yield f"a path of a series would take {made.series_bytes / 1000:.1f} kB beside that"


def _json_forecast(keep: str, made: rrdstore.Forecast) -> dict[str, Any]:
    def seconds(micros: int | None) -> float | None:
        return None if micros is None else micros / 1e6

    return {
        "policy": keep,
        "slots": made.slots,
        "bytes": made.bytes,
        "kept": made.kept,
        "expected": made.expected,
        "series_paths": made.series_paths,
        "series_bytes": made.series_bytes,
        "tiers": [
            {
                "tier": tier.tier,
                "slots": tier.slots,
                "reach": seconds(tier.reach),
                "covers": seconds(tier.covers),
                "since": json_micros(tier.since),
                "bytes": tier.bytes,
            }
            for tier in made.tiers
        ],
    }


@verb(
    "replay",
    "rrdstore -C host.rrdb replay 'last:100 1h:2d'",
    "git log --format=%ct | rrdstore replay 'last:100 1h:2d 1d:30d *:64' --times -",
    "rrdstore replay 'last:100 1d:30d' 'last:20 1h:7d *:32' --times times.txt",
)
@click.argument("policies", metavar="POLICY...", nargs=-1, required=True)
@click.option("--times", metavar="FILE", help="Times of commits, a line each, or as JSON; - is standard input.")
@branch_option
@drawing_options
@json_option
def replay(
    policies: tuple[str, ...], times: str | None, branch: str, width: int | None, plain: bool, as_json: bool
) -> None:
    """Say what a policy would have kept of a history.

    The history is that of a store (-C), as far as it is kept, or a list of times: seconds since 1970 or ISO 8601, as
    text or JSON, in any order. Several policies are set side by side; each is drawn, one line a tier. A gap is where
    commits were made and none is kept. JSON: a list of {policy, commits, kept, most, slots, first, last, reach, tiers:
    [{tier, used, rows, oldest, newest}], gaps: [{start, end, dropped}]}; reach in seconds.
    """
    if times is None:
        with reading() as store:
            made = [rrdstore.replay(policy, store, branch) for policy in policies]
    else:
        lines = sys.stdin if times == "-" else Path(times).read_text().splitlines(keepends=True)
        history = rrdstore.read_times(lines, "standard input" if times == "-" else times)
        made = [rrdstore.replay(policy, history) for policy in policies]
    if as_json:
        print_json([_json_replay(each) for each in made])
        return
    for each in made:
        click.echo(str(each.policy))
        for line in each.lines(room(width), ascii_only=only_ascii(plain)):
            click.echo(f"  {line}")
        click.echo()
    for line in columns(_compared(made), " " + "r" * len(made)):
        click.echo(line)


def _compared(made: list[rrdstore.Replay]) -> Iterator[tuple[str, ...]]:
    yield ("", *(str(each.policy) if len(made) == 1 else f"policy {at}" for at, each in enumerate(made, 1)))
    yield ("commits", *(str(each.commits) for each in made))
    yield ("kept", *(str(len(each.kept)) for each in made))
    yield ("at most at once", *(str(each.most) for each in made))
    yield ("slots", *(str(each.policy.slots) for each in made))
    yield ("reaches back", *(duration(each.reach) for each in made))
    for at in range(max(len(each.gaps) for each in made)):
        yield (
            "largest gap" if not at else "",
            *(_gap(each, at) for each in made),
        )


def _gap(made: rrdstore.Replay, at: int) -> str:
    if at >= len(made.gaps):
        return ""
    gap = made.gaps[at]
    return f"{duration(gap.end - gap.start)}, {gap.dropped} dropped, {duration((made.last or 0) - gap.end)} ago"


def _json_replay(made: rrdstore.Replay) -> dict[str, Any]:
    return {
        "policy": str(made.policy),
        "commits": made.commits,
        "kept": len(made.kept),
        "most": made.most,
        "slots": made.policy.slots,
        "first": json_micros(made.first),
        "last": json_micros(made.last),
        "reach": made.reach / 1e6,
        "tiers": [json_fill(tier) for tier in made.tiers],
        "gaps": [
            {"start": json_micros(gap.start), "end": json_micros(gap.end), "dropped": gap.dropped} for gap in made.gaps
        ],
    }
