"""`xsadapter install-links`: the tools under the names of the stock ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from xsadapter.tools import NAMES

PROGRAM: Final = "xsadapter-xenstore"
"""The program that the links lead to; it sees by its name which tool is meant."""


@click.command("install-links")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is there under one of the names.")
def install_links(directory: Path, force: bool) -> None:
    """Make links in DIR: xenstore, xenstore-read, xenstore-ls and so on, which lead to the tools of xsadapter.

    DIR is made if it is missing. A file that is there under one of the names is left alone, and nothing is made,
    unless it is such a link already.

    \b
    Example:
      xsadapter install-links /usr/local/bin
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    program = Path(sys.executable).parent / PROGRAM
    if not program.exists():
        raise click.ClickException(f"{program} is not there: found nothing, expected the program the links lead to")
    places = [directory / name for name in ("xenstore", *(f"xenstore-{tool}" for tool in NAMES))]
    taken = [place for place in places if (place.exists() or place.is_symlink()) and not _leads_to(place, program)]
    if taken and not force:
        raise click.ClickException(f"{taken[0]} is there already, and is no link of ours; --force replaces it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for place in places:
            if not _leads_to(place, program):
                place.unlink(missing_ok=True)
                place.symlink_to(program)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{len(places)} links in {directory}")


def _leads_to(place: Path, program: Path) -> bool:
    return place.is_symlink() and place.readlink() == program
