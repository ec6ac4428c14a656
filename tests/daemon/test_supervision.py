"""The daemon under who starts hosts' daemons: systemd, as far as its manual says, and a script like launch-xenstore."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.compat.peers import short_directory
from tests.daemon.processes import PATIENCE, environment, until
from tests.daemon.service_manager import ServiceManager
from xsadapter.cli import limits
from xsadapter.cli.unit import unit
from xsadapter.client import Client
from xsadapter.errors import RequestError

PROGRAMS = Path(sys.executable).parent
SMALL = ("--size", "8MiB", "--keep", "last:8")


@pytest.fixture
def manager():
    with short_directory() as directory:
        made = ServiceManager(directory)
        yield made
        made.close()


def test_systemd_keeps_the_sockets_of_a_daemon_that_is_killed(manager):
    words = ("xsadapter.cli.xenstored", "-N", "--rundir", str(manager.directory), *SMALL)
    manager.start(*words)
    with Client(manager.directory / "socket", timeout=PATIENCE) as first, first.watch("/a") as watch:
        assert next(watch) == "/a"
        with Client(manager.directory / "socket", timeout=PATIENCE) as gone:
            gone.write("/a", b"1")
        assert next(watch) == "/a"
        for number in range(2):
            # Who is inside a system call when it is killed is in doubt, and ends: that is to be nobody who matters.
            with Client(manager.directory / "socket", timeout=PATIENCE) as last:
                last.read("/a")
            manager.kill()
            assert len(manager.kept) == 2, "the listening socket, and the client's"
            manager.start(*words)
            with Client(manager.directory / "socket", timeout=PATIENCE) as second:
                second.write("/a/b", b"%d" % number)
                # Changes that may not have been told are told again.
                while next(watch) != "/a/b":
                    pass
                assert first.read("/a/b") == b"%d" % number
    assert not (manager.directory / "keeper").exists()
    manager.process.terminate()
    manager.until("STOPPING", "1")
    assert manager.process.wait(PATIENCE) == 0
    manager.drain()
    assert manager.kept == []


def test_systemd_is_told_of_life_and_of_live_updates(manager):
    words = ("xsadapter.cli.xenstored", "-N", "--rundir", str(manager.directory), *SMALL)
    manager.start(*words, WATCHDOG_USEC="1000000")
    for _ in range(2):
        manager.until("WATCHDOG", "1")
    with Client(manager.directory / "socket", timeout=PATIENCE) as client:
        client.write("/a", b"1")
        before = time.monotonic_ns() // 1000
        words = ["control", "live-update", str(PROGRAMS / "xsadapter-xenstored")]
        place = environment(XENSTORED_PATH=str(manager.directory / "socket"))
        with subprocess.Popen([PROGRAMS / "xsadapter", *words], env=place) as tool:
            reloading = manager.until("RELOADING", "1")
            assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            manager.until("READY", "1")
            assert tool.wait(PATIENCE) == 0
        manager.until("WATCHDOG", "1")
        assert client.read("/a") == b"1"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("not installed: systemd-analyze")
    place = tmp_path / "xenstored.service"
    place.write_text(unit(PROGRAMS, "--size 256MiB"))
    done = subprocess.run(
        [program, "verify", "--man=no", place], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "xenstored" in line]
    assert (done.returncode, ours) == (0, [])


LAUNCH = """#!/bin/sh
# What a host's launch-xenstore does with xencommons, where there is no systemd.
. "$1"
prlimit --nofile=64:1024 "$XENSTORED" --pid-file "$2/xenstored.pid" $XENSTORED_ARGS || exit 1
tries=0
until [ -s "$2/xenstored.pid" ] && kill -0 "$(cat "$2/xenstored.pid")"; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || exit 1
    sleep 1
