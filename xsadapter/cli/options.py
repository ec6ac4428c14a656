"""Options that both programs of the daemon have, and that need more than a type of click's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from xsadapter.transport.socket import ClientSocket

if TYPE_CHECKING:
    from collections.abc import Iterable


def _parsed(_: click.Context, _parameter: click.Parameter, given: Iterable[str]) -> tuple[ClientSocket, ...]:
    try:
        return tuple(map(ClientSocket.parse, given))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


client_socket: Final = click.option(
    "--client-socket",
    "client_sockets",
    multiple=True,
    callback=_parsed,
    metavar="PATH:DOMID[:UID]",
    help="Another socket, whose users are that domain and nothing more; of that user alone if one is named.",
)
