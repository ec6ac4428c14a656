"""Options that both programs of the daemon have, and that need more than a type of click's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

import rrdstore
from xsadapter.audit import DEFAULT_SIZE, LEAST
from xsadapter.engine.index import DEFAULT as INDEXES
from xsadapter.engine.index import Projection
from xsadapter.engine.quotas import ALIASES, QUOTAS, SOFT, VALUE_MAX
from xsadapter.engine.trail import SWITCHES
from xsadapter.transport.socket import ClientSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
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


def _projections(_: click.Context, _parameter: click.Parameter, given: Iterable[str]) -> tuple[Projection, ...]:
    try:
        asked = list(map(Projection.parse, given))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return tuple({projection.name: projection for projection in (*INDEXES, *asked)}.values())


indexes: Final = click.option(
    "--index",
    "indexes",
    multiple=True,
    callback=_projections,
    metavar="NAME=/local/domain/*/NODE",
    help="Find domains by the value of this node too, as `xsadapter lookup --index NAME` and clients at /@index do.",
)


strict: Final = click.option(
    "--strict",
    is_flag=True,
    help="End, or refuse changes, rather than go on in memory or in another store when the store cannot be used.",
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


def takeover(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a live update, which the daemon gives to the next."""
    for option in (
        click.option(
            "--check-takeover",
            metavar="FILE",
            help="Say by the exit status whether the state in FILE, in columns too, could be taken over; no more.",
        ),
        click.option("-U", "--live-update", is_flag=True, help="Take over from the process that this one was."),
    ):
        function = option(function)
    return function


PATH_CAP: Final = 2048
"""More than this C xenstored lets no option make of `path-max`."""
_EVENTS: Final = "watch-event"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What guests may have, beside what the daemon begins with."""

    quotas: Mapping[str, int] = field(default_factory=dict)
    """By name."""
    event_timeout: int | None = None
    """Seconds that a guest has to begin reading an event; 0 is for ever."""
    keep_orphans: bool = False
    """Whether what a dead domain owned becomes domain 0's."""


def _named(soft: bool) -> Callable[[click.Context, click.Parameter, Iterable[str]], dict[str, int]]:
    """A rule: `NAME=N` each, of the hard quotas or of the soft ones; the last of a name counts."""
    prefix = SOFT if soft else ""
    names = [name.removeprefix(prefix) for name in QUOTAS if name.startswith(SOFT) is soft]

    def parsed(_: click.Context, _parameter: click.Parameter, given: Iterable[str]) -> dict[str, int]:
        found = {}
        for word in given:
            what, separator, number = word.partition("=")
            name = what if soft else ALIASES.get(what, what)
            if name not in names or not separator:
                raise click.BadParameter(f"{word}: expected NAME=N, NAME one of {', '.join(names)}")
            found[prefix + name] = _number(word, number)
        return found

    return parsed


def _timeout(_: click.Context, _parameter: click.Parameter, given: Iterable[str]) -> int | None:
    found = None
    for word in given:
        what, separator, number = word.partition("=")
        if what != _EVENTS or not separator:
            raise click.BadParameter(f"{word}: expected {_EVENTS}=SECONDS")
        found = _number(word, number)
    return found


def _number(word: str, number: str) -> int:
    if not number.isascii() or not number.isdigit() or len(number) > len(str(VALUE_MAX)) or int(number) > VALUE_MAX:
        raise click.BadParameter(f"{word}: expected a number from 0 to {VALUE_MAX}; 0 is no limit")
    return int(number)


def bounds(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of quotas and timeouts, by C xenstored's names."""
    for option in (
        click.option("-K", "--keep-orphans", is_flag=True, help="What a dead domain owned becomes domain 0's."),
        click.option(
            "-w",
            "--timeout",
            "event_timeout",
            metavar="watch-event=SECONDS",
            multiple=True,
            callback=_timeout,
            help="How long a guest may leave an event unread until it is dropped; 0 is for ever.  [default: 20]",
        ),
        click.option(
            "-q",
            "--quota-soft",
            "soft_quotas",
            metavar="NAME=N",
            multiple=True,
            callback=_named(soft=True),
            help="From how many on the log says so, for each domain: memory.",
        ),
        click.option(
            "-Q",
            "--quota",
            "quotas",
            metavar="NAME=N",
            multiple=True,
            callback=_named(soft=False),
            help="How many each domain may have; 0 is no limit. Names are those of `xsadapter control quota`.",
        ),
    ):
        function = option(function)
    return function
