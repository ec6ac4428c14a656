"""Debian's xenstore-* clients, on our daemon and on the stock ones: what they print and how they end is the same.

The stock daemons are the oracle: a test that they fail says something wrong about the protocol. What is ours alone is
in test_clients.py, but for the last test here: killed, it goes on where it was, and no file has grown.
"""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.compat import peers

TOOLS = tuple(f"xenstore-{verb}" for verb in ("chmod", "exists", "list", "ls", "read", "rm", "watch", "write"))


@pytest.fixture(params=["our_xenstored", "c_xenstored", "ox_xenstored"])
def daemon(request, need):
    need(*TOOLS)
    return request.getfixturevalue(request.param)


def ok(daemon, *command):
    """What a command prints that must succeed without a complaint."""
    done = daemon.run(*command)
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout


def test_values(daemon):
    assert ok(daemon, "xenstore-write", "/a/b", "1", "/a/c", "2") == ""
    assert ok(daemon, "xenstore-read", "/a/b", "/a/c") == "1\n2\n"
    assert ok(daemon, "xenstore-read", "-p", "/a/b") == "/a/b: 1\n"
    assert ok(daemon, "xenstore-list", "/a") == "b\nc\n"
    assert ok(daemon, "xenstore-list", "-p", "/a") == "/a/b\n/a/c\n"
    assert ok(daemon, "xenstore-ls", "/a") == 'b = "1"\nc = "2"\n'
    assert ok(daemon, "xenstore-ls", "-f", "/a") == '/a/b = "1"\n/a/c = "2"\n'


def test_bytes_that_are_no_text(daemon):
    ok(daemon, "xenstore-write", "/a", "x\\x01y")
    assert ok(daemon, "xenstore-read", "-R", "/a") == "x\x01y"
    assert ok(daemon, "xenstore-read", "/a") == "x\\001y\n"


def test_removing(daemon):
    ok(daemon, "xenstore-write", "/a/b/c", "1", "/a/d", "2")
    ok(daemon, "xenstore-rm", "/a/b")
    ok(daemon, "xenstore-rm", "/a/b")  # gone already, but its parent is there
    assert daemon.run("xenstore-rm", "/no/b").returncode == 1
    assert ok(daemon, "xenstore-ls", "-f", "/a") == '/a/d = "2"\n'
    ok(daemon, "xenstore-rm", "-t", "/a/d")  # and all above that are empty then
    assert daemon.run("xenstore-exists", "/a").returncode == 1


def test_permissions(daemon):
    ok(daemon, "xenstore-write", "/a/b", "1", "/a/c", "2")
    ok(daemon, "xenstore-chmod", "/a/b", "n0", "r5")
    assert ok(daemon, "xenstore-ls", "-f", "-p", "/a") == '/a/b = "1"   (n0,r5)\n/a/c = "2"   (n0)\n'
    ok(daemon, "xenstore-chmod", "-r", "/a", "n3", "b7")
    assert ok(daemon, "xenstore-ls", "-f", "-p", "/a") == '/a/b = "1"   (n3,b7)\n/a/c = "2"   (n3,b7)\n'
    assert daemon.run("xenstore-chmod", "/no", "n0").returncode == 1


def test_a_relative_path_is_below_the_clients_own_domain(daemon):
    ok(daemon, "xenstore-write", "rel", "1")
    assert ok(daemon, "xenstore-read", "/local/domain/0/rel") == "1\n"


def test_one_program_for_all(daemon):
    assert ok(daemon, "xenstore", "write", "/a", "1") == ""
    assert ok(daemon, "xenstore", "read", "-p", "/a") == "/a: 1\n"
    assert ok(daemon, "xenstore", "ls", "-f", "/a") == ""
    assert daemon.run("xenstore", "exists", "/no").returncode == 1


