"""`xsadapter run`: the daemon in the foreground."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

import rrdstore
from xsadapter import address
from xsadapter.cli import hypervisor
from xsadapter.cli.heritage import could_take_over
from xsadapter.cli.history import DEFAULT_SIZE, Wanted
from xsadapter.cli.options import Bounds, Trace, bounds, client_socket, indexes, strict, takeover, trace
from xsadapter.cli.serving import Settings, serve
from xsadapter.cli.status import LogAbove, Status

if TYPE_CHECKING:
    from xsadapter.engine.index import Projection
    from xsadapter.transport.socket import ClientSocket


@click.command()
@click.option("--rundir", metavar="DIR", help="Directory of socket and store; made if missing.")
@click.option("--socket", metavar="PATH", help="The socket.  [default: DIR/socket]")
@click.option("--store", metavar="FILE", help="The history.  [default: DIR/history.rrdb]")
@click.option("--memory", is_flag=True, help="Keep tree and history in memory only.")
@click.option("--size", metavar="SIZE", help=f"Size of a new store, for ever.  [default: {DEFAULT_SIZE}]")
@click.option("--keep", metavar="POLICY", help="Which commits a new store keeps.  [default: the engine's]")
@click.option(
    "--sync",
    type=click.Choice(["tick", "commit", "none"]),
    default="tick",
    show_default=True,
    help="When changes are forced to the disk: twice a second, each, or when the system likes.",
)
@click.option(
    "--when-held",
    type=click.Choice(["fail", "memory"]),
    default="fail",
    show_default=True,
    help="When another process holds the store and its journal is full: refuse changes, or go on in memory.",
)
@strict
@click.option("--pid-file", metavar="FILE", help="Write the process id there, and hold a lock on it.")
@client_socket
@trace
@bounds
@indexes
@hypervisor.options
@takeover
@click.option("--status/--no-status", default=None, help="A live status on the terminal.  [default: if there is one]")
def run(
    rundir: str | None,
    socket: str | None,
    store: str | None,
    memory: bool,
    size: str | None,
    keep: str | None,
    sync: str,
    when_held: str,
    strict: bool,
    pid_file: str | None,
    client_sockets: tuple[ClientSocket, ...],
    trace_file: str | None,
    trace_control: tuple[tuple[str, bool], ...],
    trace_size: int,
    quotas: dict[str, int],
    soft_quotas: dict[str, int],
    event_timeout: int | None,
    keep_orphans: bool,
    indexes: tuple[Projection, ...],
    simulated_xen: str | None,
    no_xen: bool,
    live_update: bool,
    check_takeover: str | None,
    status: bool | None,
) -> None:
    """Serve xenstore clients in the foreground, until SIGTERM or SIGINT.

    The socket is --socket, or DIR/socket of --rundir, then $XENSTORED_PATH, then $XENSTORED_RUNDIR/socket,
    then /var/run/xenstored/socket. Started again in the same boot of the machine it continues the same
    tree; after a reboot a new tree begins on the old history.

    \b
    Example:
      xsadapter run --rundir run
      xsadapter run --rundir run --size 16MiB --keep "last:64 1s:1m 1m:1h"
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    if memory and (store or size):
        raise click.UsageError("--memory excludes --store and --size")
    if check_takeover is not None:
        could_take_over(Path(check_takeover))
        return
    directory = address.rundir(rundir)
    settings = Settings(
        rundir=directory,
        socket=address.socket_path(socket, rundir),
        store=Wanted(
            None if memory else Path(store) if store else directory / "history.rrdb",
            size,
            keep,
            sync,
            when_held,
            strict,
        ),
        client_sockets=client_sockets,
        trace=Trace(Path(trace_file).absolute() if trace_file else None, trace_size, trace_control),
        bounds=Bounds({**quotas, **soft_quotas}, event_timeout, keep_orphans),
        indexes=indexes,
        pid_file=Path(pid_file) if pid_file else None,
        kept=not memory,
        simulated_xen=Path(simulated_xen) if simulated_xen else None,
        no_xen=no_xen,
        words=tuple(sys.argv[1:]),
        began_in=str(Path.cwd()),
        takes_over=live_update,
    )
    painted = Status(sys.stdout) if (sys.stdout.isatty() if status is None else status) else None
    start_logging(LogAbove(painted) if painted else logging.StreamHandler())
    try:
        serve(settings, painted)
    except (OSError, rrdstore.StoreError) as error:
        raise click.ClickException(str(error)) from None


def start_logging(*handlers: logging.Handler) -> None:
    """Log a line each, with the time, unless a handler has a form of its own."""
    logging.basicConfig(
        level=logging.INFO,
        handlers=handlers,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
