"""Small clients: ls, read, write, rm, watch.

Rule: values are printed as one line of printable ASCII, everything else escaped as the stock
clients do it (backslash, then t, n, r, a backslash, or octal or hexadecimal digits); --raw prints
the bytes themselves. Errors go to stderr with exit status 1.
"""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from xsadapter.address import socket_path
from xsadapter.client import Client
from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHORT: Final = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}
_OCTAL_BELOW: Final = 8


def printable(value: bytes) -> str:
    """A value as one printable line."""
    return "".join(map(_printable, value))


def _printable(byte: int) -> str:
    if byte in _SHORT:
        return _SHORT[byte]
    if 32 <= byte < 127:
        return chr(byte)
    return f"\\{byte:03o}" if byte < _OCTAL_BELOW else f"\\x{byte:02x}"


@contextmanager
def _connected(socket: str | None) -> Iterator[Client]:
    try:
        with Client(socket_path(socket)) as client:
            yield client
    except RequestError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{socket_path(socket)}: {error.strerror or error}") from None


def _verb(function: Callable[..., None]) -> Callable[..., None]:
    """A command's function that gets a connected client instead of the option --socket."""

    @click.option("-s", "--socket", metavar="PATH", help="Where the daemon listens.")
    @functools.wraps(function)
    def with_client(socket: str | None, **options: Any) -> None:
        with _connected(socket) as client:
            function(client, **options)

    return with_client


@click.command()
@click.argument("path", default="/")
@click.option("-p", "--permissions", is_flag=True, help="Show each node's permission list.")
@_verb
def ls(client: Client, path: str, permissions: bool) -> None:
    """List a node and all below it, one `path = "value"` a line.

    \b
    Example:
      xsadapter ls /local/domain/1
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    waiting = [path]
    while waiting:
        place = waiting.pop()
        try:
            value, names = client.read(place), client.list(place)
            tail = f"  ({','.join(client.get_permissions(place))})" if permissions else ""
        except RequestError as error:
            # What has gone since its parent was listed is not there to be shown.
            if error.name == "ENOENT" and place != path:
                continue
            raise
        click.echo(f'{place} = "{printable(value)}"{tail}')
        above = place.rstrip("/")
        waiting += [f"{above}/{name}" for name in reversed(names)]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-r", "--raw", is_flag=True, help="Print the bytes as they are, without a newline.")
@_verb
def read(client: Client, paths: tuple[str, ...], raw: bool) -> None:
    """Print the values of nodes.

    \b
    Example:
      xsadapter read /local/domain/1/name
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    for path in paths:
        value = client.read(path)
        if raw:
            sys.stdout.buffer.write(value)
            sys.stdout.buffer.flush()
        else:
            click.echo(printable(value))


@click.command()
@click.argument("pairs", nargs=-1, required=True, metavar="PATH VALUE...")
@_verb
def write(client: Client, pairs: tuple[str, ...]) -> None:
    """Set values; several are set in one transaction. Missing parents are created.

    \b
    Example:
      xsadapter write /tool/example 1
      xsadapter write /tool/example/a 1 /tool/example/b 2
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    if len(pairs) % 2:
        raise click.UsageError(f"{pairs[-1]}: a path without a value")
    values = [
        (path, value.encode(errors="surrogateescape")) for path, value in zip(pairs[::2], pairs[1::2], strict=True)
    ]
    if len(values) == 1:
        client.write(*values[0])
        return

    def all_of_them(transaction: Any) -> None:
        for path, value in values:
            transaction.write(path, value)

    client.update(all_of_them)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_verb
def rm(client: Client, paths: tuple[str, ...]) -> None:
    """Remove nodes and all below them.

    \b
    Example:
      xsadapter rm /tool/example
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    for path in paths:
        client.rm(path)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-n", "--number", type=click.IntRange(min=1), help="Stop after this many events.")
@click.option("-d", "--depth", type=click.IntRange(min=0), help="Levels below the paths that count; default all.")
@_verb
def watch(client: Client, paths: tuple[str, ...], number: int | None, depth: int | None) -> None:
    """Print the paths that change at or below PATHs, each PATH itself first.

    \b
    Example:
      xsadapter watch -n 3 /local/domain/1
    """  # noqa: D301 - the escape is click\'s mark: do not rewrap
    for path in paths:
        client.watch(path, depth)
    while number is None or number:
        click.echo(client.next_event())
        sys.stdout.flush()
        number = None if number is None else number - 1
