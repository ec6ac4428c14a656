"""Verbs on branches: branch, fork, merge, patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import rrdstore
from rrdstore.cli.names import going, print_going
from rrdstore.cli.opening import branch_option, dry_run_option, json_option, reading, said_options, writing
from rrdstore.cli.output import columns, json_commit, print_json, shown
from rrdstore.cli.program import each, verb

if TYPE_CHECKING:
    from collections.abc import Callable

keep_option = click.option(
    "--keep", metavar="POLICY", help=f"Which of its commits stay; '{rrdstore.BRANCH_DEFAULT}' if not given."
)


@verb(
    "branch",
    "rrdstore -C host.rrdb branch",
    "rrdstore -C host.rrdb branch notes --keep 'last:100'",
    "rrdstore -C host.rrdb branch -n -d work",
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-d", "--delete", is_flag=True, help="Delete NAME and those of its commits that nothing else keeps.")
@keep_option
@dry_run_option
@json_option
def branch(names: tuple[str, ...], delete: bool, keep: str | None, dry_run: bool, as_json: bool) -> int:
    """List the branches, make empty ones, or delete some.

    A new branch has no past and merges with no other; `fork` makes one that does. Listed are name, head, commits
    kept of those made, and policy. JSON, when listing: a list of {name, head, kept, made, keep}; when deleting:
    {done, dropped}.
    """
    if not names:
        if delete:
            raise click.UsageError("which branch? give NAME")
        with reading() as store:
            _list(store.info().branches, as_json)
        return 0
    with writing(dry_run=dry_run) as store:
        if not delete:

            def make(name: str) -> None:
                if name in store.branches:
                    raise rrdstore.Exists("branch", name)
                store.branch(name, create=True, keep=keep)

            return each(names, make)
        done: list[str] = []

        def drop(name: str) -> None:
            store.delete_branch(name)
            done.append(name)

        with going(store) as dropped:
            code = each(names, drop)
        print_going("delete", done, dropped, dry_run=dry_run, as_json=as_json)
        return code


def _list(branches: tuple[rrdstore.BranchInfo, ...], as_json: bool) -> None:
    if as_json:
        print_json([{"name": b.name, "head": b.head, "kept": b.kept, "made": b.made, "keep": b.keep} for b in branches])
    else:
        for line in columns((shown(b.name), b.head, f"{b.kept}/{b.made}", b.keep) for b in branches):
            click.echo(line)


@verb(
    "fork",
    "rrdstore -C host.rrdb fork work",
    "rrdstore -C host.rrdb fork work2 -b work --keep 'last:64 1h:2d' --lease 30d",
)
@click.argument("name")
@branch_option
@keep_option
@click.option("--lease", metavar="TIME", help="How long after each merge the two merge still; for ever if not given.")
@json_option
def fork(name: str, branch: str, keep: str | None, lease: str | None, as_json: bool) -> None:
    """Make a branch from the head of another.

    Prints the commit it starts from. The two merge for ever, either way, or for the time of a lease, counted from
    their last merge by the times of commits; after that there is `patch`. JSON: the commit.
    """
    with writing() as store:
        head = store.branch(branch).fork(name, keep, lease).head
        print_json(json_commit(head)) if as_json else click.echo(head.id)


@verb(
    "merge",
    "rrdstore -C host.rrdb merge work",
    "rrdstore -C host.rrdb merge main -b work -m 'catch up'",
    "rrdstore -C host.rrdb merge work --at '1h ago' --rule '/stats/**=counter' --rule '/cache/**=ours'",
)
@click.argument("other")
@click.option("-b", "--branch", default="main", show_default=True, metavar="NAME", help="The branch to merge into.")
@click.option("--at", metavar="WHEN", help="Merge what OTHER was then: an id, a tag or a moment.")
@click.option(
    "--rule",
    "rules",
    metavar="PATTERN=RULE",
    multiple=True,
    help="What settles the places that both sides changed: conflict, counter, set, last, ours, theirs; again for more.",
)
@said_options
@json_option
def merge(
    other: str, branch: str, at: str | None, rules: tuple[str, ...], message: str, author: str, as_json: bool
) -> None:
    """Merge the head of another branch, or an older commit.

    Prints the id of the commit. What both sides changed differently is settled by --rule and then by the [[merge]]
    tables of --config, the first pattern that matches; else it is a conflict: every path is listed, nothing is
    changed, exit code 1. If OTHER has nothing new, the head stays what it is. JSON: {commit, conflicts}, one of them
    null.
    """
    given = [{"pattern": pattern, "rule": rule} for pattern, _, rule in (said.rpartition("=") for said in rules)]
    with writing() as store:
        settled = rrdstore.merge_rules(given, "--rule")
        _made(lambda: store.branch(branch).merge(other, message or None, author, at, settled), as_json)


@verb(
    "patch",
    "rrdstore -C host.rrdb patch work --since 120",
    "rrdstore -C host.rrdb patch main -b work --since '2h ago' --at release",
)
@click.argument("other")
@click.option("-b", "--branch", default="main", show_default=True, metavar="NAME", help="The branch to change.")
@click.option("--since", required=True, metavar="WHEN", help="The commit of OTHER it begins with: id, tag, moment.")
@click.option("--at", metavar="WHEN", help="The commit of OTHER that it ends with; its head if not given.")
@said_options
@json_option
def patch(other: str, branch: str, since: str, at: str | None, message: str, author: str, as_json: bool) -> None:
    """Do to a branch what another has changed since a commit, where a merge is not possible any more.

    Prints the id of the commit. Each place must have its old value, a removed directory the names that it had, and what
    is made a parent; else it is a conflict: every path is listed, nothing is changed, exit code 1. What was taken back
    here since it came over is done again. JSON: {commit, conflicts}, one of them null.
    """
    with writing() as store:
        _made(lambda: store.branch(branch).patch(other, since, message or None, author, at), as_json)


def _made(make: Callable[[], rrdstore.Commit], as_json: bool) -> None:
    """Print the commit, or the conflict, which is raised again."""
    try:
        commit = make()
    except rrdstore.Conflict as conflict:
        if as_json:
            print_json({"commit": None, "conflicts": list(conflict.paths)})
        else:
            click.echo("\n".join(f"! {shown(path)}" for path in conflict.paths))
        raise
    print_json({"commit": json_commit(commit), "conflicts": None}) if as_json else click.echo(commit.id)
