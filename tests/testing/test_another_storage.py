"""The storage that docs/testing.md makes, under the whole shipped suite; and the same with faults, which it finds."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from rrdstore.testing import StoreMachine
from rrdstore.testing.walk import walk
from tests.repository.documents import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
NAMES: dict = {"StoreMachine": StoreMachine}
for block in blocks(PAGE):
    if block.language == "python" and "class Shelf" in block.text:
        exec(block.text, NAMES)
Shelf, ShelfHome = NAMES["Shelf"], NAMES["ShelfHome"]


class TestShelf(StoreMachine.TestCase):
    walks = 3

    def make(self):
        return ShelfHome()


class Forgetful(Shelf):
    """Acknowledges what it has not written."""

    def append(self, entry):
        return True


class Repeating(Shelf):
    """Never cuts its journal, and hands back what ticks have stored as well."""

    def ticking(self, tick):
        for true in super().ticking(tick):
            yield true
            if true:
                return

    def entries(self):
        with self.journal.open("a+b") as file:
            file.seek(0)
            while file.peek(1):
                yield NAMES["pickle"].load(file)


class Confusing(Shelf):
    """Loses metadata."""

    def root(self, commit):
        return NAMES["grown"](
            {path: (value, b"", *made) for path, (value, _, *made) in self.kept["trees"][commit.number].items()}
        )


class Undying(Shelf):
    """Does not store what has changed of a commit that it has already."""

    def ticking(self, tick):
        return super().ticking(type(tick)(**{name: getattr(tick, name) for name in tick.__slots__} | {"changed": ()}))


class Tagless(Shelf):
    """Forgets tags."""

    def write(self, kept):
        super().write({**kept, "tags": {}})


@pytest.mark.parametrize("fault", [Forgetful, Repeating, Confusing, Undying, Tagless], ids=lambda fault: fault.__name__)
def test_a_fault_is_found(fault):
    class Home(ShelfHome):
        def storage(self, *, readonly):
            return fault(self.folder / "shelf", readonly)

    def found(seed):
        machine = StoreMachine(Home)
        try:
            walk(machine, Random(seed), 200)
        except Exception:  # noqa: BLE001 - whatever it is: an assertion of the machine's, or the engine's own
            machine.home.end()
            return True
        return False

    assert any(found(seed) for seed in range(6))
