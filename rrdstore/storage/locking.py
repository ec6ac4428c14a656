"""The lock of a store: one writer, who holds `flock` on its ring file.

Rule: whoever gets the lock holds the file that has the name. Between opening and locking, another may have removed that
file or put another in its place (`remove`, repair): then it is opened anew, else two could write one store, or one
would journal what nobody finds again.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from rrdstore.errors import Corrupt, Locked, Unwritable
from rrdstore.storage.ring import HEAD, START, head_of

SUFFIX = "-ring"


def lock(path: str, *, make: bool = False) -> int:
    """A descriptor of the ring file, locked for one writer; Locked, Corrupt if there is none, Unwritable."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0)
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError as fault:
            if isinstance(fault, FileNotFoundError) and not make:
                raise Corrupt(path, "no file", "the journal of the store beside it") from fault
            raise Unwritable(path, str(fault)) from fault
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            head = os.pread(descriptor, HEAD.size, 0)
            os.close(descriptor)
            pid = head_of(head).pid if len(head) == START else 0
            raise Locked(path.removesuffix(SUFFIX), pid or None) from fault
        if _has_the_name(descriptor, path):
            return descriptor
        os.close(descriptor)


def _has_the_name(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except FileNotFoundError:
        return False
