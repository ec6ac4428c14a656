"""`xsadapter log`: who did what, from the history: what the audit log would have said, as far as it is kept.

Rules
1. It reads the store and its journal, not the daemon, so it works while the daemon runs and after it has ended, and
   costs the daemon nothing; what it sees is everything that was answered.
2. A kept commit stands for those before it that were thinned: the line says how many, in JSON also whose they were,
   and it is a domain's if any of them was.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import rrdstore
from xsadapter import address
from xsadapter.engine.permissions import DOMID_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOMAIN: Final = re.compile(r"dom([0-9]+) ")
_TRANSACTION: Final = re.compile(r"TRANSACTION [0-9]+: ")


def _store(store: str | None, rundir: str | None) -> Path:
    """The store that is asked for, or that of the daemon that the clients would find."""
    if store:
        return Path(store)
    if rundir:
        return Path(rundir) / "history.rrdb"
    return address.socket_path().with_name("history.rrdb")


def fields(commit: rrdstore.Commit) -> dict[str, Any]:
    """A commit by the names of the audit log. What a transaction did is as complete as its message."""
    found: dict[str, Any] = {"time": _moment(commit)}
    if transaction := _TRANSACTION.match(commit.message):
        changes = commit.message[transaction.end() :].split(", ")
        found |= {"what": "TRANSACTION", "changes": [each for each in changes if each != "..."]}
        found["whole"] = changes[-1] != "..."
    else:
        what, _, path = commit.message.partition(" ")
        found["what"] = what
        if path.startswith(("/", "@")):
            found["path"] = path
        elif path:
            found["message"] = commit.message
    found |= {"author": commit.author, "domain": _domain(commit.author), "commit": commit.id}
    if commit.thinned:
        found |= {"thinned": commit.thinned, "authors": dict(commit.authors), "others": commit.others}
    return found


def _domain(author: str) -> int:
    """What the daemon itself does counts as domain 0's."""
    found = _DOMAIN.match(author)
    return int(found[1]) if found else 0


def _moment(commit: rrdstore.Commit) -> str:
    return f"{commit.time:%Y-%m-%dT%H:%M:%S.%f}Z"


def _lines(found: Iterator[rrdstore.Commit], as_json: bool) -> Iterator[str]:
    for commit in found:
        if as_json:
            yield json.dumps(fields(commit), ensure_ascii=True)
        else:
            thinned = f" (and {commit.thinned} thinned)" if commit.thinned else ""
            yield f"{_moment(commit)} {commit.id} {commit.author}: {commit.message}{thinned}"


@click.command()
@click.argument("path", required=False)
@click.option("--domain", metavar="DOMID", type=click.IntRange(0, DOMID_MAX), help="What this domain did.")
@click.option("--since", metavar="WHEN", help="What was done since: '2h ago', a time, a commit.")
@click.option("-n", "--limit", metavar="N", type=click.IntRange(min=1), help="The newest N.")
@click.option("--json", "as_json", is_flag=True, help="Objects, one a line, with the audit log's names.")
@click.option("--store", metavar="FILE", help="The history.  [default: history.rrdb beside the socket]")
@click.option("--rundir", metavar="DIR", help="The daemon's directory, if FILE is in it.")
def log(
    path: str | None,
    domain: int | None,
    since: str | None,
    limit: int | None,
    as_json: bool,
    store: str | None,
    rundir: str | None,
) -> None:
    """Show who did what and when, the newest first; with PATH what was done at or below it.

    It reads the history, so it goes as far back as commits are kept; a kept commit stands for those around it that
    were thinned.

    \b
    Example:
      xsadapter log /local/domain/1
      xsadapter log --domain 5 --since '1h ago' --json
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    try:
        with rrdstore.open(_store(store, rundir), readonly=True) as opened:
            found = opened.branch("main").log(path, since=since)
            if domain is not None:
                found = (commit for commit in found if domain in map(_domain, (commit.author, *commit.authors)))
            for line in _lines(islice(found, limit), as_json):
                click.echo(line)
    except (OSError, rrdstore.StoreError) as error:
        raise click.ClickException(str(error)) from None
