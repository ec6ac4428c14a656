"""CONTROL live-update: what C xenstored's `xenstore-control live-update` sends.

    -f FILE                 the program that is to take over; answered once it was looked at
    -c WORDS                its command line, cut at blanks, without it that of this daemon; answered as -f is
    -s [-t SECONDS] [-F] [-v VERSION]   start; nothing but a failure is answered by this daemon
    -a                      forget it

Rule: what cannot be is answered in words, as C does, not by an error; only a form that is none is EINVAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.engine.turns import Later
from xsadapter.engine.update import Stage
from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon

_TIMEOUT_MAX: Final = 2**31 - 1


def live_update(daemon: Daemon, connection: Connection, parameters: list[bytes]) -> str:
    """One step; EINVAL, Later."""
    update = daemon.update
    option, *rest = (word.decode(errors="surrogateescape") for word in parameters)
    if option not in {"-f", "-c", "-s", "-a"}:
        raise RequestError("EINVAL")
    if update.owner is not None and update.owner is not connection:
        return "another connection is at a live update"
    if update.stage is Stage.FAILED:
        reason = update.reason
        update.clear(daemon)
        return reason
    match option, rest:
        case "-f", [program]:
            if update.stage is Stage.ACCEPTED and update.program == program:
                return ""
            update.clear(daemon)
            update.owner, update.program, update.stage = connection, program, Stage.CHOSEN
            raise Later
        case "-a", []:
            update.clear(daemon)
            return ""
        case "-c" | "-s", _ if update.stage is Stage.NONE:
            return "no program was named: -f comes first"
        case "-c", [words]:
            if update.stage is Stage.ACCEPTED and update.words == words.split():
                return ""
            update.words, update.stage = words.split(), Stage.CHOSEN
            raise Later
        case "-s", _:
            _start(daemon, iter(rest))
            raise Later
    raise RequestError("EINVAL")


def _start(daemon: Daemon, words: Iterator[str]) -> None:
    update = daemon.update
    timeout, force, version = 0, False, None
    for word in words:
        match word:
            case "-F":
                force = True
            case "-t":
                timeout = number(next(words, "").encode(), _TIMEOUT_MAX)
            case "-v":
                version = number(next(words, "").encode(), 2)
            case _:
                raise RequestError("EINVAL")
    update.timeout, update.force, update.version = float(timeout), force, version
    update.stage, update.began = Stage.STARTED, daemon.flow.now
