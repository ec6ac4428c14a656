"""Series of a store: where the room `series` meets the storage, the clock and the facade.

Rule: recorded is what the commits of main change, the ones that thinning drops at once too, each at its retention
time. What a tick stores and the journal replays is what was recorded. The tiers are those of main's policy at
creation: `tune` changes which commits stay and no series. A branch has series when its changes are merged into main.
Cost: one test for each commit of a store without series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, SeriesError
from rrdstore.history.when import parse_when
from rrdstore.policy import Every, Step
from rrdstore.series import Declaration, Declared, Recording, Series
from rrdstore.storage.layout import NO_SERIES, SeriesRoom
from rrdstore.storage.protocol import Problem
from rrdstore.tree.pattern import Pattern

if TYPE_CHECKING:
    from datetime import datetime

    from rrdstore.policy import Policy
    from rrdstore.storage.protocol import SeriesState, Storage
    from rrdstore.store.ledger import Ledger

_A_STEP = "a number of seconds, or one with a unit of s m h d w M y"


def room_of(declared: Declared | None) -> SeriesRoom:
    """What series take in a file."""
    if declared is None:
        return NO_SERIES
    return SeriesRoom(declared.columns, declared.record, declared.cells, declared.text())


def foretold(declared: Declared | None, policy: Policy) -> tuple[int, int]:
    """How many paths of series there will be, and the bytes of each; of one that there might be if there are none."""
    if declared is not None:
        return declared.columns, declared.bytes_per_path
    tiers = tuple(tier for tier in policy.tiers if isinstance(tier, Every))
    return 0, Declared(tiers, (Declaration("/**", 1),)).bytes_per_path if tiers else 0


def loaded(state: SeriesState | None, storage: Storage) -> Recording | None:
    """What a storage has recorded; Corrupt."""
    if state is None:
        return None
    try:
        return Recording(Declared.from_text(state.declared), state.records, storage.cells)
    except (SeriesError, ValueError) as error:
        raise Corrupt("the series", str(error), "what a store wrote") from error


def series(
    ledger: Ledger,
    pattern: str,
    cf: str,
    since: str | datetime | int | None,
    until: str | datetime | int | None,
    step: str | int | None,
) -> Series:
    """Rows of the recorded paths that a pattern matches, as of now."""
    ledger.check_open()
    recording, wanted = ledger.series, Pattern(pattern)
    if recording is None:
        raise SeriesError(pattern, "a store without series", "one created with `series`")
    columns = recording.matching(wanted)
    declared = [each.pattern for each in recording.declared.declarations]
    if not columns and pattern not in declared:
        raise SeriesError(pattern, "no path of it recorded", f"a path of {' or '.join(declared)}")
    now = ledger.now()
    from rrdstore.series.fetch import fetch  # noqa: PLC0415 - numpy is for who asks for arrays, and slow to load

    return fetch(recording, columns, cf, now, _moment(since, ledger, now), _moment(until, ledger, now), _step(step))


def problems(ledger: Ledger) -> list[Problem]:
    """What is wrong with the series in bytes that are what was written; Corrupt."""
    return [] if ledger.series is None else [Problem(*said) for said in ledger.series.problems()]


def _moment(when: str | datetime | int | None, ledger: Ledger, now: int) -> int | None:
    """A moment, or that of the commit that is meant."""
    if when is None:
        return None
    moment = None if when in ledger.history.tags else parse_when(when, now)
    return ledger.kept(str(when)).rt if moment is None else moment


def _step(step: str | int | None) -> Step | None:
    if step is None:
        return None
    if isinstance(step, int) and not isinstance(step, bool):
        count, unit = step, "s"
    else:
        text = str(step)
        count, unit = int(text[:-1]) if text[:-1].isdecimal() and len(text) < 12 else 0, text[-1:]  # fmt: skip
    try:
        return Step(count, unit)
    except ValueError:
        raise SeriesError(str(step), "no step", _A_STEP) from None
