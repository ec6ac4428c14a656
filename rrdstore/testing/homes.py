"""Where a store under test lives: made, closed and opened again, or crashed. One class a storage.

Rule: a home has one content at a time. `image` is what a crash now would leave, elsewhere; the home it was
taken from goes on unharmed. To test a storage of your own, write its home and give it to `StoreMachine`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rrdstore.store import opening
from rrdstore.store.ledger import Ledger
from rrdstore.store.store import Store
from rrdstore.testing.clock import ManualClock
from rrdstore.testing.journalled import Disk, Failed, Journalled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rrdstore.storage.protocol import Storage

_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Home:
    """A place for one store; subclass it. `clock` is the store's."""

    reopens = True
    """Whether what is there outlives a closing."""
    fails = False
    """Whether `failing` makes ticks fail, and `refusing` the journal."""
    presses = 0
    """Where bytes are to become short, the least of the large values that do it, in bytes; else 0."""
    fills = 1
    """How many of them are set at a time."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    def create(self, keep: str) -> Store:
        """A new store with this policy for main."""
        raise NotImplementedError

    def open(self, *, readonly: bool = False) -> Store:
        """The store as it was left: closed, or crashed."""
        raise NotImplementedError

    def image(self) -> Home:
        """What a crash now would leave, elsewhere; its clock goes on by itself."""
        raise NotImplementedError

    def failing(self) -> AbstractContextManager[type[Exception]]:
        """Every tick inside raises the error that this gives, and has done nothing."""
        raise NotImplementedError

    def refusing(self) -> AbstractContextManager[type[Exception]]:
        """Nothing can be journalled inside: what is appended raises the error that this gives."""
        raise NotImplementedError

    def end(self) -> None:
        """Leave nothing behind."""


class MemoryHome(Home):
    """`rrdstore.memory`: forgotten when it is closed."""

    reopens = False

    def create(self, keep: str) -> Store:
        """A new store with this policy for main."""
        return opening.memory(keep, clock=self.clock)


class JournalledHome(Home):
    """Plain dicts that journal, forget trees, and fail on demand."""

    fails = True

    def __init__(self, disk: Disk | None = None) -> None:
        super().__init__()
        self.disk = disk or Disk()
        self.storage = Journalled(self.disk, readonly=True)

    def create(self, keep: str) -> Store:
        """A new store with this policy for main."""
        self.storage = Journalled(self.disk)
        return Store.begin(self.storage, self.clock, "journalled", keep)

    def open(self, *, readonly: bool = False) -> Store:
        """The store as it was left."""
        self.storage = Journalled(self.disk, readonly=readonly)
        return Store(Ledger(self.storage, self.clock, "journalled"))

    def image(self) -> JournalledHome:
        """A copy of the disk."""
        home = type(self)(self.disk.image())
        home.clock = ManualClock(self.clock.wall())
        return home

    @contextmanager
    def failing(self) -> Iterator[type[Exception]]:
        """Ticks fail meanwhile."""
        storage = self.storage
        storage.fail_tick = True
        try:
            yield Failed
        finally:
            storage.fail_tick = False

    @contextmanager
    def refusing(self) -> Iterator[type[Exception]]:
        """The journal takes nothing meanwhile."""
        storage = self.storage
        storage.fail_append = True
        try:
            yield Failed
        finally:
            storage.fail_append = False


class FolderHome(Home):
    """A directory of its own: in memory if there is a place, nothing is asked of the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rrdstore-test-", dir=_IN_MEMORY))

    def image(self) -> Self:
        """A copy of all files, as they are."""
        home = type(self)()
        home.clock = ManualClock(self.clock.wall())
        shutil.copytree(self.folder, home.folder, dirs_exist_ok=True)
        return home

    def end(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.folder, ignore_errors=True)


class FileHome(FolderHome):
    """A file of `size`."""

    size = "8MiB"

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "test.rrdb"

    def create(self, keep: str) -> Store:
        """A new store with this policy for main."""
        return opening.create(self.path, self.size, keep, clock=self.clock)

    def open(self, *, readonly: bool = False) -> Store:
        """The store as it was left."""
        return opening.open(self.path, readonly=readonly, clock=self.clock)


class StorageHome(FolderHome):
    """Stores on a storage of your own, which keeps what it keeps in `folder`."""

    def storage(self, *, readonly: bool) -> Storage:
        """The storage, opened: a new one if there is nothing in the folder yet."""
        raise NotImplementedError

    def create(self, keep: str) -> Store:
        """A new store with this policy for main."""
        return Store.begin(self.storage(readonly=False), self.clock, type(self).__name__, keep)

    def open(self, *, readonly: bool = False) -> Store:
        """The store as it was left."""
        return Store(Ledger(self.storage(readonly=readonly), self.clock, type(self).__name__))


class NarrowHome(JournalledHome):
    """Journalled dicts with so little room that commits go beyond their policy."""

    presses = 100
    room = 9_000

    def create(self, keep: str) -> Store:
        """A new store with this policy for main."""
        store = super().create(keep)
        self.storage.room = self.room
        return store

    def open(self, *, readonly: bool = False) -> Store:
        """The store as it was left."""
        store = super().open(readonly=readonly)
        self.storage.room = self.room
        return store


class SmallFileHome(FileHome):
    """The smallest file there is, and values that fill it."""

    size = "2MiB"
    presses = 7_000
    fills = 8


HOMES: dict[str, type[Home]] = {"memory": MemoryHome, "journalled": JournalledHome, "file": FileHome}
"""The storages of the engine itself."""
