"""The log of a daemon in the background: datagrams to who takes the system's log, who may come late, stall, or go."""

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.compat.peers import short_directory
from tests.daemon.processes import PATIENCE, environment, run
from xsadapter.cli.syslog import Syslog
from xsadapter.client import Client

IN_FRONT = r"<%d>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d xenstored\[%d\]: "


@contextlib.contextmanager
def taker(place):
    """Who takes the log's lines at a place."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(place))
        made.settimeout(PATIENCE)
        yield made
    place.unlink()


@pytest.fixture
def place():
    with short_directory() as directory:
        yield directory / "log"


@pytest.fixture
def handler(place):
    made = Syslog(str(place))
    yield made
    made.close()


def record(text, level=logging.INFO):
    return logging.LogRecord("xsadapter", level, __file__, 1, text, (), None)


def text_of(datagram):
    return datagram.decode().split("]: ", 1)[1]


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 26), (logging.ERROR, 27), (logging.WARNING, 28), (logging.INFO, 30), (logging.DEBUG, 31)],
)
def test_a_line_is_a_datagram_of_the_daemons_facility(place, handler, level, priority):
    with taker(place) as syslog:
        handler.handle(record("said", level))
        assert re.fullmatch(IN_FRONT % (priority, os.getpid()) + "said", syslog.recv(4096).decode())


def test_a_record_of_several_lines_is_several_and_a_long_one_is_cut(place, handler):
    with taker(place) as syslog:
        handler.handle(record("first\nsecond\n" + "x" * 5000))
        assert [text_of(syslog.recv(4096)) for _ in range(2)] == ["first", "second"]
        assert len(syslog.recv(4096)) == 1024


def test_who_comes_late_is_told_how_many_lines_were_lost(place, handler):
    handler.handle(record("into nothing\nand more"))
    with taker(place) as syslog:
        handler.handle(record("heard"))
        assert [text_of(syslog.recv(4096)) for _ in range(2)] == ["2 lines were lost here", "heard"]


def test_who_has_gone_and_come_again_is_found(place, handler):
    with taker(place) as syslog:
        handler.handle(record("before"))
        syslog.recv(4096)
    with taker(place) as syslog:
        handler.handle(record("after"))
        assert text_of(syslog.recv(4096)) == "after"


def test_nobody_waits_for_one_who_does_not_read(place, handler):
    with taker(place) as syslog:
        said = 0
        while not handler.lost:
            handler.handle(record("x"))
            said += 1
        handler.handle(record("x"))
        for _ in range(said - 1):
            syslog.recv(4096)
        handler.handle(record("again"))
        assert [text_of(syslog.recv(4096)) for _ in range(2)] == ["2 lines were lost here", "again"]


def heard(syslog, text):
    """The next line with it."""
    while text not in (line := syslog.recv(4096).decode()):
        pass
    return line


def test_the_daemon_in_the_background_logs_there(place):
    """From its first line to its last, through an update too; what is said before it serves is on the terminal too."""
    directory = place.parent
    program, pid_file = directory / "xenstored", directory / "pid"
    program.write_text(
        f"#!{sys.executable}\n"
        "from xsadapter.cli import syslog, xenstored\n"
        f"syslog.ADDRESS = {str(place)!r}\n"
        "xenstored.main()\n"
    )
    program.chmod(0o700)
    words = [str(program), "--memory", "--rundir", str(directory), "--pid-file", str(pid_file), "--no-xen"]
    with taker(place) as syslog:
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
        pid = int(pid_file.read_text())
        try:
            assert (done.returncode, "listening on" in done.stderr) == (0, True)
            assert re.match(IN_FRONT % (30, pid), heard(syslog, "listening on"))
            with Client(directory / "socket", timeout=PATIENCE) as client:
                updated = run("control", "live-update", str(program), XENSTORED_PATH=str(directory / "socket"))
                assert updated.returncode == 0
                assert re.match(IN_FRONT % (30, pid), heard(syslog, "took over 2 connections"))
                assert client.list("/") == ["tool"]
            os.kill(pid, signal.SIGTERM)
            assert re.match(IN_FRONT % (30, pid), heard(syslog, "stopped"))
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
