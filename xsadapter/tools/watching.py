"""watch: the paths that change, a line each, the watched ones first, and again where the client connects again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xsadapter.client.payloads import string
from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.tools.nodes import integer

if TYPE_CHECKING:
    from xsadapter.client import Client
    from xsadapter.tools.console import Console
    from xsadapter.tools.kinds import Chosen


def watch(client: Client, chosen: Chosen, paths: list[str], console: Console) -> int:
    """Print so many events as -n says, or for ever; -d tells how many levels below count. A path is its token."""
    depth = string(str(integer(chosen["d"]))) if "d" in chosen else b""
    for path in paths:
        try:
            client.ask(Kind.WATCH, string(path) + string(path) + depth, subject=path)
        except RequestError:
            console.fail(f"Unable to add watch on {path}\n")
    left = integer(chosen["n"]) if "n" in chosen else -1
    generation = client.generation
    while left == -1 or left > 0:
        event = client.next_event()
        if client.generation != generation:
            generation = client.generation
            console.tell("the daemon was gone; watching again, and what changed meanwhile is not told")
        console.put(os.fsencode(event + "\n"))
        console.flush()
        left -= left > 0
    return 0
