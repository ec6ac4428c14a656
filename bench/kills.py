"""kill -9, again and again: nothing acknowledged is lost, and `check` is clean.

    python bench/kills.py [--rounds 1000] [--seed N] [--only KIND] [--keep FOLDER]

A client does things to a store of 2 MiB at random and says what was acknowledged (tests/faults/client.py); it is killed
at its n-th call to the system on one of the store's files, half of a write done, or after some CPU time, wherever it is
then, in the middle of commits, ticks, cleaning, recovery, creation, tuning, repair or changes of branches and tags. In
a third of the rounds calls fail meanwhile: EIO, ENOSPC, short writes (tests/faults/faulty.c). Of another third a tape
is kept, and three power cuts are made of it (tests/faults/tape.py). In some rounds a foreign process reads in a
transaction all the while, so that ticks cannot be stored and the journal takes nets. After each the store is opened, by
a reader and half the time by a writer: it must be what was acknowledged, all its kept commits what they were when they
were made, `check` clean, its files no larger than its size. After a power cut what the last tick stored must be there,
or everything with sync="commit". The next round goes on from there. Prints the seed, which gives the same round again
but for the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

import rrdstore
from rrdstore.storage import journal
from rrdstore.storage.container import file_size
from tests.faults.acknowledged import Branch, Said, State
from tests.faults.client import MAIN_KEEPS, MOODS, Client
from tests.faults.shim import EIO, ENOSPC, SHORT, TORN, WRITES, Faults, built, kill_after
from tests.faults.tape import Disk, events
from tests.storage.conftest import foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rrdstore import Store
    from tests.faults.acknowledged import Content

SIZE = 2 << 20
ENDS = ("", "-wal", "-shm", "-ring")
KINDS = {
    "all": 36, "refs": 14, "cleaning": 12, "tuning": 8, "deleting": 8, "held": 12, "recovery": 12, "creation": 6,
    "repair": 8, "planting": 10,
}  # fmt: skip
"""What a round is about, and how often."""
CUTS = 3
STEPS = 400


class Wrong(Exception):
    """A round that has shown a fault."""


class Kills:
    """A store, what it must be, and the rounds."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed, self.folder = seed, folder
        self.path = str(folder / "s.rrdb")
        self.said = folder / "s.rrdb-said"
        self.counted: Counter[str] = Counter()
        self.truth: dict[int, Content] = {}
        rrdstore.create(self.path, SIZE, MAIN_KEEPS[0]).close()
        self.state = State({"main": Branch(1, {}, MAIN_KEEPS[0])})

    # Rounds

    def round(self, number: int, only: str = "") -> None:
        """One; Wrong."""
        random = Random(f"{self.seed} {number}")
        kind = only or random.choices(list(KINDS), list(KINDS.values()))[0]
        self.counted[kind] += 1
        if kind == "creation":
            self._creation(random)
        elif kind == "repair":
            self._repair(random)
        else:
            self._life(kind, random)

    def _life(self, kind: str, random: Random) -> None:
        mood, steps = (kind, STEPS) if kind in MOODS else ("all", STEPS)
        if kind == "recovery":
            steps = random.choice((0, 0, 1, 3))
        held = kind == "held"
        if held:  # A net may be written over what the journal has: what is certain is stored.
            rrdstore.open(self.path).close()
        how = random.choice(("plain", "faults", "power"))
        sync = random.choice(("tick", "tick", "commit"))
        faults = self._faults(self.path, random, how, calls=random.choice((30, 300, 1500)) if steps > 3 else 60)
        disk = Disk(self.path) if how == "power" else None
        self.said.unlink(missing_ok=True)
        self.said.touch()
        client_random = Random(random.random())

        def live() -> None:
            Client(self.path, self.said, self.state, client_random, sync).live(mood, max(1, steps))

        with foreign(self.path) if held else nullcontext():
            self._killed(live, faults, random)
        self.counted[how] += 1
        heard = Said([self.state], held=held)
        heard.hear(self.said.read_bytes())
        if heard.wrong:
            raise Wrong(f"the client ended with\n{heard.wrong}")
        for state in (*heard.states, *heard.possible(power_cut=False)):
            self.truth |= {branch.number: branch.content for branch in state.branches.values()}
        self.counted["acknowledged"] += heard.done
        self.counted["refused"] += sum(heard.refused.values())
        if disk is not None:
            self._power_cuts(disk, Path(faults.tape), random, sync, held=held)
        self.state = self._compared(self.path, heard.possible(power_cut=False), random)
        kept = {number for number in self.truth if number in self.kept}
        self.truth = {number: self.truth[number] for number in kept}

    def _faults(self, path: str, random: Random, how: str, calls: int) -> Faults:
        rate = random.choice((500, 5_000, 30_000)) if how == "faults" else 0
        kinds = random.choice((EIO, ENOSPC, EIO | ENOSPC, SHORT, SHORT | TORN, WRITES))
        tape = self.folder / "tape"
        tape.unlink(missing_ok=True)
        at = 1 + int(random.random() ** 2 * calls) if random.random() < 0.6 else 0
        return Faults(
            path, str(tape) if how == "power" else "", random.randrange(1, 1 << 32), rate, kill=at, kinds=kinds
        )

    def _killed(self, live: Callable[[], None], faults: Faults, random: Random) -> bool:
        """Run it in a process that is killed; whether it was, or had ended before."""
        child = os.fork()
        if not child:
            code = 4
            try:
                faults.arm()
                if not faults.kill:
                    kill_after(random.choice((0.004, 0.02, 0.1, 0.4)) * random.random())
                live()
                code = 0
            except BaseException:  # noqa: BLE001 - this process ends here
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.counted["killed"] += 1
            return True
        if status:
            raise Wrong(f"the client ended with status {status}")
        return False

    def _power_cuts(self, disk: Disk, tape: Path, random: Random, sync: str, *, held: bool) -> None:
        """Some of those that could have been while a client lived; the first of each tape at its end."""
        told = events(tape)
        where = self.folder / "cut"
        inode = self.said.stat().st_ino
        heard, text = Said([self.state]), b""
        wanted = Counter([len(told), *(1 + int(random.random() * len(told)) for _ in range(CUTS - 1))]) if told else {}
        for done, event in enumerate(told, 1):
            if event.inode == inode:
                text += event.data if event.what == "W" else b""
            else:
                disk.play(event, random)
            for _ in range(wanted.get(done, 0)):
                shutil.rmtree(where, ignore_errors=True)
                where.mkdir()
                for end, data in disk.cut(random).items():
                    (where / f"s.rrdb{end}").write_bytes(data)
                heard = Said([self.state], held=held)
                heard.hear(text)
                with other_boot(random.randrange(1, 1 << 60)):
                    self._compared(str(where / "s.rrdb"), heard.possible(power_cut=sync == "tick"), random)
                self.counted["power cuts"] += 1

    def _creation(self, random: Random) -> None:
        """Killed while a store is made: nothing is there, or all of it; making it again works."""
        path = str(self.folder / "new.rrdb")
        for end in (*ENDS, "-new"):
            Path(path + end).unlink(missing_ok=True)
        begun = State({"main": Branch(1, {}, "last:8")})
        for how in ("plain", "faults", "plain")[: random.randrange(1, 4)]:
            faults = self._faults(path, random, how, calls=560)

            def make() -> None:
                with suppress(rrdstore.Unwritable, rrdstore.Exists):
                    rrdstore.create(path, SIZE, "last:8").close()

            self._killed(make, faults, random)
            if Path(path).exists():
                self._begun(path, begun, random)
                return
        rrdstore.create(path, SIZE, "last:8").close()
        self._compared(path, [begun], random)

    def _begun(self, path: str, begun: State, random: Random) -> None:
        try:
            self._compared(path, [begun], random)
        except rrdstore.NoStore:
            self.counted["unfinished creations"] += 1

    def _repair(self, random: Random) -> None:
        """Killed while a damaged copy is repaired, and repaired then: nothing is in it that never was."""
        path = str(self.folder / "bad" / "s.rrdb")
        shutil.rmtree(self.folder / "bad", ignore_errors=True)
        (self.folder / "bad").mkdir()
        for end in ("", "-wal", "-ring", "-apart"):
            if Path(self.path + end).exists():
                shutil.copyfile(self.path + end, path + end)
        for _ in range(random.choice((0, 1, 3, 30))):
            end = random.choice(("", "", "-ring"))
            with Path(path + end).open("r+b") as file:
                file.seek(random.randrange(Path(path + end).stat().st_size))
                file.write(random.randbytes(random.choice((1, 4, 512))))

        def mend() -> None:
            # A disk that fails while the new store is checked is found by the check.
            with suppress(rrdstore.Unwritable, rrdstore.Corrupt):
                rrdstore.repair(path)

        for _ in range(random.randrange(1, 4)):
            self._killed(mend, self._faults(path, random, random.choice(("plain", "faults")), calls=600), random)
            if not Path(path).exists():
                raise Wrong(f"no {path} while it was repaired")
        rrdstore.repair(path)
        with rrdstore.open(path) as store:
            self._true(store, whole=False)

    # What must be

    def _compared(self, path: str, possible: Sequence[State], random: Random) -> State:
        """Open it and look: the state that it is in; Wrong."""
        found = None
        for readonly in (True, False) if random.random() < 0.5 else (True,):
            with rrdstore.open(path, readonly=readonly) as store:
                found = state_of(store)
                if found not in possible:
                    near = min((found.differs(each) for each in possible), key=len)
                    raise Wrong(f"{path} is none of {len(possible)} states; found and nearest: {near}")
                self._true(store)
        assert found is not None
        return found

    def _true(self, store: Store, *, whole: bool = True) -> None:
        """Every kept commit reads what was written, or if it need not be `whole` a part of that."""
        self.kept = set()
        for branch in store.branches.values():
            for commit in branch.log():
                self.kept.add(commit.number)
                read = content(store, commit)
                made = self.truth.get(commit.number, read)
                paths = sorted(path for path in {**read, **made} if read.get(path) != made.get(path))
                if any(whole or path in read for path in paths):
                    raise Wrong(f"commit {commit.number} of {branch.name} reads something else at {paths}")
        problems = store.check()
        if problems:
            raise Wrong("check: " + "; ".join(map(str, problems)))
        total = sum(file_size(store.path + end) for end in ENDS)
        if total > SIZE:
            raise Wrong(f"{total} bytes of {SIZE}")


