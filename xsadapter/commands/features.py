"""GET_FEATURE and SET_FEATURE: what a domain's ring has.

Rules
1. Without a domid GET_FEATURE tells the caller's own mask; a socket has everything. With one it is
   for privileged callers (EACCES).
2. A domain the hypervisor does not know is ENOENT. Features are fixed by the introduction (EBUSY
   then), and bits that the daemon does not have are EINVAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.engine import lives
from xsadapter.engine.domains import FEATURES
from xsadapter.engine.permissions import DOMID_MAX
from xsadapter.errors import RequestError
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.domains import Domain
    from xsadapter.engine.view import View

_MASK_MAX: Final = 2**32 - 1


def get_feature(daemon: Daemon, connection: Connection, _: View, arguments: list[bytes]) -> bytes:
    """A mask in decimal; EACCES, EINVAL, ENOENT."""
    if not arguments:
        return b"%d\0" % (connection.domain.features if connection.domid else FEATURES)
    if not connection.privileged:
        raise RequestError("EACCES")
    return b"%d\0" % _domain(daemon, arguments[0]).features


def set_feature(daemon: Daemon, _: Connection, _view: View, arguments: list[bytes]) -> bytes:
    """Choose a domain's features before it is introduced; EINVAL, ENOENT, EBUSY."""
    domain, mask = _domain(daemon, arguments[0]), number(arguments[1], _MASK_MAX)
    if domain.introduced:
        raise RequestError("EBUSY")
    if mask & ~FEATURES:
        raise RequestError("EINVAL")
    domain.features = mask
    daemon.domains.touched.domain(domain.domid)
    return OK


def _domain(daemon: Daemon, text: bytes) -> Domain:
    found = lives.current(daemon, number(text, DOMID_MAX))
    if found is None:
        raise RequestError("ENOENT")
    return found
