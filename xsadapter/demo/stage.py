"""What all chapters of the demo share: how things are printed, and what is claimed.

Rule: text comes out the same with and without a terminal, but for colours, and without blocks where the output's
encoding has none.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from xsadapter.demo.picture import Pen

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARGIN = "   "


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, and whether it holds."""

    sentence: str
    holds: bool


@dataclass(slots=True)
class Claims:
    """What must be true at the end, in the order in which it was claimed."""

    made: list[Claim] = field(default_factory=list)

    def add(self, holds: bool, sentence: str) -> None:
        """Make a claim."""
        self.made.append(Claim(sentence, holds))

    @property
    def hold(self) -> bool:
        """Whether all of them do, and there are any."""
        return bool(self.made) and all(claim.holds for claim in self.made)


def pen() -> Pen:
    """What the output can be drawn with."""
    try:
        "▁█·".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return Pen(ascii_only=True)
    return Pen()


def title(text: str) -> None:
    """The beginning of a chapter."""
    click.echo()
    click.secho(text, bold=True)
    click.echo()


def say(*lines: str) -> None:
    """Lines of prose or of a table."""
    for line in lines:
        click.echo(f"{_MARGIN}{line}".rstrip())


def head(line: str) -> None:
    """The first line of a table."""
    click.secho(f"{_MARGIN}{line}".rstrip(), bold=True)


def drawn(lines: Iterable[str]) -> None:
    """A picture."""
    for line in lines:
        click.secho(f"{_MARGIN}{line}".rstrip(), fg="cyan")


def facts(*rows: tuple[str, str]) -> None:
    """Names and what they are, one below the other."""
    for name, value in rows:
        say(f"{name:<10}{value}")


def verdict(claims: Claims) -> None:
    """Each claim, and whether it holds."""
    for claim in claims.made:
        mark = click.style("yes", fg="green") if claim.holds else click.style("NO ", fg="red", bold=True)
        say(f"{mark}  {claim.sentence}")
