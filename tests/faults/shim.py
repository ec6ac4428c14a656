"""The disk that fails on demand: faulty.c, compiled, and armed by environment or by a call.

Rule: a test that needs it skips with its reason where there is no compiler; with CI=true that is a failure.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faulty.c")
EIO, ENOSPC, SHORT, TORN, READ = 1, 2, 4, 8, 16
"""How a call fails: refused, or refused for room, or half done, or half done and refused; reading too."""
WRITES = EIO | ENOSPC | SHORT | TORN


class NoCompiler(Exception):
    """There is nothing to compile the shim with."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is to be done to calls on the files whose path begins with `path`."""

    path: str
    tape: str = ""
    seed: int = 1
    rate: int = 0
    """In a million."""
    nth: int = 0
    kill: int = 0
    kinds: int = EIO
    lasting: bool = False

    def environment(self, library: Path) -> dict[str, str]:
        """For a program to be started."""
        said = {name.upper(): str(int(value)) for name, value in self._numbers().items()}
        wanted = {"FAULTY_PATH": self.path, "FAULTY_TAPE": self.tape, "LD_PRELOAD": str(library)}
        return {**os.environ, **wanted, **{f"FAULTY_{name}": value for name, value in said.items()}}

    def _numbers(self) -> dict[str, int]:
        names = ("seed", "rate", "nth", "kill", "kinds", "lasting")
        return {name: int(getattr(self, name)) for name in names}

    def arm(self) -> None:
        """Here and now, in a process that has the library preloaded."""
        numbers = self._numbers()
        long = [ctypes.c_uint64(numbers[name]) for name in ("seed", "rate", "nth", "kill")]
        here = ctypes.CDLL(None)
        here.faulty_arm(self.path.encode(), self.tape.encode(), *long, numbers["kinds"], numbers["lasting"])


def built(folder: Path) -> Path:
    """The library, made in a folder; NoCompiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NoCompiler("no C compiler, which the failing disk needs (package gcc)")
    made = folder / "faulty.so"
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run([*command, "-lpthread"], check=True)
    return made


def kill_after(seconds: float) -> None:
    """Have this process killed when it has used so much more CPU, wherever it is then."""
    ctypes.CDLL(None).faulty_kill_after(ctypes.c_uint64(max(1, int(seconds * 1e6))))
