"""Which store a command works on, and the options that several commands share.

Rule: who reads opens readonly, so that it works beside a writer; a dry run is a rehearsal on what a reader
sees: the same calls, on a store whose changes end with it.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import click

import rrdstore
from rrdstore.cli.program import complain

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def reading(*, warn: bool = True) -> rrdstore.Store:
    """The store of -C, for reading."""
    return _opened(warn, readonly=True)


def writing(*, dry_run: bool = False, warn: bool = True) -> rrdstore.Store:
    """The store of -C, for changing; in a dry run, a rehearsal that changes nothing."""
    return _opened(warn, rehearse=dry_run)


def _opened(warn: bool, *, readonly: bool = False, rehearse: bool = False) -> rrdstore.Store:
    """The store, and a line on stderr for each branch whose policy is not what --config says."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", rrdstore.PolicyDiffers)
        store = rrdstore.open(chosen(), config=config_file(), readonly=readonly, rehearse=rehearse)
    for warning in said:
        if warn or warning.category is not rrdstore.PolicyDiffers:
            complain(f"warning: {warning.message}")
    return store


def config_file() -> str | None:
    """The file of --config."""
    given = click.get_current_context().find_root().params.get("config")
    return str(given) if given else None


def chosen() -> str:
    """The file of -C; UsageError."""
    path = click.get_current_context().find_root().params.get("store")
    if not path:
        raise click.UsageError("no store: give -C FILE before the command, or set $RRDSTORE")
    return str(path)


def place(store: rrdstore.Store, branch: str, when: str | None) -> rrdstore.Tree:
    """The tree of a branch, now or at a moment."""
    return store.branch(branch).tree if when is None else store.branch(branch).at(when).tree


def commit_of(store: rrdstore.Store, branch: str, what: str | None) -> rrdstore.Commit:
    """The commit meant by a tag, a branch (its head), a moment on `branch`, an id or its beginning; None: the head."""
    if what is None:
        return store.branch(branch).head
    if what in store.branches and what not in store.tags:
        return store.branch(what).head
    with store.branch(branch).at(what) as snapshot:
        return snapshot.commit


branch_option = click.option("-b", "--branch", default="main", show_default=True, metavar="NAME", help="The branch.")
at_option = click.option(
    "--at",
    metavar="WHEN",
    help="As it was then: '2h ago', '-2h', 2026-01-31T12:00, @1700000000, a tag, an id or the beginning of one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
dry_run_option = click.option(
    "-n", "--dry-run", is_flag=True, help="Do all but the last step: say what would happen, and change nothing."
)


def said_options(function: F) -> F:
    """What a commit says of itself: -m and --author."""
    message = click.option(
        "-m", "--message", default="", help="What the commit says; 112 bytes are kept.", callback=_utf8
    )
    author = click.option(
        "--author",
        envvar=["RRDSTORE_AUTHOR", "USER"],
        default="",
        help="Who made it; 40 bytes are kept. Else $RRDSTORE_AUTHOR, else $USER.",
        callback=_utf8,
    )
    return message(author(function))


def _utf8(ctx: click.Context, param: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    return os.fsencode(value).decode(errors="replace")
