"""Which tool is meant, its options, the connection, and the exit status.

Rules
1. The name it was called by says which tool: `xenstore-read`, or `xenstore read`, or `xsadapter-xenstore read`.
2. An unknown option is told and passed over, as the stock clients do; one of another tool, too few operands or
   -h show the usage and end with status 1.
3. Interrupted, or with nobody to read what it prints, it dies by the signal, without a word.
"""

from __future__ import annotations

import signal
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, Final

from xsadapter.address import socket_path
from xsadapter.client import Client
from xsadapter.errors import RequestError
from xsadapter.tools.asking import Now, in_transaction
from xsadapter.tools.console import Console, Ended, Unread
from xsadapter.tools.control import control
from xsadapter.tools.getopt import cut
from xsadapter.tools.kinds import CONTROL, KINDS, OPTIONS, Chosen, Kind
from xsadapter.tools.listing import ls, width
from xsadapter.tools.past import Then
from xsadapter.tools.watching import watch

if TYPE_CHECKING:
    from xsadapter.tools.asking import Tree

_PREFIX: Final = "xenstore-"
NAMES: Final = (*KINDS, CONTROL)


def main() -> None:
    """The program: ends the process with the tool's exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = PurePath(sys.argv[0]).name
    words = sys.argv[1:]
    if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) in NAMES:
        sys.exit(run(name.removeprefix(_PREFIX), words, sys.stdout.buffer, sys.stderr.buffer, called=sys.argv[0]))
    console = Console(name, sys.stdout.buffer, sys.stderr.buffer)
    if not words:
        console.tell(f"Usage: {name} <mode> [-h] [...]")
        sys.exit(1)
    if words[0] not in NAMES:
        console.tell(f"unknown mode {words[0]}\n")
        sys.exit(1)
    sys.exit(run(words[0], words[1:], sys.stdout.buffer, sys.stderr.buffer, called=sys.argv[0], mode=f"{words[0]} "))


def run(
    tool: str,
    words: list[str],
    out: BinaryIO,
    err: BinaryIO,
    *,
    called: str = "",
    mode: str = "",
    socket: str | None = None,
    reconnect: float = 0,
) -> int:
    """Carry out a tool: its exit status. `called` is the program's path, `mode` what its usage has after the name.

    `reconnect` as `Client` has it, for `watch`.
    """
    console = Console(PurePath(called).name or f"{_PREFIX}{tool}", out, err)
    try:
        status = (
            _controlled(words, called, console, socket)
            if tool == CONTROL
            else _run(tool, words, mode, console, out, socket, reconnect)
        )
        console.flush()
    except Ended as ended:
        return ended.status
    except Unread:
        # Not by default: a daemon that hangs up is an error to be told, and would be this signal too.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
        raise
    except OSError as error:
        console.tell(f"{error.strerror or error}")
        return 1
    return status


def _controlled(words: list[str], called: str, console: Console, socket: str | None) -> int:
    if not words:
        console.write(f"Usage:\n{called or console.name} <command> [<arg>...]\n")
        return 2
    try:
        client = Client(socket_path(socket))
    except OSError:
        console.write("Failed to contact Xenstored.\n")
        return 1
    with client:
        return control(client, words, console)


def _run(
    tool: str, words: list[str], mode: str, console: Console, out: BinaryIO, socket: str | None, reconnect: float
) -> int:
    kind = KINDS[tool]
    chosen, operands = _chosen(kind, words, mode, console)
    try:
        client = Client(socket_path(socket), reconnect=reconnect if tool == "watch" else 0)
    except OSError as error:
        console.fail(f"xs_open: {error.strerror or error}")
    with client:
        if tool == "watch":
            return watch(client, chosen, operands, console)
        past = _past(client, chosen, console)
        if tool == "ls":
            return ls(past or Now(client), chosen, operands, console, width(out, "f" in chosen))
        if past is not None and kind.asks is not None:
            return kind.asks(past, chosen, operands, console)

        def act(tree: Now) -> int:
            carried_out = kind.changes or kind.asks
            return carried_out(tree, chosen, operands, console) if carried_out is not None else 1

        return act(Now(client)) if len(operands) <= kind.alone else in_transaction(client, console, act)


def _past(client: Client, chosen: Chosen, console: Console) -> Tree | None:
    when = chosen.get("at")
    if when is None:
        return None
    try:
        return Then(client, when)
    except RequestError as error:
        why = "nothing is kept of it" if error.name == "ENOENT" else "no moment that this daemon knows"
        console.fail(f"--at {when}: {why}")


def _chosen(kind: Kind, words: list[str], mode: str, console: Console) -> tuple[Chosen, list[str]]:
    """The options that are the tool's, and the operands, if there are enough of them."""
    found = cut(words, OPTIONS + kind.ours)
    chosen: Chosen = {}
    for key, word in found.options:
        if key == "?":
            console.tell(word)
        elif key in kind.takes or any(option.key == key for option in kind.ours):
            chosen[key] = word
        else:
            _usage(kind, mode, console)
    few = len(found.operands) < kind.least or (kind.pairs and len(found.operands) % 2)
    if few:
        _usage(kind, mode, console)
    return chosen, found.operands


def _usage(kind: Kind, mode: str, console: Console) -> None:
    console.fail(f"Usage: {console.name} {mode}{kind.usage}")
