"""A power cut: what a disk may hold after it, made from a tape of all that it was told.

Rule: what was written before the last barrier of a file (fsync, msync of that range) is there; of what came after it
each sector of 512 bytes is there or not, whatever its neighbours are, and each change of length too. Names are as they
were at some moment since the last barrier of the folder. What a failed fsync was to write is there or not, for ever:
that is what Linux does. So a cut may be made at any event of the tape, and many of one tape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

SECTOR = 512
_EVENT = Struct("<c3xIQQ")


class Event(NamedTuple):
    """One thing that a disk was told."""

    what: str
    """O opened, W written, T made so long, S all on the disk, Y so many bytes, L not any more to be written, R named
    anew, K named twice, U unnamed, D names on the disk."""
    inode: int
    offset: int
    data: bytes


def events(path: Path) -> list[Event]:
    """All of a tape, but for what its writer was killed in the middle of."""
    data, at = path.read_bytes(), 0
    found = []
    while at + _EVENT.size <= len(data):
        what, length, inode, offset = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        if at + length > len(data):
            break
        found.append(Event(what.decode(), inode, offset, data[at : at + length]))
        at += length
    return found


@dataclass(slots=True)
class _File:
    """Bytes for certain, and what was written since: at which byte, what; a length alone makes it so long."""

    sure: bytearray
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def settled(self) -> None:
        for at, data in self.since:
            _write(self.sure, at, data)
        self.since.clear()

    def settled_in(self, start: int, end: int) -> None:
        left = []
        for at, data in self.since:
            if data is not None and at < end and start < at + len(data):
                _write(self.sure, at, data)
            else:
                left.append((at, data))
        self.since = left

    def torn(self, random: Random, share: float) -> bytearray:
        found = bytearray(self.sure)
        for at, data in self.since:
            if data is None:
                if random.random() < share:
                    _write(found, at, None)
                continue
            for sector in range(at // SECTOR, -(-(at + len(data)) // SECTOR)):
                first, last = max(at, sector * SECTOR), min(at + len(data), (sector + 1) * SECTOR)
                if random.random() < share:
                    _write(found, first, data[first - at : last - at])
        return found


def _write(file: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        del file[at:]
    if len(file) < at:
        file.extend(bytes(at - len(file)))
    if data is not None:
        file[at : at + len(data)] = data


class Disk:
    """The files of the store `path`, by the ends of their names, as a power cut would find them."""

    def __init__(self, path: str) -> None:
        first = Path(path)
        self._files: list[_File] = []
        self._of: dict[int, int] = {}
        """Which of them an inode is now: its number is used again when it is gone."""
        self._now: dict[str, int] = {}
        self._since: list[dict[str, int]] = []
        """The names as they were at each moment since the last barrier of the folder."""
        for file in first.parent.glob(first.name + "*"):
            if not file.name.endswith(("-shm", "-said")):
                self._open(file.name.removeprefix(first.name), file.stat().st_ino, file.read_bytes())
        self._since = [self._now]

    def _open(self, name: str, inode: int, data: bytes = b"") -> None:
        which = self._of.get(inode)
        if which is None or which not in self._now.values():
            which = self._of[inode] = len(self._files)
            self._files.append(_File(bytearray(data)))
        self._named({**self._now, name: which})

    def _named(self, names: dict[str, int]) -> None:
        if names != self._now:
            self._now = names
            self._since.append(names)

    def play(self, event: Event, random: Random) -> None:
        """One more thing that it was told."""
        what, inode, offset, data = event
        if what == "D":
            self._since = [self._now]
        elif what in "ORKU":
            self._name(what, inode, [name.decode() for name in data.split(b"\0")])
        else:
            self._told(self._files[self._of[inode]], what, offset, data, random)

    def _told(self, file: _File, what: str, offset: int, data: bytes, random: Random) -> None:
        if what == "W":
            file.since.append((offset, data))
        elif what == "T":
            file.since.append((offset, None))
        elif what == "S":
            file.settled()
        elif what == "Y":
            file.settled_in(offset, offset + int.from_bytes(data, "little"))
        else:
            file.sure, file.since = file.torn(random, 0.5), []

    def _name(self, what: str, inode: int, names: list[str]) -> None:
        now = dict(self._now)
        if what == "O":
            self._open(names[0], inode)
            return
        if what == "U":
            now.pop(names[0], None)
        else:
            now[names[1]] = now[names[0]]
            if what == "R":
                del now[names[0]]
        self._named(now)

    def cut(self, random: Random) -> dict[str, bytes]:
        """What may be there if the power fails now: bytes by the end of the name."""
        share = random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        names = random.choice(self._since)
        return {name: bytes(self._files[which].torn(random, share)) for name, which in names.items()}
