"""Repair: a damaged store made anew from what can be read of it.

Rule: nothing is destroyed. The new file is made beside the old one, opened, checked, and put in its place by
renaming; the old files stay beside it under another name, and a repair that is cut short anywhere leaves them, or
goes on when it is run again. It needs as much room on the file system as the store once more.
What is kept and what is lost: rrdstore/store/mending.py. A store that has nothing wrong with it is left alone.
Cost: O(file); memory as for mending, so about what all kept trees together take.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, NoStore, StoreError, StoreFull
from rrdstore.history.clock import SystemClock
from rrdstore.history.commit import commit_id
from rrdstore.policy import parse
from rrdstore.storage import apart, container, locking, ringfile
from rrdstore.storage.layout import FRAME, KIB, PAGE, plan
from rrdstore.storage.refs import called
from rrdstore.storage.salvage import Salvage
from rrdstore.storage.trees import Trees
from rrdstore.store.config import MAIN
from rrdstore.store.ledger import Ledger
from rrdstore.store.mending import Lost, Mended, Mending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rrdstore.history.clock import Clock
    from rrdstore.storage.layout import Layout
    from rrdstore.storage.salvage import Found

    Rows = Mapping[str, Mapping[int, bytes]]

_FILES = ("", "-wal", "-shm", locking.SUFFIX, apart.SUFFIX, "-journal")
_NEW, _OLD, _ASIDE = "-repaired", "-damaged", "-aside"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair found and did."""

    path: str
    damaged: str
    """Where the old file is now, its other files beside it; empty if nothing was wrong, and nothing was done."""
    problems: tuple[str, ...]
    """What was wrong, where."""
    lost: tuple[Lost, ...]
    """What is not there any more; empty if everything could be kept."""
    kept: int
    """Commits that are."""


