"""The daemons that take part: ours and the stock ones, started afresh for each workload, or any by its socket's path.

A daemon by its path is neither started nor pinned here, and keeps what a workload leaves: pin it to this program's core
yourself (`taskset -pc`), and give it nothing that you need. Its rings are looked for beside its socket, where a
simulated hypervisor has them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.compat import peers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PAGE = os.sysconf("SC_PAGE_SIZE")
OURS, MEMORY, C, OCAML = "rrdstore", "rrdstore, --memory", "C", "OCaml"
OFF, FLOOR, FLOOR_KEPT = "rrdstore, no history", "floor", "floor, journal"
STOCK = (C, OCAML)


class Target(Protocol):
    """A daemon that answers."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int: ...

    @property
    def directory(self) -> Path: ...

    @property
    def socket(self) -> Path: ...

    def connect(self) -> socket.socket: ...


@dataclass(frozen=True, slots=True)
class Foreign:
    """One that runs already."""

    name: str
    socket: Path

    @property
    def directory(self) -> Path:
        return self.socket.parent

    @property
    def pid(self) -> int:
        with self.connect() as stream:
            return struct.unpack("=iII", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def connect(self) -> socket.socket:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect(str(self.socket))
        return stream


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to start one."""

    key: str
    name: str
    start: Callable[[Path, str], contextlib.AbstractContextManager[Target]]
    """In a directory of its own; the size of the store, if it has one."""
    needs: tuple[Path, ...] = ()

    @property
    def absent(self) -> str:
        """Why it cannot take part; empty if it can."""
        return peers.missing(*self.needs)


def _ours(place: Path, size: str) -> contextlib.AbstractContextManager[Target]:
    return peers.our_xenstored(place, "--no-status", "--size", size, "--simulated-xen", str(place), name=OURS)


def _memory(place: Path, _: str) -> contextlib.AbstractContextManager[Target]:
    return peers.our_xenstored(place, "--no-status", "--memory", "--simulated-xen", str(place), name=MEMORY)


_PROGRAM = str(Path(__file__).with_name("floor.py"))


def _floor(place: Path, _: str) -> contextlib.AbstractContextManager[Target]:
    return peers.answering(FLOOR, place, sys.executable, _PROGRAM, str(place / "socket"))


def _floor_kept(place: Path, _: str) -> contextlib.AbstractContextManager[Target]:
    return peers.answering(FLOOR_KEPT, place, sys.executable, _PROGRAM, str(place / "socket"), str(place / "journal"))


KINDS = {
    kind.key: kind
    for kind in (
        Kind("ours", OURS, _ours),
        Kind("memory", MEMORY, _memory),
        Kind("c", C, lambda place, _: peers.c_xenstored(place), peers.C_NEEDS),
        Kind("ocaml", OCAML, lambda place, _: peers.ox_xenstored(place), peers.OX_NEEDS),
    )
}


LEAST = Kind("floor", FLOOR, _floor)
"""No daemon, but what none in Python is cheaper than (`bench.load.floor`). Only if it is named."""
LEAST_KEPT = Kind("floor-journal", FLOOR_KEPT, _floor_kept)
"""The same, where each WRITE is kept."""
UNKEPT = Kind(
    "off", OFF, lambda place, _: peers.our_xenstored(place, "--no-status", "--memory", "--keep", "last:1", name=OFF)
)
"""As near to no history as ours comes: in memory, one commit kept."""


NAMED = KINDS | {LEAST.key: LEAST, LEAST_KEPT.key: LEAST_KEPT}


def kinds(names: Sequence[str]) -> list[Kind]:
    """Those that are named: a key of NAMED, or NAME=SOCKET; all of KINDS if none is. ValueError."""
    found = []
    for name in names or KINDS:
        title, _, path = name.partition("=")
        if path:
            foreign = Foreign(title, Path(path))
            found.append(Kind(name, title, lambda _place, _size, here=foreign: contextlib.nullcontext(here)))
        elif name in NAMED:
            found.append(NAMED[name])
        else:
            raise ValueError(f"daemon {name!r}: expected one of {', '.join(NAMED)}, or NAME=SOCKET")
    return found


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """This process, and what it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def resident(target: Target) -> float:
    """What a daemon takes of memory: MB, as top says."""
    return int(Path(f"/proc/{target.pid}/statm").read_text().split()[1]) * PAGE / 1e6
