"""How the host's daemon is started, by whatever words and wherever: it serves, or says what is wrong."""

import os
import resource
import signal
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.compat.peers import short_directory
from tests.daemon.processes import PATIENCE, environment, running, until
from xsadapter.cli.pidfile import PidFile
from xsadapter.cli.stock import Stock, said, stock_options
from xsadapter.cli.unit import unit
from xsadapter.cli.xenstored import main as xenstored
from xsadapter.client import Client
from xsadapter.transport.listener import Listener
from xsadapter.transport.socket import listen

SMALL = ("--size", "4MiB", "--keep", "last:8")


@pytest.fixture
def place():
    with short_directory() as directory:
        yield directory


@pytest.mark.parametrize(
    "words",
    [
        "-I",
        "-Ion",
        "-I off",
        "-I -D -P -R -V",
        "--internal-db=off --no-domain-init --output-pid --no-recovery --verbose",
        "--no-fork --no-domain-init --no-access-log --reraise-top-level --restart --pid-file /x --config-file /none",
    ],
)
def test_what_the_stock_daemons_take_is_taken(words):
    done = CliRunner().invoke(xenstored, ["--config-test", *words.split()])
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--live", "cannot be read"),
        ("--disable-socket", "tools reach this daemon by its socket"),
        ("-I neither", "'neither' is not one of 'on', 'off'"),
        ("-E many", "'many' is not a valid integer"),
        ("--none", "No such option"),
        ("on", "unexpected extra argument"),
    ],
)
def test_what_none_can_have_here_is_an_error_that_systemd_does_not_try_again(words, why):
    done = CliRunner().invoke(xenstored, ["--config-test", *words.split()], terminal_width=500)
    assert why in done.output
    found = ConfigParser(interpolation=None)
    found.optionxform = str
    found.read_string(unit(Path("/p"), ""))
    assert found["Service"]["RestartPreventExitStatus"] == str(done.exit_code)
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert found["Unit"]["After"] == found["Unit"]["Wants"] == "proc-xen.mount"


def heard(*words):
    """What `said` makes of these words."""
    found = []
    command = click.command()(stock_options(lambda **given: found.append(said(given))))
    assert CliRunner().invoke(command, words).exit_code == 0
    return found[0]


def test_what_was_said_in_the_words_of_C():
    assert heard() == Stock()
    assert heard("-E", "5", "--path-max=9000") == Stock({"nodes": 5, "path-max": 2048})
    assert heard("-I", "-V", "--restart").ignored == ("--internal-db", "--verbose", "--restart")


def test_what_was_said_in_the_file_of_oxenstored(tmp_path):
    config = tmp_path / "oxenstored.conf"
    config.write_text(
        "# quotas\nquota-activate = true\nquota-maxentity = 900 # each\nquota-maxsize=3000\nquota-maxwatch = 90\n"
        "quota-transaction = 9\nquota-path-max = 5000\nquota-maxrequests = 7\npid-file = /run/xen/x.pid\n"
    )
    quotas = {"nodes": 900, "node-size": 3000, "watches": 90, "transactions": 9, "path-max": 2048}
    assert heard("--config-file", str(config)) == Stock(quotas, "/run/xen/x.pid")
    assert heard("--config-file", str(config), "-E", "5").quotas == {**quotas, "nodes": 5}
    config.write_text("quota-activate = false\nquota-maxentity = 900\n")
    assert set(heard("--config-file", str(config)).quotas.items()) == {(name, 0) for name in quotas}


def test_what_is_wrong_in_that_file_is_said_and_passed_over(tmp_path, caplog):
    config = tmp_path / "oxenstored.conf"
    config.write_text("quota-maxentity = lots\nno setting\nquota-maxwatch = 5\n")
    assert heard("--config-file", str(config)) == Stock({"watches": 5})
    assert f"{config}:2: found no setting" in caplog.text
    assert f"{config}: found quota-maxentity = lots" in caplog.text
    assert heard("--config-file", str(tmp_path / "none")) == Stock()
    assert f"{tmp_path}/none: No such file" in caplog.text


