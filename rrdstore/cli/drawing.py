"""Tiers drawn in the terminal: how wide, and with which characters.

Rule: as wide as the terminal, 80 columns where there is none, or what --width says; plain ASCII where the
output cannot take block characters, or with --ascii. No colours, no escapes: what goes to a file is text.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, TypeVar

import click

from rrdstore.policy import Row, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

F = TypeVar("F", bound="Callable[..., Any]")

_LEAST = 8
_MARGIN = 24
"""Columns for labels and figures beside the drawing."""
_MARKS = "·▁█"


def drawing_options(function: F) -> F:
    """--width and --ascii."""
    width = click.option(
        "--width", type=click.IntRange(min=_LEAST), metavar="N", help="Columns of the drawing; else fits the terminal."
    )
    plain = click.option("--ascii", "plain", is_flag=True, help="Draw with ASCII only; so it is if nothing else goes.")
    return width(plain(function))


def room(width: int | None) -> int:
    """Columns between label and figures."""
    return width or max(_LEAST, min(96, shutil.get_terminal_size().columns - _MARGIN))


def only_ascii(plain: bool) -> bool:
    """Whether block characters cannot be printed, or are not wanted."""
    try:
        _MARKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return plain


def print_tiers(rows: Iterable[Row], now: int, width: int | None, plain: bool) -> None:
    """One line a tier, and one of ages."""
    for line in draw(rows, now, room(width), ascii_only=only_ascii(plain)):
        click.echo(line)


def rows_of(tiers: Iterable[object], picks: Iterable[Sequence[tuple[int, int]]], slots: Iterable[int]) -> list[Row]:
    """A row for each tier with what it holds, as `plan` and `Rings` have it."""
    return [
        Row(str(tier), [rt for rt, _ in keys], count) for tier, keys, count in zip(tiers, picks, slots, strict=True)
    ]
