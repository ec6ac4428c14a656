"""Verbs that say what stays and why: plan, explain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

import rrdstore
from rrdstore.cli.drawing import drawing_options, print_tiers, rows_of
from rrdstore.cli.opening import branch_option, commit_of, json_option, reading
from rrdstore.cli.output import json_micros, print_json, shown
from rrdstore.cli.program import verb
from rrdstore.policy import forecast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rrdstore.policy import Plan, Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@verb(
    "plan",
    "rrdstore -C host.rrdb plan",
    "rrdstore -C host.rrdb plan --summary -b work",
    "rrdstore -C host.rrdb plan --keep 'last:10 1h:2d'",
    "rrdstore -C host.rrdb plan --json",
)
@branch_option
@click.option("--keep", metavar="POLICY", help="As it would be with this policy; else the branch's own.")
@click.option("-s", "--summary", is_flag=True, help="Only the drawing.")
@drawing_options
@json_option
def plan(branch: str, keep: str | None, summary: bool, width: int | None, plain: bool, as_json: bool) -> None:
    """Say which commits stay and why, and draw the tiers.

    First the commits: which stay by which rules, which go and who took their place. Then one line a tier: the
    newest commit is at the right, age grows to the left on a scale of powers, a higher mark is more commits.
    Nothing goes until a policy changes: commits leave as newer ones take their places. JSON: {branch, pressed, keep:
    {id: [reason]}, drop: {id: id of the winner}, tiers: [{tier, slots, commits: [id]}]}, a reason being {rule, start,
    end, until, commits}.
    """
    with reading() as store:
        head, planned = store.branch(branch).head, store.plan(keep, branch)
        made, ids = planned.branches[branch], planned.ids
        slots = [tier.slots for tier in forecast(made.policy).tiers]
        pressed = planned.pressed.get(branch, 0)
    if as_json:
        print_json(_json_plan(branch, made, ids, slots, pressed))
        return
    if not summary:
        print_plan(made, ids)
        click.echo()
    now = (head.time - _EPOCH) // timedelta(microseconds=1)
    print_tiers(rows_of(made.policy.tiers, made.picks, slots), now, width, plain)
    if pressed:
        click.echo(f"{pressed} slots were emptied beyond the policy, for want of room")


def print_plan(made: Plan, ids: Mapping[int, str]) -> None:
    """Each commit on a line, newest first: why it stays, or who took its place."""
    for number in sorted({*made.keep, *made.drop}, reverse=True):
        if number in made.keep:
            click.echo(f"keep {ids[number]}  {', '.join(_rules(made.keep[number]))}")
        else:
            click.echo(f"drop {ids[number]}  its place went to {ids[made.drop[number]]}")


def _rules(reasons: Iterable[Reason]) -> Iterable[str]:
    """The rules alone, each once: `explain` has the rest."""
    return dict.fromkeys(shown(reason.rule) for reason in reasons)


def _json_plan(branch: str, made: Plan, ids: Mapping[int, str], slots: list[int], pressed: int) -> dict[str, Any]:
    return {
        "branch": branch,
        "pressed": pressed,
        "keep": {ids[number]: [_json_reason(reason) for reason in why] for number, why in made.keep.items()},
        "drop": {ids[number]: ids[winner] for number, winner in made.drop.items()},
        "tiers": [
            {"tier": str(tier), "slots": count, "commits": [ids[number] for _, number in picks]}
            for tier, picks, count in zip(made.policy.tiers, made.picks, slots, strict=True)
        ],
    }


def _json_reason(reason: Reason) -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "start": json_micros(reason.start),
        "end": json_micros(reason.end),
        "until": json_micros(reason.until),
        "commits": reason.commits,
    }


@verb(
    "explain",
    "rrdstore -C host.rrdb explain 1042",
    "rrdstore -C host.rrdb explain '2h ago' --json",
    moments=True,
)
@click.argument("commit")
@branch_option
@json_option
def explain(commit: str, branch: str, as_json: bool) -> None:
    """Say why a commit is kept, or that it was thinned.

    And until when it stays at the earliest, or between which commits it went. COMMIT is an id, the beginning of
    one, a moment, a tag or the name of a branch. JSON: {id, kept, reasons, thinned, before, after}.
    """
    with reading() as store:
        try:
            named = commit_of(store, branch, commit).id
        except rrdstore.Thinned as thinned:
            named = thinned.id
        said = store.explain(named)
    if as_json:
        print_json(
            {
                "id": said.id,
                "kept": said.kept,
                "reasons": [_json_reason(reason) for reason in said.reasons],
                "thinned": said.thinned,
                "before": said.before,
                "after": said.after,
            }
        )
    elif said.kept:
        click.echo(f"{said.id} is kept" + (f", and stands for {said.thinned} more" if said.thinned else ""))
        for reason in said.reasons:
            click.echo(f"  {shown(str(reason))}")
    else:
        click.echo(f"{said.id} was thinned between {said.before or 'the beginning'} and {said.after or 'now'}")
