"""Fixtures of the compat tests: the daemons, each fresh for one test, and `need`.

A compat test skips with its reason where Debian's packages are missing; with CI=true that is a failure, so that a
green run has run them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.compat import peers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Need(Protocol):
    """Go on only if all these are there: a Path, a program's name, or "pyxs"."""

    def __call__(self, *needed: str | Path) -> None: ...


@pytest.fixture(scope="session")
def need() -> Need:
    return peers.need


@pytest.fixture
def run_directory() -> Iterator[Path]:
    """A directory with a path short enough for sockets; the daemon fixtures have one each."""
    with peers.short_directory() as directory:
        yield directory


@pytest.fixture
def c_xenstored() -> Iterator[peers.Daemon]:
    peers.need(*peers.C_NEEDS)
    with peers.short_directory() as directory, peers.c_xenstored(directory) as daemon:
        yield daemon


@pytest.fixture
def ox_xenstored() -> Iterator[peers.Daemon]:
    peers.need(*peers.OX_NEEDS)
    with peers.short_directory() as directory, peers.ox_xenstored(directory) as daemon:
        yield daemon


@pytest.fixture
def our_xenstored() -> Iterator[peers.Daemon]:
    with peers.short_directory() as directory, peers.our_xenstored(directory) as daemon:
        yield daemon