def repair(
    path: str | Path,
    *,
    holes: bool = False,
    clock: Clock | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Repaired:
    """Make a damaged store whole again with all that can be kept, and say what could not.

    A branch goes back to its newest whole commit; with `holes` every commit is kept with what can be read of it, and
    the places that cannot are listed. The old files are kept beside it as `PATH-damaged`. O(file).
    NoStore if there is nothing of a store in it, Locked if somebody writes it, Unwritable if there is no room.
    """
    name, clock = ringfile.real(os.fspath(path)), clock or SystemClock()
    container.present(name)
    descriptor = locking.lock(name + locking.SUFFIX, make=True)
    try:
        with container.faults(name):
            _resumed(name)
        problems = _problems(name)
        if not problems:
            if ringfile.unfinished(name):
                raise NoStore(name, "a file whose creation never ended: create it again")
            held = ringfile.open(name, readonly=True)
            kept = len(held.state().commits)
            held.close()
            return Repaired(name, "", (), (), kept)
        with container.faults(name), Salvage(name, progress) as salvage:
            found = salvage.found
            trees = Trees(salvage.read)
            mended = Mending(found, trees, lambda key: commit_id(found.uuid, key), holes=holes).mend()
            layout = found.layout or _guessed(name, mended)
            kept = _written(name + _NEW, layout, found, mended, salvage.rows("series", "column"), clock)
        said = [*map(str, found.problems), *(f"object {number}: {why}" for number, why in trees.faults.items())]
        with container.faults(name):
            damaged = _swapped(name)
        return Repaired(name, damaged, tuple(dict.fromkeys([*problems, *said])), tuple(mended.lost), kept)
    finally:
        os.close(descriptor)


def _problems(path: str) -> list[str]:
    """What opening or checking says."""
    try:
        held = ringfile.open(path, readonly=True)
    except StoreError as fault:
        return [str(fault)]
    try:
        Ledger(held, SystemClock(), path)  # Policies and states of tiers are nothing to a storage.
        return [str(problem) for problem in held.check()]
    except StoreError as fault:
        return [str(fault)]
    finally:
        held.close()


def _guessed(path: str, mended: Mended) -> Layout:
    """The least layout that has as many pages as the file, where the file does not say what it is."""
    keep = next(branch.keep for branch in mended.tick.branches if branch.name == MAIN)
    slots, pages = parse(keep).slots, container.file_size(path) // PAGE
    size = pages * PAGE // (64 * KIB) * 64 * KIB
    while True:
        with suppress(StoreError):
            layout = plan(size, slots)
            if layout.pages >= pages:
                return layout
        size += 64 * KIB


def _written(path: str, layout: Layout, found: Found, mended: Mended, rows: Rows, clock: Clock) -> int:
    """Write the new store, go through it once as its next user will, and check it; how many commits it keeps."""
    _unlinked(path)
    try:
        while True:
            storage = ringfile.create(
                path, layout.size, layout.slots, uuid=found.uuid or None, epoch=mended.epoch, series=layout.series
            )
            try:
                storage.tick(mended.tick)
            except StoreFull:
                storage.close()
                _unlinked(path)
                _thin(mended)
                continue
            break
        with suppress(StopIteration):
            entry = next(entry for entry in mended.pending if not storage.append(entry))
            mended.lost.append(Lost("journal", called(entry), "journalled, and the new journal has no room for it"))
        storage.close()
        _copied(path, layout, rows)
        ledger = Ledger(ringfile.open(path), clock, path)
        kept = len(ledger.history.graph.records)
        ledger.close()
        problems = _problems(path)
        if problems:
            raise Corrupt(path, "; ".join(problems[:4]), "a repaired store without problems")
    except BaseException:
        _unlinked(path)
        raise
    return kept


def _copied(path: str, layout: Layout, rows: Rows) -> None:
    """Take over rows as they were: of tables that nothing else in a new file speaks of."""
    held = container.connect(path, readonly=False, durable=True)
    try:
        step = layout.wal // FRAME // 2
        for table, found in rows.items() if layout.series.columns else ():
            every = sorted(found.items())
            for at in range(0, len(every), step):
                with held.transaction(step + 8):
                    held.put(table, every[at : at + step])
    finally:
        held.close()


def _thin(mended: Mended) -> None:
    """Without its old neighbours a tree may share less: give up the oldest commits that nothing needs by name."""
    tick = mended.tick
    named = {number for branch in tick.branches for number in (branch.head, branch.fork, branch.base, branch.older)}
    named |= {key.number for key in tick.tags.values()} | tick.pins
    spare = [record for record in tick.store if record.number not in named]
    if not spare:
        raise StoreFull(0, 0)
    gone = {record.number for record in spare[: max(1, len(spare) // 4)]}
    mended.lost += [Lost("commit", str(number), "there is no room for it") for number in sorted(gone)]
    kept = [record for record in tick.store if record.number not in gone]
    for record in kept:
        record.grafts = tuple(graft for graft in record.grafts if graft not in gone)
    mended.tick = type(tick)(tick.number, kept, (), (), tick.branches, tick.tags, tick.pins)


def set_aside(path: str | Path) -> str:
    """Give the files of a store, or what is in its place, another name beside it, which is returned: `PATH-aside`.

    What is there is not looked at: so the place is free for another store. NoStore if there is nothing, Locked if
    somebody writes it, Unwritable. O(1), or a copy where the file system has no links.
    """
    name = ringfile.real(os.fspath(path))
    if not Path(name).is_file():
        raise NoStore(name, "a directory" if Path(name).is_dir() else "nothing")
    descriptor = -1
    with suppress(Corrupt):  # It has no journal.
        descriptor = locking.lock(name + locking.SUFFIX)
    try:
        with container.faults(name):
            aside = next(each for each in _names(name, _ASIDE) if not Path(each).exists())
            for end in _FILES:
                if Path(name + end).exists():
                    _linked(name + end, aside + end)
            ringfile.synced(str(Path(name).absolute().parent))
            _unlinked(name)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return aside


# Files


def _unlinked(path: str) -> None:
    for end in _FILES:
        Path(path + end).unlink(missing_ok=True)


def _resumed(path: str) -> None:
    """If an earlier repair was cut short while it put files in their places, put the old ones back first."""
    last = _last(path)
    if last and Path(last).exists() and Path(last).samefile(path):
        for end in _FILES[1:]:
            if Path(last + end).exists() and not Path(path + end).exists():
                _linked(last + end, path + end)
    _unlinked(path + _NEW)


def _last(path: str) -> str:
    """The newest name that a repair gave to old files, or none."""
    names = [name for name in _names(path, _OLD) if Path(name).exists()]
    return names[-1] if names else ""


def _names(path: str, end: str) -> list[str]:
    return [path + end, *(f"{path}{end}-{number}" for number in range(2, 100))]


def _swapped(path: str) -> str:
    """Put the new files in the place of the old ones, which stay under a name that is returned."""
    last = _last(path)
    again = bool(last) and Path(last).samefile(path)
    damaged = last if again else next(name for name in _names(path, _OLD) if not Path(name).exists())
    for end in _FILES:
        if Path(path + end).exists() and not (again and Path(damaged + end).exists()):
            _linked(path + end, damaged + end)
    ringfile.synced(str(Path(path).absolute().parent))
    # Whoever opens meanwhile finds a journal that is locked.
    fresh = locking.lock(path + _NEW + locking.SUFFIX)
    try:
        Path(path + _NEW + locking.SUFFIX).rename(path + locking.SUFFIX)
        for end in ("-wal", "-shm", apart.SUFFIX, "-journal"):
            Path(path + end).unlink(missing_ok=True)
        Path(path + _NEW).rename(path)
        ringfile.synced(str(Path(path).absolute().parent))
    finally:
        os.close(fresh)
    return damaged


def _linked(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # A file system without links.
        shutil.copy2(source, target)
