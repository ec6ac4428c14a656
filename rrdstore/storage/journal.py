"""The journal: what was acknowledged and no tick has stored yet, in a ring file mapped into memory.

Rule: a record is in the file, whatever becomes of the process, before the change is answered. Records lie
one behind the other, and go on at the start where the end is reached. A tick cuts: what comes after the cut
is of the next generation, lies behind, and is of the next tick. The tick's last transaction says at which
generation and byte the records now begin that it does not cover; so at every instant the last tick and what
is read from there are all that was acknowledged. If a tick fails, more generations than one lie there.
A record counts if the ones before it do: its checksum begins with the last one's, and that of the first of
a generation with the store and the generation, so neither a torn record nor anything behind it, nor what
an earlier round left, is read.

    file    = magic:8 uuid:16 size:u32 net:u32 pid:u32 epoch:u32 generation:u64 boot:u64 end:u64, records from byte 64
    record  = length:u32 checksum:u32 generation:u64 entry, to a multiple of 8
              length 0 ends them, length 2^32 - 1 says that they go on at byte 64
              the entry's own grammar is that of `entries`

Where ticks cannot be true (another process holds the log), `put_off` writes a net behind the records: all that a
tick would bring, as records of a new generation (`part = 0:u64 index:u32 of:u32 bytes`). When it is there in whole, one
store of `net` in the head makes it what counts, and all that lay before it is free: the ring goes on, and a kill
at any byte leaves the one or the other.

The length is stored last, then in the head where the records end, and of which generation the last is. So a record
that cannot be read, or a generation that is not the store's, is damage and is named, unless the machine was
started anew since (`boot`): then it is what a power failure leaves of a file that nobody waits for, and what is
whole is taken.
The writer holds `flock` on the file, so there is one.
Cost: 2 to 3 us a record of one edit, nothing to the disk before the tick, one msync with `sync="commit"`.
"""

from __future__ import annotations

import logging
import mmap
import os
from typing import TYPE_CHECKING
from zlib import crc32

from rrdstore.errors import Corrupt, Held, Unwritable
from rrdstore.storage.apart import SUFFIX as APART
from rrdstore.storage.apart import Apart, Lacking
from rrdstore.storage.boot import boot
from rrdstore.storage.entries import Elsewhere, elsewhere, encode, of_one_value
from rrdstore.storage.holder import UNKNOWN
from rrdstore.storage.locking import SUFFIX
from rrdstore.storage.protocol import Entry
from rrdstore.storage.ring import (
    PREFIX,
    RECORD,
    START,
    TURN,
    Part,
    Short,
    begins,
    doubt,
    first,
    part,
    salvaged,
    sorted_out,
    walked,
)

if TYPE_CHECKING:
    from rrdstore.storage.protocol import Acknowledged, Brief, Planted

log = logging.getLogger("rrdstore")

_GENERATION, _BOOT, _END = 5, 6, 7
"""Where in the head, in words of 64 bits."""
_NET, _EPOCH = 7, 9
"""The same, in words of 32 bits."""
_ASKED_EVERY = 256
"""Entries that are not written between two attempts at a tick."""
_ENDS = [bytes(size + 4) for size in range(8)]
"""What fills a record up, by how much, and ends all."""
_PARTS = 16
"""A part of a net is at most this part of the ring."""


