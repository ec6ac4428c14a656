"""The daemon is killed at random instants under load, and every client knows what it was told.

Actors, each in a thread of its own, sockets and rings. Each makes changes whose paths are new (`.../eN`), so that a
watcher can be asked for every one of them, in order; keeps nodes of its own whose values only it writes; adds one to a
counter that all share, in transactions; registers watches that must be there when it ends them. An answer that does not
come, comes twice, or is another request's, is found at once (`talkers`).

What may be in doubt: of a client whose connection was closed, the requests that were under way.
"""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.daemon.processes import ROOT, environment
from tests.recovery.talkers import PATIENCE, Doubt, RingTalker, SocketTalker
from xsadapter import tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recovery.talkers import Asked, Talker

OK = b"OK\0"
COUNTER = b"/count"
_OWN = 8
_LIVE = 40


@dataclass
class Story:
    """What one actor made, and what of that is sure."""

    made: list[int] = field(default_factory=list)
    """Changes that were acknowledged."""
    counted: int = 0
    doubts: int = 0
    requests: int = 0


class Actor(threading.Thread):
    """One client. `where` is what its paths begin with, absolute; `seen` the events of its watch, by who made them."""

    def __init__(self, torture: Torture, name: str, where: bytes, connect: Callable[[], Talker], seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.torture, self.where, self.connect = torture, where, connect
        self.random = random.Random(seed)
        self.story = Story()
        acts = (self.change, self.change, self.several, self.count, self.look, self.tokens_turn)
        self.acts = (self.row, self.row, self.row, *acts) if name.startswith("row") else acts
        self.number = 0
        self.own: dict[bytes, set[bytes | None]] = {}
        """Of each own node, the values it may have: one if it is sure."""
        self.talker = connect()
        self.tokens: set[bytes] = set()
        self.since: dict[bytes, int] = {}
        """From which change of each maker on it has been watching without a break."""
        self.fault: BaseException | None = None
        self.watch()

    def watch(self) -> None:
        # Who watches a row of its own changes ends it with each.
        none = b"/nowhere\0none\0" if self.name.startswith("row") else b"e\0none\0"
        assert self.ask("WATCH", b"/\0all\0" if self.name.startswith("socket") else none) == OK
        self.since = {actor.where: actor.number + 1 for actor in self.torture.actors}
        self.tokens.clear()

    def run(self) -> None:
        try:
            while not self.torture.over.is_set():
                self.turn()
        except BaseException as fault:  # noqa: BLE001 - the main thread raises it
            self.fault = fault
            self.torture.over.set()

    def turn(self) -> None:
        try:
            self.random.choice(self.acts)()
        except Doubt:
            self.story.doubts += 1
            while not self._again():
                pass

    def _again(self) -> bool:
        """Another connection that watches as the one before did; whether that lived so long."""
        self.talker.close()
        self.talker = self.connect()
        try:
            self.watch()
        except Doubt:
            return False
        return True

    def ask(self, operation: str, payload: bytes, transaction: int = 0) -> bytes | str:
        self.story.requests += 1
        return self.talker.ask(operation, payload, transaction)

    def _next(self) -> tuple[int, list[Asked]]:
        """A change with a path that was never there, and the end of one that was."""
        self.number += 1
        asked: list[Asked] = [("WRITE", self.where + b"/e%d\0%d" % (self.number, self.number), 0)]
        if self.number > _LIVE:
            asked.append(("RM", self.where + b"/e%d\0" % (self.number - _LIVE), 0))
        return self.number, asked

    def change(self) -> None:
        number, asked = self._next()
        for each in asked:
            assert self.ask(*each) == OK, each
        self.story.made.append(number)

    def several(self) -> None:
        """Pipelined: answers and changes that are not told yet when it dies."""
        numbers, asked = [], []
        for _ in range(self.random.randint(2, 6)):
            number, more = self._next()
            numbers.append(number)
            asked += more
            asked.append(("READ", self.where + b"/e%d\0" % number, 0))
        key = b"%b/own%d" % (self.where, self.random.randrange(_OWN))
        before = self.own.get(key, {None})
        values = [b"%d" % self.random.getrandbits(40) for _ in range(2)]
        self.own[key] = before | set(values)
        for value in values:
            asked += [("WRITE", key + b"\0" + value, 0), ("READ", key + b"\0", 0)]
        self.story.requests += len(asked)
        answers = self.talker.exchange(asked)
        self.story.made += numbers
        self.own[key] = {values[-1]}
        for (operation, payload, _), answer in zip(asked, answers, strict=True):
            if operation != "READ":
                assert answer == OK, (operation, payload, answer)
            elif b"/e" in payload:
                assert answer == payload.rpartition(b"/e")[2].rstrip(b"\0"), (payload, answer)
        assert [answers[-3], answers[-1]] == values

    def row(self) -> None:
        """Many WRITEs on their way, of what is there and of what is not."""
        front = self.where + b"/w%d" % self.random.randrange(3)
        keys = [front + b"/own%d" % at for at in range(self.random.randint(1, 40))]
        values = {key: b"%d" % self.random.getrandbits(40) for key in keys}
        for key, value in values.items():
            self.own[key] = self.own.get(key, {None}) | {value}
        number, more = self._next()
        self.story.requests += len(keys) + len(more)
        asked: list[Asked] = [("WRITE", key + b"\0" + value, 0) for key, value in values.items()]
        at = self.random.randrange(len(asked))
        answers = self.talker.exchange([*asked[:at], *more, *asked[at:]])
        assert answers == [OK] * len(answers)
        self.story.made.append(number)
        self.own |= {key: {value} for key, value in values.items()}

    def count(self) -> None:
        """Add one to what all count; EAGAIN says that nothing was done."""
        started = self.ask("TRANSACTION_START", b"\0")
        assert isinstance(started, bytes), started
        number = int(started.rstrip(b"\0"))
        before = self.ask("READ", COUNTER + b"\0", number)
        assert isinstance(before, bytes), before
        assert self.ask("WRITE", COUNTER + b"\0%d" % (int(before) + 1), number) == OK
        ended = self.ask("TRANSACTION_END", b"T\0", number)
        assert ended in {OK, "EAGAIN"}, ended
        self.story.counted += ended == OK

    def look(self) -> None:
        """Nothing that was acknowledged is gone, nothing that was replaced has come back."""
        if self.own:
            key = self.random.choice(list(self.own))
            found = self.ask("READ", key + b"\0")
            value = found if isinstance(found, bytes) else None
            assert value in self.own[key], f"{key!r}: found {found!r}, expected one of {self.own[key]}"
            self.own[key] = {value}
        if self.story.made:
            number = self.story.made[-1]
            assert self.ask("READ", self.where + b"/e%d\0" % number) == b"%d" % number

    def tokens_turn(self) -> None:
        """A watch that was acknowledged is there until it is ended."""
        token = b"x%d" % self.random.randrange(6)
        if token in self.tokens:
            self.tokens.discard(token)
            assert self.ask("UNWATCH", b"/nowhere\0" + token + b"\0") == OK, token
        else:
            assert self.ask("WATCH", b"/nowhere\0" + token + b"\0") == OK, token
            self.tokens.add(token)

    def seen(self, maker: Actor) -> list[int]:
        """The changes of one maker that its events tell, each where it is told first."""
        first, front = self.since.get(maker.where, 1), maker.where + b"/e"
        found = (path for path, token in self.talker.events if token == b"all" and path.startswith(front))
        numbers = (int(path[len(front) :]) for path in found)
        return list(dict.fromkeys(number for number in numbers if number >= first))

    def missed(self, maker: Actor) -> list[int]:
        """Acknowledged changes that it was not told of."""
        seen = set(self.seen(maker))
        first = self.since.get(maker.where, 1)
        return [number for number in maker.story.made if number >= first and number not in seen]


class Torture:
    """All of it. `rounds` deaths, each after up to `longest` seconds."""

    def __init__(self, directory: Path, seed: int, sockets: int = 3, rings: int = 2, rows: int = 2) -> None:
        self.directory, self.random = directory, random.Random(seed)
        self.over, self.dying = threading.Event(), threading.Event()
        self.updated = 0
        xen = directory / "xen"
        xen.mkdir()
        with (directory / "log").open("wb") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.recovery.nursery", str(directory), str(xen)],
                cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.actors: list[Actor] = []
        self.starts: list[float] = []
        self.pid = self.start()
        toolstack = SocketTalker(directory / "socket")
        for path in (COUNTER, b"/s", b"/nowhere"):
            assert toolstack.ask("WRITE", path + b"\x000") == OK
            assert toolstack.ask("SET_PERMS", path + b"\0b0\0") == OK
        for domid in range(1, rings + 1):
            home = b"/local/domain/%d\0" % domid
            assert toolstack.ask("MKDIR", home) == OK
            assert toolstack.ask("SET_PERMS", home + b"n%d\0" % domid) == OK
        for number in range(sockets):
            path = directory / "socket"
            self._add(f"socket {number}", b"/s/%d" % number, lambda path=path: SocketTalker(path))
        for number in range(rows):
            self._add(f"row {number}", b"/s/r%d" % number, lambda path=path: SocketTalker(path))
        for domid in range(1, rings + 1):
            talker = RingTalker(xen, domid)
            assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
            self._add(f"ring {domid}", b"/local/domain/%d" % domid, lambda talker=talker: talker)
        toolstack.close()

    def _add(self, name: str, where: bytes, connect: Callable[[], Talker]) -> None:
        self.actors.append(Actor(self, name, where, connect, self.random.getrandbits(32)))

    def start(self) -> int:
        """A daemon; its pid once it serves."""
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write("start\n")
        self._nursery.stdin.flush()
        self.pid = int(self._nursery.stdout.readline())
        return self.pid

    def ready(self) -> None:
        assert self._nursery.stdout is not None
        word = self._nursery.stdout.readline()
        assert word.startswith("ready"), (self.directory / "log").read_text()[-4000:]
        self.starts.append(float(word.split()[1]))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the daemon."""
        os.kill(self.pid, number)
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write("reap\n")
        self._nursery.stdin.flush()
        while (word := self._nursery.stdout.readline()) != "reaped\n":
            assert word.startswith("ready"), (self.directory / "log").read_text()[-4000:]

    def update(self) -> int:
        """A live update to the same program, with its clients at it; the status."""
        said = io.BytesIO()
        words = ["live-update", str(Path(sys.executable).parent / "xsadapter")]
        status = tools.run("control", words, said, said, called="", socket=self.directory / "socket")
        assert status == 0 or self.dying.is_set(), f"{said.getvalue()!r}{(self.directory / 'log').read_text()[-4000:]}"
        return status

    def updates(self, rounds: int, longest: float) -> None:
        """As `run`, but killed after a live update, and then within one."""
        self.ready()
        for actor in self.actors:
            actor.start()
        updating: threading.Thread | None = None
        for number in range(rounds):
            if updating is not None:
                # It may have kept its connection, and go on; or not.
                updating.join(PATIENCE)
                updating = None
            self.dying.clear()
            if number % 2:
                updating = threading.Thread(target=self.update, daemon=True)
                updating.start()
                self.over.wait(self.random.uniform(0.01, longest))
                self.dying.set()
            else:
                self.update()
                self.updated += 1
                self.over.wait(self.random.uniform(0.01, 0.3))
            if self.over.is_set():
                break
            self.kill()
            self.start()
            self.ready()
        self.over.set()
        self.finish()

    def run(self, rounds: int, longest: float, progress: Callable[[int], None] = lambda _: None) -> None:
        """Raise what an actor found to be wrong."""
        self.ready()
        for actor in self.actors:
            actor.start()
        for number in range(rounds):
            self.over.wait(self.random.uniform(0.01, longest))
            if self.over.is_set():
                break
            self.kill()
            self.start()
            if self.random.random() < 0.8:
                # The others die while they start.
                self.ready()
            progress(number + 1)
        self.over.set()
        self.finish()

    def finish(self) -> None:
        for actor in self.actors:
            actor.join(PATIENCE)
        faults = [actor.fault for actor in self.actors if actor.fault is not None]
        if faults:
            raise faults[0]
        assert not any(actor.is_alive() for actor in self.actors), "an actor waits for ever"
        watchers = [actor for actor in self.actors if actor.name.startswith("socket")]
        for actor in watchers:
            # Events come before the answer to a request that comes after them.
            actor.ask("READ", COUNTER + b"\0")
        total = int(watchers[0].ask("READ", COUNTER + b"\0"))
        counted, doubts = (sum(getattr(actor.story, name) for actor in self.actors) for name in ("counted", "doubts"))
        assert counted <= total <= counted + doubts, f"counted {counted}, in doubt {doubts}, found {total}"
        for actor in self.actors:
            for key, values in actor.own.items():
                found = watchers[0].ask("READ", key + b"\0")
                assert (found if isinstance(found, bytes) else None) in values, (key, found, values)
            for number in actor.story.made[-_LIVE // 2 :]:
                assert watchers[0].ask("READ", actor.where + b"/e%d\0" % number) == b"%d" % number
            for watcher in watchers:
                assert not watcher.missed(actor), f"{watcher.name} missed of {actor.name}: {watcher.missed(actor)}"
                seen = watcher.seen(actor)
                assert seen == sorted(seen), f"{watcher.name} saw {actor.name} out of order: {seen}"

    def close(self) -> None:
        self.over.set()
        with self._nursery:
            self.kill(signal.SIGTERM)
        for actor in self.actors:
            actor.talker.close()
