"""Options that both programs of the daemon have, and that need more than a type of click's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

import rrdstore
from xsadapter.audit import DEFAULT_SIZE, LEAST
from xsadapter.engine.trail import SWITCHES
from xsadapter.transport.socket import ClientSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Trace:
    """What is asked of the audit log: no `path` is none, as long as nobody asks for one by CONTROL."""

    path: Path | None = None
    size: int = rrdstore.parse_size(DEFAULT_SIZE)
    switches: tuple[tuple[str, bool], ...] = ()


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


def _switches(_: click.Context, _parameter: click.Parameter, given: Iterable[str]) -> tuple[tuple[str, bool], ...]:
    found = []
    for word in given:
        if word[:1] not in {"+", "-"} or word[1:] not in SWITCHES:
            raise click.BadParameter(f"{word}: expected + or - and one of {', '.join(SWITCHES)}")
        found.append((word[1:], word[0] == "+"))
    return tuple(found)


def _size(_: click.Context, _parameter: click.Parameter, given: str) -> int:
    try:
        size = rrdstore.parse_size(given)
    except rrdstore.InvalidSize as error:
        raise click.BadParameter(str(error)) from None
    if size < LEAST:
        raise click.BadParameter(f"{given}: expected at least {rrdstore.format_size(LEAST)}")
    return size


def trace(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the audit log, by C xenstored's names, and --trace-size."""
    for option in (
        click.option(
            "--trace-size",
            metavar="SIZE",
            default=DEFAULT_SIZE,
            show_default=True,
            callback=_size,
            help="What the audit log's files take together, at most.",
        ),
        click.option(
            "--trace-control",
            metavar="+NAME|-NAME",
            multiple=True,
            callback=_switches,
            help=f"Turn a switch of the audit log: {', '.join(SWITCHES)}; all but io are on.",
        ),
        click.option("-T", "--trace-file", metavar="FILE", help="Write an audit log there, and to FILE.guests."),
    ):
        function = option(function)
    return function
