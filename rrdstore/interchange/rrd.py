"""Series as an RRDtool database: XML that `rrdtool restore` reads.

Rule: one database, a data source (GAUGE) for each path, called s0, s1 and so on in the order of the paths, as names
there have 19 characters at most and no slash; a comment says which is which. For each tier four archives, AVERAGE,
MIN, MAX and LAST, with as many rows as its ring, the last ending at the last border before now. RRDtool has but one
number for each of its own steps, so that step is a part of the finest tier's; a tier of one second, which has no part,
has AVERAGE alone. What RRDtool cannot have at all, steps of months and years, is left out. All values are those that
`fetch` gives, to the last digit; the database can be read, and updated from there on.
Cost: O(rows) a path. Format: RRDtool's own dump, version 0003.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from rrdstore.errors import SeriesError
from rrdstore.policy.step import SECOND
from rrdstore.series import CONSOLIDATIONS
from rrdstore.series.fetch import fetch
from rrdstore.tree.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rrdstore.policy import Every
    from rrdstore.series import Recording
    from rrdstore.series.column import Column
    from rrdstore.store.store import Store

_CDP = (
    "<ds><primary_value>NaN</primary_value><secondary_value>NaN</secondary_value>"
    "<value>NaN</value><unknown_datapoints>0</unknown_datapoints></ds>"
)


def export_rrd(store: Store, write_text: Callable[[str], object], pattern: str = "/**") -> tuple[str, ...]:
    """Write what `pattern` matches; the paths, in the order of the data sources. SeriesError, Closed."""
    store.ledger.check_open()
    recording = store.ledger.series
    columns = recording.matching(Pattern(pattern)) if recording is not None else []
    if recording is None or not columns:
        raise SeriesError(pattern, "no path of it recorded", "a store with series, and a path that has one")
    tiers = [tier for tier in recording.declared.tiers if not tier.step.months]
    if not tiers:
        raise SeriesError(pattern, "steps of months and years alone", "a step that RRDtool can have")
    finest = tiers[0].step.length
    now = store.ledger.now() // finest * finest
    if now < 0:
        raise SeriesError(pattern, "a time before 1970", "one that RRDtool can have")
    write_text('<?xml version="1.0" encoding="utf-8"?>\n<rrd>\n<version>0003</version>\n')
    base = _part(finest // SECOND)
    write_text(f"<step>{base}</step>\n<lastupdate>{now // SECOND}</lastupdate>\n")
    for at, column in enumerate(columns):
        write_text(_source(at, column, finest // SECOND))
    for tier in tiers:
        for cf in CONSOLIDATIONS if tier.step.length > base * SECOND else CONSOLIDATIONS[:1]:
            _archive(write_text, recording, columns, tier, cf, base * SECOND, now)
    write_text("</rrd>\n")
    return tuple(column.path for column in columns)


def _part(step: int) -> int:
    """The greatest number of seconds that divides a step and is less, but for one second."""
    return next(step // divisor for divisor in range(2, step + 1) if not step % divisor) if step > 1 else 1


def _source(at: int, column: Column, step: int) -> str:
    said = escape(column.path.encode("ascii", "backslashreplace").decode()).replace("--", "-\\-")
    known = column.value == column.value
    return (
        f"<!-- s{at} is {said} -->\n<ds><name>s{at}</name><type>GAUGE</type>"
        f"<minimal_heartbeat>{2 * step}</minimal_heartbeat><min>NaN</min><max>NaN</max>"
        f"<last_ds>{repr(column.value) if known else 'U'}</last_ds><value>0</value><unknown_sec>0</unknown_sec></ds>\n"
    )


def _archive(
    write_text: Callable[[str], object], recording: Recording, columns: Sequence[Column],
    tier: Every, cf: str, base: int, now: int,
) -> None:  # fmt: skip
    step, rows = tier.step.length, tier.rows
    found = fetch(recording, columns, cf, now, since=(now // step - rows) * step, step=tier.step)
    values = np.full((rows, len(columns)), np.nan)
    times = found.times.astype(np.int64) // step - (now // step - rows)
    wanted = times >= 0
    values[times[wanted]] = found.values[wanted]
    name = "AVERAGE" if cf == "average" else cf.upper()
    write_text(f"<rra><cf>{name}</cf><pdp_per_row>{step // base}</pdp_per_row><params><xff>0.5</xff></params>\n")
    write_text(f"<cdp_prep>{_CDP * len(columns)}</cdp_prep>\n<database>\n")
    for row in values:
        # A value that is not itself is not a number, and RRDtool spells it its own way.
        said = "".join(f"<v>{'NaN' if value != value else repr(float(value))}</v>" for value in row)  # noqa: PLR0124 - see above
        write_text(f"<row>{said}</row>\n")
    write_text("</database></rra>\n")
