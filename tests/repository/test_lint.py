"""The sources are clean by the tools' own judgement: `make lint`, as a test. Skips where they are not installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=" ".join,
)
def test_the_sources_are_clean(command):
    tool, *arguments = command
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: make test installs it")
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
