"""The ring file: a whole store in one SQLite file of constant size, and a journal beside it.

Rule: what is created is there in full or not at all, and whoever writes holds the journal's lock from before
the first look at the file until after the last. The files of store `host.rrdb`: `host.rrdb`, SQLite's own
`host.rrdb-wal` and `host.rrdb-shm` while it is open, the journal `host.rrdb-ring`, and `host.rrdb-apart` while what was
planted is not stored yet (`apart`). They lie beside the file itself
and go by its whole name: not beside a symbolic link to it, which would give it two journals, and whatever becomes of
the directory that the process is in.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, Exists, Locked, StoreError
from rrdstore.storage import apart, container, creation, locking, rings
from rrdstore.storage.layout import NO_SERIES, Layout, SeriesRoom, plan
from rrdstore.storage.reader import RingReader
from rrdstore.storage.writer import RingWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.storage.protocol import Storage

_NEW = "-new"


def create(
    path: str,
    size: int,
    slots: int,
    sync: str = "tick",
    progress: Callable[[int, int], object] | None = None,
    uuid: bytes | None = None,
    epoch: int = 0,
    series: SeriesRoom = NO_SERIES,
    memory: int = 0,
) -> RingWriter:
    """A new file of `size` bytes for a policy of `slots` commits, open. Exists, TooSmall, Locked, Unwritable.

    All of it is written once; the name appears when everything is there, but for the first commit, without which it
    is no store yet: what a creation that never got so far has left is written anew. `uuid` and `epoch` are those of the
    store that this one continues, if it does; `series` what is declared of series; `memory` the budget for trees.
    """
    layout, uuid, path = plan(size, slots, series), uuid or os.urandom(16), real(path)
    _refuse(path)
    ring = path + locking.SUFFIX
    try:
        descriptor = locking.lock(ring, make=True)
    except Locked as fault:
        raise (Exists("file", path) if Path(path).exists() else fault) from fault
    try:
        _refuse(path)
        _made(path, descriptor, layout, uuid, epoch, progress)
    except BaseException:
        os.close(descriptor)
        raise
    return _writer(path, descriptor, sync, memory)


def _made(
    path: str,
    descriptor: int,
    layout: Layout,
    uuid: bytes,
    epoch: int,
    progress: Callable[[int, int], object] | None,
) -> None:
    """Both files, whole; nothing is left of a failure."""
    ring = path + locking.SUFFIX
    try:
        with container.faults(path):
            for end in (_NEW, "", "-wal", "-shm", apart.SUFFIX):
                Path(path + end).unlink(missing_ok=True)
        rings.fill(descriptor, ring, layout.ring, uuid, generation=1)
        creation.create(path + _NEW, layout, uuid, epoch, progress)
        with container.faults(path):
            synced(path + _NEW)
            Path(path + _NEW).rename(path)
            synced(str(Path(path).absolute().parent))
    except BaseException:
        for name in (path + _NEW, path, ring):
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)
        raise


def open(  # noqa: A001 - as the facade's
    path: str, *, readonly: bool = False, sync: str = "tick", memory: int = 0
) -> Storage:
    """An existing file; NoStore, Locked, Corrupt. What a crash cut short is finished first.

    `memory` is the budget for trees in bytes, 0 for none.
    """
    container.present(path)
    path = real(path)
    if readonly:
        return RingReader(container.connect(path, readonly=True, durable=False), memory)
    return _writer(path, _ring(path), sync, memory)


def real(path: str) -> str:
    """The whole name of the file itself, which its other files go by."""
    return os.path.realpath(path)


def unfinished(path: str) -> bool:
    """Whether this is a file whose creation has not come to the first commit."""
    try:
        held = container.connect(path, readonly=True, durable=False)
    except StoreError:
        return False
    try:
        superblock = held.superblock()
        return not superblock.number and superblock.tick == 1
    except StoreError:
        return False
    finally:
        held.close()


def _refuse(path: str) -> None:
    if Path(path).exists() and not unfinished(path):
        raise Exists("file", path)


def remove(path: str) -> None:
    """Remove a closed store's files; Locked, Unwritable."""
    path = real(path)
    descriptor = _ring(path)
    try:
        with container.faults(path):
            for end in ("", "-wal", "-shm", apart.SUFFIX, locking.SUFFIX):
                Path(path + end).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _writer(path: str, descriptor: int, sync: str, memory: int) -> RingWriter:
    """The writer, which owns the descriptor; if it does not come into being, that is closed, its lock with it."""
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        held = container.connect(path, readonly=False, durable=sync != "none")
        undo.callback(held.close)
        for where, found, expected in held.strangers():
            raise Corrupt(f"{path}, {where}", found, f"{expected}; it can be read, and written when it is repaired")
        ring = rings.attach(descriptor, path + locking.SUFFIX, held.layout.ring, held.uuid, readonly=False)
        undo.pop_all()  # The journal owns the descriptor now.
        undo.callback(held.close)
        undo.callback(ring.close)
        writer = RingWriter(held, ring, flush=sync == "commit", memory=memory)
        undo.pop_all()
        return writer


def _ring(path: str) -> int:
    """The journal, locked. One that is missing is made again if nothing can have been in it."""
    name = path + locking.SUFFIX
    try:
        return locking.lock(name)
    except Corrupt:
        held = container.connect(path, readonly=True, durable=False)
        try:
            superblock = held.superblock()
            if not superblock.clean:
                raise
            descriptor = locking.lock(name, make=True)
            if not os.fstat(descriptor).st_size:  # Else another process has made it since, and used it.
                rings.fill(descriptor, name, held.layout.ring, held.uuid, superblock.generation)
            return descriptor
        finally:
            held.close()


def synced(path: str) -> None:
    """Force a file, or what a directory says, to the disk; OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
