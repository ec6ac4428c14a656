"""Xen's device files in domain 0: event channels, grants, domain 0's own ring. No rule of the daemon's is here.

    device           request      number        argument, native byte order                      answer
    evtchn           BIND_VIRQ    0x00044500    u32 virq                                         local port
                     INTERDOMAIN  0x00084501    u32 domain, u32 its port                         local port
                     UNBIND       0x00044503    u32 local port                                   0
                     NOTIFY       0x00044504    u32 local port                                   0
                     RESET        0x00004505    none                                             0
                     read                       u32 ports that fired, each masked from then on
                     write                      u32 ports to unmask
    gntdev           MAP          0x00184700    u32 count, u32 0, u64 index (out), u32 domain, u32 reference
                     UNMAP        0x00104701    u64 index, u32 count, u32 0
                     mmap                       4,096 bytes at the index
    xenbus_backend   EVTCHN       0x00004200    none                                             domain 0's port
                     mmap                       4,096 bytes at 0: domain 0's ring

Sources: Linux include/uapi/xen/evtchn.h, gntdev.h, include/xen/xenbus_dev.h; traced under Xen 4.17 and Linux 6.1.

Rules
1. INTERDOMAIN leaves the local port pending: one event comes at once, on an empty ring perhaps.
2. The kernel holds the ports that fired in a queue; one that has overflown answers EFBIG until RESET, and what it held
   is lost: then every port counts as fired.
3. A page is unmapped by munmap first and UNMAP then, with the index that MAP gave.
4. What is missing is said by name, with the module that makes it.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xsadapter.engine.ring import Ring
    from xsadapter.transport.system import Page, System

DIRECTORY: Final = "/dev/xen"
EVTCHN: Final = f"{DIRECTORY}/evtchn"
GNTDEV: Final = f"{DIRECTORY}/gntdev"
PRIVCMD: Final = f"{DIRECTORY}/privcmd"
HYPERCALL: Final = f"{DIRECTORY}/hypercall"
BACKEND: Final = f"{DIRECTORY}/xenbus_backend"
NEEDED: Final = {
    BACKEND: "Linux as domain 0, with CONFIG_XEN_BACKEND",
    EVTCHN: "the module xen-evtchn",
    GNTDEV: "the module xen-gntdev",
    PRIVCMD: "the module xen-privcmd",
    HYPERCALL: "the module xen-privcmd of Linux 4.18 or later",
}
"""What makes each of them."""

VIRQ_DOM_EXC: Final = 3
"""Some domain has changed: xen/include/public/xen.h."""

_BIND_VIRQ: Final = 0x00044500
_BIND_INTERDOMAIN: Final = 0x00084501
_UNBIND: Final = 0x00044503
_NOTIFY: Final = 0x00044504
_RESET: Final = 0x00004505
_MAP_GRANT: Final = 0x00184700
_UNMAP_GRANT: Final = 0x00104701
_BACKEND_EVTCHN: Final = 0x00004200

_PAGE: Final = 4096
_WORD: Final = struct.Struct("=I")
_WORDS: Final = struct.Struct("=II")
_GRANT: Final = struct.Struct("=IIQII")
_UNMAP: Final = struct.Struct("=QII")
_INDEX_AT: Final = 8


class DeviceError(OSError):
    """A device of Xen's cannot be used: its `path`, what was found, what was expected."""

    def __init__(self, path: str, found: str, expected: str) -> None:
        self.path, self.found, self.expected = path, found, expected
        super().__init__(f"{path}: found {found}, expected {expected}")


def opened(system: System, path: str) -> int:
    """A descriptor of a device; DeviceError."""
    try:
        return system.open(path)
    except FileNotFoundError:
        raise DeviceError(path, "nothing", NEEDED[path]) from None
    except PermissionError:
        raise DeviceError(path, "no permission", "to be root in domain 0") from None
    except OSError as error:
        raise DeviceError(path, os.strerror(error.errno or 0), NEEDED[path]) from None


class EventChannels:
    """Ports of the daemon's; a descriptor that was open already has its ports bound still."""

    def __init__(self, system: System, descriptor: int | None = None) -> None:
        self._system = system
        self.descriptor = opened(system, EVTCHN) if descriptor is None else descriptor

    def bind_virq(self, virq: int) -> int:
        """The port that fires for it; DeviceError if it is another's."""
        try:
            return self._system.ioctl(self.descriptor, _BIND_VIRQ, bytearray(_WORD.pack(virq)))
        except FileExistsError:
            raise DeviceError(EVTCHN, f"VIRQ {virq} bound already", "no other xenstored") from None

    def bind(self, domid: int, port: int) -> int:
        """The local port that is the other end of a domain's; OSError."""
        return self._system.ioctl(self.descriptor, _BIND_INTERDOMAIN, bytearray(_WORDS.pack(domid, port)))

    def unbind(self, port: int) -> None:
        """The port is nobody's; OSError."""
        self._system.ioctl(self.descriptor, _UNBIND, bytearray(_WORD.pack(port)))

    def notify(self, port: int) -> None:
        """Have the other end fire; OSError."""
        self._system.ioctl(self.descriptor, _NOTIFY, bytearray(_WORD.pack(port)))

    def fired(self) -> list[int] | None:
        """The ports that fired; None if they are not known and it may be all."""
        try:
            data = self._system.read(self.descriptor, _PAGE)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            self._system.ioctl(self.descriptor, _RESET, bytearray())
            return None
        return [port for (port,) in _WORD.iter_unpack(data)]

    def unmask(self, port: int) -> None:
        """Let a port fire again."""
        self._system.write(self.descriptor, _WORD.pack(port))

    def close(self) -> None:
        """Every port is nobody's from then on."""
        self._system.close(self.descriptor)


class Grants:
    """Pages that domains have granted."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._descriptor = opened(system, GNTDEV)

    def map(self, domid: int, reference: int) -> GrantedPage:
        """The page; OSError."""
        argument = bytearray(_GRANT.pack(1, 0, 0, domid, reference))
        self._system.ioctl(self._descriptor, _MAP_GRANT, argument)
        index = int.from_bytes(argument[_INDEX_AT : _INDEX_AT + 8], "little")
        try:
            page = self._system.map(self._descriptor, _PAGE, index)
        except OSError:
            self.unmap(index)
            raise
        return GrantedPage(page, self, index)

    def unmap(self, index: int) -> None:
        """Give the grant back: until then its domain cannot end. OSError."""
        self._system.ioctl(self._descriptor, _UNMAP_GRANT, bytearray(_UNMAP.pack(index, 1, 0)))

    def close(self) -> None:
        """All that is mapped yet is unmapped by the kernel."""
        self._system.close(self._descriptor)


class GrantedPage:
    """A page of a domain's."""

    def __init__(self, page: Page, grants: Grants, index: int) -> None:
        self._page, self._grants, self._index = page, grants, index
        self.bytes = page.bytes

    def close(self, ring: Ring | None = None) -> None:
        """Unmap it, and before that release the ring that lies on it; OSError."""
        self._page.close(ring)
        self._grants.unmap(self._index)


class OwnRing:
    """The ring of domain 0's kernel."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._descriptor = opened(system, BACKEND)

    @property
    def port(self) -> int:
        """The kernel's end of its event channel; OSError."""
        return self._system.ioctl(self._descriptor, _BACKEND_EVTCHN, bytearray())

    def map(self) -> Page:
        """Its page; OSError."""
        return self._system.map(self._descriptor, _PAGE, 0)

    def close(self) -> None:
        """Let go of the device, not of the page."""
        self._system.close(self._descriptor)
