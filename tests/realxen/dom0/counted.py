"""What history says of a path whose values are numbers, each one more than the last: `counted.py STORE PATH`."""

import sys
from itertools import pairwise

import rrdstore


def main(store: str, path: str) -> None:
    """Count the gaps and repeats among the kept commits that changed the path."""
    with rrdstore.open(store, readonly=True) as opened:
        main = opened.branch("main")
        changes = [commit for commit in main.log(path) if "WRITE" in commit.message]
        values = [int(main.at(str(commit.id)).get(path)) for commit in reversed(changes)]
    steps = [after - before for before, after in pairwise(values)]
    gaps, repeats = sum(step > 1 for step in steps), sum(step < 1 for step in steps)
    print(f"== history of {path}: from {values[0]} to {values[-1]}, {gaps} gaps, {repeats} repeats")
    print(f"-- {len(values)} commits looked at")


main(*sys.argv[1:])
