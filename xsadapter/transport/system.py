"""The system calls that Xen's devices take, as a seam: open, ioctl, mmap, read, write, close, and nothing else.

Rule: what is behind it knows no Xen; what is before it makes no other call.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Protocol

from xsadapter.transport.page import Mapping

if TYPE_CHECKING:
    from xsadapter.engine.ring import Ring


class Page(Protocol):
    """Mapped memory."""

    address: int
    bytes: memoryview
    """Writable; gone after `close`."""

    def close(self, ring: Ring | None = None) -> None:
        """Unmap, and before that release the ring that lies on it; twice is no error."""
        ...


class System(Protocol):
    """Each raises OSError."""

    def open(self, path: str) -> int:
        """A descriptor for reading and writing, that never blocks and ends when this program becomes another."""
        ...

    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> int:
        """What the device answers, which may change the argument too."""
        ...

    def map(self, descriptor: int, size: int, offset: int) -> Page:
        """Map `size` bytes, shared."""
        ...

    def read(self, descriptor: int, most: int) -> bytes:
        """Up to `most` bytes; BlockingIOError if there is nothing."""
        ...

    def write(self, descriptor: int, data: bytes) -> None:
        """All of it."""
        ...

    def close(self, descriptor: int) -> None:
        """Let go of it."""
        ...


class Linux:
    """The kernel's."""

    def open(self, path: str) -> int:
        """See System."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> int:
        """See System."""
        answer: int = fcntl.ioctl(descriptor, request, argument, True)
        return answer

    def map(self, descriptor: int, size: int, offset: int) -> Page:
        """See System."""
        return Mapping(descriptor, size, offset)

    def read(self, descriptor: int, most: int) -> bytes:
        """See System."""
        return os.read(descriptor, most)

    def write(self, descriptor: int, data: bytes) -> None:
        """See System."""
        os.write(descriptor, data)

    def close(self, descriptor: int) -> None:
        """See System."""
        os.close(descriptor)
