"""A daemon for a very long time: `python -m bench.soak [--requests 10000000] [--every 200000] [--seed 1]`.

One client asks without a pause, 64 requests on their way: reads, writes, nodes that come and go, watches, transactions,
of a thousand domains of which some end and are introduced anew. Each `every` requests the daemon is killed with
requests on their way, and started again, or becomes itself by a live update; the connection goes on, or is made anew
if it was in doubt. Before that its memory, its descriptors, the bytes of its files and the commits that are kept are
noted. At the end the last third is compared with the second: none of them may have grown by more than a tenth. Prints
how it goes. Nearly all of its time is the daemon's: 64 microseconds of CPU a request, where the client takes 5.
"""

from __future__ import annotations

import io
import random
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.load.daemons import PAGE, Foreign
from bench.load.frames import (
    END,
    ERROR,
    INTRODUCE,
    MKDIR,
    READ,
    RELEASE,
    RM,
    SET_PERMS,
    START,
    UNWATCH,
    WATCH,
    WRITE,
    Client,
    frame,
)
from tests.compat import peers
from tests.daemon.processes import environment
from xsadapter import tools
from xsadapter.client import Client as Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOMAINS = 1000
SIZE = "32MiB"
TOGETHER = 64
PATIENCE = 120.0
WATCH_EVENT = 15


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon has."""

    memory: float
    """MB."""
    descriptors: int
    bytes: int
    kept: int


def sample(host: Host) -> Sample:
    """What it has now."""
    proc = Path(f"/proc/{host.process.pid}")
    files = [each.stat().st_blocks * 512 for each in host.place.iterdir() if each.is_file()]
    with Tool(host.place / "socket", timeout=PATIENCE) as tool:
        kept = int(tool.control("history", "info").split("kept ")[1].split()[0].rstrip(","))
    return Sample(
        int((proc / "statm").read_text().split()[1]) * PAGE / 1e6,
        sum(1 for _ in (proc / "fd").iterdir()),
        sum(files),
        kept,
    )


class Host:
    """The daemon."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """One that answers."""
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [peers.PROGRAMS / "xsadapter-xenstored", "-N", "--rundir", self.place, "--size", SIZE,
                 "--simulated-xen", self.place],
                env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill it, and start another."""
        self.end()
        self.start()

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def update(self) -> None:
        """Have it become itself."""
        said = io.BytesIO()
        words = ["live-update", str(peers.PROGRAMS / "xsadapter-xenstored")]
        status = tools.run("control", words, said, said, called="soak", socket=self.place / "socket")
        if status:
            raise RuntimeError(said.getvalue().decode())


def requests(chance: random.Random) -> Iterator[bytes]:
    """Without end; answers are looked at, and errors counted."""
    number = 0
    while True:
        number += 1
        domid = chance.randrange(1, DOMAINS + 1)
        home = b"/local/domain/%d" % domid
        match chance.randrange(100):
            case 0:
                # It ends, and another comes with its number.
                yield frame(RELEASE, b"%d" % domid)
                yield frame(MKDIR, home)
                yield frame(SET_PERMS, home, b"n%d" % domid)
                yield frame(INTRODUCE, b"%d" % domid, b"1", b"1")
            case 1:
                yield frame(WATCH, home, b"t%d" % (number % 50))
                yield frame(UNWATCH, home, b"t%d" % (number % 50))
            case 2 | 3:
                yield frame(WRITE, home + b"/x/y/z%d" % (number % 20), data=b"%d" % number)
                yield frame(RM, home + b"/x")
            case kind if kind < 30:
                yield frame(WRITE, home + b"/data/%d" % (number % 10), data=b"%d" % number)
            case _:
                yield frame(READ, home + b"/data/%d" % (number % 10))


class Asking:
    """The client, and how it fares."""

    def __init__(self, place: Path, seed: int) -> None:
        self._target = Foreign("", place / "socket")
        self._chance = random.Random(seed)
        self._requests = requests(self._chance)
        self._client = self._connected()
        self.errors = self.doubts = self.transactions = 0

    def _connected(self) -> Client:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return Client(self._target)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def ask(self, count: int) -> None:
        """So many requests."""
        done = 0
        while done < count:
            self.meanwhile(lambda: None)
            done += TOGETHER + 4

    def meanwhile(self, something: Callable[[], None]) -> None:
        """So many requests as go together, and `something` while they are on their way."""
        try:
            self._client.stream.sendall(b"".join(next(self._requests) for _ in range(TOGETHER)))
            something()
            self._hear()
            self._transaction()
        except (ConnectionError, BlockingIOError):
            self.doubts += 1
            self._client.close()
            self._client = self._connected()
        self._client.events.clear()

    def _hear(self) -> None:
        for _ in range(TOGETHER):
            while True:
                kind, payload = self._client.message()
                if kind == ERROR:
                    self.errors += payload != b"ENOENT\0"
                if kind != WATCH_EVENT:
                    break

    def _transaction(self) -> None:
        number = int(self._client.ask(frame(START, b"")).rstrip(b"\0"))
        path = b"/local/domain/%d/data/t" % self._chance.randrange(1, DOMAINS + 1)
        for request in (frame(WRITE, path, data=b"1", transaction=number), frame(END, b"T", transaction=number)):
            self._client.stream.sendall(request)
            while self._client.message()[0] == WATCH_EVENT:
                pass
        self.transactions += 1


def grown(samples: list[Sample]) -> list[str]:
    """What has grown between the second third and the last, in words."""
    third = len(samples) // 3
    if not third:
        return []
    found = []
    for field in fields(Sample):
        before, after = (
            statistics.median(getattr(each, field.name) for each in some)
            for some in (samples[third : 2 * third], samples[2 * third :])
        )
        if after > before * 1.1 + 2:
            found.append(f"{field.name}: {before} and then {after}")
    return found


@click.command()
@click.option("--requests", "wanted", default=10_000_000, show_default=True)
@click.option("--every", default=200_000, show_default=True, help="Requests between deaths and updates.")
@click.option("--seed", default=1, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path))
def main(wanted: int, every: int, seed: int, keep: Path | None) -> None:
    """Have it done."""
    with ExitStack() as stack:
        place = stack.enter_context(peers.short_directory()) if keep is None else keep
        place.mkdir(exist_ok=True)
        host = Host(place)
        stack.callback(host.end)
        asking = Asking(place, seed)
        began, samples, done = time.monotonic(), [], 0
        while done < wanted:
            asking.ask(min(every, wanted - done))
            done += min(every, wanted - done)
            found = sample(host)
            samples.append(found)
            click.echo(
                f"{done:,} of {wanted:,} requests, {time.monotonic() - began:.0f} s: {found.memory:.1f} MB, "
                f"{found.descriptors} descriptors, {found.bytes:,} bytes, {found.kept} commits kept; "
                f"{asking.errors} refused, {asking.doubts} connections in doubt, {asking.transactions} transactions"
            )
            if done < wanted:
                asking.meanwhile(host.update if len(samples) % 3 == 0 else host.kill)
                done += TOGETHER + 4
        with Tool(place / "socket", timeout=PATIENCE) as tool:
            click.echo(f"accounts and indexes: {tool.control('check')}")
        wrong = grown(samples)
        click.echo("flat" if not wrong else f"grown: {'; '.join(wrong)}")
        sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
