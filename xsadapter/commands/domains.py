"""INTRODUCE, RELEASE, RESUME, SET_TARGET, GET_DOMAIN_PATH, IS_DOMAIN_INTRODUCED.

Rules
1. Numbers first (EINVAL), then whether the domain is introduced (ENOENT).
2. Domain 0 is neither released nor resumed (EINVAL). Nobody is aimed at domain 0, whose rights are
   all rights, nor at itself (EINVAL).
3. The frame number of INTRODUCE is not used: the ring is grant 1. A port of 0 is EINVAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.engine import lives
from xsadapter.engine.permissions import DOMID_MAX
from xsadapter.errors import RequestError
from xsadapter.wire import OK

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.domains import Domain
    from xsadapter.engine.view import View

_DOMID_SELF: Final = 0x7FF0
_PORT_MAX: Final = 2**32 - 1


def introduce(daemon: Daemon, _: Connection, _view: View, arguments: list[bytes]) -> bytes:
    """Serve a domain's ring; EINVAL."""
    domid, port = number(arguments[0], DOMID_MAX), number(arguments[2], _PORT_MAX)
    if not port:
        raise RequestError("EINVAL")
    lives.introduce(daemon, domid, port)
    return OK


def release(daemon: Daemon, _: Connection, _view: View, text: bytes) -> bytes:
    """The domain is gone, or begins anew; EINVAL, ENOENT."""
    lives.bury(daemon, _introduced(daemon, text))
    return OK


def resume(daemon: Daemon, _: Connection, _view: View, text: bytes) -> bytes:
    """The domain runs again: its next shutdown is to be told; EINVAL, ENOENT."""
    domain = _introduced(daemon, text)
    domain.shut = False
    daemon.domains.touched.domain(domain.domid)
    return OK


def set_target(daemon: Daemon, _: Connection, _view: View, arguments: list[bytes]) -> bytes:
    """Give a domain the rights of another; EINVAL, ENOENT."""
    domain, target = (_introduced(daemon, text) for text in arguments[:2])
    if domain is target:
        raise RequestError("EINVAL")
    daemon.domains.aim(domain, target)
    return OK


def get_domain_path(_: Daemon, _connection: Connection, _view: View, text: bytes) -> bytes:
    """The home of a domain, which need not exist; EINVAL."""
    return b"/local/domain/%d\0" % number(text, DOMID_MAX)


def is_domain_introduced(daemon: Daemon, _: Connection, _view: View, text: bytes) -> bytes:
    """Whether the daemon serves the domain; EINVAL."""
    domid = number(text, DOMID_MAX)
    known = daemon.domains.get(domid)
    served = domid in {0, _DOMID_SELF} or (known is not None and known.introduced)
    return b"T\0" if served else b"F\0"


def _introduced(daemon: Daemon, text: bytes) -> Domain:
    domid = number(text, DOMID_MAX)
    if not domid:
        raise RequestError("EINVAL")
    known = daemon.domains.get(domid)
    if known is None or not known.introduced:
        raise RequestError("ENOENT")
    return known
