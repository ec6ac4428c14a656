"""The program as a process: its real streams, and its manners beside another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-c", "from rrdstore.cli import main; main(prog_name='rrdstore')"]
HOLDER = """
import sys, rrdstore
store = rrdstore.open(sys.argv[1])
store.branch("main").set("/unstored", b"journalled", message="by the holder")
print("held", flush=True)
sys.stdin.read()
"""


def run(path, *arguments, stdin=b"", **extra):
    command = [*PROGRAM, "-C", path, *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, input=stdin, capture_output=True, check=False, env=environment, **extra)


@pytest.fixture
def held(shell):
    """The store, open for writing in another process, with a commit that only its journal has."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, shell.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield shell, holder.pid
        holder.stdin.close()
        holder.wait()


def test_every_byte_goes_in_and_out(shell):
    every = bytes(range(256)) * 40
    assert run(shell.path, "set", "/all", "-", stdin=every).returncode == 0
    done = run(shell.path, "get", "/all")
    assert (done.stdout, done.stderr) == (every, b"")


def test_an_argument_that_is_no_text_is_still_bytes(shell):
    done = run(shell.path, "set", "/odd", b"\xff\xfe", "-m", b"caf\xe9", "--author", "me")
    assert done.returncode == 0, done.stderr
    assert run(shell.path, "get", "/odd").stdout == b"\xff\xfe"
    newest = json.loads(run(shell.path, "log", "--limit", "1", "--json").stdout)[0]
    assert newest["message"] == "caf\ufffd"
    done = run(shell.path, "set", b"/\xff", "1")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "/a", "1"), ("rm", "/odd"), ("fork", "work"), ("merge", "main"), ("branch", "new"),
        ("branch", "-d", "new"), ("tag", "t"), ("untag", "t"), ("pin", "1"), ("unpin", "1"), ("compact",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_store_that_another_process_writes_is_locked(held, arguments):
    shell, pid = held
    done = run(shell.path, *arguments)
    assert done.returncode == 11
    assert done.stderr == f"rrdstore: {shell.path} is written by process {pid}\n".encode()
    assert done.stdout == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ("info",), ("get", "/odd"), ("ls",), ("tree",), ("log",), ("diff", "2h"), ("branch",), ("tag",), ("pin",),
        ("plan",), ("explain", "22"), ("check",), ("dump",), ("rm", "-n", "/odd"), ("compact", "-n"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_reading_works_while_another_process_writes(held, arguments):
    shell, _ = held
    done = run(shell.path, *arguments)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_sees_what_only_the_journal_has(held):
    shell, _ = held
    assert run(shell.path, "get", "/unstored").stdout == b"journalled"
    assert b"by the holder" in run(shell.path, "log").stdout


def test_a_dump_goes_through_a_pipe(shell, tmp_path):
    copy = str(tmp_path / "copy.rrdb")
    dump = run(shell.path, "dump")
    done = run(shell.path, "restore", copy, stdin=dump.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    again = run(copy, "dump").stdout.splitlines()
    # Each opening raises the epoch, and the last line proves the first.
    assert again[1:-1] == dump.stdout.splitlines()[1:-1]


def test_a_pipe_that_is_closed_is_no_traceback(shell):
    for letter in b"abcd":
        assert run(shell.path, "set", "/large", "-", stdin=bytes([letter]) * 50_000).returncode == 0
    for command in ("dump", "log --json", "tree"):
        script = f'"$@" {command} | head -c 1'
        done = subprocess.run(
            ["bash", "-c", script, "bash", *PROGRAM, "-C", shell.path], capture_output=True, check=False
        )
        assert (len(done.stdout), done.stderr) == (1, b"")
