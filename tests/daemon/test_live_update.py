"""A live update, with processes: clients, guests and transactions go on, and what fails leaves all as it was."""

import io
import sys
from pathlib import Path

import pytest

from tests.compat.guest import Guest
from tests.compat.peers import short_directory
from tests.daemon.processes import running, until
from xsadapter import tools
from xsadapter.client import Client
from xsadapter.errors import RequestError
from xsadapter.operations import Kind
from xsadapter.tools.control import REFUSED

PROGRAM = str(Path(sys.executable).parent / "xsadapter")
OK = b"OK\0"
STORE = ("--size", "8MiB", "--keep", "last:8")


@pytest.fixture(params=["store", "memory"])
def daemon(request):
    """With domain 5 on its ring, and a socket for domain 5's clients."""
    with short_directory() as directory:
        kept = ["--memory"] if request.param == "memory" else ["--size", "8MiB", "--keep", "last:8"]
        confined = f"{directory}/five:5"
        with running(directory, *kept, "--simulated-xen", str(directory), "--client-socket", confined) as process:
            yield process


@pytest.fixture(scope="module")
def plain():
    """For all that changes nothing."""
    with short_directory() as directory, running(directory, "--memory") as process:
        yield process


def script(directory, text):
    place = directory / "program"
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o700)
    return str(place)


def update(process, *words):
    """The exit status of `xsadapter control live-update`, and what it said."""
    said = io.BytesIO()
    status = tools.run(
        "control", ["live-update", *words], said, said, called="xsadapter control", socket=process.socket
    )
    return status, said.getvalue().decode()


def test_nobody_notices(daemon):
    with daemon.client() as toolstack, Guest(daemon.rundir, 5) as guest:
        toolstack.mkdir("/local/domain/5")
        toolstack.set_permissions("/local/domain/5", ("n5",))
        toolstack.ask(Kind.INTRODUCE, b"5\x001\x007\0")
        toolstack.ask(Kind.SET_QUOTA, b"5\0watches\x0077\0")
        assert guest.ask("WATCH", b"name\0mine\0") == OK
        assert guest.events() == [(b"name", b"mine")]
        unused, used, stale = (guest.start() for _ in range(3))
        assert guest.ask("READ", b"data/there\0", transaction=used) == "ENOENT"
        assert guest.ask("WRITE", b"data/here\0kept too", transaction=used) == OK
        assert guest.ask("READ", b"name\0", transaction=stale) == "ENOENT"
        assert guest.ask("WRITE", b"data/lost\0x", transaction=stale) == OK
        with Client(daemon.rundir / "five") as confined, toolstack.watch("/tool") as watch:
            assert next(watch) == "/tool"
            for round_ in range(2):
                assert update(daemon, PROGRAM) == (0, ""), daemon.log
                toolstack.write("/local/domain/5/name", b"n%d" % round_)
                assert guest.events() == [(b"name", b"mine")]
                assert guest.ask("READ", b"name\0") == b"n%d" % round_
                toolstack.write("/tool/x", b"")
                assert next(watch) == "/tool/x"
                assert confined.read("name") == b"n%d" % round_
                with pytest.raises(RequestError, match="EACCES"):
                    confined.ask(Kind.INTRODUCE, b"5\x001\x007\0")
            with daemon.client() as later, Client(daemon.rundir / "five") as later_confined:
                assert later.read("/tool/x") == b""
                assert later_confined.read("name") == b"n1"
        assert guest.ask("WRITE", b"name\0kept", transaction=unused) == OK
        assert guest.ask("TRANSACTION_END", b"T\0", transaction=unused) == OK
        assert guest.ask("READ", b"data/here\0", transaction=used) == b"kept too"
        assert guest.ask("TRANSACTION_END", b"T\0", transaction=used) == OK
        assert guest.ask("TRANSACTION_END", b"T\0", transaction=stale) == "EAGAIN"
        assert toolstack.read("/local/domain/5/name") == b"kept"
        assert toolstack.list("/local/domain/5/data") == ["here"]
        assert toolstack.read("/local/domain/5/data/here") == b"kept too"
        assert toolstack.ask(Kind.GET_QUOTA, b"5\0watches\0") == b"77\0"
        assert toolstack.control("check") == "OK"
    assert not (daemon.rundir / "state_dump").exists()
    assert daemon.log.count("took over 4 connections and 2 watches") == 2
    assert daemon.stop() == 0
    assert not daemon.socket.exists()


def test_descriptors_and_memory_do_not_pile_up(plain):
    with plain.client() as client:

        def opened():
            """How many there are once the daemon has seen that the tool which asked for the update is gone."""
            until(lambda: "connections 1," in client.control("memreport"), "the tool's connection is gone")
            return len(list(Path(f"/proc/{plain.process.pid}/fd").iterdir()))

        client.write("/a", b"")
        assert update(plain, PROGRAM) == (0, "")
        once = opened()
        assert update(plain, PROGRAM) == (0, "")
        assert opened() == once
        assert client.read("/a") == b""


