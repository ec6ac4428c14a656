"""Who acts: a client of the daemon under the name of the program it plays, counting what was acknowledged.

Rule: each acknowledged change outside a transaction, and each transaction that ended well, is one commit of
the store. `Tally` counts them on this side of the socket; the end of the demo compares.

The daemon asks the kernel who connects and writes it in the history. All actors live in one process, so it
bears the actor's name while that one connects.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xsadapter.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from xsadapter.client import Transaction


@dataclass(slots=True)
class Tally:
    """The number of the store's newest commit, as the clients count."""

    commits: int


class Actor:
    """A client that counts; a context manager. It may only remove what exists: nothing else is a commit."""

    def __init__(self, name: str, socket: Path, tally: Tally) -> None:
        self.name, self._tally = name, tally
        with _called(name):
            self._client = Client(socket)
            # Once it answers, the daemon has asked for the name.
            self._client.exists("/")

    def __enter__(self) -> Actor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()

    def read_all(self, paths: Iterable[str]) -> list[bytes]:
        """The values of several nodes, asked for together."""
        with self._client.pipeline() as pipe:
            answers = [pipe.read(path) for path in paths]
        return [answer.get() for answer in answers]

    def domain_path(self, domid: int) -> str:
        """The home of a domain."""
        return self._client.domain_path(domid)

    def write(self, path: str, value: bytes) -> None:
        """Set a value: a commit."""
        self._client.write(path, value)
        self._tally.commits += 1

    def write_all(self, values: Mapping[str, bytes]) -> None:
        """Set several values, sent together: a commit each."""
        with self._client.pipeline() as pipe:
            for path, value in values.items():
                pipe.write(path, value)
        self._tally.commits += len(values)

    def remove(self, path: str) -> None:
        """Remove a node and all below it: a commit."""
        self._client.rm(path)
        self._tally.commits += 1

    def transact(self, change: Callable[[Transaction], None]) -> None:
        """Changes that happen together, at least one: a commit."""
        self._client.update(change)
        self._tally.commits += 1


@contextlib.contextmanager
def _called(name: str) -> Iterator[None]:
    """This process under another name, where the system lets it have one."""
    place = Path(f"/proc/self/task/{os.getpid()}/comm")
    try:
        before = place.read_bytes().strip()
        place.write_text(name)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        place.write_bytes(before)
