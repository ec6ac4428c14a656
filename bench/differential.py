"""Random conversations with Debian's xenstored and ours, compared reply by reply.

    python bench/differential.py [--count 1000000] [--seed 1] [--with STOCK] [--malformed]

Prints how far it is; ends with the conversation if a difference is found that docs/xenstore.md does not list.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

from tests.compat.test_conversations import converse

EACH = 10_000


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--count", type=int, default=1_000_000)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--with", dest="stock", choices=["C", "C with quotas", "OCaml"], default="C")
    given.add_argument("--malformed", action="store_true")
    asked = given.parse_args()
    began, done, seed, died = time.monotonic(), 0, asked.seed, 0
    while done < asked.count:
        print(f"seed {seed}: {done:,} operations in {time.monotonic() - began:.0f} s, {died} times died", flush=True)
        died += converse(asked.stock, random.Random(seed), EACH, asked.malformed)
        done, seed = done + EACH, seed + 1
    print(f"{done:,} operations in {time.monotonic() - began:.0f} s, the stock daemon died {died} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
