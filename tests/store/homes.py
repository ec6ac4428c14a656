"""Where the stores of these tests live, one class a storage: made, closed and opened again, or crashed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import rrdstore
from rrdstore.store.ledger import Ledger
from rrdstore.testing import ManualClock
from tests.store.journalled import Disk, Journalled

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Home:
    """One store after another, of the same content."""

    reopens = True
    """Whether anything outlives a closing."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    def create(self, keep: str) -> rrdstore.Store:
        raise NotImplementedError

    def open(self, *, readonly: bool = False) -> rrdstore.Store:
        """The store as it was left: closed, or crashed."""
        raise NotImplementedError

    def image(self) -> Home:
        """What a crash now would leave, elsewhere; its clock goes on by itself."""
        raise NotImplementedError

    def end(self) -> None:
        """Nothing is left behind."""


class MemoryHome(Home):
    reopens = False

    def create(self, keep: str) -> rrdstore.Store:
        return rrdstore.memory(keep, clock=self.clock)


class JournalledHome(Home):
    def __init__(self, disk: Disk | None = None) -> None:
        super().__init__()
        self.disk = disk or Disk()

    def create(self, keep: str) -> rrdstore.Store:
        self.storage = Journalled(self.disk)
        return rrdstore.Store.begin(self.storage, self.clock, "journalled", keep)

    def open(self, *, readonly: bool = False) -> rrdstore.Store:
        self.storage = Journalled(self.disk, readonly=readonly)
        return rrdstore.Store(Ledger(self.storage, self.clock, "journalled"))

    def image(self) -> JournalledHome:
        home = JournalledHome(self.disk.image())
        home.clock = ManualClock(self.clock.wall())
        return home


class FileHome(Home):
    size = "8MiB"

    def __init__(self) -> None:
        super().__init__()
        # In memory if there is a place: what these tests ask is not asked of the disk.
        self.folder = Path(tempfile.mkdtemp(prefix="rrdstore-test-", dir=MEMORY))

    @property
    def path(self) -> Path:
        return self.folder / "test.rrdb"

    def create(self, keep: str) -> rrdstore.Store:
        return rrdstore.create(self.path, self.size, keep, clock=self.clock)

    def open(self, *, readonly: bool = False) -> rrdstore.Store:
        return rrdstore.open(self.path, readonly=readonly, clock=self.clock)

    def image(self) -> FileHome:
        home = FileHome()
        home.clock = ManualClock(self.clock.wall())
        shutil.copytree(self.folder, home.folder, dirs_exist_ok=True)
        return home

    def end(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


HOMES: dict[str, type[Home]] = {"memory": MemoryHome, "journalled": JournalledHome, "file": FileHome}
