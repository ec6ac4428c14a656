"""What the hypervisor says of domains and of our event channels: hypercalls through privcmd, with memory safe for them.

    privcmd    HYPERCALL 0x00305000    u64 number, u64 argument[5]: the address, and zeros
    hypercall  mmap                    a page that neither moves nor faults while the hypervisor looks at it
    status     number 32, command 5: the first argument, and the address the second; at it u16 0x7FF0: our own, u16 0,
               u32 port, and out u32 state: 2 is bound to another domain's, u32 0, u16 that domain, u16 0, u32 its port
    domctl     number 36; at the address 144 bytes: u32 command, u32 version, u16 domain, 6 bytes, and at 16

    command                 version            at 16
    90 get_domain_state     0: it is stable    u16 state, u16 capabilities, u32 0, u64 unique id      Xen 4.21 and later
     5 getdomaininfo        of each release    u16 domain, u16 0, u32 flags, 7 words of 64 bits and 3 of 32 ...
                                               ... of which at 92 the 16 bytes of the handle: its uuid

    state: 1 exists, 2 has shut down, 4 dying, 8 dead      flags: 1 dead, 4 has shut down, >> 16 the reason

Sources: xen/include/public/domctl.h of Xen 4.8 to 4.22, in all of which getdomaininfo is alike up to the handle;
xen/common/domctl.c for "dead": the flag called dying is set when a domain has nothing left but what others hold of it.

Rules
1. Which there is is found by trying: the stable command, then getdomaininfo in every version, the newest first. The
   hypervisor answers EACCES to a version that is not its own.
2. A dead domain is none: it ends only when its ring is unmapped.
3. Where the hypervisor gives no unique ids, the first 63 bits of the handle tell a domain from another of its number.
   Who creates a domain sets it; one without a handle has the id 0.
4. Domain 0 is always there, with the id 0: it sets its handle while it runs.
5. All that are known are looked at together (`domain_list`), where the hypervisor has a list and gives no unique ids.

Cost: a system call each.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from xsadapter.engine.hypervisor import FIRST_RESERVED, Life, each
from xsadapter.transport.devices import HYPERCALL, PRIVCMD, DeviceError, opened
from xsadapter.transport.domain_list import INFO, PAGE, PAGES, DomainList

if TYPE_CHECKING:
    from collections.abc import Collection

    from xsadapter.transport.system import System

_HYPERCALL: Final = 0x00305000
_EVENT_CHANNELS: Final = 32
_STATUS: Final = 5
_OWN: Final = 0x7FF0
_INTERDOMAIN: Final = 2
_DOMCTL: Final = 36
_STATE: Final = 90
_INFO: Final = 5
_VERSIONS: Final = range(0x18, 0x0B, -1)
"""Of Xen 4.22 down to 4.8."""

_SIZE: Final = 144
_CALL: Final = struct.Struct("=6Q")
_HEAD: Final = struct.Struct("=IIH6x")
_CHANNEL: Final = struct.Struct("=HHIIIHHI")
_STATE_AT: Final = struct.Struct("=HHIQ")
_BODY: Final = 16

_STATE_SHUTDOWN, _STATE_DYING, _STATE_DEAD = 2, 4, 8
_INFO_DEAD, _INFO_SHUTDOWN = 1, 4
_UNIQUE: Final = (1 << 63) - 1

_SELF: Final = Life(0)


class DomainStates:
    """Whoever runs, as the hypervisor tells it; DeviceError if it tells nothing."""

    def __init__(self, system: System) -> None:
        self._system = system
        with ExitStack() as undo:
            self._privcmd = opened(system, PRIVCMD)
            undo.callback(system.close, self._privcmd)
            memory = opened(system, HYPERCALL)
            try:
                self._memory = system.map(memory, PAGES * PAGE, 0)
            finally:
                system.close(memory)
            undo.callback(self._memory.close)
            self._version = self._found()
            self._list = DomainList(self._call, self._memory) if self._version else None
            self._undo = undo.pop_all()

    @property
    def version(self) -> int:
        """That of the interface; 0 is the stable one."""
        return self._version

    def life(self, domid: int) -> Life | None:
        """What is known of a domain; None if there is none, or it is dead."""
        if domid == 0:
            return _SELF
        if domid >= FIRST_RESERVED:
            return None
        try:
            return self._state(domid) if self._version == 0 else self._info(domid)
        except ProcessLookupError:
            return None

    def living(self, domids: Collection[int]) -> dict[int, Life]:
        """Those of them that there are. O(domains of the host), or of `domids` where the hypervisor has no list."""
        if self._list is None or self._list.version is None:
            return each(self.life, domids)
        try:
            found = {domid: life for domid, flags, handle in self._list if (life := _told(flags, handle)) is not None}
        except OSError:
            return each(self.life, domids)
        found[0] = _SELF
        return {domid: found[domid] for domid in domids if domid in found}

    def other_end(self, port: int) -> int:
        """The port of the domain whose event channel's end is our `port`; OSError if it is none's."""
        memory = self._memory.bytes
        memory[: _CHANNEL.size] = _CHANNEL.pack(_OWN, 0, port, 0, 0, 0, 0, 0)
        self._call(_EVENT_CHANNELS, _STATUS, self._memory.address)
        *_, state, _, _, _, other = _CHANNEL.unpack(memory[: _CHANNEL.size])
        if state != _INTERDOMAIN:
            raise OSError(f"port {port} is bound to no domain")
        return int(other)

    def close(self) -> None:
        """Let go of the device and the memory."""
        self._undo.close()

    def _found(self) -> int:
        for version, command in ((0, _STATE), *((version, _INFO) for version in _VERSIONS)):
            try:
                self._ask(command, version, 0)
            except PermissionError:
                continue
            return version
        raise DeviceError(
            PRIVCMD, "no answer about domains", f"domain 0 of a Xen whose domctl is 0x{_VERSIONS[-1]:x} or later"
        )

    def _state(self, domid: int) -> Life | None:
        state, _, _, unique = _STATE_AT.unpack(self._ask(_STATE, 0, domid)[: _STATE_AT.size])
        if state & _STATE_DEAD:
            return None
        return Life(unique, bool(state & _STATE_SHUTDOWN), bool(state & _STATE_DYING))

    def _info(self, domid: int) -> Life | None:
        found, _, flags, handle = INFO.unpack(self._ask(_INFO, self._version, domid)[: INFO.size])
        # The answer is the first domain from that number on.
        return _told(flags, handle) if found == domid else None

    def _ask(self, command: int, version: int, domid: int) -> bytes:
        """The answer's body; OSError."""
        memory = self._memory.bytes
        memory[:_SIZE] = _HEAD.pack(command, version, domid) + bytes(_SIZE - _HEAD.size)
        self._call(_DOMCTL, self._memory.address)
        return bytes(memory[_BODY:_SIZE])

    def _call(self, number: int, first: int, second: int = 0) -> None:
        self._system.ioctl(self._privcmd, _HYPERCALL, bytearray(_CALL.pack(number, first, second, 0, 0, 0)))


def _told(flags: int, handle: bytes) -> Life | None:
    if flags & _INFO_DEAD:
        return None
    return Life(int.from_bytes(handle[:8], "big") & _UNIQUE, bool(flags & _INFO_SHUTDOWN))
