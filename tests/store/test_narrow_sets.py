"""The machine, merges and freeing once more, with sets of names that are wide from three names on."""

import subprocess
import sys
from pathlib import Path

import pytest

from rrdstore.tree import node

RUNS = (
    "tests/store/test_machine.py::TestJournalled",
    "tests/store/test_merges.py",
    "tests/tree/test_patch.py",
    "tests/storage/test_past.py",
)


@pytest.mark.skipif(not node.__file__.endswith(".py"), reason="compiled: the numbers of its sets are fixed")
def test_what_holds_for_sets_of_every_day_holds_for_narrow_ones():
    options = ("-p", "tests.narrow_sets", "-p", "no:cacheprovider", "-x", "-q", "--tb=short")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *RUNS],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
