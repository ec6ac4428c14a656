"""`python -m xsadapter.demo`: what `make demo` runs."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from xsadapter.demo.day import HOUR, seconds_of
from xsadapter.demo.play import STEP, Wish, perform

if TYPE_CHECKING:
    from types import FrameType


class _TimeOfDay(click.ParamType):
    """HH:MM or HH:MM:SS as seconds since midnight."""

    name = "HH:MM"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        try:
            return seconds_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Step(click.ParamType):
    """Whole seconds that make a whole number of steps in an hour."""

    name = "SECONDS"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        try:
            step = int(value)
        except ValueError:
            step = 0
        if step < 1 or HOUR % step:
            self.fail(f"found {value!r}, expected whole seconds of which an hour is a multiple", param, ctx)
        return step


@click.command()
@click.option("--seed", type=int, help="Which day: the same seed gives the same one.  [default: another each time]")
@click.option(
    "--at", "back_to", type=_TimeOfDay(), default="12:30", show_default=True, help="The moment to go back to."
)
@click.option("--step", type=_Step(), default=STEP, show_default=True, help="How often guests report: more is quicker.")
def demo(seed: int | None, back_to: int, step: int) -> None:
    """Live through a host's day in about a minute, and ask what is left of it.

    The daemon serves a new store of 16 MiB in a temporary directory, which is removed at the end. The exit status
    is 1 if anything that was shown turns out not to be true.

    \b
    Example:
      python -m xsadapter.demo
      python -m xsadapter.demo --seed 7 --at 09:15
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    signal.signal(signal.SIGTERM, _interrupt)
    wish = Wish(random.SystemRandom().randrange(100_000) if seed is None else seed, back_to, step)
    try:
        with tempfile.TemporaryDirectory(prefix="xsadapter-demo-") as directory:
            claims = perform(Path(directory), wish)
    except KeyboardInterrupt:
        click.echo("\n   Interrupted; nothing is left behind.", err=True)
        sys.exit(130)
    sys.exit(0 if claims.hold else 1)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    demo()
