"""The tiers of one branch, fed one commit at a time.

Rule: each tier takes each commit by itself (never one from another), and a commit stays as long
as a slot of any tier holds it; the kept set is a function of the commits offered, whatever their
order and however often, and `plan()` computes the same from the definitions. "Now" is never asked
for. Only `relieve` empties a slot otherwise, and its tombstone makes that last.

How it is cheap: the newest commit is the pick of every open bucket, so it is written into no slot
until one of its buckets closes; until then a commit in order only replaces the one before it.
Cost: a commit in order about 1 µs, O(tiers) when a bucket closes or a commit is late.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from rrdstore.errors import Corrupt
from rrdstore.policy.policy import Count, Every, Last, Policy, Spread, slots_of
from rrdstore.policy.reason import of_count, of_every, of_first, of_last, of_spread
from rrdstore.policy.ring import NEVER, Doubling, Newest, Ring

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, KeysView

    from rrdstore.policy.policy import Tier
    from rrdstore.policy.reason import Reason
    from rrdstore.policy.ring import Key, Track

_HEADER = struct.Struct("<BIBqqI")  # version, CRC-32 of the canonical policy, spread's level, greatest key, tombstones
_TOMBSTONE = struct.Struct("<Bqq")  # tier, retention time, number
_VERSION = 1
_NONE = -(1 << 63)  # below any time or number
_FIRST = 0x80  # beside the tier: the tombstone lies on the first of all, not in a bucket


@dataclass(frozen=True, slots=True)
class Fill:
    """How much of a tier is in use: `used` of `rows` slots, from time `oldest` to `newest` (microseconds)."""

    tier: str
    used: int
    rows: int
    oldest: int | None
    newest: int | None
    pressed: int = 0
    """Slots that byte pressure emptied, and no newer commit has filled since."""


class Rings:
    """All tiers of one branch. Not safe for several threads."""

    __slots__ = ("_aligned", "_closes", "_closes_number", "_lazy", "_newest", "_number", "_refs", "_rt", "_tracks",
                 "_virtual", "kept", "policy")  # fmt: skip

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._tracks: tuple[Track, ...] = tuple(_track(tier) for tier in policy.tiers)
        self._newest = next((track for track in self._tracks if isinstance(track, Newest)), None)
        self._aligned = tuple(track for track in self._tracks if track is not self._newest)
        # Slots that hold a number. While slots are lifted and no `last` holds the newest commit,
        # one count of it stands for all of them.
        self._refs: dict[int, int] = {}
        self._virtual = self._newest is None and any(track.lazy for track in self._tracks)
        self.kept: KeysView[int] = self._refs.keys()
        """The numbers that some tier keeps: a live view, `in` is O(1)."""
        self._rt = self._number = _NONE  # the greatest key seen
        self._lazy = False
        self._closes = self._closes_number = -NEVER  # the first border ahead, or "look closer"

    def offer(self, rt: int, number: int) -> tuple[int, ...]:
        """Show a commit to every tier; the numbers that no tier keeps any longer, perhaps itself.

        `rt` is its retention time in microseconds, `number` its number, both within 64 bits.
        Offering a commit again changes nothing.
        """
        if not (number > self._number and self._rt <= rt < self._closes and number < self._closes_number):
            if self._lazy and number > self._number and rt >= self._rt:
                return self._close((rt, number))
            return self._admit((rt, number))
        before, self._rt, self._number = self._number, rt, number
        newest = self._newest
        if newest is None:
            if not self._virtual:
                return (number,)
        else:
            keys = newest.keys
            keys.append((rt, number))
            if len(keys) <= newest.rows:
                self._refs[number] = 1
                return ()
            oldest = keys.popleft()
            if oldest in newest.dead:
                newest.dead.discard(oldest)
                self._refs[number] = 1
                return ()
            before = oldest[1]
        refs = self._refs
        refs[number] = 1
        count = refs[before] - 1
        if count:
            refs[before] = count
            return ()
        del refs[before]
        return (before,)

    @property
    def quiet(self) -> tuple[int, int]:
        """The time and the number before which no tier but `last` takes more than one of the commits in order."""
        return self._closes, self._closes_number

    @property
    def newest(self) -> int:
        """How many of the newest commits stay for being new: the rows of `last`, and the head in any case."""
        return 1 if self._newest is None else self._newest.rows

    def _admit(self, key: Key) -> tuple[int, ...]:
        """Offer a commit that is late, or the first one since the slots alone said what is kept."""
        top = (self._rt, self._number)
        lost: list[int] = []
        refs = self._refs
        self._settle()
        held = sum(track.take(key, lost) for track in self._tracks)
        if key > top:
            held += self._virtual
            for track in self._tracks:
                track.lift(key)
                held -= track.lazy
            self._rt, self._number = key
            self._lazy = True
            self._closes = min(track.closes for track in self._tracks)
            self._closes_number = min(track.closes_number for track in self._tracks)
        number = key[1]
        if held:
            refs[number] = refs.get(number, 0) + held
        gone = self._release(lost)
        if number not in refs and number not in gone:
            gone.append(number)
        return tuple(gone)

    def _close(self, key: Key) -> tuple[int, ...]:
        """Offer a commit in order that closes a bucket; one call for each that it closes."""
        rt, number = key
        top = (self._rt, self._number)
        refs, newest = self._refs, self._newest
        lost: list[int] = []
        held = 0
        closes = closes_number = NEVER
        for track in self._aligned:
            if rt >= track.closes or number >= track.closes_number:
                if track.lazy:
                    refs[top[1]] += 1
                held += track.roll(top, key, lost)
            if track.closes < closes:  # noqa: PLR1730  # each tier twice a commit, and `min` is a call
                closes = track.closes
            if track.closes_number < closes_number:  # noqa: PLR1730
                closes_number = track.closes_number
        if newest is not None:
            held += newest.take(key, lost)
        elif self._virtual:
            held += 1
            lost.append(top[1])
        if held:
            refs[number] = held
        self._rt, self._number = key
        self._closes, self._closes_number = closes, closes_number
        gone = self._release(lost)
        if not held:
            gone.append(number)
        return tuple(gone)

    def _settle(self) -> None:
        """Write the newest commit into every open slot, so that slots alone say what is kept."""
        if not self._lazy:
            return
        number = self._number
        for track in self._tracks:
            if track.lazy:
                track.settle((self._rt, number))
                self._refs[number] += 1
        if self._virtual:
            self._refs[number] -= 1
        self._lazy = False
        self._closes = self._closes_number = -NEVER

    def _release(self, lost: list[int]) -> list[int]:
        """Count each of `lost` down once; those that nothing holds now."""
        refs, gone = self._refs, []
        for number in lost:
            count = refs[number] - 1
            if count:
                refs[number] = count
            else:
                del refs[number]
                gone.append(number)
        return gone

    def holds(self, number: int) -> bool:
        """Whether some tier keeps the commit."""
        return number in self._refs

    def picks(self) -> tuple[tuple[Key, ...], ...]:
        """What each tier holds, in the policy's order, oldest first. O(slots log slots)."""
        self._settle()
        return tuple(tuple(dict.fromkeys(track.picks())) for track in self._tracks)

    def fill(self) -> tuple[Fill, ...]:
        """How much of each tier is in use, in the policy's order. O(slots log slots)."""
        self._settle()
        fills = []
        for track in self._tracks:
            keys = track.picks()
            oldest, newest = (keys[0][0], keys[-1][0]) if keys else (None, None)
            pressed = len(track.dead) + (isinstance(track, Doubling) and track.first is not None and track.first_dead)
            fills.append(Fill(str(track.tier), len(keys), slots_of(track.tier), oldest, newest, pressed))
        return tuple(fills)

    def relieve(self, protected: Container[int]) -> int | None:
        """Give up one commit because bytes are short; its number, or None if nothing is left to give.

        Of the tier with the most slots in use (the first of several), the pick goes whose loss
        leaves the smallest gap relative to its age; a tier's oldest and newest go last, and no
        number in `protected` ever. It leaves a tombstone. If another tier keeps the commit as
        well, the same again, until one is kept by none. O(slots log slots) for each pick.
        """
        self._settle()
        while True:
            tracks = sorted(((track.picks(), track) for track in self._tracks), key=lambda pair: -len(pair[0]))
            candidates = ((_weakest(keys, self._rt, protected), track) for keys, track in tracks)
            weakest = next(((key, track) for key, track in candidates if key is not None), None)
            if weakest is None:
                return None
            key, track = weakest
            track.bury(key)
            if self._release([key[1]]):
                return key[1]

    @property
    def buried(self) -> tuple[int, ...]:
        """How many slots of each tier have a tombstone. O(slots)."""
        self._settle()
        firsts = (
            isinstance(track, Doubling) and track.first is not None and track.first_dead for track in self._tracks
        )
        return tuple(len(track.dead) + first for track, first in zip(self._tracks, firsts, strict=True))

    def reasons(self, number: int) -> tuple[Reason, ...]:
        """Why the commit stays, one reason a slot that holds it; empty if no tier keeps it. O(slots)."""
        self._settle()
        return tuple(reason for track in self._tracks for reason in self._why(track, number))

    def _why(self, track: Track, number: int) -> Iterable[Reason]:
        found = [key for key in track.picks() if key[1] == number]
        if not found:
            return
        key, rule = found[0], str(track.tier)
        if isinstance(track.tier, Every):
            yield of_every(track.tier, key[0], self._rt)
        elif isinstance(track.tier, Count):
            yield of_count(track.tier, number, self._number)
        elif isinstance(track, Newest):
            yield of_last(rule, len(track.keys) - 1 - track.keys.index(key), track.tier.rows)
        elif isinstance(track, Doubling):
            first = key == track.first and not track.first_dead
            if first:
                yield of_first(rule)
            if len(found) > first:
                free = track.tier.rows - track.occupied
                yield of_spread(rule, track.start(key[0]), track.start(self._rt), track.step, free)

    def state(self) -> bytes:
        """What offering the kept commits again may not bring back: the newest key, the spread's step, tombstones.

        At most `state_limit(policy)` bytes; 26 without pressure.
        """
        level, tombstones = 0, []
        for index, track in enumerate(self._tracks):
            tombstones += [_TOMBSTONE.pack(index, *key) for key in sorted(track.dead)]
            if isinstance(track, Doubling):
                level = track.level
                if track.first is not None and track.first_dead:
                    tombstones.append(_TOMBSTONE.pack(index | _FIRST, *track.first))
        header = _HEADER.pack(
            _VERSION, crc32(str(self.policy).encode()), level, self._rt, self._number, len(tombstones)
        )
        return header + b"".join(tombstones)

    @classmethod
    def restore(cls, policy: Policy, state: bytes, kept: Iterable[Key]) -> Rings:
        """Rings that behave from now on as those whose `state()` this is and whose picks `kept` covers.

        `kept` may hold more, if all of it was offered before. An empty `state` stands for rings
        never under pressure, whose spread is fitted to `kept`: so a changed policy starts.
        Raises Corrupt if `state` is no state of this policy.
        """
        rings = cls(policy)
        if state:
            rings._load(state)
        for rt, number in sorted(kept):
            rings.offer(rt, number)
        return rings

    @classmethod
    def fitted(cls, policy: Policy, kept: Iterable[Key], before: Rings) -> Rings:
        """Rings of another policy that hold what `plan` keeps of `kept`, in place of `before`.

        The tombstones of `before` are taken over where no pick stands in the way, so that what pressure
        took does not come back with the new tiers. O(kept x tiers).
        """
        rings = cls.restore(policy, b"", kept)
        rings._settle()
        for key in sorted((key for track in before._tracks for key in track.dead), reverse=True):
            for track in rings._tracks:
                track.inherit(key)
        return rings

    def _load(self, state: bytes) -> None:
        where, length = "state of the tiers", len(state)
        if length < _HEADER.size:
            raise Corrupt(where, f"{length} bytes", f"at least {_HEADER.size}")
        version, policy, level, rt, number, tombstones = _HEADER.unpack_from(state)
        if version != _VERSION or policy != crc32(str(self.policy).encode()):
            raise Corrupt(where, f"version {version}, policy {policy:08x}", f"version {_VERSION} of {self.policy}")
        if length != _HEADER.size + tombstones * _TOMBSTONE.size:
            raise Corrupt(where, f"{length} bytes", f"{_HEADER.size + tombstones * _TOMBSTONE.size}")
        self._rt, self._number = rt, number
        for spread in self._tracks:
            if isinstance(spread, Doubling):
                spread.level = level
        for code, rt, number in _TOMBSTONE.iter_unpack(state[_HEADER.size :]):
            index = code & ~_FIRST
            if index >= len(self._tracks):
                raise Corrupt(where, f"a tombstone in tier {index}", f"tiers below {len(self._tracks)}")
            track = self._tracks[index]
            if code == index:
                track.raise_dead((rt, number))
            elif isinstance(track, Doubling):
                track.first, track.first_dead = (rt, number), True
            else:
                raise Corrupt(where, f"a tombstone on the first commit of {track.tier}", "one on the first of '*'")


def state_limit(policy: Policy) -> int:
    """The most bytes that `Rings.state` gives for a policy: room to reserve before the first write."""
    return _HEADER.size + policy.slots * _TOMBSTONE.size


def _track(tier: Tier) -> Track:
    match tier:
        case Last():
            return Newest(tier)
        case Spread():
            return Doubling(tier)
        case _:
            return Ring(tier)


def _weakest(keys: list[Key], newest: int, protected: Container[int]) -> Key | None:
    """The pick whose loss leaves the smallest gap relative to its age, ends last, or None."""
    inner = (
        ((keys[i + 1][0] - keys[i - 1][0]) / (newest - keys[i][0] + 1), keys[i])
        for i in range(1, len(keys) - 1)
        if keys[i][1] not in protected
    )
    best = min(inner, default=None)
    if best is not None:
        return best[1]
    return next((key for key in (keys[:1] + keys[-1:]) if key[1] not in protected), None)
