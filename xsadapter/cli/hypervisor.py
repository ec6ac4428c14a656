"""Which hypervisor a daemon serves the rings of.

Rule: the simulated one if it was asked for, none if that was asked for, else Xen's own devices where Linux is domain 0,
which /dev/xen/xenbus_backend says. There every device is needed, and one that is missing ends the daemon with its name:
a host whose xenstored serves sockets alone would start no guest, and not say why.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xsadapter.transport.devices import BACKEND
from xsadapter.transport.hub import SimulatedXen
from xsadapter.transport.xen import Xen

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.stream.outgoing import Carriers
    from xsadapter.transport.host import Host

_log = logging.getLogger("xsadapter")


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose."""
    for option in (
        click.option("--no-xen", is_flag=True, help="Serve sockets alone, though this is domain 0 of a Xen host."),
        click.option("--simulated-xen", metavar="DIR", help="Serve the rings of a simulated hypervisor in DIR."),
    ):
        function = option(function)
    return function


def chosen(simulated: Path | None, carriers: Carriers, *, refused: bool = False, backend: str = BACKEND) -> Host | None:
    """The hypervisor; OSError says what is missing. `backend` is the device that only domain 0 has."""
    if simulated is not None:
        return SimulatedXen(simulated, carriers.events, carriers.pipe)
    if refused:
        _log.info("no hypervisor, as --no-xen asks for: serving sockets alone")
        return None
    if not Path(backend).exists():
        _log.info("no hypervisor: %s is missing, so this is not domain 0 of a Xen host; serving sockets alone", backend)
        return None
    try:
        xen = Xen(events=carriers.events, ports=carriers.ports)
    except OSError as error:
        raise OSError(f"{error}; --no-xen serves sockets alone") from error
    version = f"domctl 0x{xen.interface:x}" if xen.interface else "the stable one"
    _log.info("serving the rings of this Xen host, whose interface for domains is %s", version)
    return xen
