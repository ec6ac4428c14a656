"""A commit as the user sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from rrdstore.history.authors import written
from rrdstore.history.commit import commit_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdstore.history.commit import Record
    from rrdstore.store.ledger import Ledger

MICROSECONDS = 1_000_000


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """Microseconds since the epoch as an aware UTC datetime; the first or last that there is, if they are beyond it.

    A clock may say anything, once, and the commit made then is to be shown among the others.
    """
    seconds, rest = divmod(microseconds, MICROSECONDS)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    except (ValueError, OverflowError, OSError):
        return _LAST if microseconds > 0 else _FIRST


class Commit:
    """One change of one branch. Equal to another of the same id; usable long after it was thinned."""

    __slots__ = ("_ledger", "_record")

    def __init__(self, ledger: Ledger, record: Record) -> None:
        self._ledger, self._record = ledger, record

    @property
    def number(self) -> int:
        """Its place in the order of all commits of the store, from 1."""
        return self._record.number

    @property
    def id(self) -> str:
        """`<number>-<8 hex digits>`: never changes."""
        return self._ledger.id(self._record)

    @property
    def time(self) -> datetime:
        """When it was made, by the store's own slewed clock, which never goes back: what tiers go by."""
        return moment(self._record.rt)

    @property
    def wall(self) -> datetime:
        """When it was made, by the machine's clock."""
        return moment(self._record.wall)

    @property
    def author(self) -> str:
        """Who made it."""
        return self._record.author

    @property
    def message(self) -> str:
        """What its maker said of it."""
        return self._record.message

    @property
    def branch(self) -> str:
        """The branch it was made on; empty if that was deleted."""
        line = self._ledger.history.lines.get(self._record.branch)
        return line.name if line else ""

    @property
    def parents(self) -> tuple[str, ...]:
        """The ids of the commits it was made from: one, two for a merge, none for the first. They may be thinned."""
        return tuple(commit_id(self._ledger.uuid, key) for key in self._record.parents)

    @property
    def kept_parents(self) -> tuple[str, ...]:
        """The ids of its nearest ancestors that are kept, as of now (as of its own thinning if it is gone)."""
        records = self._ledger.history.graph.records
        now = records.get(self._record.number, self._record)
        return tuple(commit_id(self._ledger.uuid, records[n].key) for n in now.grafts if n in records)

    @property
    def thinned(self) -> int:
        """How many commits of its branch were dropped between it and the kept one before it; 0 if it was, too."""
        now = self._now
        return 0 if now is None else now.thinned

    @property
    def authors(self) -> Mapping[str, int]:
        """Who made it and the commits that it stands for, and how many each: at most eight, greatest first.

        Exact with at most eight authors; else some of them are among the `others`. Their sum is 1 + `thinned`.
        """
        now = self._now
        return MappingProxyType({self._record.author: 1} if now is None else written(now))

    @property
    def others(self) -> int:
        """How many of the commits it stands for were made by authors that are not named."""
        now = self._now
        return 0 if now is None else 1 + now.thinned - sum(written(now).values())

    @property
    def _now(self) -> Record | None:
        # Its record is another object after a tick that failed. One that was dropped stands for itself alone.
        return self._ledger.history.graph.records.get(self._record.number)

    @property
    def kept(self) -> bool:
        """Whether it is still kept."""
        return self._record.number in self._ledger.history.graph.records

    @property
    def digest(self) -> bytes:
        """32 bytes that prove its tree, computed now; Thinned if it is not kept any more."""
        return self._ledger.tree(self._ledger.kept(self.id)).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Commit) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self._record.number)

    def __repr__(self) -> str:
        return f"<Commit {self.id} {self.time:%Y-%m-%dT%H:%M:%S}Z {self.message!r}>"
