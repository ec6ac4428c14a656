"""A store is mended by another process, which ends with who started it."""

import subprocess
import sys

import pytest

import rrdstore
from tests.daemon.processes import PATIENCE, environment
from tests.faults.test_damage import ILL, flip, told
from xsadapter.cli.mending import Mending


def test_it_is_mended_and_what_was_found_is_told(tmp_path):
    path, (place, value) = tmp_path / "store", told(ILL)
    with rrdstore.create(path, size="4MiB", keep="last:8") as store:
        store.branch("main").set("/whole", b"1")
        store.branch("main").set(place, value)
        store.branch("main").set("/whole", b"2")
    assert flip(path, value)
    mending = Mending(path)
    lines = mending.lines()
    assert not mending.running
    assert any(line.startswith(f"lost: place {place}") for line in lines)
    assert lines[-1].startswith(f"{path} was damaged and is mended: ")
    assert lines[-1].endswith(f"the old file is {path}-damaged")
    with rrdstore.open(path) as store:
        assert store.branch("main").tree.get("/whole").value == b"2"
        assert store.check() == []


def test_why_it_cannot_be_is_told(tmp_path):
    (tmp_path / "store").mkdir()
    with pytest.raises(OSError, match="store"):
        Mending(tmp_path / "store").lines()


def test_what_python_says_beside_it_is_told_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "nonsense")
    rrdstore.create(tmp_path / "store", size="4MiB", keep="last:8").close()
    lines = Mending(tmp_path / "store").lines()
    assert any("nonsense" in line for line in lines)


def test_it_says_more_than_a_pipe_holds(tmp_path, monkeypatch):
    program = (
        "import sys, xsadapter.cli.mending as it; it.mend = lambda _: ('/' + 'a' * 2900 for _ in range(40)); it.main()"
    )
    monkeypatch.setattr("xsadapter.cli.mending._PROGRAM", program)
    mending = Mending(tmp_path / "store")
    assert mending._process.wait(PATIENCE) == 0, "with nobody reading what it says"
    assert mending.lines() == ["/" + "a" * 2900] * 40


def test_it_ends_with_who_started_it():
    asked = "from xsadapter.cli.mending import _end_with_who_started as end; end()"
    with subprocess.Popen([sys.executable, "-c", asked], stdin=subprocess.PIPE, env=environment()) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 1
