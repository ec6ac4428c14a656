"""`xsadapter-xenstored`: the daemon alone, with the options of C xenstored, for service files.

Rules
1. Without -N it goes to the background, and the program returns once the daemon answers clients, with
   status 0, or 1 if it could not start. A pid file that another daemon holds ends it with status 0.
2. Options of C xenstored mean here what they mean there; those of oxenstored, and those that C had once, are accepted
   so that old service files keep working (`cli.stock`). Any other is an error, and so are a positional argument and
   what this daemon cannot do: run in another domain than 0.
3. Who has closed stdin, stdout or stderr has /dev/null there, so that nothing else gets their numbers.
4. In the background the log goes to the system's (`cli.syslog`), from the first line on, and until the daemon serves to
   stderr too. A program that takes over goes to the background no more, and logs as if it had.
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
from xsadapter.cli import hypervisor
from xsadapter.cli.heritage import could_take_over
from xsadapter.cli.history import DEFAULT_SIZE, Wanted
from xsadapter.cli.limits import raise_limits
from xsadapter.cli.options import Bounds, Trace, bounds, client_socket, strict, takeover, trace
from xsadapter.cli.pidfile import PidFileHeldError
from xsadapter.cli.run import start_logging
from xsadapter.cli.serving import Settings, serve
from xsadapter.cli.stock import said, stock_options
from xsadapter.cli.syslog import Syslog

if TYPE_CHECKING:
    from xsadapter.transport.socket import ClientSocket

_log = logging.getLogger("xsadapter")

_STANDARD: Final = 3
"""Descriptors below are stdin, stdout and stderr."""


def _only_zero(_: click.Context, parameter: click.Parameter, given: int | None) -> None:
    if given:
        raise click.BadParameter(f"{given}: expected 0, since the daemon runs in domain 0", param=parameter)


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
@strict
@client_socket
@trace
@bounds
@hypervisor.options
@click.option(
    "--event",
    "control_port",
    type=click.IntRange(1, 2**32 - 1),
    metavar="PORT",
    help="Serve domain 0's own ring from the start, on this event channel.",
)
@click.option(
    "--master-domid",
    type=int,
    metavar="DOMID",
    callback=_only_zero,
    expose_value=False,
    help="The domain that the daemon runs in: 0.",
)
@click.option(
    "--priv-domid",
    type=int,
    metavar="DOMID",
    callback=_only_zero,
    expose_value=False,
    help="The domain whose ring may do everything: 0.",
)
@takeover
@click.option("--config-test", is_flag=True, help="Say by the exit status whether the options are right; no more.")
@stock_options
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
    strict: bool,
    client_sockets: tuple[ClientSocket, ...],
    trace_file: str | None,
    trace_control: tuple[tuple[str, bool], ...],
    trace_size: int,
    quotas: dict[str, int],
    soft_quotas: dict[str, int],
    event_timeout: int | None,
    keep_orphans: bool,
    simulated_xen: str | None,
    no_xen: bool,
    control_port: int | None,
    live_update: bool,
    check_takeover: str | None,
    config_test: bool,
    **older: Any,
) -> None:
    """Serve xenstore clients in the background, as C xenstored does.

    Socket and store are found as `xsadapter run` finds them.

    \b
    Example:
      xsadapter-xenstored --pid-file /var/run/xen/xenstored.pid
      xsadapter-xenstored -N --rundir run
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    _open_standard()
    if memory and (store or size):
        raise click.UsageError("--memory excludes --store and --size")
    if control_port and not simulated_xen:
        raise click.UsageError("--event needs --simulated-xen: on a host the kernel says what it is")
    if check_takeover is not None:
        could_take_over(Path(check_takeover))
        return
    here = logging.StreamHandler()
    start_logging(*((here,) if no_fork else (Syslog(),) if live_update else (here, Syslog())))
    stock = said(older)
    if config_test:
        return
    pid_file = pid_file or stock.pid_file
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
            strict,
        ),
        client_sockets=tuple(each._replace(path=each.path.absolute()) for each in client_sockets),
        trace=Trace(Path(trace_file).absolute() if trace_file else None, trace_size, trace_control),
        bounds=Bounds({**stock.quotas, **quotas, **soft_quotas}, event_timeout, keep_orphans),
        pid_file=Path(pid_file).absolute() if pid_file else None,
        kept=not memory,
        simulated_xen=Path(simulated_xen).absolute() if simulated_xen else None,
        no_xen=no_xen,
        control_port=control_port,
        words=tuple(sys.argv[1:]),
        began_in=str(Path.cwd()),
        takes_over=live_update,
    )
    raise_limits()
    for name in stock.ignored:
        _log.info("%s is accepted and ignored", name)
    try:
        if no_fork or live_update:
            serve(settings)
        else:
            _in_background(settings, here)
    except PidFileHeldError as error:
        _log.info("%s", error)
    except (OSError, rrdstore.StoreError) as error:
        raise click.ClickException(str(error)) from None


def _in_background(settings: Settings, here: logging.Handler) -> None:
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
        serve(settings, ready=lambda: _detach(tell, here))
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


def _detach(tell: int, here: logging.Handler) -> None:
    """Tell the waiting process, and let go of its terminal, and of the log that goes there."""
    logging.getLogger().removeHandler(here)
    os.write(tell, b"ready")
    os.close(tell)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(_STANDARD):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _open_standard() -> None:
    """Have something there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    main(prog_name="xsadapter-xenstored")
