"""Random operations on a store, and what it must hold after them: a dict for each branch.

Rule: what comes next depends on the seed and on the model alone, so whoever has both, and is told how each operation
ended, knows what the store must hold: the process that writes it, and the one that outlives it.
An operation that was refused (full, held, in conflict) has changed nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from blake3 import blake3

import rrdstore
from bench.merged import merged_values
from rrdstore.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIRECTORIES, KEYS = 14, 24
POLICIES = ("last:16 1m:1h", "last:8 *:8", "last:64", "4c:16 1h:1d", "last:32 1m:1h 1h:2d *:16")
MAIN_POLICY = "last:64 1s:1m 1m:1h 1h:1d *:32"
MOST_BRANCHES, MOST_TAGS, MOST_PINS = 4, 6, 6
MASK = (1 << 64) - 1

DONE, FULL, HELD, CONFLICT, UNMERGEABLE, LIMIT = b"d", b"f", b"h", b"c", b"u", b"l"
REFUSALS: tuple[tuple[type[Exception], bytes], ...] = (
    (rrdstore.StoreFull, FULL),
    (rrdstore.TooLarge, FULL),
    (rrdstore.Held, HELD),
    (rrdstore.Conflict, CONFLICT),
    (rrdstore.Unmergeable, UNMERGEABLE),
    (rrdstore.LimitReached, LIMIT),
)

Values = dict[str, bytes]
Operation = tuple[Any, ...]
"""Its name, the seconds before it, and what it is done with."""

WEIGHTS: tuple[tuple[str, float], ...] = (
    ("set", 820), ("remove", 40), ("several", 60), ("large", 3), ("clear", 2), ("read", 40),
    ("fork", 2), ("merge", 20), ("delete", 2), ("tag", 2), ("untag", 2), ("pin", 2), ("unpin", 2),
    ("tune", 1), ("tick", 4), ("reopen", 0.2), ("check", 0.02),
)  # fmt: skip
"""How often each comes, relatively."""
_NAMES = [name for name, _ in WEIGHTS]
_ODDS = [odds for _, odds in WEIGHTS]


def mark(path: str, value: bytes) -> int:
    """One place as a number that can be added up."""
    return int.from_bytes(blake3(path.encode() + b"\0" + value).digest(length=8), "little")


def tree_sum(tree: rrdstore.Tree) -> int:
    """All places of a tree as one number."""
    return sum(mark(path, node.value) for path, node in tree.descend("/") if path != "/") & MASK


@dataclass
class Line:
    """A branch: what its head holds, what it and its upstream had in common last, and the sum of its places."""

    values: Values
    upstream: str
    base: Values
    base_head: int
    head: int
    sum: int = 0


@dataclass
class Model:
    """What the store must hold."""

    random: Random
    lines: dict[str, Line] = field(default_factory=lambda: {"main": Line({}, "", {}, 1, 1)})
    number: int = 1
    now: int = 1_767_225_600_000_000
    tags: dict[str, int] = field(default_factory=dict)
    pins: set[int] = field(default_factory=set)
    sums: dict[int, int] = field(default_factory=lambda: {1: 0})
    """Of each commit ever made, the sum of its tree."""
    forks: int = 0
    done: int = 0

    # What comes

    def next(self) -> Operation:
        """The next operation."""
        random = self.random
        wait = random.expovariate(2)
        while True:
            name = random.choices(_NAMES, _ODDS)[0]
            made = getattr(self, f"_next_{name}")()
            if made is not None:
                return (name, wait, *made)

    def _line(self) -> str:
        return "main" if self.random.random() < 0.6 else self.random.choice(list(self.lines))

    def _directory(self, line: str) -> str:
        """Forks write mostly where main does not, or every merge would be a conflict."""
        own = line != "main" and self.random.random() < 0.97
        return f"/w{int(line[1:]) % 5}{self.random.randrange(3)}" if own else f"/d{self.random.randrange(DIRECTORIES)}"

    def _path(self, line: str) -> str:
        return f"{self._directory(line)}/k{self.random.randrange(KEYS)}"

    def _value(self) -> bytes:
        return self.random.randbytes(self.random.choice((0, 1, 8, 20, 60, 300)))

    def _next_set(self) -> Operation:
        line = self._line()
        return line, self._path(line), self._value()

    def _next_remove(self) -> Operation | None:
        line = self._line()
        path = self._path(line)
        return (line, path) if path in self.lines[line].values else None

    def _next_clear(self) -> Operation | None:
        line = self._line()
        path = self._directory(line)
        return (line, path) if path in self.lines[line].values else None

    def _next_several(self) -> Operation:
        line = self._line()
        paths = {self._path(line) for _ in range(self.random.randrange(2, 30))}
        return line, {path: self._value() for path in sorted(paths)}

    def _next_large(self) -> Operation:
        line = self._line()
        return line, self._path(line), self.random.randbytes(self.random.choice((2_000, 9_000, 40_000)))

    def _next_read(self) -> Operation:
        line = self._line()
        return line, self._path(line)

    def _next_fork(self) -> Operation | None:
        if len(self.lines) > MOST_BRANCHES:
            return None
        return f"b{self.forks + 1}", self._line(), self.random.choice(POLICIES)

    def _next_merge(self) -> Operation | None:
        forks = [name for name, line in self.lines.items() if line.upstream]
        if not forks:
            return None
        fork = self.random.choice(forks)
        pair = (self.lines[fork].upstream, fork)
        return pair if self.random.random() < 0.6 else pair[::-1]

    def _next_delete(self) -> Operation | None:
        names = [name for name in self.lines if name != "main"]
        return (self.random.choice(names),) if names else None

    def _next_tag(self) -> Operation | None:
        free = [f"t{n}" for n in range(MOST_TAGS) if f"t{n}" not in self.tags]
        return (free[0], self._line()) if free else None

    def _next_untag(self) -> Operation | None:
        return (self.random.choice(list(self.tags)),) if self.tags else None

    def _next_pin(self) -> Operation | None:
        return (self._line(),) if len(self.pins) < MOST_PINS else None

    def _next_unpin(self) -> Operation | None:
        return (self.random.choice(sorted(self.pins)),) if self.pins else None

    def _next_tune(self) -> Operation:
        line = self._line()
        return line, MAIN_POLICY if line == "main" else self.random.choice(POLICIES)

    def _next_tick(self) -> Operation:
        return (self.random.choice((None, 0.0, 0.0005)),)

    def _next_reopen(self) -> Operation:
        return ()

    _next_check = _next_reopen

    def conflicts(self, operation: Operation) -> bool:
        """Whether it is a merge that cannot be."""
        if operation[0] != "merge":
            return False
        ours, theirs = (self.lines[name] for name in operation[2:])
        fork = ours if ours.upstream == operation[3] else theirs
        return theirs.head != fork.base_head and merged_values(fork.base, ours.values, theirs.values) is None

    # What became of it

    def apply(self, operation: Operation, outcome: bytes) -> None:
        """It ended so."""
        name, wait, *rest = operation
        self.now += round(wait * 1e6)
        self.done += 1
        act: Callable[..., None] | None = getattr(self, f"_apply_{name}", None)
        if outcome == DONE and act:
            act(*rest)

    def _changed(self, line: Line, changes: dict[str, bytes | None]) -> None:
        """One commit."""
        for path, value in changes.items():
            if value is None:
                for gone in [known for known in line.values if known == path or known.startswith(path + "/")]:
                    line.sum -= mark(gone, line.values.pop(gone))
                continue
            parent = path.rpartition("/")[0]
            if parent and parent not in line.values:
                line.values[parent] = b""
                line.sum += mark(parent, b"")
            if path in line.values:
                line.sum -= mark(path, line.values[path])
            line.values[path] = value
            line.sum += mark(path, value)
        self.number += 1
        line.head = self.number
        line.sum &= MASK
        self.sums[self.number] = line.sum

    def _apply_set(self, line: str, path: str, value: bytes) -> None:
        self._changed(self.lines[line], {path: value})

    _apply_large = _apply_set

    def _apply_remove(self, line: str, path: str) -> None:
        self._changed(self.lines[line], {path: None})

    _apply_clear = _apply_remove

    def _apply_several(self, line: str, values: Values) -> None:
        self._changed(self.lines[line], {**values})

    def _apply_fork(self, name: str, origin: str, _: str) -> None:
        self.forks += 1
        line = self.lines[origin]
        self.lines[name] = Line(dict(line.values), origin, dict(line.values), line.head, line.head, line.sum)

    def _apply_merge(self, into: str, other: str) -> None:
        ours, theirs = self.lines[into], self.lines[other]
        fork = ours if ours.upstream == other else theirs
        if theirs.head == fork.base_head:
            return
        merged = merged_values(fork.base, ours.values, theirs.values)
        if merged is None:
            raise AssertionError(f"{other} into {into} is a conflict, and the store has merged it")
        fork.base, fork.base_head = dict(theirs.values), theirs.head
        ours.values = merged
        ours.sum = sum(map(mark, merged, merged.values()))
        self._changed(ours, {})

    def _apply_delete(self, name: str) -> None:
        del self.lines[name]
        for line in self.lines.values():
            if line.upstream == name:
                line.upstream = ""

    def _apply_tag(self, name: str, line: str) -> None:
        self.tags[name] = self.lines[line].head

    def _apply_untag(self, name: str) -> None:
        del self.tags[name]

    def _apply_pin(self, line: str) -> None:
        self.pins.add(self.lines[line].head)

    def _apply_unpin(self, number: int) -> None:
        self.pins.discard(number)


class Doing:
    """The store itself, and how each operation is done to it."""

    def __init__(self, path: Path, model: Model) -> None:
        self._path, self._model = path, model
        self.clock = ManualClock(model.now)
        self.store = rrdstore.open(path, clock=self.clock)

    def of(self, model: Model) -> Doing:
        """The same, by another model from now on."""
        self._model = model
        return self

    def do(self, operation: Operation) -> bytes:
        """How it ended; what is no refusal is raised."""
        name, wait, *rest = operation
        self.clock.advance(round(wait * 1e6) / 1e6)
        try:
            getattr(self, f"_do_{name}")(*rest)
        except tuple(kind for kind, _ in REFUSALS) as error:
            return next(code for kind, code in REFUSALS if isinstance(error, kind))
        return DONE

    def _do_set(self, line: str, path: str, value: bytes) -> None:
        self.store.branch(line).set(path, value)

    _do_large = _do_set

    def _do_remove(self, line: str, path: str) -> None:
        self.store.branch(line).remove(path)

    _do_clear = _do_remove

    def _do_several(self, line: str, values: Values) -> None:
        with self.store.branch(line).transaction() as tx:
            for path, value in values.items():
                tx.set(path, value)

    def _do_read(self, line: str, path: str) -> None:
        wanted, branch = self._model.lines[line].values.get(path), self.store.branch(line)
        found = branch.get(path) if path in branch else None
        if found != wanted:
            raise AssertionError(f"{path} of {line} is {found!r}, not {wanted!r}")

    def _do_fork(self, name: str, origin: str, keep: str) -> None:
        self.store.branch(origin).fork(name, keep)

    def _do_merge(self, into: str, other: str) -> None:
        try:
            self.store.branch(into).merge(other)
        except rrdstore.Conflict:
            if not self._model.conflicts(("merge", 0, into, other)):
                raise AssertionError(f"{other} into {into} is no conflict, and the store has refused it") from None
            raise

    def _do_delete(self, name: str) -> None:
        self.store.delete_branch(name)

    def _do_tag(self, name: str, line: str) -> None:
        self.store.tag(name, self.store.branch(line).head)

    def _do_untag(self, name: str) -> None:
        self.store.untag(name)

    def _do_pin(self, line: str) -> None:
        self.store.pin(self.store.branch(line).head)

    def _do_unpin(self, number: int) -> None:
        self.store.unpin(str(number))

    def _do_tune(self, line: str, keep: str) -> None:
        self.store.tune(line, keep)

    def _do_tick(self, seconds: float | None) -> None:
        self.store.tick(seconds)

    def _do_reopen(self) -> None:
        self.store.close()
        self.store = rrdstore.open(self._path, clock=self.clock)
        self.compare(self._model)

    def _do_check(self) -> None:
        problems = self.store.check()
        if problems:
            raise AssertionError(f"check: {problems[:3]}")

    # Comparing

    def is_as(self, model: Model) -> bool:
        """Whether every branch, tag and pin is as the model has it."""
        store = self.store
        return (
            store.info().commits == model.number
            and {name: branch.head.number for name, branch in store.branches.items()}
            == {name: line.head for name, line in model.lines.items()}
            and {name: commit.number for name, commit in store.tags.items()} == model.tags
            and {int(ident.partition("-")[0]) for ident in store.pins} == model.pins
        )

    def compare(self, model: Model, kept: int = 3) -> None:
        """AssertionError unless every value is as acknowledged, and so is what some kept commits (0: all) hold."""
        if not self.is_as(model):
            raise AssertionError(f"branches, tags, pins or numbers differ: {self.store.info()}")
        for name, line in model.lines.items():
            branch = self.store.branch(name)
            found = {path: node.value for path, node in branch.tree.descend("/") if path != "/"}
            if found != line.values:
                wrong = {p for p in found.keys() | line.values.keys() if found.get(p) != line.values.get(p)}
                raise AssertionError(f"branch {name} differs at {sorted(wrong)[:5]}")
            commits = list(branch.log())
            for commit in commits if not kept else Random(model.number).sample(commits, min(kept, len(commits))):
                if tree_sum(self.store.tree(commit)) != model.sums[commit.number]:
                    raise AssertionError(f"commit {commit.number} of {name} is not what it was")
