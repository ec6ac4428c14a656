"""The writes that a toolstack makes when it starts and ends a domain, in the order and the transactions of libxl.

Rule: a domain is three trees (`/local/domain/N`, `/vm/UUID`, `/libxl/N`), made in one transaction and filled in
a second; each device is a transaction of its own that writes the frontend in the domain's tree, the backend in
dom0's and a copy of that below `/libxl`. Nodes a guest may write are its own, all others are dom0's and the
guest reads them. At the end the devices go one by one, then the three trees.
Cost: some 200 requests a domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from xsadapter.client import Transaction
    from xsadapter.demo.actors import Actor

INITIALISING, CLOSING, CLOSED = b"1", b"5", b"6"

_READABLE: Final = ("cpu", "memory", "device", "control")
_WRITABLE: Final = (
    "device/suspend/event-channel",
    "control/shutdown",
    "control/feature-poweroff",
    "control/feature-reboot",
    "control/feature-suspend",
    "control/sysrq",
    "data",
    "drivers",
    "feature",
    "attr",
    "error",
)


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a domain: its class, its number, and what each end's directory says. Values are bytes."""

    kind: str
    number: int
    frontend: Mapping[str, bytes]
    backend: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain as the toolstack knows it; `memory` in KiB."""

    domid: int
    name: str
    uuid: UUID
    memory: int

    @property
    def home(self) -> str:
        """Its own tree."""
        return f"/local/domain/{self.domid}"

    def frontend(self, device: Device) -> str:
        """The guest's end of a device."""
        return f"{self.home}/device/{device.kind}/{device.number}"

    def backend(self, device: Device) -> str:
        """Dom0's end of a device."""
        return f"/local/domain/0/backend/{device.kind}/{self.domid}/{device.number}"

    @property
    def devices(self) -> tuple[Device, ...]:
        """A disk and a network card."""
        mac = b"00:16:3e:%02x:%02x:%02x" % tuple(self.uuid.bytes[:3])
        disk = Device(
            "vbd",
            51712,
            {"virtual-device": b"51712", "device-type": b"disk", "trusted": b"1"},
            {
                "online": b"1",
                "removable": b"0",
                "bootable": b"1",
                "dev": b"xvda",
                "type": b"phy",
                "mode": b"w",
                "device-type": b"disk",
                "discard-enable": b"1",
                "params": b"/dev/vg0/%b" % self.name.encode(),
                "physical-device": b"fd:%x" % self.domid,
            },
        )
        card = Device(
            "vif",
            0,
            {"handle": b"0", "mac": mac, "mtu": b"1500", "trusted": b"1"},
            {
                "online": b"1",
                "script": b"/etc/xen/scripts/vif-bridge",
                "mac": mac,
                "bridge": b"xenbr0",
                "handle": b"0",
                "type": b"vif",
                "hotplug-status": b"connected",
            },
        )
        return disk, card


def boot(xl: Actor) -> None:
    """Dom0's own tree."""

    def change(tx: Transaction) -> None:
        for path, value in (
            ("/local/domain/0/name", b"Domain-0"),
            ("/local/domain/0/domid", b"0"),
            ("/local/domain/0/control/feature-poweroff", b"1"),
            ("/local/domain/0/memory/target", b"2097152"),
            ("/libxl/0/dm-version", b"qemu_xen"),
            ("/tool/host", b"xen7"),
        ):
            tx.write(path, value)

    xl.transact(change)


