"""The plot: CPU of each daemon for each race that the load generator ran, and how near each bar is."""

from __future__ import annotations

from typing import Any

from bench.load.daemons import MEMORY, OCAML, OURS, C

COLOURS = {OURS: "#1b6ca8", MEMORY: "#8fc1e3", C: "#555555", OCAML: "#e08e45"}


def draw(found: dict[str, dict[str, Any]], file: str) -> None:
    """Into a file whose name says which kind of picture it is."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and who draws nothing need not have it

    mpl.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415 - as above, and only after `use`

    races = {
        title: race["best"] for title, race in found["races"].items() if race["ours"] == OURS and C in race["best"]
    }
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.62 * max(1, len(races))), layout="constrained")
    for row, best in enumerate(races.values()):
        for place, (name, colour) in enumerate(COLOURS.items()):
            if name in best:
                axes.barh(row + (place - 1.5) * 0.2, best[name]["cpu"], 0.2, color=colour, label=None if row else name)
    axes.set_yticks(range(len(races)), list(races))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("the daemon's CPU for each operation, µs")
    axes.grid(axis="x", which="both", alpha=0.3)
    handles = [mpl.patches.Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.4, 1.0 + 0.5 / max(1, len(races))),
        ncols=4,
        frameon=False,
    )
    figure.savefig(file)
    pyplot.close(figure)
