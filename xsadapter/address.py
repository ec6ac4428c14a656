"""Where the socket is.

Rule: what was asked for, then $XENSTORED_PATH, then $XENSTORED_RUNDIR/socket, then the default
directory; for daemon and clients alike, so that both find each other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_RUNDIR: Final = "/var/run/xenstored"


def rundir(asked: str | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """The directory of socket, store and state."""
    return Path(asked or environment.get("XENSTORED_RUNDIR") or DEFAULT_RUNDIR)


def socket_path(
    asked: str | None = None, asked_rundir: str | None = None, environment: Mapping[str, str] = os.environ
) -> Path:
    """The socket; a directory that was asked for comes before the environment, as it is the more explicit."""
    if asked:
        return Path(asked)
    if asked_rundir:
        return Path(asked_rundir) / "socket"
    named = environment.get("XENSTORED_PATH")
    return Path(named) if named else rundir(None, environment) / "socket"
