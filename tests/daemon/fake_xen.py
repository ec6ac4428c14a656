"""Xen's devices as the kernel of domain 0 answers them, in memory: what a daemon does with them, and what must not be.

Written from the traces of a real host, not from the daemon: requests are told apart by number, arguments taken apart
here, and what the real ones refuse is refused.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass, field

from tests.daemon.test_ring import Guest

VIRQ = 15
OWN = 6
"""Domain 0's end of its own ring's channel."""
MISSING = frozenset[str]()


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@dataclass
class Domain:
    """A guest. Its page is a grant; `ports` are its ends of channels that the daemon may bind."""

    handle: bytes
    ports: set[int]
    guest: Guest = field(default_factory=Guest)
    shutdown: bool = False
    dead: bool = False
    unique: int = 0


class Page:
    def __init__(self, address: int, data: bytearray, unmapped: list[int], index: int) -> None:
        self.address, self.bytes = address, memoryview(data)
        self._unmapped, self._index = unmapped, index

    def close(self, ring=None):
        if ring is not None:
            ring.release()
        self.bytes.release()
        self._unmapped.append(self._index)


class FakeXen:
    """`calls` are the ioctls, as device, number and argument; `stable` is a hypervisor of 4.21 or later.

    `listed` is the version of its list of domains, None if it refuses to tell that, and `takes` how many bytes one has.
    """

    def __init__(
        self, version: int = 0x15, *, stable: bool = False, missing: frozenset[str] = MISSING, listed: int | None = 0x15
    ) -> None:
        self.version, self.stable, self.missing, self.listed, self.takes = version, stable, missing, listed, 112
        self.domains: dict[int, Domain] = {0: Domain(bytes(16), {OWN})}
        self.calls: list[tuple[str, int, bytes]] = []
        self.open_files: dict[int, str] = {}
        self.bound: dict[int, tuple[int, int] | str] = {}
        """Local ports: domain and its port, or "virq"."""
        self.pending: list[int] = []
        self.masked: set[int] = set()
        self.notified: list[int] = []
        self.granted: dict[int, int] = {}
        """Mapped grants' domains, by index."""
        self.overflow = False
        self.memory = bytearray(17 * 4096)
        self.unmapped: list[int] = []
        self._descriptor, self._port, self._index = 100, VIRQ - 1, 0

    # The system calls.

    def open(self, path: str) -> int:
        if path in self.missing:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        self._descriptor += 1
        self.open_files[self._descriptor] = path.removeprefix("/dev/xen/")
        return self._descriptor

    def close(self, descriptor: int) -> None:
        device = self.open_files.pop(descriptor)
        if device == "evtchn":
            self.bound.clear()
            self.masked.clear()
            self.pending.clear()
        elif device == "gntdev":
            self.granted.clear()

    def map(self, descriptor: int, size: int, offset: int) -> Page:
        device = self.open_files[descriptor]
        assert size == (17 * 4096 if device == "hypercall" else 4096)
        if device == "gntdev":
            domain = self.domains[self.granted[offset]]
            return Page(0x1000, domain.guest.page, self.unmapped, offset)
        assert offset == 0
        data = {"xenbus_backend": self.domains[0].guest.page, "hypercall": self.memory}[device]
        return Page(0xABC000, data, self.unmapped, -1)

    def read(self, descriptor: int, most: int) -> bytes:
        assert self.open_files[descriptor] == "evtchn"
        if self.overflow:
            raise refuse(errno.EFBIG)
        found = [port for port in dict.fromkeys(self.pending) if port not in self.masked][: most // 4]
        if not found:
            raise BlockingIOError
        self.pending = [port for port in self.pending if port not in found]
        self.masked.update(found)
        return struct.pack(f"={len(found)}I", *found)

    def write(self, descriptor: int, data: bytes) -> None:
        assert self.open_files[descriptor] == "evtchn"
        self.masked.discard(struct.unpack("=I", data)[0])

    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> int:
        device = self.open_files[descriptor]
        self.calls.append((device, request, bytes(argument)))
        answers = {
            ("evtchn", 0x00044500): self._bind_virq,
            ("evtchn", 0x00084501): self._bind_interdomain,
            ("evtchn", 0x00044503): self._unbind,
            ("evtchn", 0x00044504): self._notify,
            ("evtchn", 0x00004505): self._reset,
            ("gntdev", 0x00184700): self._grant,
            ("gntdev", 0x00104701): self._ungrant,
            ("xenbus_backend", 0x00004200): lambda _: OWN,
            ("privcmd", 0x00305000): self._hypercall,
        }
        return answers[device, request](argument)

    # What happens outside of the daemon.

    def create(self, domid: int, port: int = 1, handle: bytes = b"0123456789abcdef", unique: int = 0) -> Guest:
        made = self.domains[domid] = Domain(handle, {port}, unique=unique)
        return made.guest

    def tell(self, port: int) -> None:
        """A guest notifies the daemon's end of a channel, if that is bound."""
        if port in self.bound:
            self.pending.append(port)

    def local(self, domid: int) -> int:
        """The daemon's end of a domain's channel."""
        return next(local for local, other in self.bound.items() if other[0] == domid)

    def reap(self) -> None:
        """Dead domains end, once nobody maps a page of theirs."""
        for domid, domain in list(self.domains.items()):
            if domain.dead and domid not in self.granted.values():
                del self.domains[domid]
                self.tell(next(local for local, other in self.bound.items() if other == "virq"))

    def _bind(self, other: tuple[int, int] | str) -> int:
        if other in self.bound.values():
            raise refuse(errno.EEXIST if other == "virq" else errno.EINVAL)
        self._port += 1
        self.bound[self._port] = other
        return self._port

    def _bind_virq(self, argument: bytearray) -> int:
        assert struct.unpack("=I", argument) == (3,)
        return self._bind("virq")

    def _bind_interdomain(self, argument: bytearray) -> int:
        domid, port = struct.unpack("=II", argument)
        domain = self.domains.get(domid)
        if domain is None or port not in domain.ports:
            raise refuse(errno.ESRCH if domain is None else errno.EINVAL)
        local = self._bind((domid, port))
        self.pending.append(local)
        return local

    def _unbind(self, argument: bytearray) -> int:
        (port,) = struct.unpack("=I", argument)
        if port not in self.bound:
            raise refuse(errno.ENOTCONN)
        del self.bound[port]
        return 0

    def _notify(self, argument: bytearray) -> int:
        (port,) = struct.unpack("=I", argument)
        if port not in self.bound:
            raise refuse(errno.ENOTCONN)
        self.notified.append(port)
        return 0

    def _reset(self, argument: bytearray) -> int:
        assert not argument
        self.overflow = False
        self.pending.clear()
        return 0

    def _grant(self, argument: bytearray) -> int:
        count, _, _, domid, reference = struct.unpack("=IIQII", argument)
        assert (count, reference) == (1, 1)
        if domid not in self.domains:
            raise refuse(errno.EINVAL)
        self._index += 0x1000
        self.granted[self._index] = domid
        argument[8:16] = struct.pack("=Q", self._index)
        return 0

    def _ungrant(self, argument: bytearray) -> int:
        index, count, _ = struct.unpack("=QII", argument)
        assert count == 1
        if index not in self.unmapped:
            raise refuse(errno.EINVAL)
        del self.granted[index]
        return 0

    def _hypercall(self, argument: bytearray) -> int:
        number, first, second, *rest = struct.unpack("=6Q", argument)
        assert rest == [0, 0, 0]
        if number == 32:
            assert (first, second) == (5, 0xABC000)
            return self._status()
        if number == 35:
            assert (first, second) == (0xABC000, 0)
            return self._list()
        assert (number, first, second) == (36, 0xABC000, 0)
        command, version, asked = struct.unpack_from("=IIH", self.memory)
        assert self.memory[10:144] == bytes(134)
        if command == 90 and version == 0 and self.stable:
            domain = self.domains.get(asked)
            if domain is None:
                raise refuse(errno.ESRCH)
            state = 1 | 2 * domain.shutdown | 12 * domain.dead
            struct.pack_into("=HHIQ", self.memory, 16, state, 0, 0, domain.unique)
            return 0
        if command != 5 or version != self.version:
            raise refuse(errno.EACCES)
        found = min((domid for domid in self.domains if domid >= asked), default=None)
        if found is None:
            raise refuse(errno.ESRCH)
        self._put_info(16, found)
        return 0

    def _put_info(self, at: int, domid: int) -> None:
        domain = self.domains[domid]
        flags = domain.dead | domain.shutdown << 2 | 3 << 16
        struct.pack_into("=HHI", self.memory, at, domid, 0, flags)
        self.memory[at + 76 : at + 92] = domain.handle

    def _list(self) -> int:
        command, version, first, none, most, where = struct.unpack_from("=IIHHIQ", self.memory)
        assert (command, none, where, self.memory[24:136]) == (6, 0, 0xABD000, bytes(112))
        if version != self.listed:
            raise refuse(errno.EACCES if self.listed else errno.EPERM)
        found = [domid for domid in sorted(self.domains) if domid >= first][:most]
        for number, domid in enumerate(found):
            at = 4096 + number * self.takes
            assert at + self.takes <= len(self.memory)
            self.memory[at : at + self.takes] = bytes(self.takes)
            self._put_info(at, domid)
        struct.pack_into("=I", self.memory, 24, len(found))
        return 0

    def _status(self) -> int:
        own, _, port = struct.unpack_from("=HHI", self.memory)
        assert own == 0x7FF0
        other = self.bound.get(port)
        if isinstance(other, tuple):
            struct.pack_into("=IIHHI", self.memory, 8, 2, 0, other[0], 0, other[1])
        else:
            struct.pack_into("=II", self.memory, 8, 4 if other == "virq" else 0, 0)
        return 0