FAILING = {
    "a program that is not there": ("/nonexistent", "expected a program that can be run"),
    "a file that is no program": ("exit 0", "expected a program that can be run"),
    "a program that fails": ("echo broken; exit 7", "ended with status 7: broken"),
    "of our code, but it does not take the state": (
        "case $* in *--help*) echo --check-takeover;; *) echo too new; exit 1;; esac",
        "ended with status 1: too new",
    ),
}


@pytest.mark.parametrize(("text", "said"), FAILING.values(), ids=FAILING)
def test_what_fails_leaves_all_as_it_was(plain, text, said):
    program = text if text.startswith("/") else script(plain.rundir, text)
    if text == "exit 0":
        Path(program).chmod(0o600)
    with plain.client() as client, client.watch("/a") as watch:
        assert next(watch) == "/a"
        status, found = update(plain, program)
        assert status == REFUSED
        assert found.startswith("Setting update binary failed:\n")
        assert said in found
        client.write("/a", b"1")
        assert next(watch) == "/a"
        assert client.control("live-update", "-s") == "no program was named: -f comes first"
    assert not list(plain.rundir.glob("state_dump*"))


def test_a_command_line_that_it_does_not_understand(plain):
    status, found = update(plain, "-c", "run --nonsense", PROGRAM)
    assert status == REFUSED
    assert "No such option '--nonsense'" in found


def test_a_program_that_goes_in_between_and_a_directory_that_takes_no_file(plain):
    program = script(plain.rundir, "exit 0")
    with plain.client() as client:
        assert client.control("live-update", "-f", program) == "OK"
        Path(program).unlink()
        assert f"No such file or directory: '{program}'" in client.control("live-update", "-s")
        program = script(plain.rundir, "exit 0")
        assert client.control("live-update", "-f", program) == "OK"
        in_the_way = plain.rundir / "state_dump.new"
        in_the_way.mkdir()
        assert "Is a directory" in client.control("live-update", "-s")
        in_the_way.rmdir()
        client.write("/still", b"there")
        assert client.read("/still") == b"there"


def test_another_program_waits_for_transactions(plain):
    """A program that is not ours gets none; with a timeout of 0 nobody is waited for."""
    program = script(plain.rundir, "exit 0")
    with plain.client() as client, plain.client() as other, other.transaction() as change:
        change.write("/open", b"1")
        _, found = update(plain, "-t", "0", program)
        assert found == "Starting live update failed:\ntransactions are open in domain 0\n"
        assert client.control("live-update", "-s") == "no program was named: -f comes first"


def test_one_at_a_time_and_only_by_who_began(plain):
    program = script(plain.rundir, "exit 0")
    with plain.client() as second:
        with plain.client() as first:
            assert first.control("live-update", "-f", program) == "OK"
            assert second.control("live-update", "-f", program) == "another connection is at a live update"
            assert first.control("live-update", "-a") == "OK"
            assert second.control("live-update", "-f", program) == "OK"
            assert second.control("live-update", "-a") == "OK"
            assert first.control("live-update", "-f", program) == "OK"
        first_has_gone = second.control("memreport")
        assert "connections 1" in first_has_gone
        assert second.control("live-update", "-f", program) == "OK"
        for wrong in (["-x"], ["-f"], ["-s", "-t"], ["-s", "-t", "x"], ["-a", "b"], ["-s", "-v", "3"]):
            with pytest.raises(RequestError, match="EINVAL"):
                second.control("live-update", *wrong)


def test_c_xenstored_gets_no_state_without_domain_0_s_ring_at_which_it_would_end(daemon):
    status, found = update(daemon, script(daemon.rundir, "exit 0"))
    assert status == REFUSED
    assert "domain 0 has no ring" in found
    with daemon.client() as client:
        client.write("/a", b"1")


def test_to_one_that_keeps_nothing_the_tree_goes_along_and_nothing_is_left_beside_the_store():
    with (
        short_directory() as directory,
        running(directory, *STORE) as process,
        process.client() as client,
        client.watch("/a") as watch,
    ):
        assert next(watch) == "/a"
        client.write("/a", b"1")
        assert next(watch) == "/a"
        words = f"run --rundir {directory} --memory"
        assert update(process, "-c", words, PROGRAM) == (0, "")
        assert client.read("/a") == b"1"
        client.write("/a", b"2")
        assert next(watch) == "/a"
        assert not (directory / "state").exists()
        until(lambda: not (directory / "keeper").exists(), "the keeper is gone")


def test_a_program_that_goes_in_between_leaves_all_that_is_kept():
    """What was let go of for C's sake is taken back: the daemon can still be killed."""
    with short_directory() as directory, running(directory, *STORE) as process, process.client() as client:
        program = script(directory, "exit 0")
        with process.client() as other:
            assert other.control("live-update", "-f", program) == "OK"
            Path(program).unlink()
            assert "No such file or directory" in other.control("live-update", "-s")
        client.write("/a", b"1")
        with process.client() as last:
            last.read("/a")
        process.process.kill()
        process.process.wait()
        with running(directory, *STORE) as again:
            assert client.read("/a") == b"1"
            # How many others there were depends on whether the end of each was seen.
            assert "going on with " in again.log
