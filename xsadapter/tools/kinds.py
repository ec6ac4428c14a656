"""The table of the tools: options, what they are used like, how many operands, and what carries them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from xsadapter.tools import nodes
from xsadapter.tools.getopt import Option

if TYPE_CHECKING:
    from xsadapter.tools.asking import Now, Tree
    from xsadapter.tools.console import Console

Chosen = dict[str, str]
"""The options that were given, by letter or long name, each with the word that came with it."""

OPTIONS: Final = (
    Option("h", "help"),
    Option("f", "flat"),
    Option("n", takes=True),
    Option("p", "prefix"),
    Option("s"),
    Option("t", "tidy"),
    Option("u", "upto"),
    Option("r", "recurse"),
    Option("R", "raw"),
)
"""Those of all stock tools together, each known to all: which of them a tool takes is in its row."""
DEPTH: Final = Option("d", takes=True)
AT: Final = Option("", "at", takes=True)

Change = Callable[["Now", Chosen, list[str], "Console"], int]
Question = Callable[["Tree", Chosen, list[str], "Console"], int]


class Kind(NamedTuple):
    """One tool. Exactly one of `changes` and `asks` carries it out; ls and watch have neither."""

    usage: str
    takes: str
    least: int
    ours: tuple[Option, ...] = ()
    """Options that the stock tool does not know."""
    changes: Change | None = None
    asks: Question | None = None
    pairs: bool = False
    """Whether operands come in twos."""
    alone: int = 0
    """How many operands it takes without a transaction around them."""


KINDS: Final = {
    "read": Kind("[-h] [-p] [-s] [-R] key [...]", "psR", 1, (AT,), asks=nodes.read, alone=1),
    "write": Kind("[-h] [-s] [-R] key value [...]", "sR", 2, changes=nodes.write, pairs=True, alone=2),
    "list": Kind("[-h] [-p] [-s] key [...]", "ps", 1, (AT,), asks=nodes.list_),
    "ls": Kind("[-h] [-f] [-p] [-s] [path]", "fps", 0, (AT,), alone=-1),
    "rm": Kind("[-h] [-s] [-t] key [...]", "st", 1, changes=nodes.rm),
    "exists": Kind("[-h] [-p] [-s] key [...]", "s", 1, (AT,), asks=nodes.exists),
    "chmod": Kind("[-h] [-u] [-r] [-s] key <mode [modes...]>", "urs", 1, changes=nodes.chmod),
    "watch": Kind("[-h] [-n NR] key", "ns", 1, (DEPTH,), alone=-1),
}
CONTROL: Final = "control"
"""The tool that is none of these: it has no options."""
