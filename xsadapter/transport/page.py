"""Shared memory: a file's bytes mapped by libc.

Rule: Python's own mmap keeps a descriptor for each mapping, so 10,000 rings would be 10,000 descriptors;
libc's keeps none. A mapping is let go of by `close` alone: nothing may refer to its memory then.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xsadapter.engine.ring import Ring

_READ_WRITE: Final = 3
_SHARED: Final = 1
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


class Mapping:
    """Bytes of a file or device, shared with whoever else maps them."""

    def __init__(self, descriptor: int, size: int, offset: int = 0) -> None:
        """Map `size` bytes from `offset` on; the descriptor may be closed afterwards. OSError."""
        address = _libc.mmap(None, size, _READ_WRITE, _SHARED, descriptor, offset)
        if address == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._address, self._size = address, size
        self.bytes = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
        """Writable; gone after `close`."""

    def close(self, ring: Ring | None = None) -> None:
        """Unmap, and before that release the ring that lies on it; twice is no error."""
        if self._size:
            if ring is not None:
                ring.release()
            self.bytes.release()
            _libc.munmap(self._address, self._size)
            self._size = 0
