"""A host's tree: domains with what a toolstack writes for each, into any daemon, and requests to random nodes of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench.load.arena import Paced, shuffled
from bench.load.frames import HEADER, OK, READ, WRITE, Asked, Client, frame, together
from bench.nodes import domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.load.arena import Arena
    from bench.load.daemons import Target

DOMAINS = 1_000
NODES = 44
"""Of a domain."""
REQUESTS = 6_400
"""As many random ones, again and again; `everywhere` has every node."""
STATE = f"{DOMAINS:,} domains of {NODES} nodes"


def values(domains: int, first: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """Path and value of all that is written for so many domains."""
    for number in range(first, first + domains):
        for path, value in domain(number).items():
            yield path.encode(), value.encode()


def settle(target: Target, domains: int = DOMAINS, arena: Arena | None = None) -> None:
    """Write them all; with an arena, show how far it is."""
    steps = range(1, domains + 1, 100)
    shown = steps if arena is None else arena.progress(steps, f"{target.name}: {domains:,} domains")
    with Client(target) as client:
        for first in shown:
            count = min(100, domains + 1 - first)
            client.pour(frame(WRITE, path, data=value) for path, value in values(count, first))


def requests(operation: int, domains: int = DOMAINS, count: int | None = REQUESTS, seed: int = 1) -> list[Asked]:
    """READ, or WRITE of another value as long as the one that is there, of random nodes of random domains.

    `count` None: of each once.
    """
    known = dict(values(domains))
    paths = [*known] if count is None else shuffled(known, count, seed)
    if operation == READ:
        return [(frame(READ, path), HEADER.size + len(known[path])) for path in paths]
    return [(frame(WRITE, path, data=known[path][::-1]), OK) for path in paths]


class Asking:
    """One client that asks the same requests round and round."""

    def __init__(self, target: Target, asked: list[Asked], outstanding: int = 1) -> None:
        self.client = Client(target)
        self._outstanding = outstanding
        self._asked = itertools.cycle(together(asked, outstanding))
        self.lap = Paced(target, self.act, least=64)

    def act(self, count: int) -> None:
        """So many requests."""
        self.client.exchange(itertools.islice(self._asked, count // self._outstanding))

    def close(self) -> None:
        """End the connection."""
        self.client.close()
