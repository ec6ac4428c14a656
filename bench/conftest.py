"""Prints the tables of all races at the end and leaves them in bench/results.json, with the machine they ran on."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.race import LAPS, Race

if TYPE_CHECKING:
    from collections.abc import Callable

    from _pytest.terminal import TerminalReporter

RESULTS = Path(__file__).with_name("results.json")
FINISHED = pytest.StashKey[list[Race]]()


@pytest.fixture
def race(request: pytest.FixtureRequest) -> Callable[[str, str], Race]:
    """Begin a race: its title, and the name of the contestant that is ours."""

    def begin(title: str, ours: str) -> Race:
        started = Race(title, ours)
        request.config.stash.setdefault(FINISHED, []).append(started)
        return started

    return begin


def machine() -> dict[str, object]:
    """What the figures depend on."""
    processors = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": processors[0] if processors else platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "git": git,
        "laps": LAPS,
        "load": round(os.getloadavg()[0], 2),
    }


def _lines(name: str) -> list[str]:
    try:
        return Path(name).read_text().splitlines()
    except OSError:
        return []


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    races = [race for race in terminalreporter.config.stash.get(FINISHED, []) if race.best]
    if not races:
        return
    facts = machine()
    terminalreporter.section("races: per operation, the best lap of each")
    terminalreporter.line(", ".join(f"{key} {value}" for key, value in facts.items()))
    for race in races:
        terminalreporter.line("\n" + race.table())
    RESULTS.write_text(json.dumps({"machine": facts, "races": [asdict(race) for race in races]}, indent=1) + "\n")
