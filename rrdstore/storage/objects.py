"""Objects: bytes under a number, kept until they are freed by that number.

Rule: numbers are handed out in order and never again; a number whose place among the locations (number
modulo their count) is taken is skipped. An object larger than a piece may be becomes pieces, objects
themselves, and a list of them; freeing it frees these first. How each lies in its segment: `packing`.

    location = 0 (none), or 1 + (segment x segment size + offset) / grain      u32, 1,007 a row of `loc`

The cleaner is here too, as it is nothing but moving objects: it takes the segments in which least lives,
each in transactions of its own, whenever few are free. What is damaged stays where it is, to be named.
Cost: O(bytes); an object read from a cached segment 2 us. Prior art: log-structured file systems
(Rosenblum and Ousterhout 1991).
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from mmap import mmap
from struct import Struct
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, StoreFull
from rrdstore.storage.codec import PIECE
from rrdstore.storage.layout import CHARGE, FRAME, LOCATIONS_A_ROW, SPARE
from rrdstore.storage.packing import (
    HEADER,
    LENGTH,
    LENGTH_BITS,
    Missing,
    assembled,
    header,
    pack,
    piece_list,
    unpack,
    whole,
)
from rrdstore.storage.records import numbers_row, read_numbers
from rrdstore.storage.segments import MOVED, NEW, Segments

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from rrdstore.storage.container import Container

_LOOK = 2048
"""New bytes after which it is looked whether the transaction has become large enough."""
_SLICE = 128
"""Pages that a transaction changes at most, about, but for the last of a tick: a millisecond."""
_FEW = 8
"""Locations that are set one by one; of more that come one after the other all at once."""
_CANDIDATES = 32
_MOVED_AT_ONCE = 64
"""Objects that a step of the cleaner moves."""
_FIXED_PAGES = 3
"""The superblock and a page for each new row of locations begun."""


class Objects:
    """All objects of a file, for its writer; `read` may be called from any thread."""

    def __init__(self, container: Container) -> None:
        self._container, self._layout = container, container.layout
        self._lock = container.lock
        self.grain, self.most = container.layout.grain, container.layout.piece - HEADER
        self._longest = whole(self.most, self.grain)
        self.count = container.layout.locations
        self.slice_pages = min(_SLICE, container.layout.wal // 2 // FRAME)
        """How many pages one transaction may change."""
        self.segments = Segments(container)
        self._epoch = 0
        """Of this opening, if it is for writing: no transaction may have said so yet."""
        self._load_own()

    def load(self) -> None:
        """Be what the file holds, after a transaction that failed; Corrupt."""
        with self._lock:
            self.segments.load()
            self._load_own()

    def begin_epoch(self, least: int) -> int:
        """The epoch of this opening, above all that were; written with the next transaction, whenever that is."""
        self._epoch = max(self.superblock.epoch, least) + 1
        self.superblock.epoch, self.superblock.clean = self._epoch, 0
        return self._epoch

    def _load_own(self) -> None:
        self.superblock = self._container.superblock()
        if self._epoch:
            self.superblock.epoch, self.superblock.clean = self._epoch, 0
        self._locations = self._read_locations()
        self._changed: set[int] = set()
        self._look_at = _LOOK

    def _read_locations(self) -> memoryview:
        """All locations; rows that no number has come to yet are known to be zeros, and take no memory until then."""
        rows, a_row = self._layout.location_rows, LOCATIONS_A_ROW
        locations = memoryview(mmap(-1, 4 * a_row * rows)).cast("I")

        def take(at: int, row: bytes) -> None:
            locations[at * a_row : (at + 1) * a_row] = read_numbers(row, "loc", at)

        self._container.whole("loc")
        self._container.each("loc", min(rows, self.superblock.next // a_row + 1), take)
        return locations[: self.count]

    # Numbers and bytes

    def _free_number(self) -> int:
        """The next number whose place is free."""
        superblock = self.superblock
        number = superblock.next
        for _ in range(self.count):
            if not self._locations[number % self.count]:
                superblock.next = number + 1
                return number
            number += 1
        raise StoreFull(CHARGE, 0)

    def numbers(self, count: int) -> Sequence[int]:
        """The next numbers, so many, for `add_run`; StoreFull."""
        first, slot = self.superblock.next, self.superblock.next % self.count
        if slot + count > self.count or any(self._locations[slot : slot + count]):
            return [self._free_number() for _ in range(count)]
        self.superblock.next += count
        return range(first, first + count)

    def add(self, kind: int, data: bytes | bytearray) -> int:
        """Keep these bytes under the next number; StoreFull, Held, Unwritable."""
        (number,) = self.numbers(1)
        self.write(number, kind, data)
        return number

    def write(self, number: int, kind: int, data: bytes | bytearray) -> int:
        """Keep these bytes under a number from `numbers`: what they take, 0 if in pieces. Errors as `add`."""
        return self.add_run((number,), ((kind, data),))[0]

    def add_run(self, numbers: Sequence[int], run: Sequence[tuple[int, bytes | bytearray]]) -> list[int]:
        """Keep these objects under numbers from `numbers`: what each takes, 0 if in pieces. Errors as `add`."""
        grain = self.grain
        sizes = [-(-(HEADER + len(data)) // grain) * grain for _, data in run]
        size = sum(sizes)
        with self._lock:
            if size <= self.most:
                self._put(numbers, run, sizes, size)
                return sizes
            if max(sizes) > self._longest:
                return [self._write(number, kind, data) for number, (kind, data) in zip(numbers, run, strict=True)]
            begin = 0
            while begin < len(sizes):
                end, size = begin + 1, sizes[begin]
                room = self.segments.together(size)
                while end < len(sizes) and size + sizes[end] <= room:
                    size += sizes[end]
                    end += 1
                self._put(numbers[begin:end], run[begin:end], sizes[begin:end], size)
                begin = end
        return sizes

    def _write(self, number: int, kind: int, data: bytes | bytearray) -> int:
        tag = kind
        while len(data) > self.most:
            pieces = [self.add(PIECE, data[at : at + self.most]) for at in range(0, len(data), self.most)]
            data = Struct(f"<{len(pieces) + 1}Q").pack(len(data), *pieces)
            tag += 1 << 4
        (size,) = self.add_run((number,), ((tag, data),))
        return 0 if tag != kind else size

    def _put(
        self, numbers: Sequence[int], run: Sequence[tuple[int, bytes | bytearray]], sizes: list[int], size: int
    ) -> None:
        """Put objects that take `size` bytes together into one place."""
        grain, count, locations, changed = self.grain, self.count, self._locations, self._changed
        buffer, at, place = self._room(size)
        pack(buffer, at, numbers, run, sizes)
        place += at // grain
        first, last = numbers[0] % count, len(sizes) - 1
        if last > _FEW and first + last < count and numbers[last] - numbers[0] == last:
            offsets = accumulate(sizes[:last], initial=0)
            locations[first : first + last + 1] = array("I", [place + offset // grain for offset in offsets])
            changed.update(range(first // LOCATIONS_A_ROW, (first + last) // LOCATIONS_A_ROW + 1))
        else:
            for number, taken in zip(numbers, sizes, strict=True):
                slot = number % count
                locations[slot] = place
                place += taken // grain
                changed.add(slot // LOCATIONS_A_ROW)
        superblock = self.superblock
        superblock.objects += len(sizes)
        superblock.charged += sum([max(CHARGE, taken) for taken in sizes])
        if self.segments.fresh >= self._look_at:
            self._look_at = self.segments.fresh + _LOOK
            if self.pages > self.slice_pages:
                self.commit()

    def _room(self, size: int) -> tuple[bytearray, int, int]:
        """Room for something new: in which bytes, where in them, and the location that their first one has."""
        found = self.segments.take(size, NEW)
        if found is None:
            self.clean(SPARE + 1)
            found = self.segments.taken(size, NEW)
        segment, offset, buffer = found
        return buffer, offset, 1 + segment * self._layout.segment // self.grain

    def _find(self, number: int) -> tuple[int, int, int, bytes]:
        """Segment, whole length, tag and bytes of an object; Missing, Corrupt."""
        location = self._locations[number % self.count]
        if not location:
            raise Missing(number)
        segment, offset = divmod((location - 1) * self.grain, self._layout.segment)
        found, tag, data = unpack(self.segments.read(segment), offset, f"object {number} in segment {segment}")
        if found != number:
            raise Missing(number)
        return segment, whole(len(data), self.grain), tag, data

    def read(self, number: int) -> tuple[int, bytes]:
        """Kind and bytes of an object; Missing, Corrupt."""
        with self._lock:
            _, _, tag, data = self._find(number)
            return assembled(tag, data, self._raw)

    def _raw(self, number: int) -> tuple[int, bytes]:
        _, _, tag, data = self._find(number)
        return tag, data

    def weight(self, number: int) -> int:
        """What an object counts for, its pieces too; Missing, Corrupt."""
        with self._lock:
            return sum(max(CHARGE, self._find(part)[1]) for part in (number, *self.pieces(number)))

    def pieces(self, number: int) -> list[int]:
        """The numbers of an object's pieces, all levels; Missing, Corrupt."""
        tag, data = self._raw(number)
        found: list[int] = []
        try:
            for level in range(tag >> 4, 0, -1):
                numbers = piece_list(data)
                found += numbers
                if level > 1:
                    data = b"".join(self._raw(piece)[1] for piece in numbers)
        except Missing as fault:
            raise Corrupt(f"object {number}", f"no object {fault.number}", "all its pieces") from fault
        return found

    def free(self, number: int) -> None:
        """Let go of an object and its pieces; nothing if that was done before. Corrupt."""
        slot = number % self.count
        with self._lock:
            location = self._locations[slot]
            if not location:
                return
            segment, offset = divmod((location - 1) * self.grain, self._layout.segment)
            found, size, tag = header(self.segments.read(segment), offset)
            if found != number:
                return
            if tag >> 4:
                for piece in self.pieces(number):
                    self.free(piece)
            length = whole(size, self.grain)
            self._locations[slot] = 0
            self._changed.add(slot // LOCATIONS_A_ROW)
            self.segments.forget(segment, length)
            self.superblock.objects -= 1
            self.superblock.charged -= max(CHARGE, length)

    def free_known(self, objects: Sequence[int]) -> None:
        """Let go of objects that are there: number << LENGTH_BITS | length of each (0: to be found). Corrupt."""
        grain, count, locations, changed = self.grain, self.count, self._locations, self._changed
        segments, superblock = self.segments, self.superblock
        a_segment = self._layout.segment // grain
        with self._lock:
            for one in objects:
                number, length = one >> LENGTH_BITS, one & LENGTH
                slot = number % count
                segment, offset = divmod(locations[slot] - 1, a_segment)
                if not length:
                    found, size, tag = header(segments.read(segment), offset * grain) if segment >= 0 else (0, 0, 0)
                    if found != number or tag >> 4:
                        self.free(number)
                        continue
                    length = whole(size, grain)
                locations[slot] = 0
                changed.add(slot // LOCATIONS_A_ROW)
                segments.forget(segment, length)
                superblock.objects -= 1
                superblock.charged -= max(CHARGE, length)

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Slot, segment and offset of every location in use. For checks: O(locations)."""
        for slot, location in enumerate(self._locations):
            if location:
                yield slot, *divmod((location - 1) * self.grain, self._layout.segment)

    # Transactions

    @property
    def pages(self) -> int:
        """Pages that `commit` would change, at most."""
        return _FIXED_PAGES + len(self._changed) + self.segments.pages

    def commit(self, also: Callable[[], None] | None = None, pages: int = 0, *, durable: bool = False) -> None:
        """All changes so far, and those of `also`, in one transaction; Held, Unwritable, Corrupt, nothing changed.

        After an error this is again what the file holds.
        """
        container = self._container
        with self._lock:
            try:
                self.superblock.writes += 1
                with container.transaction(self.pages + pages, durable=durable):
                    self.segments.write()
                    container.put("loc", ((row, self._row(row)) for row in sorted(self._changed)))
                    if also:
                        also()
                    container.put_superblock(self.superblock)
            except BaseException:
                self.load()
                raise
            self.segments.written()
            self._changed.clear()
            self._look_at = _LOOK

    def _row(self, row: int) -> bytes:
        part = self._locations[row * LOCATIONS_A_ROW : (row + 1) * LOCATIONS_A_ROW]
        return numbers_row(array("I", part.tobytes()), "loc", row)

    # The cleaner

    def clean(self, wanted: int) -> None:
        """Move what lives together until so many segments are free, or nothing is to be gained; Held, Unwritable.

        Ends the transaction that is being collected.
        """
        for _ in self.cleaning(wanted):
            pass

    def cleaning(self, wanted: int) -> Generator[bool, None, None]:
        """The same in steps; each says True, as a tick that cleans at its end is true."""
        if self.pages > _FIXED_PAGES:
            self.commit()
        while self.segments.free < wanted:
            before = self.segments.free
            for segment in self.segments.emptiest(_CANDIDATES):
                yield from self._empty(segment)
                if self.segments.free >= wanted:
                    return
            if self.segments.free <= before:
                return

    def _empty(self, segment: int) -> Generator[bool, None, None]:
        with self._lock:
            data = bytes(self.segments.read(segment))
        at, end, moved = 0, self.segments.used[segment], 0
        while at + HEADER <= end and self.segments.live[segment]:
            number, size, _ = header(data, at)
            length = whole(size, self.grain)
            here = 1 + (segment * self._layout.segment + at) // self.grain
            if self._locations[number % self.count] == here and _sound(data, at):
                with self._lock:
                    self._move(number, data[at : at + length])
                    self.segments.forget(segment, length)
                moved += 1
                if self.pages > self.slice_pages:
                    self.commit()
                if not moved % _MOVED_AT_ONCE:
                    yield True
            at += length
        if self.segments.live[segment]:
            self.segments.damaged.add(segment)
        self.commit()
        yield True

    def _move(self, number: int, record: bytes) -> None:
        segment, offset, buffer = self.segments.taken(len(record), MOVED)
        buffer[offset : offset + len(record)] = record
        slot = number % self.count
        self._locations[slot] = 1 + (segment * self._layout.segment + offset) // self.grain
        self._changed.add(slot // LOCATIONS_A_ROW)


def _sound(segment: bytes, at: int) -> bool:
    try:
        unpack(segment, at, "")
    except Corrupt:
        return False
    return True
