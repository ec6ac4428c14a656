"""READ and WRITE of one client, unpipelined and with 64 requests on their way: ours, Debian's C and OCaml daemons.

Every daemon has the same tree, a hundred domains of ten keys each. Daemon and client share one core, so that a
request's wall time is what both cost together, whatever the others do to the machine; the CPU time is the daemon's own.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from bench.committers import timed
from bench.frames import ERROR, READ, WRITE, ask, exchange, frame
from bench.race import cpu_of
from tests.compat import peers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.race import Lap
    from tests.compat.peers import Daemon

PATHS = [b"/local/domain/%d/data/key%d" % (domain, key) for domain in range(100) for key in range(10)]
VALUE = b"0123456789abcdef"
REQUESTS = 64 * 100  # a lap
OUTSTANDING = {"1 outstanding": 1, "64 outstanding": 64}

REQUEST = {
    "READ": [frame(READ, path + b"\0") for path in PATHS],
    "WRITE": [frame(WRITE, path + b"\0" + VALUE[::-1]) for path in PATHS],
}
ANSWER = {"READ": len(frame(READ, VALUE)), "WRITE": len(frame(WRITE, b"OK\0"))}


class Client:
    """One connection to one daemon, asking the same thing again and again."""

    def __init__(self, daemon: Daemon, operation: str, outstanding: int) -> None:
        self.name = daemon.name
        self.pid = daemon.pid
        self.stream = daemon.connect()
        frames = [REQUEST[operation][i % len(PATHS)] for i in range(REQUESTS)]
        self.requests = [b"".join(frames[i : i + outstanding]) for i in range(0, REQUESTS, outstanding)]
        self.answer = ANSWER[operation] * outstanding

    def lap(self) -> Lap:
        """All requests once."""
        return timed(
            lambda: exchange(self.stream, self.requests, self.answer),
            REQUESTS,
            lambda: cpu_of(self.pid),
        )

    def close(self) -> None:
        self.stream.close()


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """This process, and what it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def load(daemon: Daemon) -> None:
    """Give it the tree, and see that it answers as it should."""
    with daemon.connect() as stream:
        for path in PATHS:
            answer = ask(stream, frame(WRITE, path + b"\0" + VALUE))
            assert answer == (WRITE, b"OK\0"), f"{daemon.name} answers WRITE {path!r} with {answer}"
        assert ask(stream, frame(READ, PATHS[-1] + b"\0")) == (READ, VALUE)
        assert ask(stream, frame(READ, b"/nothing\0")) == (ERROR, b"ENOENT\0")


@pytest.fixture(scope="module")
def daemons() -> Iterator[tuple[list[Daemon], dict[str, str]]]:
    """All that are there, loaded; and who is not, and why."""
    absent = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(pinned())

        def place() -> Path:
            return stack.enter_context(peers.short_directory())

        started = [
            stack.enter_context(peers.our_xenstored(place(), "--no-status")),
            stack.enter_context(peers.our_xenstored(place(), "--no-status", "--memory", name="rrdstore, --memory")),
        ]
        for name, needs, start in (
            ("C", peers.C_NEEDS, peers.c_xenstored),
            ("OCaml", peers.OX_NEEDS, peers.ox_xenstored),
        ):
            if reason := peers.missing(*needs):
                absent[name] = reason
            else:
                started.append(stack.enter_context(start(place())))
        for daemon in started:
            load(daemon)
        yield started, absent


@pytest.mark.parametrize("outstanding", OUTSTANDING)
@pytest.mark.parametrize("operation", REQUEST)
def test_requests(operation, outstanding, benchmark, race, daemons):
    started, absent = daemons
    here = race(f"{operation}, one client, {outstanding}", started[0].name)
    here.absent.update(absent)
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(contextlib.closing(Client(daemon, operation, OUTSTANDING[outstanding])))
            for daemon in started
        ]
        here.run(benchmark, clients)
