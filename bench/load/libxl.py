"""What libxl asks of the store to create a domain: 134 requests, of them 4 transactions, 2 watches and INTRODUCE.

In the order of libxl: the three trees, the domain's particulars, INTRODUCE, then a transaction for each of two devices
and a watch on its backend. Nothing is read that decides a write, so nothing but the daemon can make a transaction fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.load.frames import (
    END,
    ERROR,
    INTRODUCE,
    MKDIR,
    READ,
    RELEASE,
    RM,
    SET_PERMS,
    START,
    UNWATCH,
    WATCH,
    WRITE,
    Client,
    Refused,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

REQUESTS = 134
Request = tuple[int, tuple[bytes, ...], bytes]


def _node(path: bytes, *permissions: bytes, value: bytes = b"") -> list[Request]:
    return [(WRITE, (path,), value), (SET_PERMS, (path, *permissions), b"")]


def _written(above: bytes, **values: bytes) -> list[Request]:
    return [(WRITE, (b"%b/%b" % (above, name.replace("_", "-").encode()),), value) for name, value in values.items()]


def _trees(domid: int) -> list[Request]:
    home, vm, libxl = places(domid)
    mine, read = b"n%d" % domid, (b"n0", b"r%d" % domid)
    found: list[Request] = []
    for place, permissions in ((home, read), (vm, read), (libxl, (b"n0",))):
        found += [(RM, (place,), b""), (MKDIR, (place,), b""), (SET_PERMS, (place, *permissions), b"")]
    found += _written(home, vm=vm, name=b"guest-%d" % domid)
    found += _written(vm, uuid=b"%032x" % domid, name=b"guest-%d" % domid)
    for name in (b"cpu", b"memory", b"device", b"control"):
        found += _node(home + b"/" + name, *read)
    for name in (
        b"device/suspend/event-channel",
        b"control/shutdown",
        b"data",
        b"drivers",
        b"feature",
        b"attr",
        b"error",
    ):
        found += _node(home + b"/" + name, mine)
    return found


def _particulars(domid: int) -> list[Request]:
    home, _, libxl = places(domid)
    return [
        *_written(home + b"/memory", static_max=b"524288", target=b"524288", videoram=b"0"),
        *_written(home + b"/store", port=b"1", ring_ref=b"1044476"),
        *_written(home + b"/console", port=b"2", ring_ref=b"1044475", limit=b"1048576", type=b"xenconsoled"),
        *_written(home + b"/cpu/0", availability=b"online"),
        *_written(home + b"/cpu/1", availability=b"online"),
        *_written(home, domid=b"%d" % domid),
        *_written(home + b"/control", feature_poweroff=b"1", feature_reboot=b"1", feature_suspend=b"1"),
        *_written(home + b"/platform", acpi=b"1", acpi_s3=b"1", acpi_s4=b"1"),
        *_written(libxl, type=b"pvh", dm_version=b"qemu_xen"),
    ]


def backend(domid: int, kind: bytes, number: int) -> bytes:
    """Dom0's end of a device."""
    return b"/local/domain/0/backend/%b/%d/%d" % (kind, domid, number)


def _device(domid: int, kind: bytes, number: int) -> list[Request]:
    home, _, libxl = places(domid)
    front, back = b"%b/device/%b/%d" % (home, kind, number), backend(domid, kind, number)
    guest, dom0 = (b"n%d" % domid, b"r0"), (b"n0", b"r%d" % domid)
    return [
        *_node(front, *guest),
        *_written(front, backend=back, backend_id=b"0", state=b"1", handle=b"%d" % number, trusted=b"1"),
        *_node(front + b"/ring-ref", *guest),
        *_node(front + b"/event-channel", *guest),
        *_node(back, *dom0),
        *_written(back, frontend=front, frontend_id=b"%d" % domid, online=b"1", state=b"1", type=b"phy"),
        *_written(back, removable=b"0", bootable=b"1", dev=b"xvda", device_type=b"disk", discard_enable=b"1"),
        *_written(back, params=b"/dev/vg0/guest-%d" % domid, mode=b"w", script=b"/etc/xen/scripts/block"),
        *_written(b"%b/device/%b/%d" % (libxl, kind, number), frontend=front, backend=back),
    ]


def places(domid: int) -> tuple[bytes, bytes, bytes]:
    """The three trees of a domain."""
    return b"/local/domain/%d" % domid, b"/vm/%032x" % domid, b"/libxl/%d" % domid


class Creation:
    """Scripts that create domains, and how often one of their transactions was in vain."""

    def __init__(self) -> None:
        self.again = 0

    def script(self, domids: Iterable[int]) -> Generator[bytes, Any, None]:
        """These domains, one after the other."""
        for domid in domids:
            yield from self._create(domid)

    def _create(self, domid: int) -> Generator[bytes, Any, None]:
        home = places(domid)[0]
        yield from self._transaction(_trees(domid))
        yield from self._transaction(_particulars(domid))
        yield from _asked((INTRODUCE, (b"%d" % domid, b"1", b"1"), b""))
        for kind, number in ((b"vbd", 51712), (b"vif", 0)):
            yield from self._transaction(_device(domid, kind, number))
            state = backend(domid, kind, number) + b"/state"
            yield from _asked((WATCH, (state, b"t"), b""))
            yield from _asked((READ, (state,), b""))
            yield from _asked((WRITE, (state,), b"2"))
            yield from _asked((UNWATCH, (state, b"t"), b""))
        for name in (b"/name", b"/vm", b"/domid", b"/console/port", b"/store/port", b"/cpu"):
            yield from _asked((READ, (home + name,), b""))

    def _transaction(self, requests: list[Request]) -> Generator[bytes, Any, None]:
        while True:
            number = int((yield from _asked((START, (b"",), b""))).rstrip(b"\0"))
            for operation, strings, data in requests:
                kind, payload = yield frame(operation, *strings, data=data, transaction=number)
                if kind == ERROR and operation != RM:
                    raise Refused(f"{operation} {strings}: {payload!r}")
            kind, payload = yield frame(END, b"T", transaction=number)
            if kind != ERROR:
                return
            if payload != b"EAGAIN\0":
                raise Refused(payload.decode())
            self.again += 1


def _asked(request: Request) -> Generator[bytes, Any, bytes]:
    operation, strings, data = request
    kind, payload = yield frame(operation, *strings, data=data)
    if kind == ERROR:
        raise Refused(f"{operation} {strings}: {payload!r}")
    return payload


def requests() -> int:
    """How many requests the creation of a domain is, when no transaction is in vain."""
    script, count, answer = Creation().script((1,)), 0, None
    while True:
        try:
            script.send(answer)
        except StopIteration:
            return count
        count, answer = count + 1, (START, b"1\0")


def end(client: Client, domids: Iterable[int]) -> None:
    """Domains that are no more."""
    for domid in domids:
        devices = [backend(domid, kind, 0).rpartition(b"/")[0] for kind in (b"vbd", b"vif")]
        client.pour(frame(RM, place) for place in (*places(domid), *devices))
        client.ask(frame(RELEASE, b"%d" % domid))
