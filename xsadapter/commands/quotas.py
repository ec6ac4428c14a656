"""GET_QUOTA and SET_QUOTA: the limits, and what new domains begin with.

Rules
1. No argument: the names, blank-separated. One: the value new domains begin with. Two, a domid first:
   that domain's. An unknown name is EINVAL, an unknown domain ENOENT.
2. A value is decimal, up to 2^32 - 1; 0 is no limit. A global value leaves the domains that are
   known already as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.arguments import number
from xsadapter.engine import lives
from xsadapter.engine.permissions import DOMID_MAX
from xsadapter.engine.quotas import QUOTAS, VALUE_MAX, named
from xsadapter.errors import RequestError
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.view import View


def get_quota(daemon: Daemon, _: Connection, _view: View, arguments: list[bytes]) -> bytes:
    """Names, or a value in decimal; EINVAL, ENOENT."""
    if not arguments:
        return " ".join(QUOTAS).encode() + b"\0"
    *domid, name = arguments
    return b"%d\0" % _limits(daemon, domid)[named(_text(name))]


def set_quota(daemon: Daemon, _: Connection, _view: View, arguments: list[bytes]) -> bytes:
    """Change a limit; EINVAL, ENOENT."""
    *domid, name, value = arguments
    limit, quota = number(value, VALUE_MAX), named(_text(name))
    _limits(daemon, domid)[quota] = limit
    for domain in daemon.domains:
        domain.ease()
    daemon.domains.touched.limit(number(domid[0], DOMID_MAX) if domid else None)
    return OK


def _limits(daemon: Daemon, domid: list[bytes]) -> dict[str, int]:
    if not domid:
        return daemon.domains.limits
    found = lives.current(daemon, number(domid[0], DOMID_MAX))
    if found is None:
        raise RequestError("ENOENT")
    return found.limits


def _text(name: bytes) -> str:
    try:
        return name.decode("ascii")
    except UnicodeDecodeError:
        raise RequestError("EINVAL") from None
