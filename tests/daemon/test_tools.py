"""The tools where there is no stock one to compare with: the past, what is tried again, links; and their escapes."""

import io
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compat.peers import PROGRAMS, short_directory
from tests.daemon.conversation import NUMBERS
from tests.daemon.processes import PATIENCE, environment, run
from tests.daemon.scripted import Scripted
from xsadapter import tools
from xsadapter.tools.escaping import meant, printable
from xsadapter.tools.getopt import Option, cut

OPTIONS = (Option("a", "all"), Option("n", takes=True), Option("", "at", takes=True), Option("x", "also"))


def carry_out(socket, tool, *words):
    """Exit status, output, messages."""
    out, err = io.BytesIO(), io.BytesIO()
    status = tools.run(tool, list(words), out, err, socket=str(socket))
    return status, out.getvalue().decode(), err.getvalue().decode()


@pytest.fixture
def ask(process, client):
    return lambda tool, *words: carry_out(process.socket, tool, *words)


@given(st.binary(max_size=40))
def test_an_escaped_value_is_printable_and_means_the_value(value):
    shown = printable(value)
    assert meant(shown) == value
    assert all(32 <= byte < 127 for byte in shown)


@pytest.mark.parametrize(
    ("words", "options", "operands"),
    [
        (["b", "-a", "c"], [("a", "")], ["b", "c"]),
        (["-an", "3", "--", "-a"], [("a", ""), ("n", "3")], ["-a"]),
        (["-n3", "-"], [("n", "3")], ["-"]),
        (["--at=1", "--at", "2"], [("at", "1"), ("at", "2")], []),
        (["--als"], [("x", "")], []),
        (["--al"], [("?", "option '--al' is ambiguous; possibilities: '--all' '--also'")], []),
        (["--all=1"], [("?", "option '--all' doesn't allow an argument")], []),
        (["--at"], [("?", "option '--at' requires an argument")], []),
        (["-n"], [("?", "option requires an argument -- 'n'")], []),
        (["-ba"], [("?", "invalid option -- 'b'"), ("a", "")], []),
        (["--no=1"], [("?", "unrecognized option '--no=1'")], []),
    ],
)
def test_words_are_cut_as_glibc_cuts_them(words, options, operands):
    assert cut(words, OPTIONS) == (options, operands)


def test_the_reading_tools_read_the_past(ask, client):
    client.write("/test/a", b"one")
    client.write("/test/a/b", b"\0deep")
    client.set_permissions("/test/a", ["n0", "r5"])
    then = client.control("history", "commit", "0s")
    client.write("/test/a", b"two")
    client.write("/test/c", b"")
    client.rm("/test/a/b")
    assert ask("read", "--at", then, "/test/a", "/test/a/b") == (0, "one\n\\000deep\n", "")
    assert ask("read", f"--at={then}", "-p", "/test/a") == (0, "/test/a: one\n", "")
    assert ask("read", "/test/a") == (0, "two\n", "")
    assert ask("list", "--at", then, "/test") == (0, "a\n", "")
    assert ask("ls", "--at", then, "-fp", "/test") == (
        0,
        '/test/a = "one"   (n0,r5)\n/test/a/b = "\\000deep"   (n0)\n',
        "",
    )
    assert ask("exists", "--at", then, "/test/a/b")[0] == 0
    assert ask("exists", "--at", then, "/test/c")[0] == 1
    assert ask("exists", "--at", "0s", "/test/c")[0] == 0
    assert ask("read", "--at", then, "/test/none") == (1, "", "xenstore-read: couldn't read path /test/none\n")
    assert ask("list", "--at", then, "/")[1] == ask("list", "/")[1]
    client.write("rel", b"here")
    assert ask("read", "--at", "0s", "rel") == (0, "here\n", "")
    client.rm("rel")


def test_a_large_directory_of_the_past(ask, client):
    with client.pipeline() as pipe:
        for number in range(700):
            pipe.mkdir(f"/test/a-rather-long-name-{number:04}")
    then = client.control("history", "commit", "0s")
    client.rm("/test")
    assert ask("list", "--at", then, "/test")[1].split() == [f"a-rather-long-name-{number:04}" for number in range(700)]
    assert len(ask("ls", "--at", then, "/test")[1].splitlines()) == 700


def test_a_moment_that_cannot_be_is_an_error(ask):
    why = "xenstore-read: --at yesterday evening: no moment that this daemon knows\n"
    assert ask("read", "--at", "yesterday evening", "/test") == (1, "", why)
    why = "xenstore-ls: --at 999999-00000000: nothing is kept of it\n"
    assert ask("ls", "--at", "999999-00000000") == (1, "", why)
    usage = "xenstore-rm: unrecognized option '--at'\nxenstore-rm: Usage: xenstore-rm [-h] [-s] [-t] key [...]\n"
    assert ask("rm", "--at") == (1, "", usage)