@pytest.mark.parametrize("name", ["our_xenstored", "c_xenstored"])
def test_control(name, need, request):
    need(peers.XEN / "xenstore-control")
    daemon = request.getfixturevalue(name)
    control = peers.XEN / "xenstore-control"
    for words in (
        ["check"],
        ["print", "text"],
        ["log", "on"],
        ["log", "off"],
        ["logfile", str(daemon.directory / "t")],
    ):
        assert ok(daemon, control, *words) == "OK\n", words
    known = {line.split("\t")[0] for line in ok(daemon, control, "help").splitlines()}
    assert {"check", "log", "logfile", "print", "quota", "quota-soft", "help", "memreport"} <= known
    assert "nodes" in ok(daemon, control, "quota")
    assert "memory" in ok(daemon, control, "quota", "0")
    for words in (["nosuch"], ["quota", "set", "nosuch", "1"], ["check", "more"], ["print"], ["log", "maybe"]):
        done = daemon.run(control, *words)
        assert (done.returncode, done.stdout) == (3, ""), words
        assert done.stderr.startswith("Command not supported")


@pytest.mark.parametrize("path", ["/a//b", "/a/", "/a b", "/" + "x" * 3100])
def test_paths_that_cannot_be(daemon, path):
    assert daemon.run("xenstore-write", path, "1").returncode == 1


def test_a_watch_fires_at_once_and_for_each_change_below(daemon):
    ok(daemon, "xenstore-write", "/a/b", "1")
    command = ["xenstore-watch", "-n", "3", "/a"]
    with subprocess.Popen(command, env=daemon.environment, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout.readline() == "/a\n"
            ok(daemon, "xenstore-write", "/elsewhere", "1")
            ok(daemon, "xenstore-write", "/a/b", "2")
            assert watch.stdout.readline() == "/a/b\n"
            ok(daemon, "xenstore-rm", "/a/b")
            assert watch.stdout.readline() == "/a/b\n"
            assert watch.wait(peers.PATIENCE) == 0
        finally:
            watch.kill()


def test_clients_at_the_same_time(daemon):
    """Each client's writes are all there in the end, whoever came between."""
    script = 'for i in $(seq 20); do xenstore-write "/$0/$i" "$i" || exit 1; done'
    writers = [subprocess.Popen(["sh", "-c", script, f"w{number}"], env=daemon.environment) for number in range(4)]
    assert [writer.wait(peers.PATIENCE) for writer in writers] == [0] * 4
    for number in range(4):
        assert len(ok(daemon, "xenstore-list", f"/w{number}").split()) == 20


def sizes(directory):
    """Bytes of the files of a rundir, sockets aside."""
    return {path.name: path.stat().st_size for path in directory.glob("*.rrdb*")}


def test_ours_goes_on_where_it_was_killed_and_its_files_have_not_grown(need, run_directory):
    need(*TOOLS)
    options = ("--size", "8MiB", "--keep", "last:64 1s:5m 1m:2h")
    with peers.our_xenstored(run_directory, *options) as daemon:
        at_creation = sizes(run_directory)
        ok(daemon, "xenstore-write", *(word for number in range(50) for word in (f"/a/{number:02}", str(number))))
        ok(daemon, "xenstore-chmod", "/a", "n0", "r5")
        seen = ok(daemon, "xenstore-ls", "-f", "-p")
        daemon.process.kill()
        daemon.process.wait(peers.PATIENCE)
    with peers.our_xenstored(run_directory, *options) as daemon:
        assert ok(daemon, "xenstore-ls", "-f", "-p") == seen
        ok(daemon, "xenstore-write", "/a/00", "again")
        assert daemon.stop() == 0
    store = run_directory / "history.rrdb"
    assert sizes(run_directory)[store.name] == at_creation[store.name] > 0
    assert sum(sizes(run_directory).values()) <= 8 << 20
    past = subprocess.run(
        ["rrdstore", "-C", str(store), "log"],
        env={**os.environ, "PATH": f"{peers.PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(past.stdout.splitlines()) > 2
