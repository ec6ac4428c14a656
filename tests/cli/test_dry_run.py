"""A dry run says what would go, and changes nothing; the same without -n does what it said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rrdstore

COMMANDS = [
    (("rm", "/domain/1"), "removed"),
    (("branch", "-d", "work"), "dropped"),
    (("untag", "then"), "dropped"),
    (("unpin", "pinned"), "dropped"),
    (("compact",), "dropped"),
]


@pytest.fixture
def laden(shell):
    """The store with a branch, and commits that only a tag or a pin keeps, whatever hour the tests are run at."""
    shell("fork", "work")
    shell("set", "/note", "1", "-b", "work")
    with rrdstore.open(shell.path) as store:
        main = store.branch("main")
        hours = list(main.log())
        for commit in hours:
            store.tag(commit.id, commit)
        for number in range(20):
            main.set("/busy", b"%d" % number)
        only_tagged = [
            commit for commit in hours if [one.rule for one in store.explain(commit.id).reasons] == [f"tag {commit.id}"]
        ]
        tagged, pinned = only_tagged[:2]
        store.tag("then", tagged)
        store.pin(pinned)
        for commit in hours:
            store.untag(commit.id)
    return shell, pinned.id


def files(shell):
    """The store and its journal, without the index that SQLite's readers make and leave."""
    return [Path(shell.path + end).read_bytes() for end in ("", "-ring")]


def ids(shell):
    return [line for line in shell.dumped() if line.startswith('{"commit"')]


@pytest.mark.parametrize(("command", "field"), COMMANDS, ids=lambda value: " ".join(value) if value else "")
def test_a_dry_run_changes_nothing_and_says_what_the_other_does(laden, command, field):
    shell, pinned = laden
    command = tuple(word.replace("pinned", pinned) for word in command)
    before, kept = files(shell), ids(shell)
    foretold = shell.json(*command, "-n")[field]
    shell(*command, "--dry-run")
    assert files(shell) == before
    assert shell.json(*command)[field] == foretold
    if field == "dropped":
        gone = {json.loads(line)["commit"] for line in kept} - {json.loads(line)["commit"] for line in ids(shell)}
        assert gone == set(foretold)
        assert gone or command == ("compact",)


def test_a_dry_run_of_what_cannot_be_fails_as_the_other_does(shell):
    for command in (("rm", "/none"), ("branch", "-d", "none"), ("untag", "none"), ("unpin", "1")):
        assert shell.run(*command, "-n", code=1).stderr == shell.run(*command, code=1).stderr


def test_a_dry_run_of_restore_proves_the_dump_and_makes_nothing(shell, tmp_path):
    lines = shell("dump").encode()
    path = tmp_path / "copy.rrdb"
    said = shell("restore", "-n", str(path), stdin=lines, store=False)
    assert "would hold" in said
    assert not path.exists()
    assert "dump, line" in shell.run("restore", "-n", str(path), stdin=lines[:-9], store=False, code=1).stderr
    assert shell("restore", str(path), stdin=lines, store=False) == said.replace("would hold", "holds")


def test_a_dry_run_works_beside_a_writer(laden):
    shell, _ = laden
    with rrdstore.open(shell.path):
        assert shell.lines("rm", "-n", "/domain/1") == ["would remove /domain/1", "would remove /domain/1/name"]
        assert shell.lines("untag", "-n", "then")[0] == "would untag then"
        assert shell.lines("branch", "-n", "-d", "work")[0] == "would delete work"
