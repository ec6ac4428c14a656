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


def _time_of_day(_context: click.Context, _option: click.Parameter, value: str) -> int:
    try:
        return seconds_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _step(_context: click.Context, _option: click.Parameter, value: int) -> int:
    if value < 1 or HOUR % value:
        raise click.BadParameter(f"found {value}, expected seconds that divide an hour")
    return value


@click.command()
@click.option("--seed", type=int, metavar="N", help="Which day.  [default: another each time]")
@click.option(
    "--at",
    "back_to",
    metavar="HH:MM",
    default="12:30",
    show_default=True,
    callback=_time_of_day,
    help="The moment to go back to.",
)
@click.option(
    "--step",
    type=int,
    metavar="SECONDS",
    default=STEP,
    show_default=True,
    callback=_step,
    help="How often guests report, and the files are measured: more is quicker.",
)
def demo(seed: int | None, back_to: int, step: int) -> None:
    """Live through a host's day in about a minute, and ask what is left of it.

    The daemon serves a new store of 16 MiB in a temporary directory, which is removed at the end. The exit status
    is 1 if anything that was shown turns out not to be true, 130 after an interruption.

    \b
    Example:
      python -m xsadapter.demo
      python -m xsadapter.demo --seed 7 --at 09:15
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    before = signal.signal(signal.SIGTERM, _interrupt)
    wish = Wish(random.SystemRandom().randrange(100_000) if seed is None else seed, back_to, step)
    try:
        with tempfile.TemporaryDirectory(prefix="xsadapter-demo-") as directory:
            claims = perform(Path(directory), wish)
    except KeyboardInterrupt:
        click.echo("\n   Interrupted; nothing is left behind.", err=True)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(0 if claims.hold else 1)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    demo()
