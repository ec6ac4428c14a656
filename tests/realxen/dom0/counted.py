"""What history says of a path whose values are numbers, each one more than the last: `counted.py STORE PATH`."""

import sys
import time
from itertools import pairwise

import rrdstore


def main(store: str, path: str) -> None:
    """Count the gaps and repeats among the kept commits that wrote the path.

    A commit says what it wrote: only those are looked at, and a value written twice is seen, which is no change.
    """
    with rrdstore.open(store, readonly=True) as opened:
        main = opened.branch("main")
        writes = [commit.id for commit in main.log() if commit.message == f"WRITE {path}"]
        values = [int(main.at(number).get(path)) for number in reversed(writes)]
    steps = [after - before for before, after in pairwise(values)]
    gaps, repeats = sum(step > 1 for step in steps), sum(step < 1 for step in steps)
    print(f"== history of {path}: from {values[0]} to {values[-1]}, {gaps} gaps, {repeats} repeats")
    print(f"-- {len(values)} commits looked at, in {time.process_time():.1f} s")


main(*sys.argv[1:])
