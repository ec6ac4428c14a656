"""What runs inside domains: drivers that connect, and agents that report. Played through the socket.

Rule: a device is connected by a transaction of the frontend (ring, event channel, state 3), the backend's features
and state 4, and the frontend's state 4. A report is three values below the domain's tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from xsadapter.client import Transaction
    from xsadapter.demo.actors import Actor
    from xsadapter.demo.toolstack import Domain

CONNECTED, INITIALISED = b"4", b"3"


def connect(guests: Actor, backends: Actor, domain: Domain) -> None:
    """A guest has booted: its devices connect, its agent says what it is."""
    for device in domain.devices:
        frontend, backend = domain.frontend(device), domain.backend(device)

        def initialised(tx: Transaction, frontend: str = frontend) -> None:
            for name, value in (
                ("ring-ref", b"%d" % (8 + domain.domid)),
                ("event-channel", b"%d" % (4 + domain.domid)),
                ("protocol", b"x86_64-abi"),
                ("state", INITIALISED),
            ):
                tx.write(f"{frontend}/{name}", value)

        guests.transact(initialised)
        backends.write_all({f"{backend}/feature-flush-cache": b"1", f"{backend}/state": CONNECTED})
        guests.write(f"{frontend}/state", CONNECTED)
    guests.write_all(
        {
            f"{domain.home}/attr/os/name": b"Debian GNU/Linux 12",
            f"{domain.home}/attr/vif/0/ipv4/0": b"10.0.0.%d" % (10 + domain.domid % 200),
            f"{domain.home}/control/feature-poweroff": b"1",
            f"{domain.home}/control/feature-suspend": b"1",
            f"{domain.home}/data/meminfo_free": b"%d" % (domain.memory // 2),
        }
    )


def acknowledge(guests: Actor, domain: Domain) -> None:
    """A guest has seen that it is asked to end."""
    guests.write(f"{domain.home}/control/shutdown", b"")


def report(guests: Actor, domain: Domain, uptime: int, chance: Random) -> None:
    """An agent's heartbeat; `uptime` in seconds."""
    guests.write_all(
        {
            f"{domain.home}/data/updated": b"%d" % uptime,
            f"{domain.home}/data/meminfo_free": b"%d" % chance.randrange(domain.memory // 8, domain.memory // 2),
            f"{domain.home}/data/loadavg": b"%.2f" % chance.expovariate(1.5),
        }
    )
