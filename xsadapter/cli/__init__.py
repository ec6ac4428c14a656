"""The program `xsadapter`: the daemon, and the xenstore tools for any xenstore daemon."""

from __future__ import annotations

import click

import rrdstore
from xsadapter.cli.links import install_links
from xsadapter.cli.log import log
from xsadapter.cli.lookup import lookup
from xsadapter.cli.metrics import metrics
from xsadapter.cli.run import run
from xsadapter.cli.top import top
from xsadapter.cli.unit import install_unit
from xsadapter.cli.verbs import VERBS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rrdstore", message=f"%(prog)s, version %(version)s, {rrdstore.BUILD}")
def main() -> None:
    """A xenstore daemon with a history of constant size, and clients for it.

    The clients find the daemon through --socket, then $XENSTORED_PATH, then $XENSTORED_RUNDIR/socket,
    then /var/run/xenstored/socket. Exit status: 0 done, 1 refused or failed, 2 wrong usage.

    \b
    Example:
      xsadapter run --rundir run &
      XENSTORED_PATH=run/socket xsadapter ls /
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap


for command in (run, *VERBS, lookup, log, top, metrics, install_links, install_unit):
    main.add_command(command)
