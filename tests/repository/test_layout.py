"""The house from outside: what lies at the top, and that no file has outgrown its noun."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOP = {
    "pyproject.toml",
    "setup.py",
    "rrdstore",
    "xsadapter",
    "tests",
    "bench",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    ".ci",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
}
LINES = 400


def tracked() -> list[Path]:
    """What git knows; skips where this is no clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_the_top_level_is_what_it_should_be():
    assert {path.parts[0] for path in tracked()} == TOP


def test_no_python_file_is_longer_than_its_noun():
    lengths = {
        path: len((ROOT / path).read_bytes().splitlines())
        for path in tracked()
        if path.suffix == ".py" and (ROOT / path).exists()
    }
    assert not {str(path): lines for path, lines in lengths.items() if lines > LINES}
    assert len(lengths) > 10


def test_scripts_can_be_run():
    for path in tracked():
        if path.suffix == ".sh" or path == Path(".ci/run"):
            assert (ROOT / path).stat().st_mode & 0o111, f"{path} is not executable"
