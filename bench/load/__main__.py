"""The command line of the load generator."""

from __future__ import annotations

import os
import signal
import sys

import click

from bench import results
from bench.aims import aims_table
from bench.load import plot
from bench.load.arena import RUNS, Arena
from bench.load.daemons import NAMED, kinds
from bench.load.workloads import WORKLOADS


@click.command()
@click.argument("workloads", nargs=-1, metavar="[WORKLOAD]...")
@click.option(
    "--daemon",
    "daemons",
    multiple=True,
    metavar="NAME",
    help=f"{', '.join(NAMED)}, or NAME=SOCKET; may be given again.",
)
@click.option("--short", is_flag=True, help="Hundreds where the full form has thousands.")
@click.option("--runs", default=RUNS, show_default=True, help="Turns of which the best counts.")
@click.option("--save/--no-save", default=True, help="Whether to add what was found to bench/results.json.")
@click.option("--plot", "picture", metavar="FILE", help="Draw all that bench/results.json has of daemons.")
@click.option("--list", "listed", is_flag=True, help="Say which workloads there are.")
def main(
    workloads: tuple[str, ...],
    daemons: tuple[str, ...],
    short: bool,
    runs: int,
    save: bool,
    picture: str | None,
    listed: bool,
) -> None:
    """Load daemons with WORKLOADs, all if none is named, and print what was found beside its bars."""
    if listed:
        for name, workload in WORKLOADS.items():
            click.echo(f"{name:<14}{(workload.__doc__ or '').splitlines()[0]}")
        return
    try:
        chosen = kinds(daemons)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for name in workloads:
        if name not in WORKLOADS:
            raise click.UsageError(f"workload {name!r}: expected one of {', '.join(WORKLOADS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the daemons end with it
    for name in workloads or WORKLOADS:
        arena = Arena(chosen, short, runs)
        WORKLOADS[name](arena)
        if save:
            results.add(arena.races, arena.aims)
        for race in arena.races:
            click.echo("\n" + race.table())
        if arena.aims:
            click.echo("\n" + aims_table(arena.aims))
    if picture:
        plot.draw(results.load(), picture)
    click.echo(f"\nload {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
