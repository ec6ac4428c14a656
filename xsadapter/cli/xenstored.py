"""`xsadapter-xenstored`: the daemon alone, with the options of C xenstored, for service files.

Rules
1. Without -N it goes to the background, and the program returns once the daemon answers clients, with
   status 0, or 1 if it could not start. A pid file that another daemon holds ends it with status 0.
2. Options of C xenstored that have no meaning here (yet) are accepted, so that old service files keep
   working, and each that was given is noted in the log. A positional argument is an error.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import rrdstore
from xsadapter import address
from xsadapter.cli.history import DEFAULT_SIZE, Wanted
from xsadapter.cli.options import Trace, client_socket, trace
from xsadapter.cli.pidfile import PidFileHeldError
from xsadapter.cli.run import start_logging
from xsadapter.cli.serving import Settings, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.transport.socket import ClientSocket

_log = logging.getLogger("xsadapter")

_WITH_VALUE: Final = (
    ("-E", "--entry-nb"),
    ("-S", "--entry-size"),
    ("-W", "--watch-nb"),
    ("-t", "--transaction"),
    ("-A", "--perm-nb"),
    ("-M", "--path-max"),
    ("-Q", "--quota"),
    ("-q", "--quota-soft"),
    ("-w", "--timeout"),
    ("--event",),
    ("--master-domid",),
    ("--priv-domid",),
)
_FLAGS: Final = (
    ("-K", "--keep-orphans"),
    ("-U", "--live-update"),
    ("-I", "--internal-db"),
    ("-D", "--no-domain-init"),
    ("-P", "--output-pid"),
    ("-R", "--no-recovery"),
    ("-V", "--verbose"),
)


def _ignored_options(function: Callable[..., None]) -> Callable[..., None]:
    """Accept what C xenstored knows and this daemon does not."""
    for names in reversed(_WITH_VALUE):
        function = click.option(*names, multiple=True, metavar="VALUE", help="Accepted and ignored.")(function)
    for names in reversed(_FLAGS):
        function = click.option(*names, is_flag=True, help="Accepted and ignored.")(function)
    return function


@click.command(context_settings={"help_option_names": ["-H", "-h", "--help"]})
@click.option("-N", "--no-fork", is_flag=True, help="Stay in the foreground.")
@click.option("-F", "--pid-file", metavar="FILE", help="Write the process id there, and hold a lock on it.")
@click.option("--rundir", metavar="DIR", help="Directory of socket and store; made if missing.")
@click.option("--store", metavar="FILE", help="The history.  [default: DIR/history.rrdb]")
@click.option("--memory", is_flag=True, help="Keep tree and history in memory only.")
@click.option("--size", metavar="SIZE", help=f"Size of a new store, for ever.  [default: {DEFAULT_SIZE}]")
@click.option("--keep", metavar="POLICY", help="Which commits a new store keeps.  [default: the engine's]")
@click.option("--sync", type=click.Choice(["tick", "commit", "none"]), default="tick", help="See xsadapter run.")
@click.option("--when-held", type=click.Choice(["fail", "memory"]), default="fail", help="See xsadapter run.")
@client_socket
@trace
@click.option("--simulated-xen", metavar="DIR", help="See xsadapter run.")
@_ignored_options
def main(
    no_fork: bool,
    pid_file: str | None,
    rundir: str | None,
    store: str | None,
    memory: bool,
    size: str | None,
    keep: str | None,
    sync: str,
    when_held: str,
    client_sockets: tuple[ClientSocket, ...],
    trace_file: str | None,
    trace_control: tuple[tuple[str, bool], ...],
    trace_size: int,
    simulated_xen: str | None,
    **others: Any,
) -> None:
    """Serve xenstore clients in the background, as C xenstored does.

    Socket and store are found as `xsadapter run` finds them.

    \b
    Example:
      xsadapter-xenstored --pid-file /var/run/xen/xenstored.pid
      xsadapter-xenstored -N --rundir run
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    if memory and (store or size):
        raise click.UsageError("--memory excludes --store and --size")
    directory = address.rundir(rundir).absolute()
    settings = Settings(
        rundir=directory,
        socket=address.socket_path(None, rundir).absolute(),
        store=Wanted(
            None if memory else Path(store).absolute() if store else directory / "history.rrdb",
            size,
            keep,
            sync,
            when_held,
        ),
        client_sockets=tuple(each._replace(path=each.path.absolute()) for each in client_sockets),
        trace=Trace(Path(trace_file).absolute() if trace_file else None, trace_size, trace_control),
        pid_file=Path(pid_file).absolute() if pid_file else None,
        simulated_xen=Path(simulated_xen).absolute() if simulated_xen else None,
    )
    start_logging(logging.StreamHandler())
    for name, given in others.items():
        if given:
            _log.info("--%s is accepted and ignored", name.replace("_", "-"))
    try:
        if no_fork:
            serve(settings)
        else:
            _in_background(settings)
    except PidFileHeldError as error:
        _log.info("%s", error)
    except (OSError, rrdstore.StoreError) as error:
        raise click.ClickException(str(error)) from None


def _in_background(settings: Settings) -> None:
    """Fork twice; the first process waits until the daemon is ready or has said why it is not."""
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        os.waitpid(child, 0)
        with os.fdopen(told, "rb") as answer:
            verdict = answer.read()
        if verdict != b"ready":
            raise OSError(verdict.decode(errors="replace") or "the daemon ended before it was ready")
        return
    os.close(told)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    status = 1
    try:
        serve(settings, ready=lambda: _detach(tell))
        status = 0
    except PidFileHeldError as error:
        _log.info("%s", error)
        os.write(tell, b"ready")
        status = 0
    except Exception as error:  # noqa: BLE001 - the last chance to tell the waiting process why
        _log.error("%s", error)
        os.write(tell, str(error).encode()[:4096] or b"failed")
    finally:
        os._exit(status)


def _detach(tell: int) -> None:
    """Tell the waiting process, and let go of its terminal."""
    os.write(tell, b"ready")
    os.close(tell)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (sys.stdin.fileno(), sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


if __name__ == "__main__":
    main(prog_name="xsadapter-xenstored")
