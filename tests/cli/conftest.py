"""A shell of our own: the program run in this process, on a store made beforehand."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

import rrdstore
from rrdstore.cli import main
from rrdstore.testing import ManualClock

SIZE, KEEP = "4MiB", "last:8 1m:1h *:8"
HOUR = 3600


@dataclass(frozen=True)
class Shell:
    """`rrdstore -C FILE ...` and what came of it."""

    path: str

    def __call__(self, *arguments, code=0, stdin=b"", store=True):
        """Its standard output, as text; the exit code must be `code`."""
        return self.run(*arguments, code=code, stdin=stdin, store=store).stdout

    def run(self, *arguments, code=0, stdin=b"", store=True):
        where = ["-C", self.path] if store else []
        done = CliRunner().invoke(main, [*where, *arguments], input=stdin, prog_name="rrdstore")
        assert done.exit_code == code, f"{arguments}: ended with {done.exit_code}\n{done.stdout}{done.stderr}"
        if code in {0, 3}:
            assert "Traceback" not in done.stderr
        else:
            assert done.stderr.startswith("rrdstore: ") or code == 1, done.stderr
        return done

    def json(self, *arguments, code=0, stdin=b""):
        return json.loads(self(*arguments, "--json", code=code, stdin=stdin))

    def lines(self, *arguments, code=0):
        return self(*arguments, code=code).splitlines()

    def dumped(self):
        """All of the store as text, without what every opening changes."""
        return [line for line in self.lines("dump") if '"rrdstore":"dump"' not in line and '"end":' not in line]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A store with a day behind it: one commit each hour, and bytes that are no text."""
    path = tmp_path_factory.mktemp("made") / "host.rrdb"
    clock = ManualClock((int(time.time()) - 24 * HOUR) * 1_000_000)
    with rrdstore.create(path, SIZE, KEEP, clock=clock) as store:
        main = store.branch("main")
        for hour in range(20):
            main.set(f"/domain/{hour % 3}/name", b"web%d" % hour, message=f"hour {hour}", author="toolstack")
            clock.advance(HOUR)
        main.set("/odd", b"\xff\x00\n\x1b[2J", meta=b"n0")
    return path


@pytest.fixture
def shell(made, tmp_path):
    """The program on a copy of that store."""
    for file in made.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return Shell(str(tmp_path / made.name))
