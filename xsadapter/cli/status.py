"""The live status: a few lines on a terminal, painted over once a second.

Rule: `lines` is a pure function of figures; only `Status` knows that there is a terminal. Log lines
go above it (`above`), so that they scroll away and are not painted over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import rrdstore
    from xsadapter.engine.daemon import Daemon

_BAR: Final = 20
_UNITS: Final = ((86400 * 365, "y"), (86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """What is shown, at one moment."""

    clients: int
    watches: int
    operations_a_second: float
    commits_a_second: float
    info: rrdstore.Info


def lines(figures: Figures) -> list[str]:
    """The status as text; O(tiers)."""
    info = figures.info
    shown = [
        (
            f"clients {figures.clients}   watches {figures.watches}   "
            f"{figures.operations_a_second:,.0f} operations/s   {figures.commits_a_second:,.0f} commits/s"
        ),
        f"commits {info.commits:,} made, {info.kept:,} kept of at most {info.bound:,}",
    ]
    for branch in info.branches:
        for tier in branch.tiers:
            reach = 0 if tier.oldest is None or tier.newest is None else (tier.newest - tier.oldest) // _MICROSECONDS
            shown.append(f"  {tier.tier:<10} {_bar(tier.used, tier.rows)} {tier.used:>4}/{tier.rows:<4} {span(reach)}")
    if info.size:
        shown.append(f"  {'bytes':<10} {_bar(info.used, info.size)} {mebibytes(info.used)} of {mebibytes(info.size)}")
        if info.room:
            shown.append(
                f"  {'objects':<10} {_bar(info.live, info.room)} {mebibytes(info.live)} of {mebibytes(info.room)}"
            )
    else:
        shown.append("  in memory: nothing is stored")
    return shown


def span(seconds: int) -> str:
    """A duration in its two largest units: `2h 5m`."""
    parts = []
    for size, unit in _UNITS:
        if seconds >= size:
            parts.append(f"{seconds // size}{unit}")
            seconds %= size
    return " ".join(parts[:2]) or "0s"


def mebibytes(count: int) -> str:
    """Bytes as MiB, one digit after the point."""
    return f"{count / 2**20:.1f} MiB"


def _bar(used: int, of: int) -> str:
    full = min(_BAR, round(_BAR * used / of)) if of else 0
    return "[" + "#" * full + "." * (_BAR - full) + "]"


class Status:
    """Paints on a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._painted = 0
        self._before: tuple[float, int, int] | None = None

    def painter(self, daemon: Daemon) -> Callable[[float], None]:
        """What the server is to call each second, with the monotonic time."""

        def paint(now: float) -> None:
            info = daemon.store.info()
            then, operations, commits = self._before or (now - 1, daemon.operations, info.commits)
            elapsed = max(now - then, 0.001)
            self._before = now, daemon.operations, info.commits
            self._paint(
                lines(
                    Figures(
                        len(daemon.connections),
                        daemon.watches.count,
                        (daemon.operations - operations) / elapsed,
                        (info.commits - commits) / elapsed,
                        info,
                    )
                )
            )

        return paint

    def above(self, text: str) -> None:
        """Write lines in the place of the status, which comes again below them at the next painting."""
        self._terminal.write(f"{self._back()}\033[J{text}\n")
        self._terminal.flush()
        self._painted = 0

    def _paint(self, shown: Iterable[str]) -> None:
        painted = [f"\033[2K{click.style(line, dim=index > 1)}\n" for index, line in enumerate(shown)]
        self._terminal.write(self._back() + "".join(painted))
        self._terminal.flush()
        self._painted = len(painted)

    def _back(self) -> str:
        return f"\033[{self._painted}F" if self._painted else ""


class LogAbove(logging.Handler):
    """Log lines for a terminal with a status on it."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or several if there is a traceback."""
        self._status.above(self.format(record))
