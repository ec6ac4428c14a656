"""Verbs on the tree: get, set, rm, ls, tree."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from rrdstore.cli.opening import (
    at_option,
    branch_option,
    dry_run_option,
    json_option,
    place,
    reading,
    said_options,
    writing,
)
from rrdstore.cli.output import columns, json_commit, json_node, on_terminal, print_json, shown
from rrdstore.cli.program import each, verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import rrdstore


@verb(
    "get",
    "rrdstore -C host.rrdb get /local/domain/1/name",
    "rrdstore -C host.rrdb get /local/domain/1/name --at '2h ago'",
    "rrdstore -C host.rrdb get /image --raw > image.bin",
    reads=True,
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--raw", is_flag=True, help="The exact bytes on a terminal too.")
@branch_option
@at_option
@json_option
def get(paths: tuple[str, ...], raw: bool, branch: str, at: str | None, as_json: bool) -> int:
    r"""Print the value at PATH.

    Into a pipe or a file go the exact bytes and nothing else. On a terminal a line end follows, and what cannot be
    printed is shown as \xNN. JSON: a list of {path, value, meta, created, modified, children}.
    """
    with reading() as store:
        tree = place(store, branch, at)
        found: list[tuple[str, rrdstore.Node]] = []
        code = each(paths, lambda path: found.append((path, tree.stat(path))))
    if as_json:
        print_json([json_node(path, node) for path, node in found])
    for _, node in () if as_json else found:
        if raw or not on_terminal():
            click.echo(node.value, nl=False)
        else:
            click.echo(shown(node.value))
    return code


@verb(
    "set",
    "rrdstore -C host.rrdb set /local/domain/1/name web1 -m 'named by hand'",
    "rrdstore -C host.rrdb set /image - < image.bin",
    "rrdstore -C host.rrdb set /offset -- -5",
)
@click.argument("path")
@click.argument("value")
@click.option("--meta", help="Metadata of the node; left as it is if not given.")
@branch_option
@said_options
@json_option
def set_(path: str, value: str, meta: str | None, branch: str, message: str, author: str, as_json: bool) -> None:
    """Set the value at PATH in one commit, and print the commit's id.

    The value `-` is read from standard input, every byte of it. Missing parents are made, with empty values. JSON:
    the commit.
    """
    data = sys.stdin.buffer.read() if value == "-" else os.fsencode(value)
    with writing() as store:
        commit = store.branch(branch).set(path, data, None if meta is None else os.fsencode(meta), message, author)
        print_json(json_commit(commit)) if as_json else click.echo(commit.id)


@verb(
    "rm",
    "rrdstore -C host.rrdb rm -n /local/domain/7",
    "rrdstore -C host.rrdb rm /local/domain/7 /vm/7 -m 'domain 7 is gone'",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@branch_option
@said_options
@dry_run_option
@json_option
def rm(paths: tuple[str, ...], branch: str, message: str, author: str, dry_run: bool, as_json: bool) -> None:
    """Remove PATH and all below it; several in one commit, all or none.

    History keeps what was there as the policy says. JSON: {removed, commit}, the commit null in a dry run.
    """
    with writing(dry_run=dry_run) as store:
        tx = store.branch(branch).transaction(message, author)
        gone: list[str] = []
        try:
            for path in paths:
                gone += [below for below, _ in tx.tree.descend(path)]
                tx.remove(path)
            commit = tx.commit()
        finally:
            tx.abort()
        if as_json:
            print_json({"removed": gone, "commit": None if dry_run else json_commit(commit)})
        elif dry_run:
            click.echo("\n".join(f"would remove {shown(path)}" for path in gone))
        else:
            click.echo(commit.id)


@verb(
    "ls",
    "rrdstore -C host.rrdb ls /local/domain",
    "rrdstore -C host.rrdb ls -l /local/domain/1 --at @1700000000",
    reads=True,
)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("-l", "long", is_flag=True, help="With sizes, children, and the commits that made and last set each.")
@branch_option
@at_option
@json_option
def ls(paths: tuple[str, ...], long: bool, branch: str, at: str | None, as_json: bool) -> int:
    """List the names below PATH, sorted; of the root if none is given.

    With -l: bytes of the value, number of children, commit that made it, commit that last set it, name. JSON: a
    list of {path, value, meta, created, modified, children}.
    """
    with reading() as store:
        tree = place(store, branch, at)
        rows: list[tuple[str, str, rrdstore.Node]] = []

        def collect(path: str) -> None:
            below = path if path.endswith("/") else f"{path}/"
            rows.extend((below + name, name, tree.stat(below + name)) for name in tree.list(path))

        code = each(paths or ("/",), collect)
    if as_json:
        print_json([json_node(path, node) for path, _, node in rows])
    elif long:
        cells = [
            (str(len(node.value)), str(node.children), str(node.created), str(node.modified), shown(name))
            for _, name, node in rows
        ]
        _print_lines(columns(cells, "rrrr"))
    else:
        _print_lines(shown(name) for _, name, _ in rows)
    return code


@verb(
    "tree",
    "rrdstore -C host.rrdb tree /local/domain/1",
    "rrdstore -C host.rrdb tree --depth 2 --at 'before-upgrade'",
    reads=True,
)
@click.argument("path", default="/")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="No deeper than N levels below PATH.")
@branch_option
@at_option
@json_option
def tree_(path: str, depth: int | None, branch: str, at: str | None, as_json: bool) -> None:
    """Draw the tree at and below PATH, with its values.

    JSON: a list of {path, value, meta, created, modified, children}, parents first.
    """
    with reading() as store:
        tree = place(store, branch, at)
        top = _level(path)
        nodes = tree.descend(path) if as_json else ()
        rows = [json_node(here, node) for here, node in nodes if depth is None or _level(here) - top <= depth]
        lines = [] if as_json else list(drawn(tree, path, depth))
    print_json(rows) if as_json else _print_lines(lines)


def _level(path: str) -> int:
    return 0 if path == "/" else path.count("/")


def drawn(tree: rrdstore.Tree, path: str, depth: int | None) -> Iterator[str]:
    """The lines of the picture; no recursion, a path may have 1,536 levels."""
    yield shown(path) + _value(tree.stat(path))
    stack = _branches(tree, path, "") if depth != 0 else []
    while stack:
        here, name, indent, last = stack.pop()
        node = tree.stat(here)
        yield f"{indent}{'└─ ' if last else '├─ '}{shown(name)}{_value(node)}"
        below = indent + ("   " if last else "│  ")
        if node.children and (depth is None or len(below) // 3 < depth):
            stack += _branches(tree, here, below)


def _branches(tree: rrdstore.Tree, path: str, indent: str) -> list[tuple[str, str, str, bool]]:
    """Of each name below, last one first: path, name, what stands left of it, whether it is the last."""
    above = path.rstrip("/")
    names = tree.list(path)
    return [(f"{above}/{name}", name, indent, name == names[-1]) for name in reversed(names)]


def _value(node: rrdstore.Node) -> str:
    return f' = "{shown(node.value)}"' if node.value else ""


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
