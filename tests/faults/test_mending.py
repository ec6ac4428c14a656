"""A store is mended by another process, which ends with who started it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rrdstore
from rrdstore.storage import locking
from tests.daemon.processes import PATIENCE, environment
from tests.faults.test_damage import ILL, flip, told
from xsadapter.cli import refuge
from xsadapter.cli.history import Wanted
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


def holder(path):
    """Who holds a store without being its writer, as a repair does; that is a process that is dead."""
    rrdstore.create(path, size="4MiB", keep="last:8").close()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    names(path, dead.pid)
    return locking.lock(f"{path}-ring")


def names(path, pid):
    with Path(f"{path}-ring").open("r+b") as ring:
        ring.seek(32)
        ring.write(pid.to_bytes(4, "little"))


def test_killed_while_it_was_mended_a_quick_start_waits_for_the_mender_to_end(tmp_path, monkeypatch):
    path = tmp_path / "store"
    held, waits = holder(path), []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            os.close(held)

    monkeypatch.setattr(refuge.time, "sleep", sleep)
    made = refuge.Refuge(Wanted(path))
    assert not made.why
    assert len(waits) == 3
    made.close()


@pytest.mark.parametrize("who", ["a writer that lives", "nobody who ends"])
def test_and_for_nobody_else(tmp_path, monkeypatch, who):
    path = tmp_path / "store"
    held, now = holder(path), [1000.0]
    if who == "a writer that lives":
        names(path, os.getppid())
    monkeypatch.setattr(refuge.time, "sleep", lambda seconds: now.append(now[-1] + seconds))
    monkeypatch.setattr(refuge.time, "monotonic", lambda: now[-1])
    with pytest.raises(rrdstore.Locked):
        refuge.Refuge(Wanted(path))
    assert (len(now) == 1) is (who == "a writer that lives")
    assert now[-1] < 1011
    os.close(held)


def test_a_mender_whose_daemon_is_killed_lets_go_of_the_store(tmp_path):
    """The real one, held up in the middle of its repair; the daemon that started it is killed."""
    path = tmp_path / "store"
    rrdstore.create(path, size="4MiB", keep="last:8").close()
    program = (
        "import sys, time\n"
        "import xsadapter.cli.mending as it\n"
        "from rrdstore.storage import locking\n"
        "def mend(path):\n"
        "    locking.lock(f'{path}-ring')\n"
        "    yield 'held'\n"
        "    time.sleep(3600)\n"
        "it.mend = mend\n"
        "it.main()\n"
    )
    starter = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "import xsadapter.cli.mending as it\n"
        f"it._PROGRAM = {program!r}\n"
        "mending = it.Mending(Path(sys.argv[1]))\n"
        "while not mending._said.seek(0) and not mending._said.read():\n"
        "    pass\n"
        "print(mending._process.pid, flush=True)\n"
        "time.sleep(3600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter, str(path)], stdout=subprocess.PIPE, text=True, env=environment()
    ) as daemon:
        assert daemon.stdout is not None
        assert int(daemon.stdout.readline())
        with pytest.raises(rrdstore.Locked):
            rrdstore.open(path)
        daemon.kill()
    made = refuge.Refuge(Wanted(path))
    assert not made.why
    made.close()
