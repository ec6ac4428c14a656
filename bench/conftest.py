"""Prints the tables of all races and aims at the end, and adds them to bench/results.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import results
from bench.aims import Aim, aims_table
from bench.race import Race

if TYPE_CHECKING:
    from collections.abc import Callable

    from _pytest.terminal import TerminalReporter

RACES = pytest.StashKey[list[Race]]()
AIMS = pytest.StashKey[list[Aim]]()


@pytest.fixture
def race(request: pytest.FixtureRequest) -> Callable[[str, str], Race]:
    """Begin a race: its title, and the name of the contestant that is ours."""

    def begin(title: str, ours: str) -> Race:
        started = Race(title, ours)
        request.config.stash.setdefault(RACES, []).append(started)
        return started

    return begin


@pytest.fixture
def aim(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Note what was found of an aim; arguments as `Aim`."""

    def note(*args: object, **named: object) -> None:
        request.config.stash.setdefault(AIMS, []).append(Aim(*args, **named))

    return note


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    stash = terminalreporter.config.stash
    races = [race for race in stash.get(RACES, []) if race.best]
    aims = stash.get(AIMS, [])
    if not races and not aims:
        return
    results.add(races, aims)
    terminalreporter.section("races: per operation, the best lap of each; and aims")
    terminalreporter.line(results.said([results.machine()]))
    for race in races:
        terminalreporter.line("\n" + race.table())
    if aims:
        terminalreporter.line("\n" + aims_table(aims))
