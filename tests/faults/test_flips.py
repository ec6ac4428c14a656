"""Bit flips: after any one, what is read is right or a typed error names the place; repair keeps what is true."""

from random import Random

import pytest

import rrdstore
from tests.faults.life import Life

FLIPS = 40
"""Of each file and seed; thousands by hand: bench/flips.py."""


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    return Life(str(tmp_path_factory.mktemp("flips") / "s.rrdb"))


def said(life):
    """The error of opening and reading, or what check finds; empty if all of it is right."""
    try:
        with rrdstore.open(life.path, readonly=True, clock=life.clock) as store:
            heads = {name: branch.head.number for name, branch in store.branches.items()}
            life.compare(store)
            problems = store.check()
    except rrdstore.StoreError as fault:
        return [str(fault)]
    assert problems or heads == life.last, "nothing acknowledged is lost in silence"
    return [str(problem) for problem in problems]


def tried(life, end, at, bit):
    """One flip, looked at and repaired; whether anything was found."""
    life.restore()
    life.flip(end, at, bit)
    found = said(life)
    made = life.repaired()
    assert bool(found) >= bool(made.lost), "what is lost was noticed before"
    assert not made.damaged or found or made.problems
    return bool(found)


@pytest.mark.parametrize("end", ["", "-wal", "-ring"])
def test_a_flip_anywhere(life, end):
    random = Random(f"anywhere {end}")
    noticed = sum(tried(life, end, random.randrange(life.size(end)), random.randrange(8)) for _ in range(FLIPS))
    assert noticed or end, "the log and the journal are mostly what no longer counts"


@pytest.mark.parametrize(("end", "first"), [("", 4096), ("", 60000), ("-ring", 600)])
def test_a_flip_near_the_beginning(life, end, first):
    random = Random(f"beginning {end} {first}")
    assert sum(tried(life, end, random.randrange(first), random.randrange(8)) for _ in range(FLIPS // 2))
