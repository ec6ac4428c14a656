"""Mending a damaged store in another process, while the daemon serves from memory.

Rules
1. It is the repair of `rrdstore check --repair --holes`, which takes a minute for 400,000 nodes: what is whole is kept,
   and the newest commit, which is the tree that is served, is not given up for an older one.
2. The process ends with who started it: its standard input is a pipe of his. A repair that was ended leaves the old
   store in its place, or the new one.
3. What it found is told as lines, each a text of JSON, as the log is to have them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rrdstore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST: Final = 40
"""Lines in the log of what is damaged, and of what is lost."""
_PACKAGE: Final = Path(__file__).parents[2]
_PROGRAM: Final = "import runpy; runpy.run_module('xsadapter.cli.mending', run_name='__main__')"


def mend(path: Path) -> Iterator[str]:
    """Mend it here; what is to be logged. StoreError, OSError."""
    try:
        done = rrdstore.repair(path, holes=True)
    except rrdstore.NoStore as fault:
        yield f"{fault}: it stays as {rrdstore.set_aside(path)}, and a new store is begun"
        return
    yield from _each("damaged", done.problems)
    yield from _each("lost", done.lost)
    if done.damaged:
        yield f"{path} was damaged and is mended: {done.kept} commits are kept, the old file is {done.damaged}"


def _each(what: str, found: Sequence[object]) -> Iterator[str]:
    for one in found[:_MOST]:
        yield f"{what}: {one}"
    if len(found) > _MOST:
        yield f"{what}: {len(found) - _MOST} more"


class Mending:
    """A process that mends a store."""

    def __init__(self, path: Path) -> None:
        """Start it; OSError."""
        self._said = os.fdopen(os.memfd_create("mending"), "w+b")  # A pipe would be full of what guests named.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(path)],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(_PACKAGE), os.environ.get("PYTHONPATH", "")))},
        )

    @property
    def running(self) -> bool:
        """Whether it is not done yet."""
        return self._process.poll() is None

    def lines(self) -> list[str]:
        """What it has found, once it is done, which is waited for; OSError says why it could not mend."""
        with self._process:  # Not by `communicate`, which would let go of its standard input first.
            self._process.wait()
        with self._said:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").splitlines()
        if self._process.returncode:
            raise OSError(lines[-1] if lines else f"mending ended with status {self._process.returncode}")
        return [*map(_text, lines)]


def _text(line: str) -> str:
    """What it has told, or what Python or the loader said beside."""
    try:
        return str(json.loads(line))
    except ValueError:
        return line


def main() -> None:
    """Mend, and tell."""
    os.nice(5)
    threading.Thread(target=_end_with_who_started, daemon=True).start()
    try:
        for line in mend(Path(sys.argv[1])):
            print(json.dumps(line), flush=True)
    except (rrdstore.StoreError, OSError) as error:
        print(error, flush=True)
        os._exit(1)


def _end_with_who_started() -> None:
    os.read(sys.stdin.fileno(), 1)  # Not by its buffer, whose lock would be held at the end.
    os._exit(1)


if __name__ == "__main__":
    main()
