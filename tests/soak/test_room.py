"""What is reserved for a change bounds what it takes: every commit is stored by itself and weighed.

The oracle is the file: the bytes that live in it before and after. How much more is reserved than taken is bounded
as well, or a store would thin its history long before it is full.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import rrdstore
from rrdstore.history.commit import Edit
from rrdstore.store.room import change_cost

if TYPE_CHECKING:
    from pathlib import Path


def random_edits(dice: random.Random, tree: rrdstore.Tree) -> tuple[Edit, ...]:
    """A write, a removal, or several writes below one directory; narrow and wide ones, small and large values."""
    width = dice.choice((5, 33, 40, 600))
    path = "/" + "/".join(f"n{dice.randrange(width)}" for _ in range(dice.choice((1, 2, 3, 4))))
    kind = dice.random()
    if kind < 0.25 and path in tree:
        return (Edit(path, None),)
    if kind < 0.45:
        sizes = [dice.choice((1, 60, 192, 300, 5000)) for _ in range(dice.randrange(1, 60))]
        return tuple(Edit(f"{path}/k{number}", dice.randbytes(size)) for number, size in enumerate(sizes))
    return (Edit(path, dice.randbytes(dice.choice((1, 20, 190, 1000, 3000))), dice.choice((None, b"n0"))),)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_cost_of_a_change_is_a_bound(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with rrdstore.create(tmp_path / "host.rrdb", size="64MiB", keep="last:4000", sync="none") as store:
        main, ledger = store.branch("main"), store.ledger
        taken = reserved = 0
        for _ in range(1000):
            edits = random_edits(dice, main.tree)
            cost, before = change_cost(main.tree.root, edits), store.info().live
            ledger.commit(ledger.history.line("main"), edits, "change", "")
            store.tick()
            grown = store.info().live - before
            assert grown <= cost, f"seed {seed}: {edits!r:.200}"
            taken, reserved = taken + grown, reserved + cost
        assert reserved < 2 * taken
