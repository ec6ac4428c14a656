"""Who can commit one key at a time: ours on both stores, plain SQLite, git's fast-import and its library.

All do the same: a tree of KEYS paths with a value each; then, again and again, one key gets a new value, and that is
a commit with author, message and time that can be found later. Each begins loaded. A lap ends with everything handed
to the operating system for keeping (our tick, git's checkpoint); SQLite's transactions and libgit2's files do that one
by one.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import sqlite3
import subprocess
import time
from typing import TYPE_CHECKING

from bench.race import Lap, cpu_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import rrdstore

KEYS = 10_000
VALUE = 16  # bytes
LOADED_AT_ONCE = 500  # keys: a commit to a file store may change only so much at once
AUTHOR, MESSAGE = "dom0", "WRITE"

SHAPES: dict[str, tuple[str, ...]] = {
    "flat": tuple(f"/k{key:05}" for key in range(KEYS)),
    "deep": tuple(f"/a{a}/b{b}/c{c}/k{d}" for a in range(10) for b in range(10) for c in range(10) for d in range(10)),
    "nested": tuple(f"/d{top:02}/k{below:02}" for top in range(100) for below in range(100)),
}


def changes(paths: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Random keys with values never seen before, without end, the same for everybody."""
    choose = random.Random(1)
    return ((choose.choice(paths), b"%0*d" % (VALUE, number)) for number in itertools.count(1))


def timed(work: Callable[[], None], operations: int, cpu: Callable[[], float] = time.process_time) -> Lap:
    """A lap of `work`."""
    cpu_before, wall_before = cpu(), time.perf_counter()
    work()
    return Lap(operations, time.perf_counter() - wall_before, cpu() - cpu_before)


class Ours:
    """A store of ours, by its public names."""

    operations = 2000

    def __init__(self, name: str, store: rrdstore.Store, paths: tuple[str, ...], laps: int = 0) -> None:
        """Loaded, and `laps` on: as many as it takes until each lap drops what it adds."""
        self.name = name
        self.store = store
        self.branch = store.branch("main")
        self.changes = changes(paths)
        for begin in range(0, len(paths), LOADED_AT_ONCE):
            with self.branch.transaction(message="load") as transaction:
                for path in paths[begin : begin + LOADED_AT_ONCE]:
                    transaction.set(path, bytes(VALUE))
        store.tick()
        for _ in range(laps):
            self.lap()

    def lap(self) -> Lap:
        """Commits, and a tick at the end."""
        work = list(itertools.islice(self.changes, self.operations))

        def commit() -> None:
            for path, value in work:
                self.branch.set(path, value, message=MESSAGE, author=AUTHOR)
            self.store.tick()

        return timed(commit, self.operations)

    def close(self) -> None:
        self.store.close()


