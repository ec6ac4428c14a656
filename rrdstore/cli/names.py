"""Verbs that keep commits by name: tag, untag, pin, unpin; and what goes when a name does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from rrdstore.cli.opening import branch_option, commit_of, dry_run_option, json_option, reading, writing
from rrdstore.cli.output import columns, json_commit, print_json, shown, shown_time
from rrdstore.cli.program import each, verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import rrdstore


@contextmanager
def going(store: rrdstore.Store) -> Iterator[list[str]]:
    """Collect the ids of the commits that are not kept any more after the body, oldest first."""
    before = dict(store.plan().ids)
    dropped: list[str] = []
    yield dropped
    after = store.plan().ids
    dropped += [id_ for number, id_ in sorted(before.items()) if number not in after]


_PAST = {"delete": "deleted", "untag": "untagged", "unpin": "unpinned"}


def print_going(act: str, done: list[str], dropped: list[str], *, dry_run: bool, as_json: bool) -> None:
    """What was undone, or would be, and which commits go with it."""
    if as_json:
        print_json({"done": done, "dropped": dropped})
        return
    for name in done:
        click.echo(f"would {act} {shown(name)}" if dry_run else f"{_PAST[act]} {shown(name)}")
    for commit in dropped:
        click.echo(f"{'would drop' if dry_run else 'dropped'} {commit}")


@verb(
    "tag",
    "rrdstore -C host.rrdb tag",
    "rrdstore -C host.rrdb tag before-upgrade",
    "rrdstore -C host.rrdb tag last-good '2h ago'",
    moments=True,
)
@click.argument("name", required=False)
@click.argument("commit", required=False)
@branch_option
@json_option
def tag(name: str | None, commit: str | None, branch: str, as_json: bool) -> None:
    """Name a commit, or list the tags.

    A commit is kept as long as it has a name. COMMIT is an id, the beginning of one, a moment, a tag or the name
    of a branch; the head of the branch if it is not given. JSON: when listing, {name: commit}; else the commit.
    """
    if name is None:
        with reading() as store:
            _list(dict(store.tags), as_json)
        return
    with writing() as store:
        named = commit_of(store, branch, commit)
        store.tag(name, named)
        print_json(json_commit(named)) if as_json else click.echo(named.id)


def _list(tags: dict[str, rrdstore.Commit], as_json: bool) -> None:
    if as_json:
        print_json({name: json_commit(commit) for name, commit in tags.items()})
        return
    rows = [(shown(name), commit.id, shown_time(commit.time), shown(commit.message)) for name, commit in tags.items()]
    for line in columns(rows):
        click.echo(line)


@verb("untag", "rrdstore -C host.rrdb untag -n before-upgrade", "rrdstore -C host.rrdb untag before-upgrade last-good")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@dry_run_option
@json_option
def untag(names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Forget tags.

    Their commits are left to the tiers. A commit that nothing else keeps goes with its name, for good: `-n` says
    which. JSON: {done, dropped}.
    """
    with writing(dry_run=dry_run) as store:
        return _undo(store, "untag", names, store.untag, dry_run=dry_run, as_json=as_json)


@verb(
    "pin",
    "rrdstore -C host.rrdb pin",
    "rrdstore -C host.rrdb pin 1042",
    "rrdstore -C host.rrdb pin '2h ago'",
    moments=True,
)
@click.argument("commit", required=False)
@branch_option
@json_option
def pin(commit: str | None, branch: str, as_json: bool) -> None:
    """Keep a commit whatever the policy says.

    Prints its id; without COMMIT, lists the pins. COMMIT is an id, the beginning of one, a moment, a tag or the
    name of a branch. JSON: when listing, a list of ids; else the commit.
    """
    if commit is None:
        with reading() as store:
            pins = sorted(store.pins, key=lambda id_: int(id_.partition("-")[0]))
        if as_json:
            print_json(pins)
        else:
            for id_ in pins:
                click.echo(id_)
        return
    with writing() as store:
        pinned = commit_of(store, branch, commit)
        store.pin(pinned)
        print_json(json_commit(pinned)) if as_json else click.echo(pinned.id)


@verb("unpin", "rrdstore -C host.rrdb unpin -n 1042", "rrdstore -C host.rrdb unpin 1042 1043")
@click.argument("commits", metavar="COMMIT...", nargs=-1, required=True)
@dry_run_option
@json_option
def unpin(commits: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Leave pinned commits to the tiers again.

    COMMIT is an id, the beginning of one or a tag. What nothing else keeps goes, for good: `-n` says which. JSON:
    {done, dropped}.
    """
    with writing(dry_run=dry_run) as store:
        return _undo(store, "unpin", commits, store.unpin, dry_run=dry_run, as_json=as_json)


def _undo(
    store: rrdstore.Store,
    act: str,
    names: tuple[str, ...],
    undo: Callable[[str], object],
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    done: list[str] = []

    def one(name: str) -> None:
        undo(name)
        done.append(name)

    with going(store) as dropped:
        code = each(names, one)
    print_going(act, done, dropped, dry_run=dry_run, as_json=as_json)
    return code
