"""Draws series.png of docs/series.md: a day of three guests' memory, one of which was away for a while."""

from __future__ import annotations

import math
import random
from pathlib import Path

import rrdstore
from rrdstore.cli.plot import plot
from rrdstore.testing import ManualClock

PATTERN = "/local/domain/*/memory/target"


def main() -> None:
    """Write the picture beside this file."""
    clock, dice = ManualClock(), random.Random(1)
    with rrdstore.memory("last:256 10m:1d", series=[f"{PATTERN}:10"], clock=clock) as store:
        main_branch = store.branch("main")
        for step in range(5400):
            clock.advance(16)
            domain = step % 3 + 1
            if domain == 2 and 2000 < step < 3000:
                if "/local/domain/2" in main_branch:
                    main_branch.remove("/local/domain/2")
                continue
            kib = 100_000 * domain + 30_000 * math.sin(step / 600 + domain) + dice.randrange(9000)
            main_branch.set(f"/local/domain/{domain}/memory/target", b"%d" % kib)
        found = [store.series(PATTERN, cf) for cf in ("average", "min", "max")]
    plot(found, PATTERN, str(Path(__file__).with_name("series.png")))


if __name__ == "__main__":
    main()
