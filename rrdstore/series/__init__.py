"""Series: numbers at declared paths, consolidated into round-robin rings of constant size; pure.

Nothing here knows a store: a change is a retention time (int microseconds, UTC), a path and a value, cells
are bytes at addresses, and what keeps them is asked through a function. `series.fetch` makes arrays of them.
"""

from rrdstore.series.declaration import Declaration, Declared, parse_series
from rrdstore.series.recording import Fill, Recording
from rrdstore.series.table import CONSOLIDATIONS, Series

__all__ = [
    "CONSOLIDATIONS",
    "Declaration",
    "Declared",
    "Fill",
    "Recording",
    "Series",
    "parse_series",
]
