"""Verbs on the store as a whole: create, info."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

import rrdstore
from rrdstore.cli.opening import config_file, json_option, reading
from rrdstore.cli.output import columns, duration, json_fill, json_micros, print_json, shown
from rrdstore.cli.program import verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

size_option = click.option(
    "--size",
    show_default=f"{rrdstore.DEFAULT_SIZE}, or what --config says",
    help="What the files together never exceed: 64MiB, 16M, or bytes.",
)


@contextmanager
def progress_bar(doing: str = "writing") -> Iterator[Callable[[int, int], object] | None]:
    """Show how far the writing of a new file is, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=doing, file=sys.stderr) as bar:

        def advance(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield advance


@verb(
    "create",
    "rrdstore create host.rrdb --size 64MiB",
    "rrdstore create host.rrdb --size 16MiB --keep 'last:100 1m:2h 1h:7d *:32'",
    "rrdstore create host.rrdb --keep '1s:1h 1m:1w' --estimate",
    "rrdstore create host.rrdb --series '/local/domain/*/memory/target:200'",
)
@click.argument("file")
@size_option
@click.option(
    "--keep",
    show_default=f"{rrdstore.DEFAULT}, or what --config says",
    metavar="POLICY",
    help="Which commits of main stay.",
)
@click.option(
    "--series",
    multiple=True,
    metavar="PATTERN:PATHS",
    help="Record the numbers at paths that match, at most so many at once; again for more. Else what --config says.",
)
@click.option("--estimate", is_flag=True, help="Say what it would be, and create nothing.")
@json_option
def create(
    file: str, size: str | None, keep: str | None, series: tuple[str, ...], estimate: bool, as_json: bool
) -> None:
    """Create a store in FILE.

    It takes its whole size at once and never more. A policy is a list of tiers: `last:N` keeps the N newest
    commits, `1m:2h` the last one of each minute for two hours, `16c:64` every 16th for 64 of them, `*:N` spreads N
    over the whole life of the store. Series keep minimum, maximum, average and last of numbers for each time tier, for
    `fetch`; they are fixed here. JSON, with --estimate: {keep, size, least, room, slots, series_paths, series_bytes,
    tiers: [{tier, slots, reach}]}, reach in seconds.
    """
    config = rrdstore.Config.of(config_file())
    if estimate:
        policy = keep if keep is not None else config.keep("main") or rrdstore.DEFAULT
        wanted = size or config.size or rrdstore.DEFAULT_SIZE
        declared = series or [str(each) for each in config.series]
        _print_estimate(rrdstore.estimate(wanted, policy, declared), as_json)
        return
    with (
        progress_bar() as progress,
        rrdstore.create(file, size, keep, config=config, series=series or None, progress=progress) as store,
    ):
        info = store.info()
    if as_json:
        print_json(_json_info(info))
    else:
        click.echo(f"{file}: {rrdstore.format_size(info.size)}, keeps {info.branches[0].keep}")


def _print_estimate(made: rrdstore.Estimate, as_json: bool) -> None:
    tiers = made.forecast.tiers
    if as_json:
        rows = [{"tier": t.tier, "slots": t.slots, "reach": None if t.reach is None else t.reach / 1e6} for t in tiers]
        print_json(
            {
                "keep": made.keep,
                "size": made.size,
                "least": made.least,
                "room": made.room,
                "slots": made.forecast.slots,
                "series_paths": made.series_paths,
                "series_bytes": made.series_bytes,
                "tiers": rows,
            }
        )
        return
    table = [("tier", "commits", "reach")]
    table += [(t.tier, str(t.slots), "" if t.reach is None else duration(t.reach)) for t in tiers]
    for line in [*columns(table, " r "), ""]:
        click.echo(line)
    click.echo(f"keeps at most {made.forecast.slots} commits, and needs {rrdstore.format_size(made.least)} at least")
    if made.series_paths:
        total, share = rrdstore.format_size(made.series_bytes), made.series_bytes / made.series_paths / 1000
        click.echo(f"series of {made.series_paths} paths take {total} of that, {share:.1f} kB a path")
    if made.room:
        each = rrdstore.format_size(made.room // made.forecast.slots)
        click.echo(
            f"{rrdstore.format_size(made.size)}: {rrdstore.format_size(made.room)} of room, {each} a commit on average"
        )
    else:
        click.echo(f"{rrdstore.format_size(made.size)} is too small")


@verb("info", "rrdstore -C host.rrdb info", "RRDSTORE=host.rrdb rrdstore info --json")
@json_option
def info(as_json: bool) -> None:
    """Show size, fill and reach.

    Of the files, the journal, and each tier of each branch. JSON: {path, uuid, epoch, size, used, files, room,
    live, objects, journal, journal_used, ticks, commits, kept, bound, unstored, tags, pins, degraded, full,
    pressed, held: {by, since, lost_since}, series: [{pattern, paths, used, present, surplus}], branches: [{name,
    head, keep, wanted, kept, made, tiers: [{tier, used, rows, oldest, newest, pressed}]}]}; bytes, and times. `wanted`
    is the policy that --config asks for, if it is another; `pressed` are slots that were emptied for want of room.
    """
    with reading(warn=False) as store:
        found = store.info()
    if as_json:
        print_json(_json_info(found))
        return
    for line in _table(found):
        click.echo(line)


def _table(found: rrdstore.Info) -> Iterator[str]:
    size = rrdstore.format_size
    rows = [
        ("store", shown(found.path)),
        ("uuid", found.uuid),
        ("size", f"{size(found.used)} in {len(found.files)} files, never above {size(found.size)}"),
        ("room", f"{size(found.live)} of {size(found.room)} in use by {found.objects} objects"),
        ("journal", f"{size(found.journal_used)} of {size(found.journal)}, {found.unstored} changes not stored yet"),
        ("commits", f"{found.commits} made, {found.kept} kept, never more than {found.bound}"),
        ("kept by hand", f"{found.tags} tags, {found.pins} pins"),
    ]
    yield from columns(rows)
    if found.pressed:
        yield f"degraded: {found.pressed} slots were emptied beyond the policy, for want of room"
    if found.full:
        yield "degraded: full; a change thins beyond the policy, or is refused"
    if found.held is not None:
        yield f"held by {shown(found.held.by)} since {json_micros(found.held.since)}"
    for each in found.series:
        yield ""
        yield f"series {shown(each.pattern)}  {each.used} of {each.paths} columns have a path, {each.present} there now"
        if each.surplus:
            yield f"  {each.surplus} values were not recorded: no column was free"
    for branch in found.branches:
        yield ""
        yield f"branch {shown(branch.name)}  head {branch.head}, {branch.kept} kept of {branch.made} made"
        if branch.wanted is not None:
            yield f"  keeps {branch.keep}, not {branch.wanted} as asked for; tune would change it"
        tiers = [
            (f"  {tier.tier}", f"{tier.used}/{tier.rows}", "" if tier.oldest is None else f"reaches {_reach(tier)}")
            for tier in branch.tiers
        ]
        yield from columns(tiers, " r")


def _reach(tier: rrdstore.Fill) -> str:
    return duration((tier.newest or 0) - (tier.oldest or 0))


def _json_info(found: rrdstore.Info) -> dict[str, Any]:
    return {
        "path": found.path,
        "uuid": found.uuid,
        "epoch": found.epoch,
        "size": found.size,
        "used": found.used,
        "files": dict(found.files),
        "room": found.room,
        "live": found.live,
        "objects": found.objects,
        "journal": found.journal,
        "journal_used": found.journal_used,
        "ticks": found.ticks,
        "commits": found.commits,
        "kept": found.kept,
        "bound": found.bound,
        "unstored": found.unstored,
        "tags": found.tags,
        "pins": found.pins,
        "degraded": found.degraded,
        "full": found.full,
        "pressed": found.pressed,
        "held": None if found.held is None else _json_held(found.held),
        "series": [asdict(each) for each in found.series],
        "branches": [_json_branch(branch) for branch in found.branches],
    }


def _json_held(held: rrdstore.HeldBy) -> dict[str, Any]:
    return {
        "by": held.by,
        "since": json_micros(held.since),
        "lost_since": json_micros(held.lost_since),
    }


def _json_branch(branch: rrdstore.BranchInfo) -> dict[str, Any]:
    return {
        "name": branch.name,
        "head": branch.head,
        "keep": branch.keep,
        "wanted": branch.wanted,
        "kept": branch.kept,
        "made": branch.made,
        "tiers": [json_fill(tier) for tier in branch.tiers],
    }
