"""Who holds the log: which process reads from a file so long that its log cannot be written back.

Rule: SQLite says in the bytes of the log's index that processes lock what they do: 123 to 127 are read marks, one of
which a transaction keeps from its beginning to its end; 120 is writing, 121 writing back, 122 recovery; 128 just says
that the file is open, so it means nothing. The kernel lists all locks in /proc/locks, with the process of each. Where
that does not tell (another system, another machine's or container's process), it is said to be unknown.
Neither file is ever opened here: closing any descriptor of one would drop this process's own locks.
Source: SQLite's file format, section "The WAL-Index File Format", and its unix VFS.
"""

from __future__ import annotations

import os
from pathlib import Path

UNKNOWN = "another process (unknown)"

_READING = range(123, 128)
_USING = range(120, 123)
_DATABASE = range(0x40000000, 0x40000000 + 512)
"""The bytes that lock the main file; to write, only if somebody uses it without the log."""
_ANY, _EXCLUSIVE = ("READ", "WRITE"), ("WRITE",)
_PLACES = (("-shm", _READING, _ANY), ("-shm", _USING, _ANY), ("", _DATABASE, _EXCLUSIVE))
"""Where to look, in this order: whoever is found first is meant."""


def holder(path: str) -> str:
    """Who holds the log of the file `path`, as "process 4242 (sqlite3)" for each; never waits, never raises."""
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return UNKNOWN
    for name, places, how in _PLACES:
        found = _lockers(lines, path + name, places, how)
        others = found - {os.getpid()} or found
        if others:
            return " and ".join(f"process {pid}{_command(pid)}" for pid in sorted(others))
    return UNKNOWN


def _lockers(lines: list[str], path: str, places: range, how: tuple[str, ...]) -> set[int]:
    """The processes that hold a lock on one of these bytes of a file."""
    try:
        status = Path(path).stat()
    except OSError:
        return set()
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = set()
    for line in lines:
        # "1: POSIX  ADVISORY  READ 4242 08:02:1234 123 123"; who waits for a lock has "->" as the second word.
        fields = line.split()
        if len(fields) < 8 or fields[1] != "POSIX" or fields[3] not in how or fields[5] != wanted:
            continue
        first, last = int(fields[6]), places.stop if fields[7] == "EOF" else int(fields[7])
        if first < places.stop and last >= places.start and int(fields[4]) > 0:
            found.add(int(fields[4]))
    return found


def _command(pid: int) -> str:
    try:
        return f" ({Path(f'/proc/{pid}/comm').read_text(errors='replace').strip()})"
    except OSError:
        return ""
