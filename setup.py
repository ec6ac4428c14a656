"""Builds the package: plain Python, or with its hot modules compiled by mypyc if RRDSTORE_COMPILED=1 says so.

Rule: the sources are the same and mean the same; pure Python is the default and needs no compiler.
All else is configured in pyproject.toml. What compiling buys: docs/bench.md. MYPYC_OPT_LEVEL is the C compiler's -O.
"""

from __future__ import annotations

import os
import tomllib
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup

COMPILED = {
    "rrdstore/tree/node.py": "look-ups; nodes without the collector's header, which it then passes by",
    "rrdstore/tree/order.py": "called by node for each name that comes or goes",
    "rrdstore/tree/edit.py": "a change's way down the tree and up again",
    "rrdstore/tree/diff.py": "walks two versions",
    "rrdstore/tree/spot.py": "nodes that are asked for again",
    "rrdstore/history/commit.py": "a record for each commit, which the collector passes by",
    "rrdstore/history/graph.py": "each commit is added, most are dropped again",
    "rrdstore/history/holds.py": "a head moves with each commit",
    "rrdstore/history/clock.py": "each commit is stamped",
    "rrdstore/policy/tiers.py": "each commit is offered to all tiers",
    "rrdstore/policy/ring.py": "one tier of those",
    "rrdstore/storage/splice.py": "an object that differs by one place from the one before",
    "rrdstore/storage/codec.py": "objects to bytes and back",
    "rrdstore/storage/columns.py": "its columns of numbers",
    "rrdstore/storage/storing.py": "the walk of a commit beside the one before",
    "rrdstore/storage/objects.py": "where each object lies",
    "rrdstore/storage/packing.py": "and as what",
    "rrdstore/storage/segments.py": "the bytes that objects are written into",
    "rrdstore/storage/kept.py": "a row for each stored commit",
    "rrdstore/storage/records.py": "that row, packed",
    "rrdstore/storage/lineage.py": "beside which commit each was stored",
    "rrdstore/storage/parts.py": "each part loaded is looked for here first",
    "rrdstore/storage/journal.py": "an entry for each commit",
    "rrdstore/store/commit.py": "each commit is handed out as one",
    "rrdstore/store/run.py": "the newest commits, while nobody looks",
    "rrdstore/store/newest.py": "how they are held",
    "rrdstore/store/brief.py": "as few bytes as that takes",
    "rrdstore/store/room.py": "what all of them may take",
    "rrdstore/store/costs.py": "and each of them",
    "rrdstore/store/ticks.py": "each commit may begin one",
    "rrdstore/store/joining.py": "what a change makes and takes",
    "rrdstore/tree/undo.py": "how it is taken back",
    "xsadapter/wire.py": "each request is cut from its stream",
    "xsadapter/paths.py": "each path is looked at",
    "xsadapter/server.py": "the loop's turn",
    "xsadapter/ticking.py": "asked in each turn",
    "xsadapter/timers.py": "likewise",
    "xsadapter/transport/stream.py": "what a socket receives and sends",
    "xsadapter/transport/ring.py": "what a ring receives and sends",
    "xsadapter/recovery/words.py": "where each client is, for whom comes after a kill",
    "xsadapter/recovery/journal.py": "each change is announced",
    "xsadapter/recovery/log.py": "what is touched beside the tree",
    "xsadapter/engine/daemon.py": "each request is carried out",
    "xsadapter/engine/plain.py": "most are answered here",
    "xsadapter/engine/connection.py": "each answer is queued",
    "xsadapter/engine/guest.py": "likewise a guest's: it is one of these",
    "xsadapter/engine/flow.py": "who waits to be sent",
    "xsadapter/engine/head.py": "the newest tree",
    "xsadapter/engine/view.py": "what a request sees",
    "xsadapter/engine/private.py": "whether a name is the daemon's own",
    "xsadapter/engine/index.py": "whether a name is indexed",
    "xsadapter/engine/permissions.py": "whether the asker may",
    "xsadapter/engine/accounts.py": "whom a node is charged to",
    "xsadapter/engine/bearing.py": "whether a guest's quota bears it",
    "xsadapter/engine/domains.py": "who a client is",
    "xsadapter/engine/events.py": "what a change tells",
    "xsadapter/engine/watches.py": "and whom",
    "xsadapter/engine/specials.py": "events of domains",
    "xsadapter/engine/listings.py": "listings as they are sent",
    "xsadapter/engine/metrics.py": "each request is counted",
    "xsadapter/engine/touched.py": "what the log is to have",
    "xsadapter/engine/trail.py": "each change is recorded, if auditors are there",
    "xsadapter/engine/inside.py": "what they see and change inside a transaction",
    "xsadapter/engine/transactions.py": "a transaction's requests",
    "xsadapter/engine/within.py": "most of these are answered here",
    "xsadapter/engine/turns.py": "whose transaction waits",
    "xsadapter/engine/failures.py": "refusals",
    "xsadapter/commands/access.py": "the node that a request names is found",
    "xsadapter/commands/nodes.py": "READ, WRITE, MKDIR, RM",
    "xsadapter/commands/directory.py": "DIRECTORY, DIRECTORY_PART",
    "xsadapter/commands/permissions.py": "GET_PERMS, SET_PERMS",
    "xsadapter/commands/transactions.py": "TRANSACTION_START, TRANSACTION_END",
    "xsadapter/commands/watches.py": "WATCH, UNWATCH",
}
"""The modules that are compiled, and why: what a commit and a request go through. All others cost next to nothing, or
cannot be (mypyc evaluates the annotations of dataclasses and named tuples, and knows no multiple assignment in a
class), or are what a user calls and is told his mistakes by (`Branch`, `Transaction`)."""

HEADER = "rrdstore/native.h"


def compiler() -> list[str]:
    """What building needs: the mypy that the code is checked with."""
    with Path(__file__).with_name("pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    return [wanted for wanted in extras["dev"] if wanted.startswith("mypy")]


def extensions(target: str = "build") -> list[Extension]:
    """The modules in C, written below the directory `target`; ends the program if mypyc cannot do one."""
    from mypyc.build import mypycify  # noqa: PLC0415 - who builds pure Python need not have it

    # Checked strictly elsewhere; here the packages that types come from may be missing.
    flags = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent", "--python-version=3.11"]
    flags.append(f"--cache-dir={target}/mypy")
    level = os.environ.get("MYPYC_OPT_LEVEL", "2")
    made = mypycify([*flags, *COMPILED], debug_level="0", opt_level=level, group_name="rrdstore", target_dir=target)
    for extension in made:
        extension.extra_compile_args = [*extension.extra_compile_args, "-include", HEADER]
    return made


def compiled() -> dict[str, object]:
    """What setuptools is told besides."""
    if os.environ.get("RRDSTORE_COMPILED", "0") == "0":
        return {}
    # setuptools asks first what is needed, and then again in an environment that has it.
    ready = find_spec("mypyc") is not None
    return {"setup_requires": compiler(), "ext_modules": extensions() if ready else []}


if __name__ == "__main__":
    setup(**compiled())
