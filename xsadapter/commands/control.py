"""CONTROL: commands to the daemon itself, in words.

Rules
1. The first string is the command, the rest its parameters; an unknown command, or a number of
   parameters that its row does not allow, is EINVAL.
2. An answer in words is text and a NUL, `OK` if there is nothing to say; what would exceed a payload is cut after
   a whole line, and the last line then says so. An answer in bytes goes out as it is.
3. `log` and `logfile` are C xenstored's, for the audit log (`engine.trail`). A file that cannot be written is EINVAL;
   C answers OK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from xsadapter.commands import counters, history, inspection
from xsadapter.commands.keeping import keep
from xsadapter.commands.update import live_update
from xsadapter.commands.walking import walk
from xsadapter.engine.notices import Notice, escaped
from xsadapter.engine.trail import SWITCHES
from xsadapter.errors import RequestError
from xsadapter.wire import OK, PAYLOAD_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.view import View

_CUT: Final = b"... cut here: the answer is longer than a reply may be\n"


class Verb(NamedTuple):
    """A command: how many parameters, what it answers, and how it is spelled for `help`."""

    least: int
    most: int
    answer: Callable[[Daemon, Connection, list[bytes]], bytes | str]
    usage: str


def _help(_: Daemon, _parameters: list[bytes]) -> str:
    spelled = (verb.usage.partition(" ") for verb in VERBS.values())
    return "".join(f"{name}\t{parameters}\n" for name, _, parameters in spelled)


def _print(daemon: Daemon, parameters: list[bytes]) -> str:
    daemon.notices.append(Notice(f"control: {escaped(parameters[0])}"))
    return ""


def _log(daemon: Daemon, parameters: list[bytes]) -> str:
    trail = daemon.flow.trail
    match parameters:
        case []:
            lines = (f"{name:<3}: {'on' if name in trail.switches else 'off'}\n" for name in SWITCHES)
            return f"Log switches, the log is {'on' if trail.on else 'off'}:\n{''.join(lines)}"
        case [b"on"]:
            trail.turn(True)
        case [b"off"]:
            trail.turn(False)
        case [word]:
            try:
                trail.switch(word[1:].decode("ascii"), {b"+": True, b"-": False}[word[:1]])
            except (KeyError, UnicodeDecodeError):
                raise RequestError("EINVAL") from None
    return ""


def _logfile(daemon: Daemon, parameters: list[bytes]) -> str:
    try:
        daemon.flow.trail.sink.open(parameters[0].decode())
    except (OSError, ValueError):  # also of bytes that are no text, or hold what no path may hold
        raise RequestError("EINVAL") from None
    return ""


def _of_daemon(
    answer: Callable[[Daemon, list[bytes]], bytes | str],
) -> Callable[[Daemon, Connection, list[bytes]], bytes | str]:
    """A verb that answers every connection alike."""
    return lambda daemon, _, parameters: answer(daemon, parameters)


VERBS: Final = {
    b"help": Verb(0, 0, _of_daemon(_help), "help"),
    b"print": Verb(1, 1, _of_daemon(_print), "print <string>"),
    b"log": Verb(0, 1, _of_daemon(_log), "log [on|off|+<switch>|-<switch>]"),
    b"logfile": Verb(1, 1, _of_daemon(_logfile), "logfile <file>"),
    b"check": Verb(0, 0, _of_daemon(inspection.check), "check"),
    b"live-update": Verb(1, 6, live_update, "live-update -f <file>|-c <words>|-s [-t <s>] [-F] [-v <n>]|-a"),
    b"memreport": Verb(0, 0, _of_daemon(inspection.memreport), "memreport"),
    b"quota": Verb(0, 3, _of_daemon(inspection.quota), "quota [set <name> <value>|<domid>|max [-r]]"),
    b"quota-soft": Verb(0, 3, _of_daemon(inspection.quota_soft), "quota-soft [set <name> <value>]"),
    b"domains": Verb(0, 1, _of_daemon(inspection.domains), "domains [<domid>]"),
    b"watches": Verb(0, 1, _of_daemon(inspection.watches), "watches [<domid>]"),
    b"transactions": Verb(0, 1, _of_daemon(inspection.transactions), "transactions [<domid>]"),
    b"metrics": Verb(0, 2, _of_daemon(counters.metrics), "metrics [domains <from>]"),
    b"walk": Verb(0, 3, walk, "walk [<path> values|permissions [<when>]]"),
    b"keep": Verb(0, 3, _of_daemon(keep), "keep [[what-if] [once] <policy>]"),
    b"history": Verb(1, 4, _of_daemon(history.answer), f"history {'|'.join(history.usages())}"),
}


def control(daemon: Daemon, connection: Connection, _view: View, strings: list[bytes]) -> bytes:
    """Carry out a command; EINVAL."""
    name, *parameters = strings
    verb = VERBS.get(name)
    if verb is None or not verb.least <= len(parameters) <= verb.most:
        raise RequestError("EINVAL")
    found = verb.answer(daemon, connection, parameters)
    if isinstance(found, bytes):
        return found
    text = found.encode()
    if not text:
        return OK
    if len(text) >= PAYLOAD_MAX:
        room = PAYLOAD_MAX - 1 - len(_CUT)
        text = text[: text.rfind(b"\n", 0, room) + 1 or room] + _CUT
    return text + b"\0"
