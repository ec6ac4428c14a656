"""The files of journals: made whole, and taken hold of by a writer or a reader.

Rule: a ring has all its blocks before it is mapped, so that no store into it can fail for want of room; one that is
not of this store, or not as long as it was made, is refused. Grammar and reasons are those of `journal`.
"""

from __future__ import annotations

import os

from rrdstore.errors import Corrupt, Unwritable
from rrdstore.storage.boot import boot
from rrdstore.storage.journal import Journal
from rrdstore.storage.ring import HEAD, MAGIC, START, head_of

_PID = 32
"""Where in the head."""


def fill(descriptor: int, path: str, size: int, uuid: bytes, generation: int) -> None:
    """Write a whole empty ring, all of it once, so that its blocks are there when they are mapped; Unwritable."""
    try:
        os.ftruncate(descriptor, 0)
        head = HEAD.pack(MAGIC, uuid, size, 0, 0, 0, generation, boot(), START)
        at = os.pwrite(descriptor, head, 0)
        zeros = bytes(1 << 16)
        while at < size:
            at += os.pwrite(descriptor, zeros[: size - at], at)
        os.fsync(descriptor)
    except OSError as fault:
        raise Unwritable(path, str(fault)) from fault


def attach(descriptor: int, path: str, size: int, uuid: bytes, *, readonly: bool) -> Journal:
    """The journal behind a descriptor, which it owns from now on; Corrupt if it is not this store's, Unwritable."""
    try:
        return _attached(descriptor, path, size, uuid, readonly=readonly)
    except OSError as fault:
        raise Unwritable(path, str(fault)) from fault


def _attached(descriptor: int, path: str, size: int, uuid: bytes, *, readonly: bool) -> Journal:
    head = os.pread(descriptor, HEAD.size, 0)
    found = os.fstat(descriptor).st_size
    if len(head) < HEAD.size or found != size:
        raise Corrupt(path, f"{found} bytes", f"{size} bytes")
    magic, owner, said, *_ = head_of(head)
    if magic != MAGIC or owner != uuid or said != size:
        raise Corrupt(path, f"the head of another file ({magic!r}, store {owner.hex()})", f"store {uuid.hex()}")
    if not readonly:
        os.pwrite(descriptor, os.getpid().to_bytes(4, "little"), _PID)
    return Journal(path, descriptor, uuid, readonly=readonly)


def reader(path: str, size: int, uuid: bytes) -> Journal:
    """The journal of a store that others may write meanwhile; Corrupt."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise Corrupt(path, str(fault), "the journal of the store beside it") from fault
    try:
        return attach(descriptor, path, size, uuid, readonly=True)
    except BaseException:
        os.close(descriptor)
        raise
