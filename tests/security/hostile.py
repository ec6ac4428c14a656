"""A ring page that its guest changes at each access: between any two loads of ours, and in the midst of a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xsadapter.engine.ring import HALF, PAGE, RingError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

WORDS = range(512, 520)
_WRAP = 2**32


class HostilePage:
    """What `Ring` takes for a memoryview. Without `chance` it only keeps a log."""

    nbytes = PAGE

    def __init__(self, chance: random.Random | None) -> None:
        self.chance = chance
        self.data = bytearray(PAGE if chance is None else chance.randbytes(PAGE))
        self.bytes = memoryview(self.data)
        self.words = self.bytes.cast("I")
        if chance is not None:
            for word in WORDS:
                self.words[word] = chance.choice([0, 5, _WRAP - 3])
        self.calm()

    def calm(self) -> None:
        """Forget what was done to it."""
        self.log: list[str] = []
        self.loads: list[int] = []
        self.stores: set[int] = set()
        self.read_bytes = self.accesses = 0

    def cast(self, form: str) -> _View:
        return _View(self, form)

    def outcome(self, call: Callable[[], Any]) -> bytes | None:
        """What it gives if that is bytes; a broken ring is an outcome, too."""
        try:
            found = call()
        except RingError:
            return None
        return found if isinstance(found, bytes) else None

    def changes(self) -> None:
        """The guest's turn."""
        self.accesses += 1
        chance = self.chance
        if chance is None:
            return
        for _ in range(chance.randrange(3)):
            word = chance.choice(WORDS)
            near = self.words[chance.choice(WORDS)] + chance.choice([0, 1, 16, 100, 1023, 1024, 1025, -1])
            self.words[word] = chance.choice([near, near, chance.getrandbits(32), 0, 1]) % _WRAP
        at = chance.randrange(2 * HALF - 32)
        self.data[at : at + 16] = chance.choice([bytes(16), chance.randbytes(16), b"\xff" * 16])


class _View:
    """The page as bytes or as words."""

    def __init__(self, page: HostilePage, form: str) -> None:
        self._page, self._form = page, form

    def cast(self, form: str) -> _View:
        return _View(self._page, form)

    def release(self) -> None:
        """There is nothing to let go of."""

    def __getitem__(self, key: Any) -> Any:
        page = self._page
        page.changes()
        if self._form == "I":
            page.loads.append(key)
            page.log.append(f"load {key}")
            return page.words[key]
        found = bytes(page.bytes[key])
        assert key.start is None or 0 <= key.start <= HALF
        assert key.stop <= HALF
        page.read_bytes += len(found)
        page.log.append("copy out")
        page.changes()
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        page = self._page
        if self._form == "I":
            assert key in WORDS
            page.words[key] = value
            page.stores.add(key)
            page.log.append(f"store {key}")
        else:
            assert HALF <= key.start <= key.stop <= 2 * HALF
            page.bytes[key] = value
            page.log.append("copy in")
        page.changes()
