"""kill -9 in the middle of writing, 50 times: what was acknowledged is there, and the store is whole.

A child process writes and says after each answer, through a pipe, what was acknowledged; the parent kills it
after a random number of answers, without warning, and looks. There is no sleep: the moment is drawn in answers.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

import rrdstore

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 50
KEYS = 200


def write_until_killed(path: Path, pipe: int, seed: int, start: int) -> None:
    """What the child does: write numbered values, and say each number when it is answered."""
    dice = random.Random(seed)
    store = rrdstore.open(path)
    main = store.branch("main")
    number = start
    while True:
        number += 1
        key = number % KEYS
        if dice.random() < 0.1:
            with main.transaction(f"{number}") as tx:
                tx.set(f"/pair/{key}/a", b"%d" % number)
                tx.set(f"/pair/{key}/b", b"%d" % number)
        else:
            main.set(f"/one/{key}", b"%d" % number, message=f"{number}")
        if dice.random() < 0.002:
            store.tick()
        os.write(pipe, number.to_bytes(8, "little"))


def acknowledged_until_kill(path: Path, seed: int, start: int, answers: int) -> int:
    """Run a child, kill it after at least so many answers; the last number it had acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            write_until_killed(path, writing, seed, start)
        finally:
            os._exit(1)
    os.close(writing)
    last, seen, rest = start, 0, b""
    while True:
        data = os.read(reading, 4096)
        if not data:
            break
        rest += data
        whole = len(rest) // 8 * 8
        if whole:
            last, seen = int.from_bytes(rest[whole - 8 : whole], "little"), seen + whole // 8
            rest = rest[whole:]
        if seen >= answers:
            os.kill(child, signal.SIGKILL)
            answers = 1 << 60
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    return last


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    seed = 20261123
    dice = random.Random(seed)
    path = tmp_path / "host.rrdb"
    rrdstore.create(path, size="8MiB", keep="last:64 1s:1m *:16").close()
    last = 0
    for round_ in range(ROUNDS):
        answers = dice.choice((1, 7, 60, 500, 2500))
        last = acknowledged_until_kill(path, seed + round_, last, answers)
        with rrdstore.open(path) as store:
            main = store.branch("main")
            newest = max(int(commit.message or 0) for commit in main.log() if commit.message.isdigit())
            assert newest in {last, last + 1}, f"round {round_}, seed {seed}"
            for number in range(max(1, last - KEYS + 1), last + 1):
                key = number % KEYS
                seen = [main.get(p) for p in (f"/one/{key}", f"/pair/{key}/a") if p in main]
                assert max(map(int, seen)) >= number, f"round {round_}, seed {seed}: {number} was acknowledged"
                if f"/pair/{key}/a" in main:
                    assert main.get(f"/pair/{key}/a") == main.get(f"/pair/{key}/b")
            assert store.check() == []
            last = newest