def test_the_number_is_in_the_pid_file_once_the_daemon_serves(tmp_path):
    path = tmp_path / "made" / "for" / "pid"
    path.parent.mkdir(parents=True)
    path.write_text("12345\n")
    pid_file = PidFile(path)
    assert path.read_text() == ""
    assert pid_file.missing
    pid_file.say()
    assert path.read_text() == f"{os.getpid()}\n"
    assert not pid_file.missing
    # A live update: the same process, another program.
    assert not PidFile(path).missing
    pid_file.close()
    assert not path.exists()


def test_a_number_that_finds_no_room_is_written_when_there_is(tmp_path):
    path = tmp_path / "pid"
    pid_file = PidFile(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            pid_file.say()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert pid_file.missing
    pid_file.again()
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.close()


def test_at_the_end_what_is_another_s_is_left(place):
    pid_file = PidFile(place / "pid")
    pid_file.say()
    with listen(place / "socket") as listening:
        listener = Listener(listening)
        for name in ("pid", "socket"):
            (place / name).unlink()
            (place / name).write_text("another's")
        listener.remove()
        pid_file.close()
    assert (place / "pid").read_text() == (place / "socket").read_text() == "another's"


def test_a_place_where_no_socket_can_be_is_named(tmp_path):
    for path in (tmp_path / "none" / "socket", tmp_path / ("long" * 40)):
        with pytest.raises(OSError, match=r"No such file|too long") as caught:
            listen(path)
        assert caught.value.filename == str(path)


def test_a_second_daemon_says_whose_directory_it_is(place):
    with running(place, *SMALL):
        words = [sys.executable, "-m", "xsadapter", "run", "--rundir", place]
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 1
        assert f"{place}/keeper: serves another daemon" in done.stderr


def test_it_goes_to_the_background_where_nobody_gave_it_any_descriptor(place):
    words = [sys.executable, "-m", "xsadapter.cli.xenstored", "--rundir", place, "--pid-file", place / "pid", *SMALL]
    bare = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
    subprocess.run(bare, env=environment(), check=True, timeout=PATIENCE)
    pid = int((place / "pid").read_text())
    try:
        with Client(place / "socket", timeout=PATIENCE) as client:
            assert client.list("/") == ["tool"]
        for descriptor in range(3):
            assert Path(f"/proc/{pid}/fd/{descriptor}").readlink() == Path("/dev/null")
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not (place / "pid").exists(), "the daemon has ended")


def test_it_serves_though_directories_are_missing_and_writes_its_audit_log_when_that_can_be(place):
    trace = place / "log.d" / "trace"
    store = place / "lib" / "history.rrdb"
    options = ("--store", str(store), "--pid-file", str(place / "run.d" / "pid"), "-T", str(trace), *SMALL)
    with running(place, *options) as made, made.client() as client:
        assert store.exists()
        assert (place / "run.d" / "pid").read_text() == f"{made.process.pid}\n"
        assert f"the audit log {trace} cannot be opened" in client.control("history", "info")
        trace.parent.mkdir()
        until(trace.exists, "the audit log")
        client.write("/a", b"1")
        assert '"what":"WRITE"' in trace.read_text()
        assert "trouble" not in client.control("history", "info")
        assert made.stop() == 0


def test_a_signal_that_asks_another_daemon_for_its_tree_ends_nobody(place):
    with running(place, *SMALL) as made, made.client() as client:
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            made.process.send_signal(number)
            client.write("/a", b"%d" % number)
        assert made.stop() == 0


def test_the_log_s_rotation_ends_no_program_that_is_about_to_take_over(place):
    """Between two programs nobody could heed it: it is sent as soon as there is the second one."""
    program, real = place / "program", Path(sys.executable).parent / "xsadapter"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--check*|*--help*) ;; *) kill -HUP $$;; esac\nexec {real} "$@"\n')
    program.chmod(0o700)
    with running(place, *SMALL, "-T", str(place / "trace")) as made, made.client() as client:
        client.write("/a", b"1")
        assert client.control("live-update", "-f", str(program)) == "OK"
        assert client.control("live-update", "-s") == "OK"
        assert client.read("/a") == b"1"
        assert f"becoming {program}" in made.log
        made.process.send_signal(signal.SIGHUP)
        assert client.read("/a") == b"1"
        assert made.stop() == 0


def test_a_keeper_that_cannot_be_is_named(place):
    (place / "keeper").mkdir()
    with running(place, *SMALL) as made:
        assert f"no keeper at {place}/keeper: clients will end with the daemon: Is a directory" in made.log
