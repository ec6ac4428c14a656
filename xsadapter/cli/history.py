"""The store that the daemon keeps its tree in: opened if it is there, created if not.

Rules
1. A store's size and policy are fixed when it is created; asking for others later is a warning, not a change.
2. The tree in it is continued within one boot of the machine. The boot id is the kernel's; without
   one every start is a boot of its own.
3. Guests' secrets lie in it: its files are its owner's alone, as the socket is.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import rrdstore

_log = logging.getLogger("xsadapter")

DEFAULT_SIZE: Final = "64MiB"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Sync = Literal["tick", "commit", "none"]
WhenHeld = Literal["fail", "memory"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks of the store; `path` None is a store in memory."""

    path: Path | None
    size: str | None = None
    keep: str | None = None
    sync: str = "tick"
    when_held: str = "fail"
    strict: bool = False
    """Whether there is no daemon rather than one that goes on in memory, or in another store than it was given."""

    def memory(self) -> rrdstore.Store:
        """One without a file."""
        return rrdstore.memory(keep=self.keep) if self.keep else rrdstore.memory()

    def create(self) -> rrdstore.Store:
        """A new one in its place; any StoreError."""
        if self.path is None:
            return self.memory()
        _log.info("creating %s of %s", self.path, self.size or DEFAULT_SIZE)
        before = os.umask(0o077)
        try:
            return rrdstore.create(
                self.path,
                size=self.size or DEFAULT_SIZE,
                keep=self.keep or rrdstore.DEFAULT,
                sync=cast("Sync", self.sync),
                when_held=cast("WhenHeld", self.when_held),
                when_unwritable=self._when_unwritable,
            )
        finally:
            os.umask(before)

    @property
    def _when_unwritable(self) -> WhenHeld:
        return "fail" if self.strict else "memory"

    def open(self) -> rrdstore.Store:
        """The store, ready to be written; any StoreError."""
        if self.path is None or not self.path.exists():
            return self.create()
        sync, when_held = cast("Sync", self.sync), cast("WhenHeld", self.when_held)
        store = rrdstore.open(str(self.path), sync=sync, when_held=when_held, when_unwritable=self._when_unwritable)
        for option, given in (("size", self.size), ("keep", self.keep)):
            if given:
                _log.warning("%s is there already: --%s %s changes nothing", self.path, option, given)
        return store


def boot_id() -> str:
    """What tells this boot of the machine from all others."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return os.urandom(16).hex()
