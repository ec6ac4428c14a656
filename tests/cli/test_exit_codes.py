"""Every way to end, and one line on stderr for each that is not 0."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import rrdstore
from rrdstore.cli import main
from rrdstore.cli.program import EXIT_CODES, exit_code

CASES = [
    (["get", "/odd"], 0, ""),
    (["get", "/none"], 1, "node '/none' not found"),
    (["rm", "/"], 2, "path '/': the root cannot be removed"),
    (["get", "odd"], 2, "path 'odd': does not start with '/'"),
    (["get"], 2, "Missing argument 'PATH...'; see 'rrdstore get --help'"),
    (["get", "--nope", "/odd"], 2, "--nope"),
    (["nope"], 2, "No such command 'nope'; see 'rrdstore --help'"),
    ([], 2, "Missing command; see 'rrdstore --help'"),
    (["ls", "--at", "soonish"], 2, "moment 'soonish': expected "),
    (["ls", "-b", "nope"], 1, "branch 'nope' not found"),
    (["branch", "a\nb"], 2, "branch name 'a\\nb': expected "),
    (["branch", "-d"], 2, "which branch? give NAME"),
    (["branch", "-d", "main"], 1, "the name of branch 'main' is read-only"),
    (["branch", "new", "--keep", "all:1d"], 2, "policy 'all:1d': found 'all'"),
    (["fork", "main"], 1, "branch 'main' exists already"),
    (["merge", "main"], 1, "cannot merge 'main' into 'main'"),
    (["untag", "nope"], 1, "tag 'nope' not found"),
    (["create", "x.rrdb", "--size", "big"], 2, "size 'big': expected a number of bytes"),
    (["create", "x.rrdb", "--size", "64KiB"], 2, "size of 65536 bytes is too small for this policy"),
    (["create", "x.rrdb", "--keep", ""], 2, "policy '': found no tiers"),
    (["create", "no/where.rrdb"], 1, "no/where.rrdb"),
    (["log", "--limit", "0"], 2, "Invalid value for '--limit'"),
    (["restore", "x.rrdb"], 1, "dump, line 1: found the end of the text"),
    (["--version"], 0, ""),
    (["explain", "--help"], 0, ""),
]


@pytest.mark.parametrize(("arguments", "code", "said"), CASES, ids=lambda value: str(value)[:40])
def test_a_command_ends_with_its_code_and_one_line(shell, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    done = shell.run(*arguments, code=code)
    if code:
        assert done.stderr.startswith("rrdstore: ")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
    else:
        assert done.stderr == ""
    assert not (tmp_path / "x.rrdb").exists()


def run(*arguments):
    return CliRunner().invoke(main, arguments, prog_name="rrdstore")


def test_without_a_store_it_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv("RRDSTORE", raising=False)
    done = run("ls")
    assert done.exit_code == 2
    assert "give -C FILE before the command, or set $RRDSTORE" in done.stderr


def test_the_environment_names_the_store(shell, monkeypatch):
    monkeypatch.setenv("RRDSTORE", shell.path)
    assert run("ls").stdout == "domain\nodd\n"


@pytest.mark.parametrize("content", [None, b"", b"not a store, whatever its name" * 1000])
def test_no_store_is_10(tmp_path, content):
    path = tmp_path / "none.rrdb"
    if content is not None:
        path.write_bytes(content)
    for command in (["ls"], ["set", "/a", "1"], ["rm", "-n", "/a"]):
        done = run("-C", str(path), *command)
        assert (done.exit_code, done.stderr.count("\n")) == (10, 1), done.stderr
    assert (path.read_bytes() if path.exists() else None) == content


def test_every_error_has_a_code_and_none_is_hidden_by_a_wider_one():
    kinds = [kind for kind, _ in EXIT_CODES]
    for at, kind in enumerate(kinds):
        assert not any(issubclass(kind, wider) for wider in kinds[:at])
    assert exit_code(rrdstore.Conflict(["/a"])) == 1
    assert exit_code(rrdstore.NoStore("x", "nothing")) == 10
    assert exit_code(rrdstore.Locked("x", None)) == 11
    assert exit_code(FileNotFoundError()) == 1


def test_the_help_documents_every_code():
    listed = run("--help").stdout.split("Exit codes:")[1]
    assert {int(line.split()[0]) for line in listed.splitlines()[1:8]} == {0, 1, 2, 3, 10, 11, 12}
    assert {code for _, code in EXIT_CODES} < {0, 1, 2, 3, 10, 11, 12}
