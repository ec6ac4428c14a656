"""What systemd is told: the unit, and the datagrams of a daemon that runs."""

import os
import socket
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from xsadapter.cli import main, notify
from xsadapter.cli.xenstored import main as xenstored


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        made.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield made


def test_the_unit_is_written_and_taken_away(tmp_path):
    words = ["install-unit", "--directory", str(tmp_path / "system")]
    done = CliRunner().invoke(main, [*words, "--options", "--size 256MiB"])
    assert done.exit_code == 0, done.output
    place = tmp_path / "system" / "xenstored.service"
    found = ConfigParser(interpolation=None, strict=True)
    found.optionxform = str
    found.read_string(place.read_text())
    program, *given = found["Service"]["ExecStart"].split()
    assert Path(program).name == "xsadapter-xenstored"
    assert given == ["-N", "--pid-file", "/run/xen/xenstored.pid", "--size", "256MiB"]
    with xenstored.make_context("xsadapter-xenstored", given) as context:
        assert context.params["no_fork"]
    assert found["Service"]["ExecReload"].split()[1:3] == ["control", "live-update"]
    kept = found["Service"]["FileDescriptorStoreMax"]
    assert int(kept) > 10_000
    assert found["Service"]["Environment"] == f"FDSTORE={kept}"
    assert CliRunner().invoke(main, words).exit_code == 0
    assert "256MiB" not in place.read_text()
    assert CliRunner().invoke(main, [*words, "--remove"]).exit_code == 0
    assert not place.exists()
    assert CliRunner().invoke(main, [*words, "--remove"]).exit_code == 0


def test_the_unit_names_the_programs_beside_the_one_that_wrote_it(tmp_path, monkeypatch):
    """An interpreter in /usr/bin runs programs in /usr/local/bin."""
    words = ["install-unit", "--directory", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [str(tmp_path / "xsadapter")])
    place = tmp_path / "xenstored.service"
    CliRunner().invoke(main, words)
    assert f"ExecStart={Path(sys.executable).parent}/xsadapter-xenstored " in place.read_text()
    (tmp_path / "xsadapter-xenstored").touch()
    CliRunner().invoke(main, words)
    assert f"ExecStart={tmp_path}/xsadapter-xenstored " in place.read_text()
    CliRunner().invoke(main, [*words, "--programs", "/usr/local/bin"])
    assert "ExecStart=/usr/local/bin/xsadapter-xenstored " in place.read_text()
    assert "ExecReload=/usr/local/bin/xsadapter control live-update /usr/local/bin/" in place.read_text()


def test_a_unit_of_somebody_else_is_left_alone(tmp_path):
    place = tmp_path / "xenstored.service"
    place.write_text("[Unit]\n")
    for more in ([], ["--remove"]):
        done = CliRunner().invoke(main, ["install-unit", "--directory", str(tmp_path), *more])
        assert done.exit_code == 1
        assert "found a unit that is not ours" in done.output
    assert place.read_text() == "[Unit]\n"


def test_the_watchdog_is_told_twice_as_often_as_it_asks(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    monkeypatch.setattr(notify.time, "monotonic", lambda: 100.0)
    [watchdog] = notify.Watchdog.wanted()
    assert watchdog.at == 0
    watchdog.turn(None)
    assert manager.recv(100) == b"WATCHDOG=1"
    assert watchdog.at == 130.0


@pytest.mark.parametrize(("asked", "whom"), [("", ""), ("0", ""), ("soon", ""), ("60000000", "1")])
def test_no_watchdog_where_none_is_asked_of_us(monkeypatch, asked, whom):
    monkeypatch.setenv("WATCHDOG_USEC", asked)
    monkeypatch.setenv("WATCHDOG_PID", whom)
    assert notify.Watchdog.wanted() == []


def test_reloading_says_since_when(manager):
    notify.reloading()
    first, second = manager.recv(100).split(b"\n")
    assert first == b"RELOADING=1"
    assert second.startswith(b"MONOTONIC_USEC=")
    assert second.partition(b"=")[2].isdigit()
