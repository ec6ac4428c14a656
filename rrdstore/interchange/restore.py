"""From lines to a store.

Rule: nothing is made before the last line was read and proved, and a file that cannot be finished is removed:
a dump that was cut or changed, or that does not fit, leaves nothing behind.
The new store continues the old one: same uuid, same ids, the next number. Of the two only one should go on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rrdstore.errors import LimitReached
from rrdstore.history.clock import SystemClock
from rrdstore.interchange.loading import Loading, read_all
from rrdstore.policy import parse
from rrdstore.storage import ringfile
from rrdstore.storage.layout import branch_slots
from rrdstore.storage.memory import Memory
from rrdstore.storage.protocol import State, Tick
from rrdstore.store import opening
from rrdstore.store.config import MAIN
from rrdstore.store.consolidation import room_of
from rrdstore.store.ledger import Ledger
from rrdstore.store.size import parse_size
from rrdstore.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rrdstore.history.clock import Clock


class Loaded(Memory):
    """A memory store that begins with what was loaded."""

    def __init__(self, loading: Loading) -> None:
        super().__init__()
        self._loading = loading
        if loading.series is not None:
            self._cells = loading.series.cells

    def state(self) -> State:
        """What was loaded."""
        return self._loading.state()


def load(lines: Iterable[str], *, clock: Clock | None = None) -> Store:
    """The dumped store, in memory; Corrupt, naming the line. O(size of the dump)."""
    return Store(Ledger(Loaded(read_all(lines)), clock or SystemClock(), "(memory)"))


def restore(
    path: str | Path,
    lines: Iterable[str],
    size: str | int | None = None,
    *,
    clock: Clock | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Store:
    """The dumped store, in a new file of `size`, or of its old size. O(size of both).

    Corrupt, naming the line; Exists, TooSmall, LimitReached, StoreFull: nothing is left behind.
    """
    loading = read_all(lines)
    state = loading.state()
    wanted = parse_size(opening.DEFAULT_SIZE if size is None and not loading.size else size or loading.size)
    storage = ringfile.create(
        os.fspath(path),
        wanted,
        slots=_slots(loading, wanted),
        progress=progress,
        uuid=state.uuid,
        epoch=state.epoch,
        series=room_of(None if loading.series is None else loading.series.declared),
    )
    try:
        for what, count, most in (
            ("branches", len(state.branches), storage.max_branches),
            ("tags", len(state.tags), storage.max_tags),
            ("pins", len(state.pins), storage.max_pins),
        ):
            if count > most:
                raise LimitReached(what, most, wanted=count)
        series = None if loading.series is None else loading.series.tick()
        storage.tick(
            Tick(state.number, state.commits, (), (), state.branches, state.tags, state.pins, series, state.line)
        )
    except BaseException:
        storage.close()
        ringfile.remove(os.fspath(path))
        raise
    storage.close()
    return opening.open(path, clock=clock)


def _slots(loading: Loading, size: int) -> int:
    """For how many slots of main's policy the file is to be made.

    For as many as the old one, if the size is the same, whatever has become of the policies since: so it fits. Else for
    those of main, and more if those of the other branches would not find room in what a file has for them.
    """
    beside = branch_slots(size)
    if loading.slots and size == loading.size:
        return max(1, loading.slots - beside)
    slots = {branch.name: parse(branch.keep).slots for branch in loading.branches.values() if branch.name}
    return max(slots[MAIN], sum(slots.values()) - beside)