class Journal:
    """The ring file of a store, open for its writer, or for reading."""

    def __init__(self, path: str, descriptor: int, uuid: bytes, *, readonly: bool) -> None:
        self.path = path
        self._descriptor, self._uuid = descriptor, uuid
        access = mmap.ACCESS_READ if readonly else mmap.ACCESS_WRITE
        self._map = mmap.mmap(descriptor, 0, access=access)
        self._view = memoryview(self._map)
        self._words = self._view.cast("I")
        self._head = self._view[:START].cast("Q")
        self._readonly = readonly
        self._same_boot = bool(boot()) and self._head[_BOOT] == boot()
        self.size = len(self._map)
        self._quarter = self.size // 4
        self._generation = self._seed = 0
        self._begin = self._at = self._cut = START
        """Where the first record lies, where the next one goes, and where its generation began."""
        self._limit = self.size
        """Where what is free from `_at` on ends."""
        self.held_by = ""
        """Who kept the last tick from being true, if one was put off."""
        self._due = self.half = self.size // 2
        """At how many bytes a tick is due now, and after each."""
        self.net = b""
        """The net that `recover` found, which the entries come after."""
        self.forgotten = -1
        """How many entries since the cut were taken and not written, while none is (`forget`); -1: all are."""
        self.brief = True
        """Whether the store's format knows commits in brief."""
        self.apart = Apart(path.removesuffix(SUFFIX) + APART, uuid)
        self._elsewhere: list[tuple[Elsewhere, int]] = []
        """What records name there that `recover` found, and of which generation each is."""
        self._author = ""
        """Who made the last record, if it is a commit, of this generation."""

    # Records

    def recover(self, generation: int, start: int = START) -> tuple[list[Acknowledged], Corrupt | None]:
        """The entries from a generation and byte on, in order, and what is wrong with the rest, if it is.

        The second is to be raised if this is where the store's begin still: then entries that were acknowledged are
        lost. Without one, appending goes on behind the entries. If there is a newer net, from there on.
        """
        said, end, net = self._head[_GENERATION], self._head[_END], self._words[_NET]
        wanted, begin = begins(self._view, generation, start)
        entries, fault = self._walked(wanted, begin, said, end)
        if wanted != generation and not self._same_boot and (fault or not self.net):
            log.warning("%s: a net that did not reach the disk is passed over", self.path)
            entries, fault = self._walked(generation, start, generation, START)
        if self._readonly and net != self._words[_NET]:  # It was written meanwhile, and maybe over what was read.
            return self.recover(generation, start)
        if fault is None and not self._readonly:
            # From here on the ring is this writer's.
            if not self.net:
                self._words[_NET] = 0
            self._head[_GENERATION], self._head[_END], self._head[_BOOT] = self._generation, self._at, boot()
            if self._at < self.size:
                self._words[self._at >> 2] = 0
            self._same_boot = True
            self.apart.found(self._elsewhere)
        return entries, fault

    def _walked(self, generation: int, start: int, said: int, end: int) -> tuple[list[Acknowledged], Corrupt | None]:
        """The entries from there on, `net` what lies before them, and what is wrong."""
        self.reset(generation, start, ended=False)
        records: list[Acknowledged | Part] = []
        self._elsewhere = []
        lacking = None
        for record, at, check, own in walked(self._view, self._begin, self._generation, self._uuid, self.path):
            if isinstance(record, Elsewhere):
                try:
                    records.append(self.apart.read(record))
                except Lacking as fault:
                    lacking = fault
                    break
                self._elsewhere.append((record, own))
            else:
                records.append(record)
            if own != self._generation:
                self._generation, self._cut = own, self._at
            self._at, self._seed = at, check
            self._author = record.author if isinstance(record, Entry) else ""
        self._limit = self.size if self._at >= self._begin else self._begin
        entries, self.net, torn = sorted_out(records, self.path)
        return entries, torn or (lacking if self._same_boot else None) or self._doubt(generation, said, end)

    def _doubt(self, wanted: int, said: int, end: int) -> Corrupt | None:
        """What is wrong if the head says that the records go to `end` of generation `said`."""
        fault = doubt(self.path, wanted, self._begin, (self._generation, self._at), (said, end), self.size)
        if not isinstance(fault, Short) or self._same_boot:
            return fault
        log.warning("%s; the machine was started anew since, so this is what was not yet on the disk", fault)
        return None

    def verified(self, generation: int, start: int) -> tuple[list[Acknowledged], bytes, Corrupt | None]:
        """What the file holds from there on as of now, read again: entries, the net before them, a fault. O(ring)."""
        entries, net, _, fault = salvaged(
            bytes(self._view), self.path, self._uuid, generation, start, fetch=self.apart.read
        )
        return entries, net, None if isinstance(fault, (Short, Lacking)) and not self._same_boot else fault

    @property
    def epoch(self) -> int:
        """The epoch of the last writer, as far as the head says; to be raised before anything is appended."""
        return self._words[_EPOCH]

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._words[_EPOCH] = epoch

    def append(self, entry: Acknowledged, *, flush: bool = False) -> bool:
        """Put an entry behind the last; False if it takes more than a quarter of the ring or of what is left; Held."""
        if self.forgotten >= 0:
            self.forgotten += 1
            return True
        data = encode(entry, self._author if self.brief else None)
        if not self._put(data, flush=flush):
            if self.held_by and len(data) <= self._quarter:
                raise Held(self.path.removesuffix(SUFFIX), self.held_by)
            return False
        head = self._head
        head[_END], head[_GENERATION] = self._at, self._generation
        self._author = entry.author if entry.__class__ is Entry else ""
        return True

    def plant(self, entry: Planted, *, flush: bool = False) -> bool:
        """As `append`, of a commit whose edits are put apart; False also if that cannot be. O(edits)."""
        if self.forgotten >= 0:
            self.forgotten += 1
            return True
        named = self.apart.put(entry, flush=flush)
        if named is None or not self._put(elsewhere(named), flush=flush):
            self.apart.clear()
            if named is not None and self.held_by:
                raise Held(self.path.removesuffix(SUFFIX), self.held_by)
            return False
        self.apart.named(self._generation)
        self._head[_END], self._head[_GENERATION], self._author = self._at, self._generation, ""
        return True

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:
        """Put a commit of one value, on the one before it, behind the last: 1, or 2 if a tick is `due` then.

        0, and nothing has happened, if it is none for this or there is no room: `append` says what is to be done.
        """
        if self.forgotten >= 0 or not self.brief:
            return 0
        author = brief[2]
        data = of_one_value(number, epoch, branch, brief, value, self._author)
        at, size = self._at, len(data)
        end = at + PREFIX + size
        follows = end + (-end & 7)
        if not data or follows + 4 > self._limit or size > self._quarter:
            return 0
        # As `_put`, and the length that ends the records is stored with what it ends.
        check = self._seed = crc32(data, self._seed)
        self._map[at + 4 : follows + 4] = RECORD.pack(check, self._generation) + data + _ENDS[follows - end]
        self._words[at >> 2] = size
        self._at, self._author = follows, author
        head = self._head
        head[_END] = follows
        if head[_GENERATION] != self._generation:
            head[_GENERATION] = self._generation
        used = follows - self._begin
        return 2 if (used if used >= 0 else used + self.size - START) > self._due else 1

    def _put(self, data: bytes, *, flush: bool) -> bool:
        """A record behind the last, if it fits; the head does not say so yet."""
        at = self._at
        before = self._cut, self._limit
        end = at + PREFIX + len(data)
        follows = end + (-end & 7)
        if len(data) > self.size // 4 or follows + 4 > self._limit:
            at = self._turned(len(data), flush=flush)
            if not at:
                return False
            end = at + PREFIX + len(data)
            follows = end + (-end & 7)
        check = crc32(data, self._seed)
        view = self._view
        RECORD.pack_into(view, at + 4, check, self._generation)
        view[at + PREFIX : end] = data
        words = self._words
        words[follows >> 2] = 0
        words[at >> 2] = len(data)
        if flush:
            try:
                self._flush(at, follows + 4)
            except Unwritable:  # It is refused, so it must not be found again.
                words[at >> 2] = 0
                self._cut, self._limit = before
                raise
        self._at, self._seed = follows, check
        return True

    def _turned(self, length: int, *, flush: bool) -> int:
        """The start, if the next record, of so many bytes, can go on there; else 0."""
        at = self._at
        if length > self.size // 4 or at < self._begin or START + PREFIX + length + 16 > self._begin:
            return 0
        if at < self.size:
            self._words[at >> 2] = TURN
            if flush:
                self._flush(at, at + 4)
        if self._cut == at:
            self._cut = START
        self._limit = self._begin
        return START

    def _flush(self, start: int, end: int) -> None:
        start -= start % mmap.PAGESIZE
        try:
            self._map.flush(start, end - start)
        except OSError as fault:
            raise Unwritable(self.path, str(fault)) from fault

    def cut(self) -> None:
        """From here on what comes is of another generation."""
        if self._at != self._cut:
            self._generation += 1
            self._cut, self._seed, self._author = self._at, first(self._uuid, self._generation), ""
        self.forgotten = min(self.forgotten, 0)

    def rest(self) -> tuple[int, int]:
        """Generation and byte of what came after the cut; the start of the ring if that is nothing yet."""
        return self._generation, START if self._at == self._cut else self._cut

    def reset(self, generation: int, start: int = START, *, ended: bool = True) -> None:
        """What lies before `start`, as `rest` gave it, is stored."""
        if not ended or self._at == self._cut:
            self._generation, self._seed, self._author = generation, first(self._uuid, generation), ""
            self._at = self._cut = start
            if ended:
                self._head[_END] = start
                self._words[start >> 2] = 0
                self._head[_GENERATION] = generation
        self._begin = start
        self._limit = self.size if self._at >= start else start
        self._due = self.half
        if ended:
            self.apart.past(generation)
            self.held_by = ""
            self._words[_NET] = 0
            if not self.forgotten:
                self.forgotten = -1

    def hold(self, by: str = UNKNOWN) -> None:
        """A tick failed because another process holds the log: it is due again when some more is full."""
        self.held_by = by
        self._due = self.used + self.size // 32

    def forget(self) -> None:
        """From here on entries are taken and not written, until a tick or a net has all that there is."""
        self.forgotten = 0

    # Nets

    def put_off(self, data: bytes, *, gains: bool, flush: bool) -> bool:
        """Put a net in the place of all records; False, and nothing has changed, if it does not fit.

        With `gains`, also if it takes more than half of what they take.
        """
        step = self.size // _PARTS
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        records = [part(index, len(pieces), piece) for index, piece in enumerate(pieces)]
        if (gains and 2 * len(data) > self.used) or not self._fits(records):
            return False
        was = self._at, self._seed, self._generation, self._cut, self._limit, self._author
        try:
            self._generation += 1
            self._cut, self._seed, self._author = self._at, first(self._uuid, self._generation), ""
            for record in records:
                self._put(record, flush=flush)  # Where it goes on at the start, the cut does too.
        except BaseException:
            self._at, self._seed, self._generation, self._cut, self._limit, self._author = was
            raise
        self._words[_NET] = self._cut
        self._head[_END], self._head[_GENERATION] = self._at, self._generation
        if flush:
            self._flush(0, START)
        self._begin = self._cut
        self._limit = self.size if self._at >= self._begin else self._begin
        self._due = max(self.half, self.used + self.size // 32)
        self.forgotten = -1
        self.apart.past(self._generation)
        return True

    def _fits(self, records: list[bytes]) -> bool:
        """Whether these fit behind the last record, and around the end."""
        at, limit = self._at, self._limit
        for data in records:
            if (at + PREFIX + len(data) + 7) // 8 * 8 + 4 > limit:
                if limit == self._begin or START + PREFIX + len(data) + 16 > self._begin:
                    return False
                at, limit = START, self._begin
            at = (at + PREFIX + len(data) + 7) // 8 * 8
        return True

    @property
    def used(self) -> int:
        """Bytes that records take."""
        return self._at - self._begin if self._at >= self._begin else self.size - self._begin + self._at - START

    @property
    def due(self) -> bool:
        """Whether half of the ring is full, or some more where a tick was put off; now and then if none is written."""
        if self.forgotten >= 0:
            return not self.forgotten % _ASKED_EVERY
        used = self._at - self._begin  # As `used`, which is a call.
        return (used if used >= 0 else used + self.size - START) > self._due

    def close(self) -> None:
        """Let go of the file and of its lock."""
        self._head.release()
        self._words.release()
        self._view.release()
        self._map.close()
        os.close(self._descriptor)
