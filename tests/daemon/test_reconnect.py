"""The client when its daemon is killed and started again, with nobody keeping its socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS
from tests.daemon.processes import PATIENCE, environment, running
from tests.daemon.scripted import Scripted
from xsadapter.client import Client, OutcomeUnknownError, RequestError, TransactionLostError

OPTIONS = ("--size", "4MiB", "--keep", "last:64 1s:1m")


@pytest.fixture
def rundir():
    with short_directory() as directory:
        yield directory / "run"


def started(rundir):
    """A daemon that goes on with the tree and not with the clients of the one before."""
    (rundir / "keeper").unlink(missing_ok=True)
    (rundir / "state").unlink(missing_ok=True)
    return running(rundir, *OPTIONS)


def killed(daemon):
    """It, and then its keeper, which else would hold the sockets."""
    pid = daemon.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    daemon.process.kill()
    daemon.process.wait(PATIENCE)
    assert children
    for child in children:
        os.kill(int(child), signal.SIGKILL)


def patient(daemon):
    return Client(daemon.socket, timeout=PATIENCE, reconnect=PATIENCE)


def test_what_a_client_has_is_his_again_and_what_he_asks_is_answered(rundir):
    with started(rundir) as first, patient(first) as client:
        client.write("/a/b", b"1")
        deep, flat = client.watch("/a"), client.watch("/a", depth=0)
        assert [next(deep), next(flat)] == ["/a", "/a"]
        ended = client.watch("/a")
        ended.close()
        client.write("/a/b", b"2")
        client.write("/a", b"")
        begun = client.transaction()
        transaction = begun.__enter__()
        transaction.write("/a/b", b"lost")
        killed(first)
        with started(rundir) as second, second.client() as other:
            assert client.read("/a/b") == b"2"
            assert client.generation == 2
            # What waited, and that he is to look again if nothing said so.
            assert [next(deep), next(deep), next(flat)] == ["/a/b", "/a", "/a"]
            with pytest.raises(TransactionLostError):
                client.ask(READ, b"/a\0", transaction.number)
            with client.transaction() as another:
                assert another.number == transaction.number
                with pytest.raises(TransactionLostError):
                    transaction.read("/a")
            with pytest.raises(TransactionLostError) as lost:
                transaction.read("/a/b")
            assert (lost.value.name, lost.value.operation, lost.value.subject) == ("EAGAIN", "READ", "/a/b")
            with pytest.raises(TransactionLostError):
                begun.__exit__(None, None, None)
            other.write("/a/b", b"3")
            assert next(deep) == "/a/b"
            assert client.update(lambda tx: tx.read("/a/b")) == b"3"
            assert client.control("watches").count("/a") == 2
            second.stop()


def test_who_waits_for_an_event_is_told_to_look_again(rundir):
    with started(rundir) as first, patient(first) as client:
        watch = client.watch("/a")
        assert next(watch) == "/a"
        told = []
        waiting = threading.Thread(target=lambda: told.append(next(watch)), daemon=True)
        waiting.start()
        killed(first)
        with started(rundir) as second:
            waiting.join(PATIENCE)
            assert told == ["/a"]
            second.stop()


def test_a_transaction_that_is_tried_again_is_done_once(rundir):
    with started(rundir) as first, patient(first) as client:
        client.write("/n", b"1")
        tries = []
        again = []

        def increment(transaction):
            tries.append(int(transaction.read("/n")))
            if len(tries) == 1:
                killed(first)
                again.append(started(rundir))
                again[0].__enter__()
            transaction.write("/n", b"%d" % (tries[-1] + 1))

        try:
            client.update(increment)
            assert tries == [1, 1]
            assert client.read("/n") == b"2"
        finally:
            again[0].__exit__(None, None, None)


def test_in_the_end_it_is_a_connection_error(rundir):
    with started(rundir) as first, Client(first.socket, reconnect=0.2) as client, first.client() as other:
        killed(first)
        for each in (client, other):
            with pytest.raises(ConnectionError):
                each.read("/a")


@contextmanager
def cut_off(place, replies):
    """A daemon that answers this and hangs up, and then one that answers what is asked again."""
    servers = iter(replies)

    def serve():
        for each in servers:
            with Scripted(place, each):
                pass
            place.unlink()

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield
    finally:
        serving.join(PATIENCE)
    assert not serving.is_alive(), "nobody came to the last of them"


def connected(place):
    while True:
        try:
            return Client(place, timeout=PATIENCE, reconnect=PATIENCE)
        except OSError:
            continue


READ, WRITE, START, END = (NUMBERS[name] for name in ("READ", "WRITE", "TRANSACTION_START", "TRANSACTION_END"))


def test_of_a_change_without_an_answer_nobody_knows(rundir):
    rundir.mkdir()
    place = rundir / "socket"
    with cut_off(place, [[[]], [[(READ, b"v")]]]), connected(place) as client:
        with pytest.raises(OutcomeUnknownError) as unknown:
            client.write("/a", b"1")
        request = unknown.value
        assert (request.kind, request.operation, request.subject) == (WRITE, "WRITE", "/a")
        assert request.payload == b"/a\x001"
        assert client.read("/a") == b"v"


def test_nor_of_a_commit(rundir):
    rundir.mkdir()
    place = rundir / "socket"
    with cut_off(place, [[[(START, b"1\0")], []], []]), connected(place) as client:
        begun = client.transaction()
        begun.__enter__()
        with pytest.raises(OutcomeUnknownError, match="TRANSACTION_END"):
            begun.__exit__(None, None, None)


def test_what_only_asks_is_asked_again(rundir):
    rundir.mkdir()
    place = rundir / "socket"
    with cut_off(place, [[[]], [[(READ, b"v")]]]), connected(place) as client:
        assert client.read("/a") == b"v"


def test_of_a_pipeline_the_questions_are_asked_again_and_the_changes_are_told(rundir):
    rundir.mkdir()
    place = rundir / "socket"
    replies = [[[(WRITE, b"OK\0")], [], [], []], [[(READ, b"1")], [(READ, b"2")]]]
    with cut_off(place, replies), connected(place) as client:
        sending = client.pipeline()
        pipe = sending.__enter__()
        done, first = pipe.write("/a", b"1"), pipe.read("/a")
        unknown, second = pipe.write("/b", b"2"), pipe.read("/b")
        with pytest.raises(OutcomeUnknownError, match="WRITE /b"):
            sending.__exit__(None, None, None)
        assert (done.get(), first.get(), second.get()) == (None, b"1", b"2")
        assert unknown.unknown.payload == b"/b\x002"
        assert unknown.error is None


def test_a_watch_that_is_refused_the_second_time_is_told(rundir):
    rundir.mkdir()
    place, watch, event, error = rundir / "socket", *(NUMBERS[name] for name in ("WATCH", "EVENT", "ERROR"))
    replies = [[[(watch, b"OK\0"), (event, b"/a\0w1\0")], []], [[(error, b"ENOSPC\0")]]]
    with cut_off(place, replies), connected(place) as client:
        seen = client.watch("/a")
        assert next(seen) == "/a"
        with pytest.raises(RequestError, match="WATCH /a: ENOSPC"):
            client.read("/a")


def test_the_command_goes_on_and_the_stock_one_ends(rundir):
    with started(rundir) as first:
        commands = [
            subprocess.Popen(
                [sys.executable, "-m", program, "watch", "-n", "2", "/a", *words],
                env=environment(XENSTORED_PATH=str(first.socket)),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for program, words in (("xsadapter", []), ("xsadapter.tools", []))
        ]  # fmt: skip
        assert [command.stdout.readline() for command in commands] == ["/a\n", "/a\n"]
        killed(first)
        with started(rundir) as second:
            said = [command.communicate(timeout=PATIENCE) for command in commands]
            assert [command.returncode for command in commands] == [0, 1]
            assert said[0][0] == "/a\n"
            assert "the daemon was gone" in said[0][1]
            second.stop()
