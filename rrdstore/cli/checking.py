"""The verb `check`, and with --repair what can be done about what it finds."""

from __future__ import annotations

import click

import rrdstore
from rrdstore.cli.opening import chosen, json_option, reading
from rrdstore.cli.output import print_json, shown
from rrdstore.cli.program import ERROR, OK, PARTLY, verb
from rrdstore.cli.upkeep import progress_bar


@verb("check", "rrdstore -C host.rrdb check", "rrdstore -C host.rrdb check --repair")
@click.option("--repair", is_flag=True, help="Make a damaged store whole again with all that can be kept.")
@click.option(
    "--holes",
    is_flag=True,
    help="With --repair: keep commits of which only a part can be read, without the places that cannot.",
)
@json_option
def check(repair: bool, holes: bool, as_json: bool) -> int:
    """Verify the whole store, or repair it.

    Checksums, sizes, every row and tree, the journal, what is freed and what is not. Prints each problem on a line,
    and nothing if there is none. Exit code: 0 clean, 1 with problems.

    --repair writes a new store of what can be read and puts it in the place of the damaged one, which stays beside it
    as FILE-damaged; a store without problems is left alone. Each branch goes back to its newest commit that can be
    read whole. Prints what was wrong, what was lost, and where the old files are. It needs as much room on the file
    system as the store once more, and nobody may write meanwhile. Exit code: 0 if nothing was lost, 3 if something
    was, 1 if it cannot be repaired: nothing has changed then.

    JSON: a list of {where, found, expected}; with --repair {path, damaged, problems, lost: [{what, name, why}], kept}.
    """
    if not repair:
        if holes:
            raise click.UsageError("--holes goes with --repair")
        return _checked(as_json)
    with progress_bar("reading") as progress:
        made = rrdstore.repair(chosen(), holes=holes, progress=progress)
    if as_json:
        lost = [{"what": one.what, "name": one.name, "why": one.why} for one in made.lost]
        print_json(
            {"path": made.path, "damaged": made.damaged, "problems": made.problems, "lost": lost, "kept": made.kept}
        )
    elif made.damaged:
        for problem in made.problems:
            click.echo(f"wrong: {shown(problem)}")
        for one in made.lost:
            click.echo(f"lost: {shown(str(one))}")
        click.echo(f"kept: {made.kept} commits; the old files are {shown(made.damaged)} and beside it")
    return PARTLY if made.lost else OK


def _checked(as_json: bool) -> int:
    with reading() as store, progress_bar("checking") as progress:
        problems = store.check(progress=progress)
    if as_json:
        print_json([{"where": one.where, "found": one.found, "expected": one.expected} for one in problems])
    else:
        for problem in problems:
            click.echo(shown(str(problem)))
    return ERROR if problems else OK