def create(xl: Actor, domain: Domain, name: str) -> None:
    """The three trees and what they need to start, under a name that may be for the time being."""
    home, vm, libxl = xl.domain_path(domain.domid), f"/vm/{domain.uuid}", f"/libxl/{domain.domid}"
    only, reads, owns = ["n0"], ["n0", f"r{domain.domid}"], [f"n{domain.domid}"]

    def trees(tx: Transaction) -> None:
        for path, entries in ((home, reads), (vm, reads), (libxl, only), (f"{libxl}/device", only)):
            _node(tx, path, entries)
        for path, value in ((f"{home}/vm", vm), (f"{home}/name", name), (f"{vm}/name", name)):
            tx.write(path, value.encode())
        for path in _READABLE:
            _node(tx, f"{home}/{path}", reads)
        for path in _WRITABLE:
            _node(tx, f"{home}/{path}", owns)
        for path, value in (
            (f"{vm}/uuid", str(domain.uuid)),
            (f"{home}/platform/acpi", "1"),
            (f"{home}/control/platform-feature-multiprocessor-suspend", "1"),
            (f"{home}/control/platform-feature-xs_reset_watches", "1"),
            (f"{libxl}/type", "pvh"),
        ):
            tx.write(path, value.encode())

    def start(tx: Transaction) -> None:
        for path, value in (
            ("memory/static-max", b"%d" % domain.memory),
            ("memory/target", b"%d" % domain.memory),
            ("memory/videoram", b"0"),
            ("domid", b"%d" % domain.domid),
            ("store/port", b"1"),
            ("store/ring-ref", b"1044476"),
            ("console/backend-id", b"0"),
            ("console/type", b"xenconsoled"),
            ("console/limit", b"1048576"),
            ("console/port", b"2"),
            ("console/ring-ref", b"1044475"),
            ("cpu/0/availability", b"online"),
            ("cpu/1/availability", b"online"),
        ):
            tx.write(f"{home}/{path}", value)
        tx.write(f"{vm}/image/ostype", b"linux")

    xl.transact(trees)
    xl.transact(start)
    for device in domain.devices:
        xl.transact(partial(_attach, domain, device))


def rename(xl: Actor, domain: Domain, name: str) -> None:
    """Give a domain another name."""

    def change(tx: Transaction) -> None:
        tx.write(f"{domain.home}/name", name.encode())
        tx.write(f"/vm/{domain.uuid}/name", name.encode())

    xl.transact(change)


def ask(xl: Actor, domain: Domain, what: bytes) -> None:
    """Ask a guest to end or to suspend."""
    xl.write(f"{domain.home}/control/shutdown", what)


def destroy_devices(xl: Actor, domain: Domain) -> None:
    """Close each backend, then remove both ends and the copy."""
    for device in domain.devices:
        backend, frontend = domain.backend(device), domain.frontend(device)

        def closing(tx: Transaction, backend: str = backend) -> None:
            tx.write(f"{backend}/online", b"0")
            tx.write(f"{backend}/state", CLOSING)

        def gone(tx: Transaction, device: Device = device, ends: tuple[str, str] = (backend, frontend)) -> None:
            for path in (*ends, f"/libxl/{domain.domid}/device/{device.kind}/{device.number}"):
                tx.rm(path)
            tx.rm(ends[0].rpartition("/")[0])

        xl.transact(closing)
        xl.write(f"{backend}/state", CLOSED)
        xl.transact(gone)


def _attach(domain: Domain, device: Device, tx: Transaction) -> None:
    frontend, backend = domain.frontend(device), domain.backend(device)
    copy = f"/libxl/{domain.domid}/device/{device.kind}/{device.number}"
    ours = {**device.backend, "frontend": frontend.encode(), "frontend-id": b"%d" % domain.domid}
    theirs = {**device.frontend, "backend": backend.encode(), "backend-id": b"0"}
    guest, dom0 = [f"n{domain.domid}", "r0"], ["n0", f"r{domain.domid}"]
    tx.write(f"{copy}/frontend", frontend.encode())
    tx.write(f"{copy}/backend", backend.encode())
    for directory, entries, values in ((frontend, guest, theirs), (backend, dom0, ours)):
        tx.mkdir(directory)
        tx.set_permissions(directory, entries)
        for name, value in {**values, "state": INITIALISING}.items():
            tx.write(f"{directory}/{name}", value)
            tx.set_permissions(f"{directory}/{name}", entries)
    for name, value in device.backend.items():
        tx.write(f"{copy}/{name}", value)


def _node(tx: Transaction, path: str, entries: list[str]) -> None:
    tx.write(path, b"")
    tx.set_permissions(path, entries)
