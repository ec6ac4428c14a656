"""The program `xsadapter`: the daemon, and the xenstore tools for any xenstore daemon.

Rule: what a command needs is loaded when it is called. The daemon's modules take longer to load than most tools to run.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_LATER: Final = {
    "run": "run:run",
    "lookup": "lookup:lookup",
    "log": "log:log",
    "top": "top:top",
    "metrics": "metrics:metrics",
    "install-links": "links:install_links",
    "install-unit": "unit:install_unit",
    "read": "verbs:read",
    "write": "verbs:write",
    "list": "verbs:list_",
    "ls": "verbs:ls",
    "rm": "verbs:rm",
    "exists": "verbs:exists",
    "chmod": "verbs:chmod",
    "watch": "verbs:watch",
    "control": "verbs:control",
}
"""Commands by name: module and function."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_LATER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATER and cmd_name not in self.commands:
            module, _, function = _LATER[cmd_name].partition(":")
            self.add_command(getattr(import_module(f"xsadapter.cli.{module}"), function))
        return super().get_command(ctx, cmd_name)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - see the rule

        import rrdstore  # noqa: PLC0415

        click.echo(f"{ctx.find_root().info_name}, version {version('rrdstore')}, {rrdstore.BUILD}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
def main() -> None:
    """A xenstore daemon with a history of constant size, and clients for it.

    The clients find the daemon through --socket, then $XENSTORED_PATH, then $XENSTORED_RUNDIR/socket,
    then /var/run/xenstored/socket. Exit status: 0 done, 1 refused or failed, 2 wrong usage.

    \b
    Example:
      xsadapter run --rundir run &
      XENSTORED_PATH=run/socket xsadapter ls /
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
