"""How long nobody is answered while a daemon of 10,000 domains is started again: `python -m bench.restart`.

    python -m bench.restart [--domains 10000] [--runs 3] [--only killed|ours|c]... [--keep FOLDER] [--no-save]

Domains of 44 nodes, as `bench.nodes` has them, each on a ring; most nodes are the guest's own. A client of the socket
never stops to ask: what is measured is its longest wait for an answer, from the request before to the answer after.
So is, of a daemon that is killed, when a client that comes then is answered, when READY=1 is told, and when every
guest has the answer to what it asked while nobody was there. The best of the runs counts; all are printed, with the
CPU that the daemon took, since other work on the machine makes each of them longer.
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench import results
from bench.aims import Aim, aims_table
from bench.load.daemons import Foreign
from bench.load.frames import CONTROL, MKDIR, READ, SET_PERMS, WRITE, Client, frame
from bench.load.hub import Guest, Hub
from bench.nodes import domain
from bench.race import cpu_of
from tests.compat import peers
from tests.daemon.processes import environment
from xsadapter import tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE = 120.0
SIZE = "512MiB"
ASKED = frame(READ, b"domid")
"""What each guest asks, relative to its home."""


class Ceaseless(threading.Thread):
    """A client that asks and asks, and knows how long the slowest answer took. In doubt after a kill it comes anew."""

    def __init__(self, place: Path) -> None:
        super().__init__(daemon=True)
        self._target = Foreign("ceaseless", place)
        self._client = Client(self._target)
        self._over = False
        self.longest, self.asked = 0.0, 0
        self.fault: Exception | None = None

    def run(self) -> None:
        request = frame(READ, b"/local/domain/1/name")
        try:
            while not self._over:
                began = time.monotonic()
                self._ask(request)
                self.longest = max(self.longest, time.monotonic() - began)
                self.asked += 1
                time.sleep(0.0005)
        except Exception as fault:  # noqa: BLE001 - the main thread raises it
            self.fault = fault

    def _ask(self, request: bytes) -> None:
        while True:
            try:
                self._client.ask(request)
            except ConnectionError:
                self._client.close()
                self._client = Client(self._target)
            else:
                return

    def __enter__(self) -> Ceaseless:
        self.start()
        time.sleep(0.2)
        self.longest, self.asked = 0.0, 0
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.2)
        self._over = True
        self.join(PATIENCE)
        self._client.close()
        if self.fault is not None:
            raise self.fault


def _environment(place: Path) -> dict[str, str]:
    """Of a daemon whose modules are compiled to bytecode once, as an installed one's are, and that can become C's."""
    found = environment(NOTIFY_SOCKET=str(place / "notify"))
    if peers.FAKEXEN.exists():
        found |= {"LD_PRELOAD": str(peers.FAKEXEN), "FAKEXEN_DIR": str(place)}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


@dataclass
class Host:
    """A daemon of ours in a directory, its guests, and what it says to its service manager."""

    place: Path
    domains: int
    hub: Hub | None = None
    process: subprocess.Popen[bytes] | None = None
    figures: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (self.place / "notify").unlink(missing_ok=True)
        self.notices.bind(str(self.place / "notify"))
        self.notices.settimeout(PATIENCE)

    @property
    def words(self) -> list[str]:
        return ["-N", "--rundir", str(self.place), "--size", SIZE, "--simulated-xen", str(self.place), "--event", "1"]

    def start(self) -> None:
        """A daemon, which is not waited for."""
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [peers.PROGRAMS / "xsadapter-xenstored", *self.words],
                env=_environment(self.place),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def until_ready(self) -> None:
        while b"READY=1" not in self.notices.recv(4096).split(b"\n"):
            pass

    def took(self, what: str, seconds: float) -> None:
        """Note a figure."""
        self.figures.setdefault(what, []).append(seconds)
        click.echo(f"  {what}: {seconds:.2f}")

    @property
    def pid(self) -> int:
        return Foreign("", self.place / "socket").pid

    def settle(self) -> None:
        """The tree, and the rings."""
        numbers = range(1, self.domains + 1)
        target = Foreign("", self.place / "socket")
        with Client(target) as client, click.progressbar(numbers, label="domains", file=sys.stderr) as shown:
            for number in shown:
                client.pour(_domain(number))
        self.hub = Hub(Foreign("", self.place / "socket"))
        step = 500
        with click.progressbar(range(0, self.domains, step), label="rings", file=sys.stderr) as shown:
            for at in shown:
                self.hub.introduce(numbers[at : at + step])

    def meet(self) -> None:
        """The guests of rings that are there already."""
        self.hub = Hub(Foreign("", self.place / "socket"))
        for number in range(1, self.domains + 1):
            self.hub.guests[number] = Guest(Foreign("", self.place / "socket"), number)

    def ask_all(self) -> None:
        """Each guest asks; nobody hears it."""
        assert self.hub is not None
        for guest in self.hub.guests.values():
            guest.drop()
            assert guest.put(ASKED)

    def until_all_answered(self) -> None:
        assert self.hub is not None
        left = dict(self.hub.guests)
        until = time.monotonic() + PATIENCE
        while left:
            left = {domid: guest for domid, guest in left.items() if not guest.waiting}
            assert time.monotonic() < until, f"{len(left)} guests have no answer"
            time.sleep(0.005)


def _domain(number: int) -> Iterator[bytes]:
    home = b"/local/domain/%d" % number
    yield frame(MKDIR, home)
    yield frame(SET_PERMS, home, b"n%d" % number)
    for kind in (b"vbd", b"vif"):
        back = b"/local/domain/0/backend/%b/%d" % (kind, number)
        yield frame(MKDIR, back)
        yield frame(SET_PERMS, back, b"n0", b"r%d" % number)
    for path, value in domain(number).items():
        yield frame(WRITE, path.encode(), data=value.encode())


def killed(host: Host) -> None:
    """kill -9, and a start at once."""
    _until_settled(host)
    assert host.process is not None
    with Ceaseless(host.place / "socket") as client:
        host.process.kill()
        host.process.wait()
        host.ask_all()
        began = time.monotonic()
        host.start()
        _first_reply(host)
        host.took("killed: first reply to who comes then, s", time.monotonic() - began)
        host.until_ready()
        host.took("killed: READY, s", time.monotonic() - began)
        host.until_all_answered()
        host.took("killed: every ring mapped and answered, s", time.monotonic() - began)
        host.took("killed: CPU until then, s", cpu_of(host.process.pid))
    host.took("killed: longest wait of who was there, s", client.longest)


def _until_settled(host: Host) -> None:
    """Nothing is left to count or to store: that would be done again, 0.1 ms for each commit of one change."""
    with Client(Foreign("", host.place / "socket")) as client:
        while b"commits-unstored 0\n" not in client.ask(frame(CONTROL, b"metrics")):
            time.sleep(0.1)


def _first_reply(host: Host) -> None:
    """A client that comes while there may be no socket yet."""
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), Client(Foreign("", host.place / "socket")) as client:
            client.ask(frame(READ, b"/local/domain/1/name"))
            return
        assert time.monotonic() < until
        time.sleep(0.01)


def to_ours(host: Host) -> None:
    """A live update to the same code, of a daemon that has counted what each domain has."""
    _until_settled(host)
    with Ceaseless(host.place / "socket") as client:
        before = cpu_of(host.process.pid)
        _update(host, [str(peers.PROGRAMS / "xsadapter-xenstored")])
        host.took("to ours: CPU of the process, s", cpu_of(host.process.pid) - before)
    host.took("to ours: longest wait, s", client.longest)


def to_c_and_back(host: Host) -> None:
    """Through the migration stream."""
    stock = peers.XEN / "xenstored"
    with Ceaseless(host.place / "socket") as client:
        _update(host, ["-c", f"--no-fork --pid-file {host.place}/pid", str(stock)])
    host.took("to C: longest wait, s", client.longest)
    with Ceaseless(host.place / "socket") as client:
        before = cpu_of(host.process.pid)
        _update(host, ["-c", " ".join(host.words), str(peers.PROGRAMS / "xsadapter-xenstored")])
        host.took("from C: CPU of the process, s", cpu_of(host.process.pid) - before)
    host.took("from C: longest wait, s", client.longest)


def _update(host: Host, words: Sequence[str]) -> None:
    said = io.BytesIO()
    began = time.monotonic()
    status = tools.run("control", ["live-update", *words], said, said, called="bench", socket=host.place / "socket")
    assert status == 0, said.getvalue()
    click.echo(f"  (the whole update: {time.monotonic() - began:.2f} s)")


PARTS = {"killed": killed, "ours": to_ours, "c": to_c_and_back}
BARS = {
    "killed: first reply to who comes then, s": 3.0,
    "killed: every ring mapped and answered, s": 5.0,
    "to ours: longest wait, s": 1.0,
    "to C: longest wait, s": 6.0,
    "from C: longest wait, s": 6.0,
}


@click.command()
@click.option("--domains", default=10_000, show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Settle the domains there, or find them there.")
@click.option("--save/--no-save", default=True, help="Whether to add what was found to bench/results.json.")
def main(domains: int, runs: int, only: tuple[str, ...], keep: Path | None, save: bool) -> None:
    """Start a daemon again, in every way there is."""
    with ExitStack() as stack:
        place = stack.enter_context(peers.short_directory()) if keep is None else keep
        place.mkdir(exist_ok=True)
        host = Host(place, domains)
        there = (place / "history.rrdb").exists()
        host.start()
        stack.callback(lambda: host.process.kill() if host.process else None)
        host.until_ready()
        if there:
            host.meet()
        else:
            host.settle()
        for number in range(runs):
            for name in only or PARTS:
                click.echo(f"run {number + 1}, {name}, load {os.getloadavg()[0]:.1f}")
                PARTS[name](host)
        state = f"{domains:,} domains of 44 nodes, {domains:,} rings"
        aims = [
            Aim(what.removesuffix(", s"), state, min(found), BARS.get(what), "s")
            for what, found in host.figures.items()
        ]
        if save:
            results.add(aims=aims)
        click.echo(aims_table(aims))


if __name__ == "__main__":
    main()
