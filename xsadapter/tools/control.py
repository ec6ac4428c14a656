"""control: a command to the daemon itself, in words, and what it answers.

Exit status: 1 no daemon, 2 no command, 3 refused. To EINVAL the daemon's own `help` is the answer. The stock
client's `live-update` is a procedure of its own, for stock daemons; here it is a command like all others.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from xsadapter.client.payloads import string
from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.tools.console import NUMBERS

if TYPE_CHECKING:
    from xsadapter.client import Client
    from xsadapter.tools.console import Console

REFUSED = 3


def control(client: Client, words: list[str], console: Console) -> int:
    """Send a command and print its answer."""
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


def _ask(client: Client, words: list[str]) -> bytes:
    return client.ask(Kind.CONTROL, b"".join(map(string, words)), subject=" ".join(words)).partition(b"\0")[0]
