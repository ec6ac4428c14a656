"""Daemons from one process that has imported everything: a start costs a fork and not half a second.

Reads lines: `start` forks a daemon in the directory of the first argument and answers with its pid, and with
`ready SECONDS` when it serves, and when told to dies as `mortal` has it; `reap` waits for the last one. The other
argument: the simulated hypervisor's directory.
"""

import logging
import os
import sys
import time
from functools import partial
from pathlib import Path

from tests.recovery.mortal import born
from xsadapter.cli.history import Wanted
from xsadapter.cli.run import start_logging
from xsadapter.cli.serving import Settings, serve


def _ready(began: float) -> None:
    print(f"ready {time.monotonic() - began:.3f}", flush=True)


def main() -> None:
    directory, xen = map(Path, sys.argv[1:3])
    start_logging(logging.StreamHandler())
    words = "run", "--rundir", str(directory), "--size", "8MiB", "--keep", "last:64 1s:1m", "--simulated-xen", str(xen)
    settings = Settings(
        rundir=directory,
        socket=directory / "socket",
        store=Wanted(directory / "history.rrdb", "8MiB", "last:64 1s:1m"),
        kept=True,
        words=words,
        simulated_xen=xen,
    )
    pid = 0
    for line in sys.stdin:
        if line == "start\n":
            pid = os.fork()
            if not pid:
                try:
                    born(directory)
                    serve(settings, ready=partial(_ready, time.monotonic()))
                finally:
                    os._exit(1)
            print(pid, flush=True)
        else:
            os.waitpid(pid, 0)
            print("reaped", flush=True)


if __name__ == "__main__":
    main()
