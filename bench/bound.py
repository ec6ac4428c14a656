"""The bound, on a file system exactly as large as the store: random operations, kill -9, a foreign reader.

    python -m bench.bound [--operations 1000000] [--size 8MiB] [--seed N] [--kills 200] [--readers 20]

Commits, forks, merges, pins, tags, deletions, `tune`, reopening, `check`: on a tmpfs of exactly the store's size, so
one byte more is an error (ENOSPC, or SIGBUS in the mapped journal). The process that writes is killed with SIGKILL at
random moments, and a process with sqlite3 opens a transaction and reads, now and then, and keeps it open for
a while. Every value acknowledged is compared with a dict: at each reading, after each kill, and all at the end.
Mounting needs root. The seed is printed; the same seed does the same until the first kill or reader.
"""

from __future__ import annotations

import argparse
import copy
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import rrdstore
from bench.operations import CONFLICT, DONE, MAIN_POLICY, Doing, Model
from rrdstore.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("", "-wal", "-shm", "-ring")
_BEFORE, _AFTER, _SAME = b"B", b"A", b"S"
_READER = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN")
held.execute("SELECT count(*) FROM kept").fetchall()
print(flush=True)
sys.stdin.read()
"""


class Broken(Exception):
    """What must not be: the sentence says what."""


@contextmanager
def exactly(size: int) -> Iterator[Path]:
    """A folder on a file system that holds so many bytes and not one more; OSError where that cannot be had."""
    with tempfile.TemporaryDirectory(prefix="rrdstore-bound-") as name:
        said = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "rrdstore-bound", name], capture_output=True, check=False
        )
        if said.returncode:
            raise OSError(f"cannot mount a tmpfs: {said.stderr.decode().strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=False)


def taken(path: Path) -> int:
    """Bytes of a store's files together."""
    total = 0
    for end in NAMES:
        try:
            total += os.stat(f"{path}{end}").st_size  # noqa: PTH116 - asked often
        except FileNotFoundError:
            continue
    return total


