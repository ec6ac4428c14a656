r"""The log of the state beside the tree: a file of lines, each a batch of steps that hold together.

    line    = crc of the rest in 8 hexadecimal digits, a blank, a JSON list of steps, a newline
    first   = [["xsastate", version, generation, boot]]
    step    = ["limits", {name: limit}]
            | ["domain", domid, unique, features, {name: limit}, target or null, shut]   ["domain", domid] is no more
            | ["connection", serial, domid, peer, privileged, port, ignored, next transaction, [[number, used]]]
                                                              ["connection", serial] is no more
            | ["watch", serial, path, token, depth or null, relative]     ["unwatch", serial, path, token]
            | ["late", [[path, exactly, [list]]], [serial]]   changes that these guests are to be told of when they read
            | ["told all", serial]                            this one was
            | ["output", serial, done, start, bytes]    from byte `start` of what it is sent on; `done` is carried out
            | ["cut", serial]                           what was said of that before does not count
            | ["input", serial, start, bytes]           half a request, from byte `start` of what it sent on
            | ["began", serial]                         its ring begins anew, at 0
            | ["change", bytes]                         as in `turn`, where there was no room
            | ["undo"]                                  the last change was not made
            | ["told"]                                  all changes are told

Rules
1. A line counts whole or not at all; after the first that is not whole nothing counts. One line is one write.
2. What is said of something last counts. Bytes are text of as many characters up to \xff.
3. It is written anew, as short as it can be, when it has grown to four times what it was: into another file, which then
   takes its name. The words of its generation (`state.N`) are there before.
4. What cannot be written breaks the log: a daemon that goes on has a state that is not in it any more, so the file goes
   at once, and nothing is written until there is another log.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from xsadapter.engine import telling
from xsadapter.engine.state import ConnectionState, DomainState, State, TransactionState, WatchState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Step = list[Any]
"""One step, as JSON has it."""

NAME: Final = "state"
VERSION: Final = 1
_MAGIC: Final = "xsastate"
_LEAST: Final = 1 << 20
_FACTOR: Final = 4
_NEVER: Final = 1 << 62
_json: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def line(steps: Iterable[Step]) -> bytes:
    """A batch as a line."""
    text = _json(list(steps)).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def domain_step(domain: DomainState) -> Step:
    """What is known of a domain."""
    return [
        "domain", domain.domid, domain.unique, domain.features, dict(domain.limits), domain.target, domain.shut,
    ]  # fmt: skip


def connection_step(client: ConnectionState) -> Step:
    """What is known of a client, but for its bytes."""
    transactions = [[each.number, each.used] for each in client.transactions]
    return [
        "connection", client.serial, client.domid, client.peer, client.privileged, client.port, client.ignored,
        client.next_transaction, transactions,
    ]  # fmt: skip


def watch_step(watch: WatchState) -> Step:
    """A watch that was registered."""
    return ["watch", watch.serial, watch.path, watch.token.decode("latin-1"), watch.depth, watch.relative]


def late_step(owed: telling.Owed, serials: Iterable[int]) -> Step:
    """What guests are to be told later."""
    return ["late", telling.written(owed), list(serials)]


class Log:
    """The file, open to be written; `first` are all the steps that say what is so now. OSError."""

    def __init__(
        self,
        path: Path,
        generation: int,
        boot: str,
        first: Iterable[Step] | None,
        broke: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        """`broke` is called when it cannot be written any more. `first` None: go on with the one that is there."""
        self._path, self._broke = path, broke
        self.broken: OSError | None = None
        """Why it cannot be written."""
        if first is None:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self.size = os.fstat(self._descriptor).st_size
            self.due = 2 * max(_LEAST, self.size)
            return
        new = path.with_name(f"{NAME}.new")
        self._descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = 0
        try:
            self._write([[_MAGIC, VERSION, generation, boot]])
            self._write(first)
            new.rename(path)
        except BaseException:
            self.close()
            with suppress(OSError):
                new.unlink()
            raise
        self.due = max(_LEAST, _FACTOR * self.size)
        """The size beyond which it is to be written anew."""

    def put_off(self) -> None:
        """That could not be: it is due again when it has grown some more."""
        self.due = self.size + max(_LEAST, self.due // _FACTOR)

    def append(self, steps: Iterable[Step]) -> None:
        """Write a batch; if that cannot be, the file is gone, and `broke` is called once."""
        try:
            self._write(steps)
        except OSError as error:
            self.breaks(error)

    def breaks(self, error: OSError) -> None:
        """It is not what is so any more, for this reason; only the first one counts."""
        if self.broken is None:
            self.broken, self.due = error, _NEVER
            self.close()
            with suppress(OSError):
                self._path.unlink()
            self._broke(error)

    def _write(self, steps: Iterable[Step]) -> None:
        data = line(steps)
        self.size += len(data)
        if os.write(self._descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(slots=True)
class Logged:
    """What a log says, in the end."""

    generation: int
    boot: str
    limits: dict[str, int] = field(default_factory=dict)
    domains: dict[int, DomainState] = field(default_factory=dict)
    connections: dict[int, ConnectionState] = field(default_factory=dict)
    watches: dict[tuple[int, str, bytes], WatchState] = field(default_factory=dict)
    outputs: dict[int, list[tuple[int, int, bytes]]] = field(default_factory=dict)
    """Of a client: done, start, bytes."""
    inputs: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    owed: dict[int, list[telling.Owed]] = field(default_factory=dict)
    changes: list[bytes] = field(default_factory=list)

    def take(self, step: Step) -> None:
        """One step more."""
        match step:
            case ["limits", limits]:
                self.limits = limits
            case ["domain", domid]:
                self.domains.pop(domid, None)
            case ["domain", domid, unique, features, limits, target, shut]:
                self.domains[domid] = DomainState(domid, unique, features, tuple(limits.items()), target, shut)
            case ["connection", serial]:
                self.connections.pop(serial, None)
                self._forget(serial)
            case ["connection", serial, domid, peer, privileged, port, ignored, following, transactions]:
                opened = tuple(TransactionState(number, used) for number, used in transactions)
                self.connections[serial] = ConnectionState(
                    serial, domid, peer, privileged, port, ignored, following, opened
                )
            case ["watch", serial, path, token, depth, relative]:
                key = serial, path, token.encode("latin-1")
                self.watches.pop(key, None)
                self.watches[key] = WatchState(serial, path, key[2], depth, relative)
            case ["unwatch", serial, path, token]:
                self.watches.pop((serial, path, token.encode("latin-1")), None)
            case ["late", changes, serials]:
                owed = telling.read(changes)
                for serial in serials:
                    self.owed.setdefault(serial, []).append(owed)
            case ["told all", serial]:
                self.owed.pop(serial, None)
            case ["output", serial, done, start, text]:
                self.outputs.setdefault(serial, []).append((done, start, text.encode("latin-1")))
            case ["input", serial, start, text]:
                self.inputs[serial] = start, text.encode("latin-1")
            case ["began", serial]:
                self._forget(serial)
            case ["cut", serial]:
                self.outputs.pop(serial, None)
            case ["change", text]:
                self.changes.append(text.encode("latin-1"))
            case ["undo"]:
                self.changes.pop()
            case ["told"]:
                self.changes.clear()
            case _:
                raise ValueError(f"no step of the state: {step!r:.80}")

    def _forget(self, serial: int) -> None:
        self.owed.pop(serial, None)
        self.outputs.pop(serial, None)
        self.inputs.pop(serial, None)

    def state(self) -> State:
        """But for the bytes of clients."""
        known = self.connections | {
            serial: replace(self.connections[serial], owed=tuple(owed))
            for serial, owed in self.owed.items()
            if serial in self.connections
        }
        watches = tuple(watch for watch in self.watches.values() if watch.serial in known)
        return State(
            tuple(self.limits.items()), max(known, default=0), tuple(self.domains.values()), tuple(known.values()),
            watches,
        )  # fmt: skip


def generation(path: Path) -> int:
    """Which a log is, of whatever boot; 0 if there is none that says so. O(1)."""
    try:
        with path.open("rb") as file:
            first = _batch(file.readline().rstrip(b"\n"))
        return 0 if first is None else _begun(path, first).generation
    except (ValueError, OSError):
        return 0


def read(path: Path) -> Logged | None:
    """What a log says; None if there is none. ValueError: it is none of ours."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    found = None
    for text in lines[:-1]:
        steps = _batch(text)
        if steps is None:
            break
        if found is None:
            found = _begun(path, steps)
        else:
            for step in steps:
                found.take(step)
    return found


def _batch(text: bytes) -> list[Step] | None:
    """What a line says, without its newline; None if it is not whole."""
    crc, _, batch = text.partition(b" ")
    if crc != b"%08x" % zlib.crc32(batch):
        return None
    found: list[Step] = json.loads(batch)
    return found


def _begun(path: Path, first: list[Step]) -> Logged:
    match first:
        case [[str(magic), int(version), int(generation), str(boot)]] if magic == _MAGIC and version == VERSION:
            return Logged(generation, boot)
        case _:
            raise ValueError(f"{path}: not the state of a daemon of version {VERSION}")
