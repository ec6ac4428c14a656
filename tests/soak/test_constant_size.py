"""200,000 commits by many clients into 16 MiB: the space stays what it was, and what is kept stays true.

The expectation is independent of the store: a sum of hashes of (path, value), kept up by addition and
subtraction as the clients write, is noted for each commit and compared with the same sum over the whole tree of
every commit that is still kept.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

import rrdstore
from rrdstore.testing import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 16 << 20
COMMITS = 200_000
DOMAINS, KEYS = 60, 40
MASK = (1 << 128) - 1


def fingerprint(path: str, value: bytes) -> int:
    """One place of a tree as a number that can be added up."""
    return int.from_bytes(blake3(path.encode() + b"\0" + value).digest(length=16), "little")


def tree_sum(tree: rrdstore.Tree) -> int:
    return sum(fingerprint(path, node.value) for path, node in tree.descend("/")) & MASK


def files_of(path: Path) -> dict[str, int]:
    return {name: os.path.getsize(path.parent / name) for name in os.listdir(path.parent)}  # noqa: PTH202, PTH208 - hot


class Clients:
    """Clients that write, remove and write in transactions, and what the tree must be by their account."""

    def __init__(self, store: rrdstore.Store, clock: ManualClock, seed: int) -> None:
        self.main, self.clock, self.random = store.branch("main"), clock, random.Random(seed)
        self.values: dict[str, bytes] = {}
        self.sum = fingerprint("/", b"")
        self.expected: dict[int, int] = {}
        with self.main.transaction("begin") as tx:
            for directory in ("/local", "/local/domain", *(f"/local/domain/{d}" for d in range(DOMAINS))):
                tx.set(directory, b"")
                self.sum += fingerprint(directory, b"")
        self.note()

    def note(self) -> None:
        self.expected[self.main.head.number] = self.sum & MASK

    def account(self, path: str, value: bytes | None) -> None:
        old = self.values.pop(path, None)
        if old is not None:
            self.sum -= fingerprint(path, old)
        if value is not None:
            self.values[path] = value
            self.sum += fingerprint(path, value)

    def path(self) -> str:
        return f"/local/domain/{self.random.randrange(DOMAINS)}/key{self.random.randrange(KEYS)}"

    def value(self) -> bytes:
        return self.random.randbytes(self.random.choice((1, 8, 20, 60, 300)))

    def step(self) -> None:
        """One commit by some client, at some later moment."""
        self.clock.advance(self.random.expovariate(20))
        path, author = self.path(), f"client {self.random.randrange(9)}"
        dice = self.random.random()
        if dice < 0.12 and path in self.values:
            self.main.remove(path, author=author)
            self.account(path, None)
        elif dice < 0.2:
            with self.main.transaction("several", author) as tx:
                for place in {self.path() for _ in range(self.random.randrange(2, 6))}:
                    value = self.value()
                    tx.set(place, value)
                    self.account(place, value)
        else:
            value = self.value()
            self.main.set(path, value, message="write", author=author)
            self.account(path, value)
        self.note()


@pytest.mark.parametrize("seed", [20261123])
def test_two_hundred_thousand_commits(tmp_path: Path, seed: int) -> None:
    clock = ManualClock()
    path = tmp_path / "host.rrdb"
    store = rrdstore.create(path, size=SIZE, clock=clock)
    at_creation = files_of(path)
    clients = Clients(store, clock, seed)
    most = 0
    for number in range(COMMITS):
        clients.step()
        if number % 97 == 0:
            most = max(most, sum(files_of(path).values()))
        if number % 20_000 == 0:
            info = store.info()
            assert info.kept <= info.bound
    assert most <= SIZE
    store.tick()
    assert store.check() == []

    kept = list(store.branch("main").log())
    assert len(kept) <= store.info().bound
    assert sum(1 + commit.thinned for commit in kept) == COMMITS + 2
    for commit in kept:
        if commit.number > 1:
            assert tree_sum(store.tree(commit)) == clients.expected[commit.number], commit
    assert sum(files_of(path).values()) <= SIZE
    store.close()

    at_end = files_of(path)
    assert {name: at_end.get(name) for name in ("host.rrdb", "host.rrdb-ring")} == {
        name: at_creation[name] for name in ("host.rrdb", "host.rrdb-ring")
    }
    with rrdstore.open(path, readonly=True) as again:
        assert tree_sum(again.branch("main").tree) == clients.sum & MASK
        assert again.check() == []
