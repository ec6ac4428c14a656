"""`xsadapter lookup`: which domain has a name, now or at any kept time, in one request."""

from __future__ import annotations

import click

from xsadapter.address import socket_path
from xsadapter.client import Client, RequestError
from xsadapter.client.payloads import look_up
from xsadapter.tools.console import reason
from xsadapter.tools.past import Then


@click.command()
@click.argument("value")
@click.option("--index", metavar="NAME", default="name", show_default=True, help="Which index: name, uuid.")
@click.option("--at", metavar="WHEN", help="As it was: '2h ago', a time, a commit.")
@click.option("--socket", metavar="PATH", help="Where the daemon listens.")
def lookup(value: str, index: str, at: str | None, socket: str | None) -> None:
    """Print the number of the domain that has a name; of several all, a line each, the lowest first.

    It asks the index of our daemon; others have none. Status 1 if no domain has the name.

    \b
    Example:
      xsadapter lookup web1
      xsadapter lookup --at '1h ago' web1
      xsadapter lookup --index uuid 3b241101-e2bb-4255-8caf-4136c566a962
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    try:
        with Client(socket_path(socket)) as client:
            found = look_up(client if at is None else Then(client, at), value, index)
    except RequestError as error:
        if not error.subject.startswith("history commit"):
            raise click.ClickException(f"the daemon has no index {index}: {reason(error.name)}") from None
        why = "nothing is kept of it" if error.name == "ENOENT" else "no moment that this daemon knows"
        raise click.ClickException(f"--at {at}: {why}") from None
    except OSError as error:
        raise click.ClickException(f"{error.strerror or error}") from None
    if not found:
        raise click.ClickException(f"no domain has the {index} {value}")
    for domid in found:
        click.echo(domid)
