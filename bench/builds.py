"""One-key commits, pure Python beside the compiled build: python -m bench.builds [laps]. First `make compiled`.

The two take turns, lap by lap, each in a process of its own; the CPU time of the best lap and of the one in the
middle. The cyclic collector is on, as it is for a program that leaves it alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import rrdstore
from bench.committers import SHAPES, Ours

HERE = Path(__file__).parents[1]
TREES = {"pure": HERE, "compiled": HERE / "build" / "compiled"}
EVERY = "last:4000"
KEEP = "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64"
STORES = {
    "in memory": lambda _: rrdstore.memory(keep=EVERY),
    "every commit stored": lambda path: rrdstore.create(path, size="64MiB", keep=EVERY),
    "default policy": lambda path: rrdstore.create(path, size="64MiB", keep=KEEP),
}


def serve(store: str, shape: str) -> None:
    """A lap for each line that comes: microseconds of CPU a commit."""
    with tempfile.TemporaryDirectory() as place:
        ours = Ours(store, STORES[store](Path(place) / "s.rrdb"), SHAPES[shape], laps=3)
        print(rrdstore.BUILD, flush=True)
        for _ in sys.stdin:
            lap = ours.lap()
            print(lap.cpu / lap.operations * 1e6, flush=True)
        ours.close()


def race(store: str, shape: str, laps: int) -> dict[str, list[float]]:
    """Both builds, turn by turn."""
    command = ["-m", "bench.builds", "serve", store, shape]
    builds = {
        name: subprocess.Popen(
            [tree / ".venv/bin/python", *command], cwd=tree, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name, tree in TREES.items()
    }
    said = [build.stdout.readline().strip() for build in builds.values()]
    assert said == ["pure Python", "compiled"], f"the builds say that they are {said}"
    found: dict[str, list[float]] = {name: [] for name in builds}
    for _ in range(laps):
        for name, build in builds.items():
            build.stdin.write("\n")
            build.stdin.flush()
            found[name].append(float(build.stdout.readline()))
    for build in builds.values():
        build.communicate()
    return found


def main(laps: int) -> None:
    """The table of docs/bench.md."""
    print("| one-key commits, µs of CPU: best lap (median) | shape | pure | compiled | pure / compiled |")
    print("|---|---|---|---|---|")
    for store in STORES:
        for shape in SHAPES:
            found = race(store, shape, laps)
            cells = [f"{min(all_):.1f} ({median(all_):.1f})" for all_ in found.values()]
            best, middle = (of(found["pure"]) / of(found["compiled"]) for of in (min, median))
            print(f"| {store} | {shape} | {cells[0]} | {cells[1]} | {best:.2f} ({middle:.2f}) |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 11)
