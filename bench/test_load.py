"""The load generator's workloads, in their short forms (BENCH_LOAD=full for the full ones)."""

from __future__ import annotations

import os

import pytest

from bench.conftest import AIMS, RACES
from bench.load.arena import Arena
from bench.load.daemons import kinds
from bench.load.workloads import WORKLOADS
from bench.race import LAPS


@pytest.mark.parametrize("workload", WORKLOADS)
def test_load(workload, request):
    arena = Arena(kinds(()), short=os.environ.get("BENCH_LOAD") != "full", runs=LAPS, show=False)
    WORKLOADS[workload](arena)
    request.config.stash.setdefault(RACES, []).extend(arena.races)
    request.config.stash.setdefault(AIMS, []).extend(arena.aims)
    assert arena.races or arena.aims