class Sqlite:
    """One table from path to value, one of what was: a history that keeps everything and grows."""

    operations = 2000

    def __init__(self, name: str, file: Path, paths: tuple[str, ...], synchronous: str) -> None:
        self.name = name
        self.connection = sqlite3.connect(file, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute(f"PRAGMA synchronous={synchronous}")
        self.connection.executescript(
            "CREATE TABLE tree(path TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
            "CREATE TABLE history("
            "number INTEGER PRIMARY KEY, time REAL, author TEXT, message TEXT, path TEXT, value BLOB);",
        )
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT INTO tree VALUES(?, ?)", ((path, bytes(VALUE)) for path in paths))
        self.connection.execute("COMMIT")
        self.changes = changes(paths)

    def lap(self) -> Lap:
        """A transaction a commit."""
        work = list(itertools.islice(self.changes, self.operations))
        execute = self.connection.execute

        def commit() -> None:
            for path, value in work:
                execute("BEGIN IMMEDIATE")
                execute("UPDATE tree SET value=? WHERE path=?", (value, path))
                execute(
                    "INSERT INTO history(time, author, message, path, value) VALUES(?, ?, ?, ?, ?)",
                    (time.time(), AUTHOR, MESSAGE, path, value),
                )
                execute("COMMIT")

        return timed(commit, self.operations)

    def close(self) -> None:
        self.connection.close()


class Git:
    """`git fast-import`, the fastest way into a git repository: one process, a stream of commits, one pack.

    Whether glibc gives the top of git's heap back to the kernel after each object that is pressed, and gets it again
    for the next, is chance and lasts for thousands of commits: four levels deep one costs 60 or 300 µs. `kept` tells
    glibc not to, which is the best that git can do.
    """

    name = "git fast-import"

    def __init__(self, directory: Path, paths: tuple[str, ...], operations: int, *, kept: bool = False) -> None:
        self.operations = operations
        heap = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 26)} if kept else {}
        if kept:
            self.name = f"{self.name}, heap kept"
        subprocess.run(["git", "init", "-q", "--bare", str(directory)], check=True)
        self.process = subprocess.Popen(
            ["git", "-C", str(directory), "fast-import", "--quiet", "--force"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **heap},
        )
        self.changes = changes(paths)
        self._send([self._commit(0, [(path, bytes(VALUE)) for path in paths])])

    def lap(self) -> Lap:
        """Commits, and a checkpoint at the end. The CPU time is git's own."""
        work = itertools.islice(self.changes, self.operations)
        commits = [self._commit(number, [change]) for number, change in enumerate(work)]
        return timed(lambda: self._send(commits), self.operations, lambda: cpu_of(self.process.pid))

    def _commit(self, number: int, changed: list[tuple[str, bytes]]) -> bytes:
        head = b"commit refs/heads/main\ncommitter %s <> %d +0000\ndata %d\n%s\n" % (
            AUTHOR.encode(),
            1_700_000_000 + number,
            len(MESSAGE),
            MESSAGE.encode(),
        )
        files = (
            b"M 100644 inline %s\ndata %d\n%s\n" % (path[1:].encode(), len(value), value) for path, value in changed
        )
        return head + b"".join(files)

    def _send(self, commits: list[bytes]) -> None:
        """Stream them and wait until git says that it is through."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.writelines(commits)
        self.process.stdin.write(b"checkpoint\nprogress done\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"progress done\n"

    def close(self) -> None:
        self.process.communicate()


class Libgit2:
    """git's library, by pygit2: a blob, a tree for each directory on the way, a commit, as files of their own.

    Written to disk without fsync, as git does by itself. pygit2 (GPL 2 with an exception that lets anybody link to
    it) is no dependency of ours, not even of the tests: who wants this rival installs the extra `bench`.
    """

    name = "libgit2"

    def __init__(self, directory: Path, paths: tuple[str, ...], operations: int) -> None:
        import pygit2  # noqa: PLC0415 - not everybody has it

        self.operations = operations
        self.repository = pygit2.init_repository(str(directory), bare=True)
        self.signature = pygit2.Signature
        self.blob, self.directory = pygit2.enums.FileMode.BLOB, pygit2.enums.FileMode.TREE
        self.changes = changes(paths)
        value = self.repository.create_blob(bytes(VALUE))
        self.tree = self._loaded([path[1:].split("/") for path in paths], value)
        self.head: list[object] = []
        self._commit(0)

    @staticmethod
    def missing() -> str:
        """Why it cannot take part, or nothing."""
        return "" if importlib.util.find_spec("pygit2") else "pygit2 is not installed (the extra `bench`)"

    def _loaded(self, paths: list[list[str]], value: object) -> object:
        builder = self.repository.TreeBuilder()
        below: dict[str, list[list[str]]] = {}
        for name, *rest in paths:
            if rest:
                below.setdefault(name, []).append(rest)
            else:
                builder.insert(name, value, self.blob)
        for name, rest in below.items():
            builder.insert(name, self._loaded(rest, value), self.directory)
        return builder.write()

    def lap(self) -> Lap:
        """Commits; each is on its way to the disk when it is made."""
        work = [(path[1:].split("/"), value) for path, value in itertools.islice(self.changes, self.operations)]

        def commit() -> None:
            for number, (names, value) in enumerate(work):
                self._set(names, value)
                self._commit(number)

        return timed(commit, self.operations)

    def _set(self, names: list[str], value: bytes) -> None:
        repository = self.repository
        trees = [repository[self.tree]]
        for name in names[:-1]:
            trees.append(repository[trees[-1][name].id])
        entry, mode = repository.create_blob(value), self.blob
        for name, tree in zip(reversed(names), reversed(trees), strict=True):
            builder = repository.TreeBuilder(tree)
            builder.insert(name, entry, mode)
            entry, mode = builder.write(), self.directory
        self.tree = entry

    def _commit(self, number: int) -> None:
        by = self.signature(AUTHOR, AUTHOR, 1_700_000_000 + number, 0)
        self.head = [self.repository.create_commit("refs/heads/main", by, by, MESSAGE, self.tree, self.head)]

    def close(self) -> None:
        self.repository.free()
