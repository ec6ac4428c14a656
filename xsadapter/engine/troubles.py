"""What is wrong around the daemon now: what CONTROL tells of it, as long as it lasts.

Rule: whoever finds that something does not work, and goes on without it, says so here by what it is, and says when it
works again; the shell logs both. What keeps the store from being written the store itself knows (`Info.held`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rrdstore

_MICROSECONDS: Final = 1_000_000


class Trouble(NamedTuple):
    """One thing; `lossy` says whether what was acknowledged since is lost if the daemon is killed."""

    what: str
    since: float
    """In the flow's time."""
    lossy: bool


class Troubles:
    """Those of one daemon, by what they are about."""

    __slots__ = ("_all", "damage", "mending")

    def __init__(self) -> None:
        self._all: dict[str, Trouble] = {}
        self.damage = ""
        """What of the store turned out to be damaged, until the shell has seen to it."""
        self.mending = False
        """Whether a process of the daemon's is at the store."""

    def begin(self, about: str, what: str, now: float, *, lossy: bool = False) -> None:
        """Something does not work; said again, it is what is said last, since when it was said first."""
        before = self._all.get(about)
        self._all[about] = Trouble(what, before.since if before else now, lossy)

    def end(self, about: str) -> None:
        """It works again; it need not have been said that it did not."""
        self._all.pop(about, None)

    def told(self, info: rrdstore.Info, now: float) -> Iterator[str]:
        """A line for each, the store's own first."""
        held = info.held
        if held is not None:
            what = f"the store is held by {held.by} since {_moment(held.since)}"
            if held.lost_since is None:
                yield f"{what}; changes are journalled"
            else:
                yield f"{what}; changes since {_moment(held.lost_since)} are in memory only, and lost by a kill"
        for trouble in self._all.values():
            yield f"{trouble.what} (for {now - trouble.since:.0f} s)"

    def lossy(self, info: rrdstore.Info) -> bool:
        """Whether a kill takes something that was acknowledged."""
        held = info.held
        return (held is not None and held.lost_since is not None) or any(each.lossy for each in self._all.values())


def _moment(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros // _MICROSECONDS, UTC):%Y-%m-%dT%H:%M:%SZ}"