def test_chmod_of_all_from_the_root(ask, client):
    client.write("/test/a/b", b"")
    assert ask("chmod", "-r", "/", "n0", "r7") == (0, "", "")
    assert [client.get_permissions(path) for path in ("/", "/test/a/b", "/tool")] == [["n0", "r7"]] * 3
    assert ask("chmod", "-r", "/", "n0") == (0, "", "")


def test_a_transaction_is_tried_again_and_printed_once():
    start, read, end, error = (NUMBERS[name] for name in ("TRANSACTION_START", "READ", "TRANSACTION_END", "ERROR"))
    one_try = [[(start, b"1\0")], [(read, b"x")], [(read, b"y")]]
    replies = [*one_try, [(error, b"EAGAIN\0")], *one_try, [(end, b"OK\0")]]
    with short_directory() as directory, Scripted(directory / "s", replies):
        assert carry_out(directory / "s", "read", "/a", "/b") == (0, "x\ny\n", "")


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([("ERROR", b"ENOSPC\0")], "couldn't start transaction"),
        ([("TRANSACTION_START", b"1\0"), ("READ", b""), ("ERROR", b"ENOSPC\0")], "couldn't end transaction"),
        ([("TRANSACTION_START", b"1\0"), ("ERROR", b"ENOSPC\0"), ("TRANSACTION_END", b"OK\0")], ""),
    ],
)
def test_a_transaction_that_cannot_be(replies, said):
    with short_directory() as directory, Scripted(directory / "s", [[(NUMBERS[k], p)] for k, p in replies]):
        status, printed, told = carry_out(directory / "s", "exists", "/a")
        assert (status, printed, said in told) == (1, "", True)


def test_nobody_reads_what_it_prints(process, client):
    client.write("/test/a", b"x")
    nobody, end = os.pipe()
    os.close(nobody)
    words = [sys.executable, "-m", "xsadapter.tools", "read", "/test/a"]
    variables = environment(XENSTORED_PATH=str(process.socket))
    with subprocess.Popen(words, env=variables, stdout=end, stderr=subprocess.PIPE) as reading:
        os.close(end)
        assert (reading.wait(PATIENCE), reading.stderr.read()) == (-signal.SIGPIPE, b"")


def test_a_daemon_that_hangs_up_is_an_error():
    with short_directory() as directory, Scripted(directory / "s", [[]]):
        assert carry_out(directory / "s", "read", "/a") == (
            1,
            "",
            "xenstore-read: the daemon closed the connection\n",
        )
    with short_directory() as directory, Scripted(directory / "s", []):
        words = [sys.executable, "-m", "xsadapter.tools", "read", "/a", "/b"]
        variables = environment(XENSTORED_PATH=str(directory / "s"))
        done = subprocess.run(words, env=variables, capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.startswith(b"xsadapter-xenstore: ")


def test_links_to_all_tools(process, client):
    client.write("/test/a", b"x")
    with short_directory() as directory:
        place = directory / "bin"
        done = run("install-links", str(place))
        assert (done.returncode, done.stdout) == (0, f"10 links in {place}\n")
        assert {link.name for link in place.iterdir()} == {"xenstore", *(f"xenstore-{tool}" for tool in tools.NAMES)}
        assert run("install-links", str(place)).returncode == 0

        def call(*words):
            variables = environment(XENSTORED_PATH=str(process.socket))
            found = subprocess.run(
                [str(place / words[0]), *words[1:]],
                env=variables,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            return found.returncode, found.stdout, found.stderr

        assert call("xenstore-read", "/test/a") == (0, "x\n", "")
        assert call("xenstore", "read", "-p", "/test/a") == (0, "/test/a: x\n", "")
        assert call("xenstore", "read") == (1, "", "xenstore: Usage: xenstore read [-h] [-p] [-s] [-R] key [...]\n")
        assert call("xenstore") == (1, "", "xenstore: Usage: xenstore <mode> [-h] [...]\n")
        assert call("xenstore", "nosuch") == (1, "", "xenstore: unknown mode nosuch\n\n")
        assert call("xenstore-control")[0] == 2


def test_what_is_there_already_is_left_alone():
    with short_directory() as directory:
        (directory / "xenstore-ls").write_text("precious")
        done = run("install-links", str(directory))
        assert done.returncode == 1
        assert "xenstore-ls is there already" in done.stderr
        assert [path.name for path in directory.iterdir()] == ["xenstore-ls"]
        assert run("install-links", "--force", str(directory)).returncode == 0
        assert (directory / "xenstore-ls").readlink() == PROGRAMS / "xsadapter-xenstore"
