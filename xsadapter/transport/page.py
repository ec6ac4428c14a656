"""Shared memory: a file's bytes mapped by libc.

Rules
1. Python's own mmap keeps a descriptor for each mapping, so 10,000 rings would be 10,000 descriptors;
   libc's keeps none. A mapping is let go of by `close` alone: nothing may refer to its memory then.
2. Whoever shares a file may cut it at any moment, also between a look at its size and the load that follows; then
   the load is a fault (SIGBUS) that would end the daemon. So the fault's handler puts a page of zeros where the
   file's was, the load is done again, and the mapping says that it has `vanished`. The handler runs Python in the
   midst of an instruction, which is safe because nothing but the copying of these bytes can have been under way. A
   fault anywhere else is left to whoever was to handle it before. (A page of Xen's is memory, and nobody can cut it.)
3. What others of this process have mapped, such as a store's journal, is guarded likewise, found by its file's name in
   what the kernel tells of the process. Whoever unmaps it ends the guard first.
"""

from __future__ import annotations

import ctypes
import os
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xsadapter.engine.ring import Ring

_READ_WRITE: Final = 3
_SHARED: Final = 1
_ZEROS: Final = 0x32  # private, anonymous, in this very place
_PAGE: Final = 4096
_SIGINFO: Final = 4
_ADDRESS: Final = 16 if ctypes.sizeof(ctypes.c_void_p) == 8 else 12  # of the fault, in what the kernel says of it
_FAILED: Final = ctypes.c_void_p(-1).value

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class _Action(ctypes.Structure):
    """What libc's sigaction takes, on Linux."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


_mapped: Final[dict[int, Mapping | Guard]] = {}
"""Every page that is mapped, by its address."""
_before: Final = _Action()


def _faulted(number: int, information: int, _: int | None) -> None:
    page = (ctypes.c_void_p.from_address(information + _ADDRESS).value or 0) & ~(_PAGE - 1)
    mapping = _mapped.get(page)
    if mapping is None or _libc.mmap(page, _PAGE, _READ_WRITE, _ZEROS, -1, 0) == _FAILED:
        _libc.sigaction(number, ctypes.byref(_before), None)
    else:
        mapping.vanished = True


_handler: Final = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(_faulted)


@cache
def _heed_faults() -> None:
    """From the first mapping on, faults come here."""
    action = _Action(ctypes.cast(_handler, ctypes.c_void_p).value, flags=_SIGINFO)
    if _libc.sigaction(signal.SIGBUS, ctypes.byref(action), ctypes.byref(_before)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Guard:
    """The pages that somebody else has mapped of a file; cut, it ends nobody, and `vanished` says so."""

    def __init__(self, path: str) -> None:
        """All there are now; OSError."""
        _heed_faults()
        self.vanished = False
        self._pages: list[int] = []
        for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
            if line.partition("/")[2] == path[1:]:
                start, end = (int(address, 16) for address in line.split(None, 1)[0].split("-"))
                self._pages += range(start, end, _PAGE)
        _mapped.update(dict.fromkeys(self._pages, self))

    @property
    def pages(self) -> int:
        """How many are guarded."""
        return len(self._pages)

    def close(self) -> None:
        """It is about to be unmapped; twice is no error."""
        for page in self._pages:
            if _mapped.get(page) is self:
                del _mapped[page]
        self._pages.clear()


class Mapping:
    """Bytes of a file or device, shared with whoever else maps them."""

    def __init__(self, descriptor: int, size: int, offset: int = 0) -> None:
        """Map `size` bytes from `offset` on; the descriptor may be closed afterwards. OSError."""
        _heed_faults()
        address = _libc.mmap(None, size, _READ_WRITE, _SHARED, descriptor, offset)
        if address == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.address, self._size = address, size
        self.vanished = False
        """Whether some of it is not the file's any more, because that was cut."""
        for page in range(address, address + size, _PAGE):
            _mapped[page] = self
        self.bytes = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
        """Writable; gone after `close`."""

    def close(self, ring: Ring | None = None) -> None:
        """Unmap, and before that release the ring that lies on it; twice is no error."""
        if self._size:
            if ring is not None:
                ring.release()
            self.bytes.release()
            _libc.munmap(self.address, self._size)
            for page in range(self.address, self.address + self._size, _PAGE):
                del _mapped[page]
            self._size = 0
