"""Verbs that change what stays: tune, forget, compact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import rrdstore
from rrdstore.cli.drawing import drawing_options, print_tiers, rows_of
from rrdstore.cli.opening import branch_option, dry_run_option, json_option, reading, writing
from rrdstore.cli.output import columns, json_fill, print_json, shown
from rrdstore.cli.program import verb
from rrdstore.cli.retention import print_plan
from rrdstore.policy import PERIODS, Spelling, forecast, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@verb(
    "tune",
    "rrdstore -C host.rrdb tune -n 'last:100 1m:2h 1d:1y'",
    "rrdstore -C host.rrdb tune -b work 'last:64 1h:2d'",
    "rrdstore -C host.rrdb --config host.toml tune",
)
@click.argument("policy", required=False)
@branch_option
@dry_run_option
@drawing_options
@json_option
def tune(policy: str | None, branch: str, dry_run: bool, width: int | None, plain: bool, as_json: bool) -> None:
    """Give a branch another policy.

    Prints what is lost at once and what is gained: new tiers fill from now on. Then one line a tier, as after the
    change, and what it takes. With --config and no POLICY, every branch whose policy is not what the file says gets
    that one. All or nothing, also in a crash. JSON: a list of {branch, before, after, applied, drop: {id: id of the
    winner}, gained, lost, tiers: [{tier, used, rows, oldest, newest}], slots, bound, full, each {before, after}, live,
    room}; bytes.
    """
    said = []
    with reading(warn=False) if dry_run else writing(warn=False) as store:
        if policy is not None:
            wanted = [(branch, policy)]
        else:
            wanted = [(each.name, each.wanted) for each in store.info().branches if each.wanted is not None]
            if not wanted and not store.config.branches:
                raise click.UsageError("which policy? give POLICY, or --config FILE before the command")
        for name, keep in wanted:
            made = store.tune(name, keep, dry_run=dry_run)
            said.append(made)
            if not as_json:
                _print_tuned(made, store.branch(name).head.time.timestamp(), dry_run, width, plain)
    if as_json:
        print_json([_json_tuned(made) for made in said])
    elif not said:
        click.echo("every branch has the policy that is asked for")


def _print_tuned(made: rrdstore.Tuned, now: float, dry_run: bool, width: int | None, plain: bool) -> None:
    if made.before == made.after:
        click.echo(f"branch {shown(made.branch)} keeps {made.after} already")
        return
    click.echo(f"branch {shown(made.branch)}: {made.before} -> {made.after}")
    for id_, winner in made.drop.items():
        click.echo(f"{'would drop' if dry_run else 'dropped'} {id_}  its place went to {winner}")
    click.echo(f"lost at once: {_count(len(made.drop), 'commit')}; tiers: {', '.join(made.lost) or 'none'}")
    click.echo(f"gained: {', '.join(_gains(made)) or 'no tier'}")
    slots = [tier.rows for tier in made.tiers]
    print_tiers(rows_of((tier.tier for tier in made.tiers), made.plan.picks, slots), int(now * 1e6), width, plain)
    rows = [
        ("slots", f"{made.slots_before} -> {made.slots_after}"),
        ("kept in the store", f"never more than {made.bound_before} -> {made.bound_after} commits"),
    ]
    if made.room:
        size = rrdstore.format_size
        full = f"{size(made.live)} in use; with all slots about {size(made.full_before)} -> {size(made.full_after)}"
        rows.append(("bytes", f"{full}, of {size(made.room)}"))
    for line in columns(rows):
        click.echo(line)
    if made.full_after > made.room > 0:
        click.echo("more than there is room for: commits will go beyond the policy when bytes are short")
    if dry_run:
        click.echo("nothing was changed")


def _gains(made: rrdstore.Tuned) -> Iterator[str]:
    for tier in made.tiers:
        if tier.tier in made.gained:
            filling = "" if tier.used == tier.rows else ", fills from now on"
            yield f"{tier.tier} ({tier.used} of {tier.rows} in use{filling})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _json_tuned(made: rrdstore.Tuned) -> dict[str, Any]:
    return {
        "branch": made.branch,
        "before": made.before,
        "after": made.after,
        "applied": made.applied,
        "drop": dict(made.drop),
        "gained": list(made.gained),
        "lost": list(made.lost),
        "tiers": [json_fill(tier) for tier in made.tiers],
        "slots": {"before": made.slots_before, "after": made.slots_after},
        "bound": {"before": made.bound_before, "after": made.bound_after},
        "full": {"before": made.full_before, "after": made.full_after},
        "live": made.live,
        "room": made.room,
    }


def _gave(dropped: Sequence[str], before: rrdstore.Info, after: rrdstore.Info) -> dict[str, Any]:
    """What dropping these gave, in the shape of the JSON."""
    return {
        "dropped": list(dropped),
        "kept_before": before.kept,
        "kept_after": after.kept,
        "live_before": before.live,
        "live_after": after.live,
        "freed": before.live - after.live,
    }


def _print_gave(done: Mapping[str, Any], dry_run: bool) -> None:
    size = rrdstore.format_size
    count = _count(len(done["dropped"]), "commit")
    if dry_run:
        click.echo(f"{count} to drop of {done['kept_before']}; {size(done['live_before'])} in use")
    else:
        sizes = f"{size(done['live_before'])} -> {size(done['live_after'])}"
        click.echo(f"{count} dropped, {done['kept_after']} kept; {size(done['freed'])} freed, in use {sizes}")


@verb(
    "compact",
    "rrdstore -C host.rrdb compact -n",
    "rrdstore -C host.rrdb compact",
    "rrdstore -C host.rrdb compact -b work --keep 'last:10 1h:1d' --json",
)
@click.option("-b", "--branch", metavar="NAME", help="Only this branch; else all.")
@click.option("--keep", metavar="POLICY", help="Apply this policy once; the branch goes on with its own.")
@dry_run_option
@json_option
def compact(branch: str | None, keep: str | None, dry_run: bool, as_json: bool) -> None:
    """Do now what the plan says.

    Drops what it drops, brings the rest to disk, and says what that gave. The file stays as large as it is: it is
    the room inside that is freed. Run again, it drops nothing. Exit codes: 0 done, also if there was nothing to do; 1
    an error, such as no such branch; 2 a policy that cannot be; 10 no store; 11 another process writes it, which
    compacts by itself as it goes. Nothing is changed then. JSON: {dropped, kept_before, kept_after, live_before,
    live_after, freed}, the latter three in bytes.
    """
    with writing(dry_run=dry_run) as store:
        store.tick()
        before = store.info()
        dropped = store.compact(branch, keep)
        store.tick()
        done = _gave(dropped, before, store.info())
    if as_json:
        print_json(done)
        return
    for id_ in dropped:
        click.echo(f"{'would drop' if dry_run else 'dropped'} {id_}")
    _print_gave(done, dry_run)


def _spelling_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for period in reversed(PERIODS):
        function = click.option(
            f"--keep-within-{period}", metavar="DURATION", help=f"The last commit of each {_SINGLE[period]} in it."
        )(function)
    function = click.option("--keep-within", metavar="DURATION", help="All commits in it, such as 1y5m7d2h.")(function)
    for period, letter in reversed(tuple(zip(PERIODS, "Hdwmy", strict=True))):
        function = click.option(
            f"-{letter}",
            f"--keep-{period}",
            type=int,
            default=0,
            metavar="N",
            help=f"The last commit of each of N {_SINGLE[period]}s.",
        )(function)
    return click.option("-l", "--keep-last", "last", type=int, default=0, metavar="N", help="The N newest commits.")(
        function
    )


_SINGLE = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}


@verb(
    "forget",
    "rrdstore -C host.rrdb forget -n --keep-last 10 --keep-daily 7 --keep-weekly 5",
    "rrdstore -C host.rrdb forget --keep-within 2d --keep-monthly 12",
    "rrdstore -C host.rrdb forget --tune --keep-hourly 48 --keep-daily 30 --keep-yearly 10",
)
@_spelling_options
@click.option("--keep-tag", "tags", metavar="TAG", multiple=True, help="Tagged commits stay anyhow; NAME must exist.")
@click.option("--tune", "permanent", is_flag=True, help="Make it the policy of the branch, from now on.")
@branch_option
@dry_run_option
@drawing_options
@json_option
def forget(
    last: int,
    tags: tuple[str, ...],
    permanent: bool,
    branch: str,
    dry_run: bool,
    width: int | None,
    plain: bool,
    as_json: bool,
    **periods: Any,
) -> None:
    """Thin a branch once, in restic's and borg's words.

    Prints the policy that they come to, then each commit with the rules that keep it or the one that took its place,
    and drops the latter, at once; the branch goes on with its own policy, or with --tune, with this one. At least what
    restic would keep stays (weeks are cut on Thursdays here, and all is UTC), and so do heads, tags, pins, fork points
    and merge bases. JSON: {policy, notes, keep: {id: [rule]}, drop: {id: id of the winner}, and what `compact` gives}.
    """
    counts = {period: periods[f"keep_{period}"] for period in PERIODS}
    within = {period: periods[f"keep_within_{period}"] for period in PERIODS} | {"": periods["keep_within"]}
    asked = Spelling(last, counts, {period: text for period, text in within.items() if text is not None})
    with writing(dry_run=dry_run) as store:
        for tag in tags:
            if tag not in store.tags:
                raise rrdstore.NotFound("tag", tag)
        made = spelled(asked, None if permanent else [rt for rt, _ in store.branch(branch).keys])
        keep, now = str(made.policy), store.branch(branch).keys[-1:]
        planned = store.plan(keep, branch)
        store.tick()
        before = store.info()
        dropped = list(store.tune(branch, keep).drop if permanent else store.compact(branch, keep))
        store.tick()
        done = _gave(dropped, before, store.info())
    chosen = planned.branches[branch]
    if as_json:
        rules = {id_: list(dict.fromkeys(reason.rule for reason in why)) for id_, why in planned.keep.items()}
        print_json({"policy": keep, "notes": list(made.notes), "keep": rules, "drop": planned.drop, **done})
        return
    click.echo(f"policy: {keep}")
    for note in made.notes:
        click.echo(f"note: {note}")
    print_plan(chosen, planned.ids)
    if now:
        slots = [tier.slots for tier in forecast(chosen.policy).tiers]
        print_tiers(rows_of(chosen.policy.tiers, chosen.picks, slots), now[0][0], width, plain)
    _print_gave(done, dry_run)
