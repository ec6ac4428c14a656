"""A day of a host's traffic in simulated time: state machine and store in this process, their clock moved by hand.

Each domain reports its memory every five minutes, a domain is created and another ends every minute, and all is
ticked twice a second. Looked at every minute: the bytes of the store's file and journal, and of all its files together.
Memory at the end stands beside that after three hours, when the tier of two hours is full. The collector is off and the
heap frozen, as the daemon has it.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import rrdstore
from bench.decade import Minutes
from bench.load.frames import ERROR, HEADER, RM, WRITE, frame
from bench.nodes import domain, resident
from xsadapter.engine.daemon import Daemon

if TYPE_CHECKING:
    from bench.load.arena import Arena

SECOND = 1_000_000
EVERY = 300
"""Seconds between two reports of a domain."""


class Machine:
    """A daemon without sockets."""

    def __init__(self, place: Path, size: str) -> None:
        self.clock = Minutes()
        self.store = rrdstore.create(place, size, clock=self.clock)
        self.daemon = Daemon(self.store)
        self.daemon.begin("a day")
        self._connection = self.daemon.connect("bench")
        self.requests = 0

    def ask(self, operation: int, path: str, value: bytes = b"") -> None:
        """Carry out one request; whether it was granted is looked at."""
        connection, flow = self._connection, self.daemon.flow
        flow.now = self.clock.now / SECOND
        connection.reader.feed(frame(operation, path.encode(), data=value))
        self.daemon.step(connection)
        (answer,) = connection.output
        if HEADER.unpack_from(answer)[0] == ERROR:
            raise AssertionError(f"{operation} {path}: {answer!r}")
        connection.sent_all()
        flow.waiting.clear()
        flow.trail.records.clear()
        self.requests += 1

    def create(self, number: int) -> None:
        """A domain's nodes."""
        for path, value in domain(number).items():
            self.ask(WRITE, path, value.encode())

    def end(self, number: int) -> None:
        """They go."""
        for place in (
            f"/local/domain/{number}",
            *(f"/local/domain/0/backend/{kind}/{number}" for kind in ("vbd", "vif")),
        ):
            self.ask(RM, place)


def day(arena: Arena) -> None:
    """A day of 10,000 domains in simulated time: bytes and memory."""
    domains = arena.many(10_000, 300)
    hours = arena.many(24, 4)
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "host.rrdb", arena.size)
        choose = Random(1)
        present = list(range(1, domains + 1))
        for number in arena.progress(present, f"{domains:,} domains"):
            machine.create(number)
            if number % 50 == 0:
                machine.store.tick()
        gc.collect()
        gc.freeze()
        gc.disable()
        sizes, most, memory = set(), 0, []
        requests, cpu = machine.requests, time.process_time()
        for second in arena.progress(range(hours * 3600), f"{hours} hours of {domains:,} domains"):
            for half in range(2):
                for _ in range(domains // EVERY // 2 + (half and domains // EVERY % 2)):
                    machine.ask(
                        WRITE, f"/local/domain/{choose.choice(present)}/memory/target", b"%d" % choose.getrandbits(20)
                    )
                machine.clock.now += SECOND // 2
                machine.daemon.tick()
            if second % 60 == 0:
                at = choose.randrange(len(present))
                machine.end(present[at])
                present[at] = max(present) + 1
                machine.create(present[at])
                files = machine.store.info().files
                sizes.add(sum(files[name] for name in files if not name.endswith(("wal", "shm"))))
                most = max(most, sum(files.values()))
            if second % 3600 == 3599:
                memory.append(resident() / 1e6)
        cpu = (time.process_time() - cpu) / (machine.requests - requests) * 1e6
        gc.enable()
        gc.unfreeze()
        machine.store.close()
    state = f"{hours} hours of {domains:,} domains, {machine.requests - requests:,} requests"
    arena.aim("sizes that file and journal had", state, len(sizes), 1, "")
    arena.aim("bytes of all files", state, most, rrdstore.parse_size(arena.size), "B")
    what = "memory at the end over that after three hours"
    arena.aim(what, state, memory[-1] / memory[2], None if arena.short else 1.02, "times")
    arena.aim("CPU a request, ticks and all", state, cpu, None, "µs")
