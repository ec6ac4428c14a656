"""GET_DOMAIN_PATH and IS_DOMAIN_INTRODUCED: what can be said of domains without their rings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.engine.permissions import DOMID_MAX

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.view import View

_DOMID_SELF: Final = 0x7FF0


def get_domain_path(_: Daemon, _connection: Connection, _view: View, text: bytes) -> bytes:
    """The home of a domain, which need not exist; EINVAL."""
    return b"/local/domain/%d\0" % number(text, DOMID_MAX)


def is_domain_introduced(daemon: Daemon, _: Connection, _view: View, text: bytes) -> bytes:
    """Whether the daemon serves the domain; EINVAL."""
    domid = number(text, DOMID_MAX)
    return b"T\0" if domid == _DOMID_SELF or domid in daemon.introduced else b"F\0"
