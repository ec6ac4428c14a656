"""A plot of series, drawn by matplotlib.

Rule: a step line for the average of each path, and where a row's minimum and maximum differ a band between them;
unknown rows are gaps. More than ten paths have no legend. Without matplotlib (the extra `graph`): NotInstalled.
matplotlib is 20 years old, is released several times a year, and is free to use (its own BSD-like licence).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import rrdstore

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

SUFFIXES = (".svg", ".png")
_LEGEND = 10


def plot(found: Sequence[rrdstore.Series], title: str, target: str) -> None:
    """Draw averages, minima and maxima, which have the same rows, into a file; NotInstalled, OSError."""
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - the extra `graph`, and slow to load
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - as above
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above
    except ImportError as error:
        raise rrdstore.NotInstalled("a plot", "matplotlib", "graph") from error
    average, least, greatest = found
    # The same picture for the same numbers: no date in it, and no random names.
    with rc_context({"svg.hashsalt": "rrdstore", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 4), layout="constrained")
        axes = figure.add_subplot()
        several = len(average.times) > 1
        # A row lasts until the next: the last one as long as the one before it.
        ends = np.append(average.times, average.times[-1:] + (np.diff(average.times)[-1:] if several else 0))
        for at, path in enumerate(average.paths):
            low, high = least.values[:, at], greatest.values[:, at]
            (line,) = axes.step(ends, _held(average.values[:, at]), where="post", linewidth=1.2, label=_plain(path))
            color = line.get_color()
            axes.fill_between(ends, _held(low), _held(high), step="post", alpha=0.2, linewidth=0, color=color)
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib's
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
        axes.set_title(_plain(title), fontsize=11)
        axes.set_xlabel("UTC")
        axes.grid(visible=True, alpha=0.3)
        axes.margins(x=0)
        if 1 < len(average.paths) <= _LEGEND:
            figure.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(target, metadata={"Date": None} if target.endswith(".svg") else None)


def _held(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values, and the last again at its end."""
    return np.append(values, values[-1:])


def _plain(text: str) -> str:
    """Text as it is: a dollar begins mathematics, and what cannot be printed breaks a picture."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")