class Run:
    """One run: the model, the processes, and what was counted."""

    def __init__(self, path: Path, size: int, seed: int) -> None:
        self.path, self.size, self.model, self.random = path, size, Model(Random(seed)), Random(seed + 1)
        self.counted: Counter[str] = Counter()
        self.most = 0
        self._maybe: Model | None = None
        """What the model is if the operation that a kill cut short was done."""
        self._reader: subprocess.Popen[bytes] | None = None
        self._reader_until = 0

    def create(self) -> None:
        """The store, empty."""
        rrdstore.create(self.path, self.size, MAIN_POLICY, clock=ManualClock(self.model.now)).close()

    # The process that writes

    def _write(self, pipe: int) -> None:
        """Do one operation after the other, saying how each ended; first, what the last kill had left."""
        model, maybe = self.model, self._maybe
        doing = Doing(self.path, model)
        if maybe is not None and doing.is_as(maybe):
            model = self.model = maybe
            os.write(pipe, _AFTER)
        else:
            os.write(pipe, _BEFORE if maybe is not None else _SAME)
        doing = doing.of(model)
        doing.compare(model)
        while True:
            operation = model.next()
            outcome = doing.do(operation)
            if not model.done % 64 and taken(self.path) > self.size:
                raise Broken(f"{taken(self.path)} bytes of {self.size}")
            model.apply(operation, outcome)
            os.write(pipe, outcome)

    def _started(self) -> tuple[int, int]:
        """A writing process: its id, and where it says how operations ended."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            code = 3
            try:
                os.close(reading)
                self._write(writing)
            except BrokenPipeError:
                code = 0
            except BaseException as error:  # noqa: BLE001 - said, and told by the code
                sys.stderr.write(f"\nafter {self.model.done} operations: {type(error).__name__}: {error}\n")
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writing)
        return child, reading

    def stretch(self, operations: int) -> None:
        """So many operations by one process, which is killed then; Broken if it ends by itself."""
        child, reading = self._started()
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            try:
                first = pipe.read(1)
                if first == _AFTER:
                    assert self._maybe is not None
                    self.model = self._maybe
                self._maybe = None
                done = 0
                while first and done < operations:
                    said = pipe.read(min(4096, operations - done))
                    if not said:
                        break
                    self._account(said)
                    done += len(said)
                    self._foreign()
            finally:
                os.kill(child, signal.SIGKILL)
                rest = b""
                while more := pipe.read(65536):
                    rest += more
                _, status = os.waitpid(child, 0)
        self._account(rest)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise Broken(f"the writing process ended by itself, status {status}")
        self._maybe = copy.deepcopy(self.model)
        operation = self._maybe.next()
        self._maybe.apply(operation, CONFLICT if self._maybe.conflicts(operation) else DONE)
        self.counted["kill -9"] += 1

    def _account(self, outcomes: bytes) -> None:
        model = self.model
        for at in range(len(outcomes)):
            operation, outcome = model.next(), outcomes[at : at + 1]
            model.apply(operation, outcome)
            self.counted[operation[0]] += 1
            if outcome != DONE:
                self.counted[f"{operation[0]} refused ({outcome.decode()})"] += 1
        self.most = max(self.most, taken(self.path))

    # The foreign reader

    def read_for(self, operations: int) -> None:
        """Have another process read in a transaction while so many operations are done."""
        self._leave()
        self._reader = subprocess.Popen(
            [sys.executable, "-c", _READER, str(self.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._reader.stdout is not None
        if self._reader.stdout.readline() != b"\n":
            raise Broken("the foreign reader cannot read")
        self._reader_until = self.model.done + operations
        self.counted["foreign reader"] += 1

    def _foreign(self) -> None:
        if self._reader is not None and self.model.done >= self._reader_until:
            self._leave()

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.kill()  # The writing process may have the other end of its pipe, so closing ours says nothing.
            self._reader.communicate()
            self._reader = None

    # All of it

    def run(self, operations: int, kills: int, readers: int, progress: bool = False) -> None:
        """All operations; what is wrong is raised."""
        began, lengths = time.monotonic(), operations // (kills + 1)
        due = sorted(self.random.sample(range(kills), min(readers, kills)))
        try:
            for stretch in range(kills):
                if stretch in due:
                    self.read_for(self.random.randrange(200, 2_000))
                self.stretch(max(1, round(lengths * self.random.uniform(0.2, 1.8))))
                if progress:
                    spent = time.monotonic() - began
                    said = (
                        f"{self.model.done:,} operations, {stretch + 1} kills, {self.counted['foreign reader']} readers"
                    )
                    sys.stderr.write(f"\r{said}, {self.most:,} of {self.size:,} bytes, {spent:.0f} s ")
            self._leave()
            while self.model.done < operations:
                self.stretch(min(lengths, operations - self.model.done))
        finally:
            self._leave()
        self._end()

    def _end(self) -> None:
        """Everything compared: all values, all kept commits, `check`."""
        doing = Doing(self.path, self.model)
        if self._maybe is not None and doing.is_as(self._maybe):
            self.model = self._maybe
        doing.compare(self.model, kept=0)
        doing.store.tick()
        problems = doing.store.check()
        if problems:
            raise Broken(f"check: {problems[:3]}")
        doing.store.close()
        self.most = max(self.most, taken(self.path))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--size", default="8MiB")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--readers", type=int, default=20)
    said = parser.parse_args(arguments)
    seed = said.seed if said.seed is not None else int.from_bytes(os.urandom(4), "little")
    size = rrdstore.parse_size(said.size)
    print(f"seed {seed}, {said.operations:,} operations in {size:,} bytes")
    with exactly(size) as folder:
        run = Run(folder / "host.rrdb", size, seed)
        run.create()
        run.run(said.operations, said.kills, said.readers, progress=True)
    print(f"\n{run.model.done:,} operations, {run.most:,} of {size:,} bytes at most, nothing lost, nothing wrong")
    for what, count in sorted(run.counted.items()):
        print(f"{count:>10,}  {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
