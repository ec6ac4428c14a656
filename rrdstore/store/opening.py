"""How a store comes into being: created, opened, or in memory only."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rrdstore.errors import NoStore
from rrdstore.history.clock import SystemClock
from rrdstore.policy import DEFAULT, parse
from rrdstore.series import parse_series
from rrdstore.storage import ringfile
from rrdstore.storage.memory import Memory
from rrdstore.storage.protocol import SeriesState
from rrdstore.storage.rehearsal import Rehearsal
from rrdstore.store.config import MAIN, Config
from rrdstore.store.consolidation import room_of
from rrdstore.store.ledger import Ledger
from rrdstore.store.size import parse_size
from rrdstore.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rrdstore.history.clock import Clock
    from rrdstore.storage.protocol import Storage
    from rrdstore.store.config import ConfigLike, WhenHeld

Sync = Literal["tick", "commit", "none"]
"""When bytes are forced to the disk: at each tick, before each answer, or when the system likes.

The process may be killed at any time with any of them; they differ in what a power failure takes.
"""

DEFAULT_SIZE = "64MiB"


def create(
    path: str | Path,
    size: str | int | None = None,
    keep: str | None = None,
    *,
    config: ConfigLike = None,
    series: Iterable[str] | None = None,
    clock: Clock | None = None,
    sync: Sync = "tick",
    when_held: WhenHeld | None = None,
    when_unwritable: WhenHeld = "fail",
    memory: str | int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Store:
    """A new store in a file that never grows beyond `size`, with `keep` as the policy of main.

    What is not given `config` says, a `Config` or the path of a file, and then DEFAULT_SIZE and DEFAULT; new
    branches take their policies from it too. `series` are `PATTERN:PATHS` each: numbers to consolidate for ever
    (docs/series.md). `when_held`, `when_unwritable` and `memory` as in `open`. Writes all of the file once, calling
    `progress(bytes done, bytes in all)`. Exists, PolicyError, ConfigError, SeriesError, TooSmall naming the least size
    that policy and series need.
    """
    wish = Config.of(config)
    policy = parse(keep if keep is not None else wish.keep(MAIN) or DEFAULT)
    wanted = parse_size(size if size is not None else wish.size or DEFAULT_SIZE)
    room = room_of(parse_series(wish.series if series is None else series, policy))
    budget = budget_of(memory, wish)
    storage = ringfile.create(
        os.fspath(path), wanted, slots=policy.slots, sync=sync, progress=progress, series=room, memory=budget
    )
    with _closed_on_error(storage):
        store = Store.begin(storage, clock or SystemClock(), os.fspath(path), str(policy), wish)
        store.ledger.when_held = when_held or wish.when_held or "fail"
        store.ledger.when_unwritable = when_unwritable
        return store


def open(  # noqa: A001 - `rrdstore.open` is what a user expects
    path: str | Path,
    *,
    keep: str | None = None,
    config: ConfigLike = None,
    readonly: bool = False,
    rehearse: bool = False,
    clock: Clock | None = None,
    sync: Sync = "tick",
    when_held: WhenHeld | None = None,
    when_unwritable: WhenHeld = "fail",
    memory: str | int | None = None,
) -> Store:
    """An existing store. One process may write; any number may read meanwhile with `readonly`.

    With `rehearse` it is opened for reading too, and takes all changes, which end with it: a dry run.
    After a crash nothing acknowledged is lost. NoStore, Locked, Corrupt, ConfigError, PolicyError.

    `when_held` says what becomes of changes while another process holds the file's log, by a transaction that it keeps
    open, and the journal is full: refused, Held ("fail", if nothing else is said), or with "memory" made in memory
    alone until it goes, which `info` and the log say. `when_unwritable` says the same of a file system that takes no
    more: full, read-only, broken; refused is Unwritable then.

    `memory` bounds what is kept of trees in memory, in bytes or as "64MiB", at least 256 KiB (docs/semantics.md,
    "Memory"); without it everything that was reached at a head stays, which is the fastest. InvalidSize.

    `keep` is the policy that main should have, `config` (a `Config` or the path of a file) what every branch
    should have: nothing is changed by them, but where the store disagrees a PolicyDiffers warning says so, and
    `info` has both. New branches take their policies from `config`.
    """
    wish = Config.of(config).with_main(keep)
    budget = budget_of(memory, wish)
    storage: Storage = ringfile.open(os.fspath(path), readonly=readonly or rehearse, sync=sync, memory=budget)
    if rehearse:
        storage = Rehearsal(storage)
    with _closed_on_error(storage):
        ledger = Ledger(storage, clock or SystemClock(), os.fspath(path))
        if not ledger.history.names:
            raise NoStore(os.fspath(path), "a file whose creation never ended: create it again")
        store = Store(ledger, wish)
        store.ledger.when_held = when_held or wish.when_held or "fail"
        store.ledger.when_unwritable = when_unwritable
        return store


def budget_of(memory: str | int | None, wish: Config) -> int:
    """Bytes that trees may take; 0 for no limit. InvalidSize."""
    asked = memory if memory is not None else wish.memory
    return 0 if asked is None else parse_size(asked)


@contextmanager
def _closed_on_error(storage: Storage) -> Iterator[None]:
    """A file that does not become a store is let go of again, its lock with it."""
    try:
        yield
    except BaseException:
        storage.close()
        raise


def memory(
    keep: str | None = None,
    *,
    config: ConfigLike = None,
    series: Iterable[str] | None = None,
    clock: Clock | None = None,
) -> Store:
    """A store without a file, forgotten when it is closed; its history thins by the same rules."""
    wish = Config.of(config)
    text = keep if keep is not None else wish.keep(MAIN) or DEFAULT
    declared = parse_series(wish.series if series is None else series, parse(text))
    storage = Memory(SeriesState(declared.text()) if declared else None)
    return Store.begin(storage, clock or SystemClock(), "(memory)", text, wish)