done
"""


def test_a_host_s_script_starts_it_and_domain_0_writes_its_nodes():
    """XENSTORED= in xencommons is all there is to say; then comes what xen-init-dom0 asks for."""
    with short_directory() as directory:
        xencommons, script, pid_file = directory / "xencommons", directory / "launch", directory / "xenstored.pid"
        options = f"--rundir {directory} {' '.join(SMALL)}"
        xencommons.write_text(f'XENSTORED={PROGRAMS / "xsadapter-xenstored"}\nXENSTORED_ARGS="{options}"\n')
        script.write_text(LAUNCH)
        before = Path("/proc/self/oom_score_adj").read_text()
        subprocess.run(
            ["sh", script, xencommons, directory], env=environment(), check=True, timeout=PATIENCE, capture_output=True
        )
        pid = int(pid_file.read_text())
        try:
            with Client(directory / "socket", timeout=PATIENCE) as client:
                assert client.list("/") == ["tool"]
                assert client.list("/tool") == ["xenstored"]
                for path, value in (
                    ("/local/domain/0/domid", b"0"),
                    ("/local/domain/0/name", b"Domain-0"),
                    ("/local/domain/0/vm", b"/vm/00000000-0000-0000-0000-000000000000"),
                ):
                    with pytest.raises(RequestError, match="ENOENT"):
                        client.read(path)
                    client.write(path, value)
                    assert client.read(path) == value
                assert client.domain_path(0) == "/local/domain/0"
                assert client.is_introduced(0)
                assert list(client.lookup("Domain-0")) == [0]
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            most = int(Path("/proc/sys/fs/nr_open").read_text())
            raised = ["prlimit", "--nofile=64:1024", "prlimit", f"--nofile={most}:{most}", "true"]
            allowed = subprocess.run(raised, check=False, capture_output=True).returncode == 0
            assert soft == (most if allowed else 1024) <= hard
            if allowed and int(before) == 0:
                assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "-500\n"
        finally:
            os.kill(pid, signal.SIGTERM)
            until(lambda: not pid_file.exists(), "the daemon has ended")


@pytest.mark.parametrize(
    ("asked", "given"),
    [("", [(5000, 5000)]), ("3000", [(3000, 4096)]), ("70000", [(5000, 5000)]), ("500", []), ("many", [(5000, 5000)])],
)
def test_how_many_descriptors_it_asks_for(monkeypatch, tmp_path, asked, given):
    (tmp_path / "nr_open").write_text("5000\n")
    monkeypatch.setattr(limits, "_MOST", tmp_path / "nr_open")
    monkeypatch.setattr(limits, "_SCORE", tmp_path / "score")
    monkeypatch.setenv("XENSTORED_MAX_OPEN_FDS", asked)
    found = []
    monkeypatch.setattr(limits.resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(limits.resource, "setrlimit", lambda _, pair: found.append(pair))
    limits.raise_limits()
    assert found == given


def test_who_may_not_have_more_takes_what_he_may_and_says_so(monkeypatch, tmp_path, caplog):
    def refuse(_, pair):
        if pair[1] > 4096:
            raise ValueError("not allowed to raise maximum limit")
        found.append(pair)

    found = []
    monkeypatch.setattr(limits, "_SCORE", tmp_path / "score")
    monkeypatch.setattr(limits, "_MOST", tmp_path / "nr_open")
    (tmp_path / "nr_open").write_text("5000\n")
    monkeypatch.setattr(limits.resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(limits.resource, "setrlimit", refuse)
    caplog.set_level("INFO", "xsadapter")
    limits.raise_limits()
    assert found == [(4096, 4096)]
    assert "5000 descriptors are not given" in caplog.text


@pytest.mark.parametrize(("had", "asked", "found"), [("0", "", "-500"), ("0", "20", "-200"), ("-17", "", "-17")])
def test_the_memory_of_others_is_taken_first(monkeypatch, tmp_path, had, asked, found):
    score = tmp_path / "score"
    score.write_text(had)
    monkeypatch.setattr(limits, "_SCORE", score)
    monkeypatch.setattr(limits.resource, "setrlimit", lambda *_: None)
    monkeypatch.setenv("XENSTORED_OOM_MEM_THRESHOLD", asked)
    limits.raise_limits()
    assert score.read_text().strip() == found
