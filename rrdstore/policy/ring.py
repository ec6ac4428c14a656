"""One tier's slots: rings of aligned buckets, the doubling spread, and the newest few.

Rule: a slot keeps the greatest (retention time, number) ever offered to its ring position, which
is its bucket modulo the rows; with `@first` the newest bucket wins and within it the least. So
what a tier keeps depends on which commits were offered and not on their order, and nothing leaves
but by a newer commit. A buried pick leaves its key behind as a tombstone: the slot holds nothing
and still refuses all that the pick would have refused (with `@first`, all of its bucket).
`*:N` keeps one pick for each occupied bucket; its step is the least doubling of one second at
which at most N are occupied, which again only depends on what was offered.
Cost: O(1) an offer; a doubling is O(N) and comes at most 45 times.
Prior art: RRDtool's LAST and its rings.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rrdstore.policy.policy import Count, Every
from rrdstore.policy.step import SECOND

if TYPE_CHECKING:
    from rrdstore.policy.policy import Last, Spread, Tier

Key: TypeAlias = tuple[int, int]
"""(retention time, number): the order of commits."""

NEVER = 1 << 80
"""Later than any time, greater than any number."""

_ALIGN = 1 << 44  # seconds added before shifting: a multiple of every step, and no bucket is negative


class Track(Protocol):
    """What the rings of a branch ask of each tier. `lost` collects the numbers it lets go.

    An open slot can be lifted: the caller then remembers that the newest commit stands in it, and
    settles it when its bucket closes. `closes` and `closes_number` say when that is.
    """

    dead: set[Key]
    lazy: bool
    closes: int
    closes_number: int

    @property
    def tier(self) -> Tier:
        """The tier as the policy has it."""

    def take(self, key: Key, lost: list[int]) -> int:
        """Offer a commit; how many slots took it."""

    def lift(self, key: Key) -> None:
        """Take out the newest commit, which stands in the open slot (not for `@first`: note the border)."""

    def settle(self, key: Key) -> None:
        """Put the newest commit into the open slot, which was lifted."""

    def roll(self, top: Key, key: Key, lost: list[int]) -> int:
        """As `settle` of the newest so far, `take` and `lift` of a newer one of another bucket; slots that hold it."""

    def bury(self, key: Key) -> None:
        """Empty one slot that holds `key` and leave a tombstone."""

    def raise_dead(self, key: Key) -> None:
        """Put a tombstone where one was when the state was written."""

    def inherit(self, key: Key) -> None:
        """Put a tombstone of other tiers where nothing is, or nowhere: no pick gives way to it."""

    def picks(self) -> list[Key]:
        """What the slots hold, oldest first, tombstones excepted; a commit may stand twice."""


class Ring:
    """The slots of an `Every` or `Count` tier."""

    __slots__ = ("_count", "_first", "_length", "_open", "_rows", "_slots", "closes", "closes_number", "dead", "lazy",
                 "tier")  # fmt: skip

    def __init__(self, tier: Every | Count) -> None:
        self.tier = tier
        self.dead: set[Key] = set()
        self.lazy = not tier.first
        self.closes = self.closes_number = NEVER
        self._first = tier.first
        self._rows = tier.rows
        self._count = tier.step if isinstance(tier, Count) else 0
        self._length = tier.step.length if isinstance(tier, Every) and not tier.step.months else 0
        self._slots: dict[int, Key] = {}
        self._open = 0

    def _bucket(self, key: Key) -> int:
        if self._length:
            return key[0] // self._length
        if isinstance(self.tier, Every):
            return self.tier.step.bucket(key[0])
        return key[1] // self._count

    def take(self, key: Key, lost: list[int]) -> int:
        """Offer a commit; how many slots took it."""
        bucket = self._bucket(key)
        position = bucket % self._rows
        held = self._slots.get(position)
        if held is not None:
            if self._first:
                other = self._bucket(held)
                if bucket < other or (bucket == other and (key >= held or held in self.dead)):
                    return 0
            elif key <= held:
                return 0
            if held in self.dead:
                self.dead.discard(held)
            else:
                lost.append(held[1])
        self._slots[position] = key
        return 1

    def lift(self, key: Key) -> None:
        """Take the newest commit out of the open slot."""
        bucket = self._bucket(key)
        self._look_ahead(bucket)
        if not self._first:
            self._open = bucket % self._rows
            del self._slots[self._open]

    def _look_ahead(self, bucket: int) -> None:
        """Note where a bucket ends."""
        if self._count:
            self.closes_number = (bucket + 1) * self._count
        elif self._length:
            self.closes = (bucket + 1) * self._length
        elif isinstance(self.tier, Every):
            self.closes = self.tier.step.start(bucket + 1)

    def settle(self, key: Key) -> None:
        """Put the newest commit back into the open slot."""
        self._slots[self._open] = key

    def roll(self, top: Key, key: Key, lost: list[int]) -> int:
        """Close the bucket of `top`, the newest so far, with a newer one; how many slots hold that."""
        if self._first:
            taken = self.take(key, lost)
            self.lift(key)
            return taken
        slots = self._slots
        slots[self._open] = top
        if self._length:  # As `_look_ahead`, without its call.
            bucket = key[0] // self._length
            self.closes = (bucket + 1) * self._length
        else:
            bucket = self._bucket(key)
            self._look_ahead(bucket)
        self._open = position = bucket % self._rows
        held = slots.pop(position, None)
        if held is not None:  # It is older: `key` is newer than all.
            if held in self.dead:
                self.dead.discard(held)
            else:
                lost.append(held[1])
        return 0

    def bury(self, key: Key) -> None:
        """Leave a tombstone in a slot that holds `key`."""
        self.dead.add(key)

    def raise_dead(self, key: Key) -> None:
        """Put a tombstone where one was."""
        self._slots[self._bucket(key) % self._rows] = key
        self.dead.add(key)

    def inherit(self, key: Key) -> None:
        """Put a tombstone where nothing is, or nowhere."""
        if self._bucket(key) % self._rows not in self._slots:
            self.raise_dead(key)

    def picks(self) -> list[Key]:
        """What is held, oldest first."""
        return sorted(key for key in self._slots.values() if key not in self.dead)


class Doubling:
    """The slots of a `Spread` tier: at most `rows` buckets, and the first commit of all."""

    __slots__ = ("_buckets", "_open", "closes", "closes_number", "dead", "first", "first_dead", "lazy", "level", "tier")

    def __init__(self, tier: Spread) -> None:
        self.tier = tier
        self.dead: set[Key] = set()
        self.lazy = True
        self.closes = self.closes_number = NEVER
        self.level = 0
        self.first: Key | None = None
        self.first_dead = False
        self._buckets: dict[int, Key] = {}
        self._open = 0

    @property
    def step(self) -> int:
        """Microseconds of the present step."""
        return SECOND << self.level

    @property
    def occupied(self) -> int:
        """Buckets in use, tombstones included; all must be settled."""
        return len(self._buckets)

    def start(self, rt: int) -> int:
        """When the bucket of `rt` begins."""
        return ((self._bucket(rt) << self.level) - _ALIGN) * SECOND

    def _bucket(self, rt: int) -> int:
        return (rt // SECOND + _ALIGN) >> self.level

    def take(self, key: Key, lost: list[int]) -> int:
        """Offer a commit; how many slots took it."""
        taken = 1
        if self.first is None:
            self.first = key
        elif key < self.first and not self.first_dead:
            lost.append(self.first[1])
            self.first = key
        else:
            taken = 0
        bucket = self._bucket(key[0])
        held = self._buckets.get(bucket)
        if held is None:
            self._buckets[bucket] = key
            while len(self._buckets) > self.tier.rows:
                self._double(lost)
        elif key > held:
            self._buckets[bucket] = key
            self._drop(held, lost)
        else:
            return taken
        return taken + 1

    def _double(self, lost: list[int]) -> None:
        self.level += 1
        merged: dict[int, Key] = {}
        for key in sorted(self._buckets.values()):
            bucket = self._bucket(key[0])
            if bucket in merged:
                self._drop(merged[bucket], lost)
            merged[bucket] = key
        self._buckets = merged

    def _drop(self, key: Key, lost: list[int]) -> None:
        if key in self.dead:
            self.dead.discard(key)
        else:
            lost.append(key[1])

    def lift(self, key: Key) -> None:
        """Take the newest commit out of the open slot."""
        self._open = self._bucket(key[0])
        self.closes = self.start(key[0]) + self.step
        del self._buckets[self._open]

    def settle(self, key: Key) -> None:
        """Put the newest commit back into the open slot."""
        self._buckets[self._open] = key

    def roll(self, top: Key, key: Key, lost: list[int]) -> int:
        """Close the bucket of `top`, the newest so far, with a newer one; how many slots hold that."""
        self.settle(top)
        taken = self.take(key, lost)
        self.lift(key)
        return taken - 1

    def bury(self, key: Key) -> None:
        """Leave a tombstone in a slot that holds `key`."""
        if self._buckets.get(self._bucket(key[0])) == key and key not in self.dead:
            self.dead.add(key)
        else:
            self.first_dead = True

    def raise_dead(self, key: Key) -> None:
        """Put a tombstone where one was."""
        self._buckets[self._bucket(key[0])] = key
        self.dead.add(key)

    def inherit(self, key: Key) -> None:
        """Put a tombstone where nothing is, or nowhere."""
        if len(self._buckets) < self.tier.rows and self._bucket(key[0]) not in self._buckets:
            self.raise_dead(key)

    def picks(self) -> list[Key]:
        """What is held, oldest first."""
        keys = [key for key in self._buckets.values() if key not in self.dead]
        if self.first is not None and not self.first_dead:
            keys.append(self.first)
        return sorted(keys)


class Newest:
    """The slots of a `Last` tier: the keys in order, tombstones among them."""

    __slots__ = ("closes", "closes_number", "dead", "keys", "lazy", "rows", "tier")

    def __init__(self, tier: Last) -> None:
        self.tier = tier
        self.rows = tier.rows
        self.keys: deque[Key] = deque()
        self.dead: set[Key] = set()
        self.lazy = False
        self.closes = self.closes_number = NEVER

    def take(self, key: Key, lost: list[int]) -> int:
        """Offer a commit; how many slots took it."""
        keys = self.keys
        if not keys or key > keys[-1]:
            keys.append(key)
        else:
            index = bisect_left(keys, key)
            if keys[index] == key or (index == 0 and len(keys) >= self.rows):
                return 0
            keys.insert(index, key)
        if len(keys) > self.rows:
            oldest = keys.popleft()
            if oldest in self.dead:
                self.dead.discard(oldest)
            else:
                lost.append(oldest[1])
        return 1

    def lift(self, key: Key) -> None:
        """Nothing to lift: every commit has a slot of its own."""

    def settle(self, key: Key) -> None:
        """Nothing was lifted."""

    def roll(self, top: Key, key: Key, lost: list[int]) -> int:  # noqa: ARG002  # no bucket, so nothing to settle
        """Take a newer commit."""
        return self.take(key, lost)

    def bury(self, key: Key) -> None:
        """Leave a tombstone in a slot that holds `key`."""
        self.dead.add(key)

    def raise_dead(self, key: Key) -> None:
        """Put a tombstone where one was."""
        self.keys.insert(bisect_left(self.keys, key), key)
        self.dead.add(key)

    def inherit(self, key: Key) -> None:
        """Put a tombstone where nothing is, or nowhere."""
        if len(self.keys) < self.rows and key not in self.keys:
            self.raise_dead(key)

    def picks(self) -> list[Key]:
        """What is held, oldest first."""
        return [key for key in self.keys if key not in self.dead]
