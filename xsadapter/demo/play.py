"""The demo from the first line to the last.

Rule: while the day goes by the daemon has the file; when it has stopped, the past is read from the file alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import rrdstore
from rrdstore.testing import ManualClock
from xsadapter.demo import chapters
from xsadapter.demo.day import time_of
from xsadapter.demo.look import Look, Sizes
from xsadapter.demo.service import beside
from xsadapter.demo.stage import Claims, drawn, facts, head, pen, say, title, verdict
from xsadapter.demo.story import SECOND, Story, Truth

if TYPE_CHECKING:
    from pathlib import Path

SIZE: Final = "16MiB"
STEP: Final = 15
_NAME: Final = "history.rrdb"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which day, in steps of how many seconds, and the moment of it to go back to (seconds since midnight)."""

    seed: int
    back_to: int
    step: int = STEP


def perform(directory: Path, wish: Wish) -> Claims:
    """The whole demo in an empty directory, on the main thread: what was claimed. KeyboardInterrupt by a signal."""
    clock, claims, ink = ManualClock(), Claims(), pen()
    (directory / "store").mkdir()
    file = directory / "store" / _NAME
    sizes = Sizes(file.parent, _NAME)
    truth = _live(directory / "socket", file, clock, wish, sizes)
    with rrdstore.open(file, readonly=True, clock=clock) as store:
        chapters.thinning(truth, store, ink, claims)
        chapters.size(truth, sizes, rrdstore.parse_size(SIZE), wish.step, claims)
        chapters.past(truth, store, wish.back_to, claims)
        chapters.broken(truth, store, claims)
        chapters.proofs(truth, store, claims)
    title("6. Is all that true?")
    say("What was printed, compared with what the story noted while it happened:", "")
    verdict(claims)
    again = f"python -m xsadapter.demo --seed {wish.seed}{'' if wish.step == STEP else f' --step {wish.step}'}"
    say("", f"The same day again: {again}", "")
    return claims


def _live(socket: Path, file: Path, clock: ManualClock, wish: Wish, sizes: Sizes) -> Truth:
    ink = pen()

    def show(look: Look, midnight: int) -> None:
        at = time_of((look.at - midnight) // SECOND)
        say("")
        head(f"{at}  {look.made:,} commits made, {len(look.kept)} of them kept; each tier by age:")
        say("")
        drawn(ink.tiers(look))
        say("")

    with rrdstore.create(file, size=SIZE, clock=clock) as store:
        sizes.sample()
        _introduce(store.info(), socket)
        title("1. A day on host xen7")
        say(
            "Domains start, move and end as a toolstack makes them. Not listed are short jobs, what guests",
            "report, and one key that goes wrong in the middle of it all.",
            "",
        )
        story = Story(
            socket,
            file,
            clock,
            wish.seed,
            wish.step,
            sizes,
            tell=lambda at, said: say(f"{at}  {said}"),
            show=show,
        )
        begun = time.monotonic()
        truth, requests = beside(store, socket, "demo", story.live)
        took = time.monotonic() - begun
    sizes.sample()
    say(
        f"A day in {took:.0f} s: {requests:,} requests, {truth.last:,} commits. The daemon has stopped; from here on",
        "nothing but its file is asked.",
    )
    return truth


def _introduce(info: rrdstore.Info, socket: Path) -> None:
    [main] = info.branches
    title("A host's day in about a minute")
    facts(
        ("daemon", f"xsadapter, a xenstored; its clients connect to {socket}"),
        ("history", f"{info.path}, {SIZE}, all of it written now"),
        ("keeps", main.keep),
        ("", "the last 256 commits, one a second for 5 minutes, one a minute for 2 hours, ...,"),
        ("", f"and 64 spread over the whole life: {info.bound} at most, however many are made"),
        ("clock", "the demo's own: the day goes by as fast as its work is done"),
    )
