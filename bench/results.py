"""Results: what benches found, in bench/results.json, and from there in docs/bench.md.

    python -m bench.results        writes the tables into docs/bench.md, between its two marks

Rule: a result replaces the one of the same title, whatever ran it and when, and carries the machine it was found on; so
parts can be run by themselves, and long forms (bench/decade.py, bench/pauses.py) beside `make bench`.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.aims import Aim, aims_table
from bench.race import LAPS, Best, Race

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[1] / "docs" / "bench.md"
BEGIN, END = "<!-- tables: python -m bench.results -->", "<!-- end of tables -->"


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
        "git": git.removeprefix("git version "),
        "laps": LAPS,
        "load": round(os.getloadavg()[0], 2),
    }


def _lines(name: str) -> list[str]:
    try:
        return Path(name).read_text().splitlines()
    except OSError:
        return []


def load() -> dict[str, dict[str, Any]]:
    """All results so far: races by title, aims by what they are of."""
    return json.loads(FILE.read_text()) if FILE.exists() else {"races": {}, "aims": {}}


def add(races: Iterable[Race] = (), aims: Iterable[Aim] = ()) -> None:
    """Put these in the place of those of the same title."""
    found, here = load(), machine()
    for race in races:
        found["races"][race.title] = {"machine": here, **asdict(race)}
    for aim in aims:
        found["aims"][f"{aim.what}; {aim.state}"] = {"machine": here, **asdict(aim)}
    FILE.write_text(json.dumps(found, indent=1) + "\n")


def tables(found: dict[str, dict[str, Any]]) -> str:
    """All of it as Markdown."""
    aims = [Aim(**_without(aim)) for aim in found["aims"].values()]
    parts = [said(one["machine"] for kind in found.values() for one in kind.values())]
    if aims:
        parts.append("### Aims\n\n" + aims_table(aims))
    for race in found["races"].values():
        best = {name: Best(**figures) for name, figures in race["best"].items()}
        parts.append("### " + Race(**{**_without(race), "best": best}).table())
    return "\n\n".join(parts)


def said(machines: Iterable[dict[str, Any]]) -> str:
    """Where and when it was measured, in words; several lines if that was not one machine on one day."""
    loads: dict[str, list[float]] = {}
    for one in machines:
        facts = (
            f"Measured on {one['date']}: {one['processor']}, {one['cores']} cores, {one['system']}, Python "
            f"{one['python']}, SQLite {one['sqlite']}, git {one['git']}; the best of {one['laps']} laps"
        )
        loads.setdefault(facts, []).append(one["load"])
    return "\n\n".join(f"{facts}; load {min(seen)} to {max(seen)}." for facts, seen in loads.items())


def _without(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "machine"}


def main() -> None:
    """Write the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(load())}\n\n{END}{after}")


if __name__ == "__main__":
    main()
