"""control: a command to the daemon itself, in words, and what it answers.

Exit status: 1 no daemon, 2 no command, 3 refused. To EINVAL the daemon's own `help` is the answer. The stock
client's `live-update [-c <cmdline>] [-F] [-t <timeout>] <file>` is several commands to the daemon, and so it is here;
with an option that is the daemon's (-f, -s, -a) it is that one command, sent as it is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xsadapter.client.payloads import string
from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.tools.console import NUMBERS

if TYPE_CHECKING:
    from xsadapter.client import Client
    from xsadapter.tools.console import Console

REFUSED = 3
LIVE_UPDATE: Final = "live-update"
_DAEMONS: Final = {"-f", "-s", "-a"}
_TIMEOUT: Final = "60"


def control(client: Client, words: list[str], console: Console) -> int:
    """Send a command and print its answer."""
    if words[0] == LIVE_UPDATE and not set(words) & _DAEMONS:
        return _live_update(client, words[1:], console)
    try:
        answer = _ask(client, words)
    except RequestError as error:
        if error.name == "EINVAL":
            console.write("Command not supported. Valid commands are:\n")
            with suppress(RequestError):
                console.write(f"{os.fsdecode(_ask(client, ['help']))}\n")
        else:
            console.write(f"Error {NUMBERS.get(error.name, 0)} when trying to execute command.\n")
        return REFUSED
    if answer:
        console.put(answer + b"\n")
    return 0


def _live_update(client: Client, words: list[str], console: Console) -> int:
    """Have another program take the daemon's place; what cannot be the daemon says."""
    chosen = {"-t": _TIMEOUT, "-c": ""}
    flags, files, waiting = [], [], iter(words)
    for word in waiting:
        if word in chosen:
            value = next(waiting, None)
            if value is None:
                console.write(f"Missing {'timeout' if word == '-t' else 'command line'} value\n")
                return 2
            chosen[word] = value
        elif word == "-F":
            flags.append(word)
        else:
            files.append(word)
    if len(files) != 1:
        console.write("Missing binary specification\n")
        return 2
    steps = [("Setting update binary", ["-f", str(Path(files[0]).absolute())])]
    if chosen["-c"]:
        steps.append(("Setting update cmdline", ["-c", chosen["-c"]]))
    steps.append(("Starting live update", ["-s", "-t", chosen["-t"], *flags]))
    for step, words_of_it in steps:
        answer = b"BUSY"
        while answer == b"BUSY":
            try:
                answer = _ask(client, [LIVE_UPDATE, *words_of_it])
            except RequestError as error:
                answer = f"the daemon answers {error.name}".encode()
        if answer != b"OK":
            console.put(f"{step} failed:\n".encode() + answer + b"\n")
            return REFUSED
    return 0


def _ask(client: Client, words: list[str]) -> bytes:
    return client.ask(Kind.CONTROL, b"".join(map(string, words)), subject=" ".join(words)).partition(b"\0")[0]
