"""`xsadapter top`: what the daemon is busy with, and which domains make it so; a screen an interval.

Rule: what is shown is `cli.screen`'s; only this knows terminal and time. The first screen, and the
only one with --once, is of the daemon's whole life. On a terminal a screen replaces the last one, elsewhere it follows.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from xsadapter.address import socket_path
from xsadapter.cli.screen import BY_NAME, SPANS, as_json, busiest, lines
from xsadapter.client import Client, RequestError
from xsadapter.client.figures import take

if TYPE_CHECKING:
    from collections.abc import Sequence

_RECONNECT: Final = 120.0
_CLEAR: Final = "\033[H\033[J"


def named(client: Client, domids: Sequence[int]) -> dict[int, str]:
    """The names of domains, those that have one. One round trip."""
    with client.pipeline(keep_errors=True) as pipe:
        asked = [(domid, pipe.read(f"/local/domain/{domid}/name")) for domid in domids]
    found = ((domid, answer.get().decode(errors="replace")) for domid, answer in asked if answer.error is None)
    return {domid: "".join(letter if letter.isprintable() else "?" for letter in name) for domid, name in found}


@click.command()
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=2,
    show_default=True,
    help="Between two screens.",
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="Stop after so many screens.")
@click.option("--once", is_flag=True, help="One screen, of the daemon's whole life.")
@click.option("--json", "raw", is_flag=True, help="A JSON object a line in the place of a screen.")
@click.option(
    "--sort",
    "by",
    type=click.Choice(list(BY_NAME)),
    default="operations",
    show_default=True,
    help="What the first domains have most of.",
)
@click.option("--rows", metavar="N", type=click.IntRange(min=0), help="Domains to show.  [default: what fits, else 20]")
@click.option("--socket", metavar="PATH", help="Where the daemon listens.")
def top(
    interval: float, count: int | None, once: bool, raw: bool, by: str, rows: int | None, socket: str | None
) -> None:
    """Show what the daemon is busy with, and the domains that make it so: a screen every two seconds.

    A turn is what a client waits for at most: from when the daemon knows that there is something to do until the last
    answer of all that there was is sent. What the store's timer does between is a slice of a tick.

    \b
    Example:
      xsadapter top
      xsadapter top --sort nodes --rows 5
      xsadapter top --once --json
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    painting = sys.stdout.isatty() and not raw
    try:
        with Client(socket_path(socket), reconnect=0 if once else _RECONNECT) as client:
            before, left, generation = None, 1 if once else count, client.generation
            while left is None or left > 0:
                now = take(client)
                if client.generation != generation:
                    # Another daemon's, which counts from its start.
                    before, generation = None, client.generation
                shown = busiest(now, before, by, _rows(rows, painting))
                names = named(client, shown)
                if raw:
                    click.echo(as_json(now, before, shown, names))
                else:
                    click.echo((_CLEAR if painting else "") + "\n".join(lines(now, before, shown, names)))
                    if not painting and left != 1:
                        click.echo()
                before, left = now, None if left is None else left - 1
                if left != 0:
                    time.sleep(interval)
    except RequestError as error:
        raise click.ClickException(f"this daemon tells no metrics ({error.name}): ours does") from None
    except OSError as error:
        raise click.ClickException(f"{socket_path(socket)}: {error.strerror or error}") from None
    except KeyboardInterrupt:
        click.echo()


def _rows(wanted: int | None, painting: bool) -> int:
    if wanted is not None:
        return wanted
    return max(1, shutil.get_terminal_size().lines - len(SPANS) - 6) if painting else 20
