"""What a fetch of series gives: rows of times, columns of paths.

Nothing of numpy is loaded for it: who never fetches, such as a daemon, starts a fifth faster without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CONSOLIDATIONS = ("average", "min", "max", "last")


class Series(NamedTuple):
    """Rows of several paths. Times are UTC, the beginning of each bucket; NaN is unknown."""

    times: npt.NDArray[np.datetime64]
    """datetime64[us], ascending."""
    paths: tuple[str, ...]
    """Sorted."""
    values: npt.NDArray[np.float64]
    """A row a time, a column a path."""
