"""Verbs on history: log, diff."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from rrdstore.cli.opening import branch_option, commit_of, json_option, reading
from rrdstore.cli.output import json_bytes, json_commit, print_json, shown, shown_commit
from rrdstore.cli.program import verb

if TYPE_CHECKING:
    import rrdstore

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@verb(
    "log",
    "rrdstore -C host.rrdb log",
    "rrdstore -C host.rrdb log /local/domain/1 --since '1d ago' --until '2h ago'",
    "rrdstore -C host.rrdb log --limit 20 --json",
    moments=True,
    reads=True,
)
@click.argument("path", required=False)
@click.option("--since", metavar="WHEN", help="Only commits at or after this moment.")
@click.option("--until", metavar="WHEN", help="Only commits at or before this moment.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The N newest at most.")
@click.option("--authors", is_flag=True, help="Say below each commit who made it and those that it stands for.")
@branch_option
@json_option
def log(
    path: str | None, since: str | None, until: str | None, limit: int | None, authors: bool, branch: str, as_json: bool
) -> None:
    """List the kept commits, newest first.

    With PATH, only those that changed something at or below it. Where commits were thinned a line says how many:
    what the commit above it changed was changed at some time between it and the kept one before it. JSON: a list
    of {id, number, time, wall, branch, author, message, parents, kept_parents, thinned, authors: {NAME: COUNT},
    others}.
    """
    with reading() as store:
        commits = list(islice(store.branch(branch).log(path, since, until), limit))
    if as_json:
        print_json([json_commit(commit) for commit in commits])
        return
    for commit in commits:
        click.echo(shown_commit(commit))
        if commit.thinned:
            click.echo(f"    ⋮ {commit.thinned} thinned")
        if authors:
            click.echo(f"    by {_said(commit)}")


def _said(commit: rrdstore.Commit) -> str:
    """Who wrote, greatest first: eight authors, and how many commits are others'."""
    said = [f"{shown(name) or '(nobody)'} {count}" for name, count in commit.authors.items()]
    return ", ".join([*said, *([f"others {commit.others}"] if commit.others else [])])


@verb(
    "diff",
    "rrdstore -C host.rrdb diff '2h ago'",
    "rrdstore -C host.rrdb diff -2h -1h /local/domain/1",
    "rrdstore -C host.rrdb diff main work",
    moments=True,
    reads=True,
)
@click.argument("a")
@click.argument("b", required=False)
@click.argument("path", required=False)
@branch_option
@json_option
def diff(a: str, b: str | None, path: str | None, branch: str, as_json: bool) -> None:
    """Show what is different between two moments.

    That is in B from A, at and below PATH. A and B are moments, tags, ids or names of branches; B is the head of
    the branch if it is not given. Lines begin with + (added), - (removed) or ~ (changed). JSON: a list of {path,
    kind, old, new}, where old and new are null or {value, meta}.
    """
    if b is not None and path is None and b.startswith("/"):
        b, path = None, b
    with reading() as store:
        changes = list(store.diff(commit_of(store, branch, a), commit_of(store, branch, b), path or "/"))
    if as_json:
        print_json([_json_change(change) for change in changes])
        return
    for change in changes:
        click.echo(_line(change))


def _json_change(change: rrdstore.Change) -> dict[str, Any]:
    return {"path": change.path, "kind": change.kind, "old": _json_side(change.old), "new": _json_side(change.new)}


def _json_side(node: rrdstore.Node | None) -> dict[str, Any] | None:
    return None if node is None else {"value": json_bytes(node.value), "meta": json_bytes(node.meta)}


def _line(change: rrdstore.Change) -> str:
    sign = f"{_SIGNS[change.kind]} {shown(change.path)}"
    old, new = change.old, change.new
    if old is not None and new is not None:
        parts = [f' "{shown(old.value)}" -> "{shown(new.value)}"'] if old.value != new.value else []
        parts += [f' meta "{shown(old.meta)}" -> "{shown(new.meta)}"'] if old.meta != new.meta else []
        return sign + ",".join(parts)
    node = old or new
    return f'{sign} "{shown(node.value)}"' if node is not None and node.value else sign
