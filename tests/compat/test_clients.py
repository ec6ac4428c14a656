"""Debian's xenstore-* clients on our daemon: what they print and how they end."""

import subprocess
import time

import pytest

import rrdstore
from tests.compat import peers
from tests.compat.peers import XEN

CONTROL = XEN / "xenstore-control"


@pytest.fixture
def tool(need, our_xenstored):
    """Run `xenstore-...`: exit status and output."""

    def run(name, *words):
        need(f"xenstore-{name}")
        done = our_xenstored.run(f"xenstore-{name}", *words)
        return done.returncode, done.stdout

    return run


def test_write_and_read(tool):
    assert tool("write", "/a/b", "hello") == (0, "")
    assert tool("read", "/a/b") == (0, "hello\n")
    assert tool("read", "-p", "/a/b") == (0, "/a/b: hello\n")
    assert tool("write", "/a/b", "1", "/a/c", "2") == (0, "")
    assert tool("read", "/a/b", "/a/c") == (0, "1\n2\n")
    assert tool("read", "/nothing")[0] == 1


def test_ls(tool):
    tool("write", "/a/b", "hello", "/a/c/d", "two words")
    assert tool("ls", "-f", "/a") == (0, '/a/b = "hello"\n/a/c = ""\n/a/c/d = "two words"\n')
    assert tool("ls") == (
        0,
        'a = ""\n b = "hello"\n c = ""\n  d = "two words"\ntool = ""\n xenstored = ""\n',
    )
    assert "(n0)" in tool("ls", "-p", "/a")[1]


def test_list(tool):
    tool("write", "/a/b", "", "/a/a", "")
    assert tool("list", "/a") == (0, "a\nb\n")
    assert tool("list", "/") == (0, "a\ntool\n")
    assert tool("list", "/nothing")[0] == 1


def test_list_of_more_than_one_reply(tool):
    names = [f"quite-a-long-name-{number:03}" for number in range(300)]
    tool("write", *(word for name in names for word in (f"/big/{name}", "")))
    assert tool("list", "/big") == (0, "".join(f"{name}\n" for name in names))
    assert len(tool("ls", "/big")[1].splitlines()) == 300


def test_rm(tool):
    tool("write", "/a/b/c", "")
    assert tool("rm", "/a/b/c") == (0, "")
    assert tool("exists", "/a/b")[0] == 0
    assert tool("rm", "-t", "/a/b") == (0, "")
    assert tool("exists", "/a")[0] == 1
    assert tool("rm", "/no/such/thing")[0] == 1


def test_exists(tool):
    assert tool("exists", "/tool")[0] == 0
    assert tool("exists", "/nothing")[0] == 1


def test_chmod(tool):
    tool("write", "/a/b", "")
    assert tool("chmod", "/a", "n5", "r6") == (0, "")
    assert "(n5,r6)" in tool("ls", "-p", "/")[1]
    assert tool("chmod", "-r", "/a", "b0", "r7") == (0, "")
    assert tool("ls", "-p", "/a")[1].rstrip().endswith("(b0,r7)")


def test_watch(need, our_xenstored):
    need("xenstore-watch", "xenstore-write")
    command = ["xenstore-watch", "-n", "3", "/w"]
    with subprocess.Popen(command, env=our_xenstored.environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout.readline() == "/w\n"
        our_xenstored.run("xenstore-write", "/w/a", "1")
        our_xenstored.run("xenstore-write", "/w/b", "1")
        assert watching.communicate(timeout=peers.PATIENCE)[0] == "/w/a\n/w/b\n"
        assert watching.returncode == 0


def test_control_history(need, our_xenstored):
    need(CONTROL, "xenstore-write")
    our_xenstored.run("xenstore-write", "/a", "one")
    our_xenstored.run("xenstore-write", "/a", "two")
    log = our_xenstored.run(CONTROL, "history", "log", "/a").stdout.split("\n")[:2]
    assert [line.rpartition(": ")[2] for line in log] == ["WRITE /a", "WRITE /a"]
    assert "(xenstore-write)" in log[0]
    first = log[1].split()[0]
    assert our_xenstored.run(CONTROL, "history", "at", first, "/a").stdout.splitlines()[1] == "one"
    assert our_xenstored.run(CONTROL, "nosuch").returncode == 3


def test_a_stopped_daemon_goes_on_where_it_was(need, our_xenstored):
    need("xenstore-write", "xenstore-read", "xenstore-rm")
    our_xenstored.run("xenstore-write", "/local/domain/1/name", "web1")
    our_xenstored.run("xenstore-rm", "/local/domain/1")
    our_xenstored.run("xenstore-write", "/local/domain/1/name", "web2")
    assert our_xenstored.stop() == 0
    (our_xenstored.directory / "notify").unlink()
    with peers.our_xenstored(our_xenstored.directory) as again:
        assert again.run("xenstore-read", "/local/domain/1/name").stdout == "web2\n"


def test_rrdstore_reads_the_tree_of_a_running_daemon_and_its_past(need, our_xenstored):
    need("xenstore-write")
    our_xenstored.run("xenstore-write", "/local/domain/1/name", "web1")
    our_xenstored.run("xenstore-write", "/local/domain/1/name", "web2")

    def known():
        """What a reader sees: what is stored, and that is within half a second all that was answered."""
        with rrdstore.open(our_xenstored.directory / "history.rrdb", readonly=True) as store:
            main = store.branch("main")
            name = "/local/domain/1/name"
            return [
                (commit.message, main.at(commit.id).get(name), commit.author.rpartition("(")[2])
                for commit in main.log(name)
            ]

    give_up = time.monotonic() + peers.PATIENCE
    while len(found := known()) < 2 and time.monotonic() < give_up:
        pass
    assert found == [("WRITE /local/domain/1/name", value, "xenstore-write)") for value in (b"web2", b"web1")]