def content(store: Store, where: object) -> Content:
    """All that has a value."""
    return {path: node.value for path, node in store.tree(where).descend() if node.value}


def state_of(store: Store) -> State:
    """What a store says it is."""
    heads = {name: branch.head for name, branch in store.branches.items()}
    branches = {
        name: Branch(head.number, content(store, head), store.branch(name).keep) for name, head in heads.items()
    }
    tags = {name: commit.number for name, commit in store.tags.items()}
    pins = frozenset(int(ident.partition("-")[0]) for ident in store.pins)
    return State(branches, tags, pins, store.ledger.number)


@contextmanager
def other_boot(number: int) -> Iterator[None]:
    """As after another start of the machine."""
    was = journal.boot
    journal.boot = lambda: number
    try:
        yield
    finally:
        journal.boot = was


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--rounds", type=int, default=1000)
    given.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given.add_argument("--only", default="", choices=["", *KINDS])
    given.add_argument("--keep", default="", metavar="FOLDER", help="where the store lies, and stays if a round fails")
    asked = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="rrdstore-kills-") as name:
        folder = Path(asked.keep or name)
        folder.mkdir(exist_ok=True)
        if "faulty" not in os.environ.get("LD_PRELOAD", ""):
            library = built(folder)
            command = [sys.executable, *sys.argv, "--keep", str(folder), "--seed", str(asked.seed)]
            return os.spawnve(os.P_WAIT, sys.executable, command, {**os.environ, "LD_PRELOAD": str(library)})
        kills = Kills(folder, asked.seed)
        print(f"seed {asked.seed}", flush=True)
        for number in range(asked.rounds):
            try:
                kills.round(number, asked.only)
            except (Wrong, rrdstore.StoreError) as fault:
                print(f"seed {asked.seed}, round {number}: {type(fault).__name__}: {fault}", flush=True)
                return 1
            if not (number + 1) % 50 or sys.stderr.isatty():
                print(f"\r{number + 1} rounds", end="", file=sys.stderr, flush=True)
        said = ", ".join(f"{count} {what}" for what, count in sorted(kills.counted.items()))
        print(f"\n{asked.rounds} rounds: {said}\nCPU {sum(os.times()[:4]):.0f} s, nothing acknowledged lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
