"""Held: what becomes of changes while another process, or the file system, keeps ticks from being true.

Rule: what was acknowledged is in the journal, so changes go on. Where a tick fails (Held, Unwritable), all that it
would have brought is put in the journal as its net, in the place of the entries that it covers (`storage/netting`):
when it takes at most half of what they take, or when a change (a fork, a tag) can be stored in no other way. When
neither a net nor an entry fits any more, a change is refused before anything is changed, and reading goes on. Or, if
the owner chose `when_held="memory"` (another process) or `when_unwritable="memory"` (the file system), changes go on in
memory from there on, and a crash takes them: `info` and the log say since when. Each refusal, each 256th change in
memory, and each tick that is asked for, looks whether the hindrance is gone; then one tick has everything.
Cost: a net O(what is kept since the last tick), once for each doubling of the journal.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.errors import HINDERED, Held, StoreError

if TYPE_CHECKING:
    from rrdstore.errors import Unwritable
    from rrdstore.storage.protocol import Acknowledged
    from rrdstore.store.ledger import Ledger

    Hindrance = Held | Unwritable

log = logging.getLogger("rrdstore")


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Who keeps the store from being written, and since when; microseconds since 1970, UTC."""

    by: str
    """A process, or the file system and what it says."""
    since: int
    lost_since: int | None = None
    """Since when changes are in memory only; None as long as the journal has all of them."""


class Holding:
    """Whether one ledger is held."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.now: HeldBy | None = None
        self._refused = False
        """Whether it is the file system."""
        self._too_large: tuple[int, int, bool] = (0, 0, False)
        """At which commit and change of refs a net did not fit, and whether it was to gain: it is not made again
        before the next."""

    @property
    def lost(self) -> bool:
        """Whether changes are in memory only."""
        return self.now is not None and self.now.lost_since is not None

    def noted(self, fault: Hindrance) -> None:
        """A tick could not be true."""
        before = self.now
        self._refused = not isinstance(fault, Held)
        self.now = HeldBy(
            fault.by,
            before.since if before else self._ledger.clock.wall(),
            before.lost_since if before else None,
        )
        if before is None:
            log.warning("%s: held by %s: changes are journalled, and not stored", self._ledger.path, fault.by)

    def over(self) -> None:
        """A tick is true."""
        if self.now is None:
            return
        if self._ledger.storage.unjournalled:  # What was changed while it went on is in memory still.
            return
        log.warning("%s: everything is stored again", self._ledger.path)
        self.now = None

    def put_off(self, *, gains: bool) -> bool:
        """Put everything in the journal as a net, if it fits; then less is reserved, as the true cost is known."""
        ledger = self._ledger
        attempt = (ledger.number, ledger.changes, gains)
        if attempt == self._too_large:
            return False
        fits = False
        with suppress(*HINDERED):
            fits = ledger.ticks.put_off(gains=gains)
        if not fits:
            self._too_large = attempt
            return False
        ledger.room.counted_again()
        if self.now is not None and self.now.lost_since is not None:
            log.warning("%s: everything is journalled again", ledger.path)
            self.now = HeldBy(self.now.by, self.now.since)
        return True

    @property
    def _may_lose(self) -> bool:
        ledger = self._ledger
        return (ledger.when_unwritable if self._refused else ledger.when_held) == "memory"

    def settled(self, fault: Hindrance) -> bool:
        """Whether a change that only a tick can store is safe without one, or may be in memory alone."""
        self.noted(fault)
        return self.put_off(gains=False) or self._lose()

    def append(self, entry: Acknowledged, fault: Hindrance) -> bool:
        """Journal an entry that did not fit, once there is room; False if it must be stored straight. HINDERED."""
        ledger = self._ledger
        try:
            ledger.tick()
        except HINDERED as again:
            fault = again
        else:
            return ledger.storage.append(entry)
        if self.put_off(gains=False):
            with suppress(*HINDERED):
                return ledger.storage.append(entry)
        if not self._lose():
            raise fault
        return ledger.storage.append(entry)

    def _lose(self) -> bool:
        """Go on in memory, if the owner chose so."""
        ledger = self._ledger
        if not self._may_lose or self.now is None:
            return False
        if self.now.lost_since is None:
            self.now = HeldBy(self.now.by, self.now.since, ledger.clock.wall())
            log.error("%s: held by %s: from here on changes are in memory only", ledger.path, self.now.by)
            ledger.storage.forget()
        return True

    def waits(self, fault: StoreError) -> None:
        """A tick that could wait has failed."""
        if isinstance(fault, HINDERED):
            self.put_off(gains=not self.lost)
