"""Break each rule on purpose, and see which test catches it.

    python bench/mutants.py [--only WORDS] [--list]

Each mutation of bench/mutations.py is made in a copy of the package, where the machine (tests/store/test_machine.py)
runs, and then the tests of the rule. Prints a row for each; ends with 1 if one survives all of them, or if the text
that it changes is not there any more. Some ten minutes for all.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

from bench.mutations import MUTATIONS

if TYPE_CHECKING:
    from bench.mutation import Mutation

ROOT = Path(__file__).parents[1]
PARTS = ("rrdstore", "tests", "docs", "bench", "xsadapter", "pyproject.toml", "README.md")
MACHINE = "store/test_machine.py"
QUICK = """
from hypothesis import HealthCheck, Phase, settings
settings.register_profile("mutants", phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("mutants")
"""
"""Not to be shrunk: that it fails is all that is asked."""
PATIENCE = 600


class Missing(Exception):
    """The text that a mutation changes is not there, or more than once."""


def check(mutation: Mutation) -> None:
    """Missing, unless each anchor is there once."""
    for file, old, _ in mutation.edits:
        found = (ROOT / "rrdstore" / file).read_text().count(old)
        if found != 1:
            raise Missing(f"rule {mutation.rule}, {mutation.name}: {found} times in {file}: {old!r}")


def copied(mutation: Mutation | None, folder: Path) -> None:
    """The project, with the mutation made in it."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    settings = folder / "tests" / "conftest.py"
    settings.write_text(settings.read_text() + QUICK)
    if mutation is not None:
        for file, old, new in mutation.edits:
            path = folder / "rrdstore" / file
            path.write_text(path.read_text().replace(old, new))


def failing(folder: Path, tests: list[str]) -> str:
    """The first of these tests that fails, "" if none does."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--tb=no"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [*command, *(f"tests/{test}" for test in tests)], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as done:  # fmt: skip
        try:
            said, _ = done.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            # With all that it started, which would hold its output open for ever.
            os.killpg(done.pid, signal.SIGKILL)
            done.communicate()
            return f"{tests[0]}, which does not end"
    if done.returncode <= 0:
        return f"{tests[0]}, whose process died" if done.returncode else ""
    named = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", said, re.MULTILINE)
    if named is None:
        raise RuntimeError(said)
    return named[1]


def caught(mutation: Mutation, *, machine: bool = True) -> tuple[str, str]:
    """The test of the machine that catches it, and that of its rule; "" for none."""
    check(mutation)
    with tempfile.TemporaryDirectory(prefix="rrdstore-mutant-") as name:
        folder = Path(name)
        copied(mutation, folder)
        return failing(folder, [MACHINE]) if machine else "", failing(folder, mutation.tests.split())


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--only", default="", help="those whose name has these words, or of this rule")
    given.add_argument("--list", action="store_true", help="only see that each can be made")
    asked = given.parse_args()
    wanted = [each for each in MUTATIONS if asked.only in each.name or asked.only == str(each.rule)]
    wrong = []
    for each in wanted:
        try:
            check(each)
        except Missing as missing:
            wrong.append(str(missing))
    print("| rule | broken | the machine | the tests of the rule |\n|---|---|---|---|")
    for each in wanted if not asked.list and not wrong else ():
        by_machine, by_rule = caught(each)
        print(f"| {each.rule} | {each.name} | {by_machine.partition('::')[2] or '-'} | {by_rule or '-'} |", flush=True)
        if not by_machine and not by_rule:
            wrong.append(f"rule {each.rule}, {each.name}: no test catches it")
    for problem in wrong:
        print(problem, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
