"""The failing disk, compiled once a session, and a directory for a daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.compat.peers import short_directory
from tests.faults import shim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to be preloaded; skips where there is no compiler, but for CI."""
    try:
        return shim.built(tmp_path_factory.mktemp("shim"))
    except shim.NoCompiler as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture
def rundir() -> Iterator[Path]:
    """Where a daemon will have its things; not there yet."""
    with short_directory() as directory:
        yield directory / "run"
