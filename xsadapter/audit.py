"""The audit log: the trail as lines of JSON, in files that together never exceed what was stated.

Rules
1. A record is one line: an object, ASCII alone, everything else escaped as JSON escapes it. So no byte of a guest's can
   end a line or begin one.
2. What guests did is in FILE.guests, all else in FILE, each with half of the size. Each is written up to a quarter of
   its half, then becomes FILE.1, what was that FILE.2, and so on; a fourth is dropped. So however much a guest
   does, what the toolstack did stays as long as it would have stayed without him.
3. The files are born with mode 0600, and are not written through a symbolic link.
4. What cannot be written is lost, and counted: once something can, a line says how many were lost. A line is
   there whole or not at all. Nothing waits for the disk.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from xsadapter.engine.trail import Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from xsadapter.engine.trail import Trail

_log = logging.getLogger("xsadapter")

DEFAULT_SIZE: Final = "16MiB"
LEAST: Final = 256 << 10
"""A quarter of half of it holds the longest line."""
_FILES: Final = 4
_QUIET: Final = 10.0
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_encode: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def line(fields: dict[str, Any], moment: str) -> bytes:
    """A record as a line."""
    return _encode({"time": moment, **fields}).encode("ascii") + b"\n"


class Rotating:
    """FILE, FILE.1, FILE.2, FILE.3, together never more than `size` bytes. OSError if FILE cannot be opened."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._most = size // _FILES
        self._descriptor = self._opened()
        self._used = os.fstat(self._descriptor).st_size
        if self._used > self._most:
            self._rotate()
        room = (_FILES - 1) * self._most
        for older in self._older():
            with suppress(FileNotFoundError):
                size = older.stat().st_size
                if size > room:  # it is of another size's time
                    older.unlink()
                else:
                    room -= size

    def write(self, lines: Iterable[bytes]) -> int:
        """Append lines; how many could not be."""
        waiting, count, lost = bytearray(), 0, 0
        for each in lines:
            if self._used + len(waiting) + len(each) > self._most:
                lost += self._put(waiting, count)
                waiting, count = bytearray(), 0
                if len(each) > self._most or not self._has_room(len(each)):
                    lost += 1
                    continue
            waiting += each
            count += 1
        return lost + self._put(waiting, count)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _has_room(self, size: int) -> bool:
        """Whether the file takes so much more, or a fresh one could be begun."""
        if self._used + size > self._most:
            try:
                self._rotate()
            except OSError:
                return False
        return True

    def _put(self, data: bytearray, count: int) -> int:
        try:
            written = os.write(self._descriptor, data) if data else 0
        except OSError:
            return count
        if written < len(data):
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._used)
            return count
        self._used += written
        return 0

    def _older(self) -> list[Path]:
        return [self.path.with_name(f"{self.path.name}.{number}") for number in range(1, _FILES)]

    def _opened(self) -> int:
        # Not blocking, so that a pipe in its place holds nobody up before it is refused.
        descriptor = os.open(self.path, _FLAGS, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "found no regular file, expected one", str(self.path))
        return descriptor

    def _rotate(self) -> None:
        names = [self.path, *self._older()]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            with suppress(FileNotFoundError):
                newer.rename(older)
        fresh = self._opened()
        os.close(self._descriptor)
        self._descriptor, self._used = fresh, 0


class Audit:
    """Writes a daemon's trail; implements `engine.trail.Sink`. Relative names are below `directory`."""

    def __init__(self, trail: Trail, directory: Path, size: int) -> None:
        self._trail, self._directory, self._size = trail, directory, size
        self._path: Path | None = None
        self._files: tuple[Rotating, ...] = ()
        self._lost = [0, 0]
        self._told = -_QUIET
        trail.sink = self

    @property
    def ready(self) -> bool:
        """Whether there is a file."""
        return bool(self._files)

    def open(self, path: str) -> None:
        """Write to this file from now on, and begin to if nothing was written before; OSError, ValueError."""
        place = self._directory / path
        mine = Rotating(place, self._size // 2)
        try:
            guests = Rotating(place.with_name(f"{place.name}.guests"), self._size // 2)
        except OSError:
            mine.close()
            raise
        self.close()
        self._path, self._files = place, (mine, guests)
        self._trail.turn(True)
        # Whatever the switches say: who reads it is to see where a daemon began, and that none may have ended before.
        self._trail.records.append(Record(False, {"what": "OPEN", "pid": os.getpid()}))

    def begin(self, path: Path) -> bool:
        """As `open`, but what fails is told in the log, and `reopen` tries again: whether there are files."""
        self._path = path
        self.reopen()
        return self.ready

    def reopen(self) -> None:
        """Open the files again by their names: something may have moved them away. What fails is told in the log."""
        if self._path is None:
            return
        try:
            self.open(str(self._path))
        except OSError as error:
            _log.error("the audit log %s: %s", self._path, error.strerror)

    def write(self) -> None:
        """Write what the trail has collected."""
        records, self._trail.records = self._trail.records, []
        if not self._files or not records:
            return
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for guest, file in enumerate(self._files):
            lines = [line(record.fields, moment) for record in records if record.guest is bool(guest)]
            if not lines:
                continue
            if self._lost[guest]:
                lost = file.write([line({"what": "LOST", "lines": self._lost[guest]}, moment)])
                if lost:
                    self._lost[guest] += len(lines)
                    continue
                self._lost[guest] = 0
            self._lost[guest] = file.write(lines)
            if self._lost[guest] and time.monotonic() - self._told >= _QUIET:
                self._told = time.monotonic()
                _log.warning("%s cannot be written; lines are lost", file.path)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            file.close()
        self._files = ()
