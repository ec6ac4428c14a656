"""The xenstore tools as commands of `xsadapter`: what `xenstore-read` and so on do, with help.

Rule: options are declared here to be explained; what they do is `xsadapter.tools`', and the same as under the stock
names. Only wrong usage differs: it ends with status 2, as click has it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from xsadapter import tools

if TYPE_CHECKING:
    from collections.abc import Callable

_SOCKET: Final = click.option("--socket", metavar="PATH", help="Where the daemon listens.")
_AT: Final = click.option("--at", metavar="WHEN", help="As it was: '2h ago', a time, a commit. Our daemon knows.")
_RECONNECT: Final = 120.0
_ONLY: Final = click.option("-s", "only", is_flag=True, help="Accepted: this is always the socket.")


def _carry_out(
    tool: str, socket: str | None, options: dict[str, Any], operands: tuple[str, ...], reconnect: float = 0
) -> None:
    """Run a tool with these options, None and False those that were not given, and end with its status."""
    words = []
    for name, given in options.items():
        if given is not None and given is not False:
            words += [name] if given is True else [name, str(given)]
    _run(tool, [*words, "--", *operands], socket, reconnect)


def _run(tool: str, words: list[str], socket: str | None, reconnect: float = 0) -> None:
    out, err = sys.stdout.buffer, sys.stderr.buffer
    status = tools.run(tool, words, out, err, called=f"xsadapter {tool}", socket=socket, reconnect=reconnect)
    click.get_current_context().exit(status)


def _keys(function: Callable[..., None]) -> Callable[..., None]:
    return click.argument("paths", nargs=-1, required=True, metavar="PATH...")(_SOCKET(_ONLY(function)))


@click.command()
@click.option("-p", "--prefix", is_flag=True, help="Print each path before its value.")
@click.option("-R", "--raw", is_flag=True, help="Print the bytes as they are, without a newline.")
@_AT
@_keys
def read(paths: tuple[str, ...], prefix: bool, raw: bool, at: str | None, only: bool, socket: str | None) -> None:
    """Print the values of nodes, each as one printable line.

    \b
    Example:
      xsadapter read /local/domain/1/name
      xsadapter read --at '1h ago' /local/domain/1/name
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("read", socket, {"-p": prefix, "-R": raw, "--at": at, "-s": only}, paths)


@click.command()
@click.option("-R", "--raw", is_flag=True, help="Take values as they are: a backslash is a backslash.")
@click.argument("pairs", nargs=-1, required=True, metavar="PATH VALUE...")
@_ONLY
@_SOCKET
def write(pairs: tuple[str, ...], raw: bool, only: bool, socket: str | None) -> None:
    r"""Set values; several are set in one transaction. Missing parents are created.

    \b
    Example:
      xsadapter write /tool/example 1
      xsadapter write /tool/example/a 'two\nlines' /tool/example/b 2
    """
    if len(pairs) % 2:
        raise click.UsageError(f"{pairs[-1]}: a path without a value")
    _carry_out("write", socket, {"-R": raw, "-s": only}, pairs)


@click.command("list")
@click.option("-p", "--prefix", is_flag=True, help="Print whole paths.")
@_AT
@_keys
def list_(paths: tuple[str, ...], prefix: bool, at: str | None, only: bool, socket: str | None) -> None:
    """Print the names below nodes.

    \b
    Example:
      xsadapter list /local/domain
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("list", socket, {"-p": prefix, "--at": at, "-s": only}, paths)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-f", "--flat", is_flag=True, help="Print whole paths, and values whole.")
@click.option("-p", "--permissions", is_flag=True, help="Print each node's permission list.")
@_AT
@_ONLY
@_SOCKET
def ls(paths: tuple[str, ...], flat: bool, permissions: bool, at: str | None, only: bool, socket: str | None) -> None:
    """List all below a node, or below the root: names by level, and values.

    \b
    Example:
      xsadapter ls -f /local/domain/1
      xsadapter ls --at '10m ago' /local/domain/1
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("ls", socket, {"-f": flat, "-p": permissions, "--at": at, "-s": only}, paths)


@click.command()
@click.option("-t", "--tidy", is_flag=True, help="Remove what that leaves above without children and value, too.")
@_keys
def rm(paths: tuple[str, ...], tidy: bool, only: bool, socket: str | None) -> None:
    """Remove nodes and all below them, in one transaction.

    \b
    Example:
      xsadapter rm /tool/example
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("rm", socket, {"-t": tidy, "-s": only}, paths)


@click.command()
@_AT
@_keys
def exists(paths: tuple[str, ...], at: str | None, only: bool, socket: str | None) -> None:
    """End with status 0 if all nodes are there, 1 if not.

    \b
    Example:
      xsadapter exists /local/domain/1
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("exists", socket, {"--at": at, "-s": only}, paths)


@click.command()
@click.argument("path")
@click.argument("modes", nargs=-1, required=True, metavar="MODE...")
@click.option("-r", "--recurse", is_flag=True, help="All below it too.")
@click.option("-u", "--upto", is_flag=True, help="All above it too, but the root.")
@_ONLY
@_SOCKET
def chmod(path: str, modes: tuple[str, ...], recurse: bool, upto: bool, only: bool, socket: str | None) -> None:
    """Set the permissions of a node: a letter of n, r, w, b and a domain each; the first names the owner.

    \b
    Example:
      xsadapter chmod /tool/example n0 r5
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("chmod", socket, {"-r": recurse, "-u": upto, "-s": only}, (path, *modes))


@click.command()
@click.option("-n", "number", metavar="N", type=int, help="Stop after so many.")
@click.option("-d", "depth", metavar="N", type=click.IntRange(min=0), help="Levels below that count.  [default: all]")
@click.option(
    "--reconnect",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=_RECONNECT,
    show_default=True,
    help="How long to wait for a daemon that has gone; 0 ends at once.",
)
@_keys
def watch(
    paths: tuple[str, ...],
    number: int | None,
    depth: int | None,
    reconnect: float,
    only: bool,
    socket: str | None,
) -> None:
    """Print the paths that change at or below PATHs, each PATH itself first.

    If the daemon goes and comes again, each PATH is printed again: what changed meanwhile is not told.

    \b
    Example:
      xsadapter watch -n 3 /local/domain/1
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _carry_out("watch", socket, {"-n": number, "-d": depth, "-s": only}, paths, reconnect)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [WORD]...")
@_SOCKET
def control(words: tuple[str, ...], socket: str | None) -> None:
    """Give the daemon a command, and print its answer; `help` lists them.

    \b
    Example:
      xsadapter control history log /local/domain/1
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    _run("control", list(words), socket)
