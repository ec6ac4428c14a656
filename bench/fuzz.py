"""Malformed inputs by the million, on sockets and rings of a daemon without a process.

    python bench/fuzz.py [--count 10000000] [--seed 1] [--each 20000]

A new world each 20,000 inputs, so that what a failure needs is at most that; a failure names its seed. Prints inputs a
second and memory, which must not rise.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

from tests.security.mutations import World

GROWTH = 64 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def run(seed: int, count: int) -> None:
    """One world's life."""
    world = World(random.Random(seed))
    for at in range(count):
        world.once()
        if at % 2000 == 1999:
            world.check()
    world.close()


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--count", type=int, default=10_000_000)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--each", type=int, default=20_000)
    asked = given.parse_args()
    done, seed, first = 0, asked.seed, 0
    while done < asked.count:
        try:
            run(seed, asked.each)
        except BaseException:
            print(f"failed with --seed {seed} --count {asked.each}", file=sys.stderr)
            raise
        done, seed = done + asked.each, seed + 1
        gc.collect()
        now = resident()
        if seed - asked.seed == 5:
            first = now
        spent = time.process_time()
        print(f"{done:,} inputs, {done / spent:,.0f} a second of CPU, {now >> 20} MiB", flush=True)
        if first and now > first + GROWTH:
            print(f"memory rose from {first >> 20} to {now >> 20} MiB", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
