"""What the tests of programs that use rrdstore need, and of storages for it: shipped so that nobody writes it again.

`ManualClock` needs nothing; nor do the homes of stores (`Home` and its kinds) and
`ModelStore`, the store that never forgets. `StoreMachine`, which drives a store at random beside the model, needs
hypothesis: `pip install 'rrdstore[test]'`. Without it, asking for the machine is NotInstalled, and nothing else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import NotInstalled
from rrdstore.testing.clock import SECOND, START, ManualClock
from rrdstore.testing.homes import (
    HOMES,
    FileHome,
    Home,
    JournalledHome,
    MemoryHome,
    NarrowHome,
    SmallFileHome,
    StorageHome,
)
from rrdstore.testing.model import ModelStore

if TYPE_CHECKING:
    from rrdstore.testing.machine import StoreMachine

__all__ = [
    "HOMES",
    "SECOND",
    "START",
    "FileHome",
    "Home",
    "JournalledHome",
    "ManualClock",
    "MemoryHome",
    "ModelStore",
    "NarrowHome",
    "SmallFileHome",
    "StorageHome",
    "StoreMachine",
]


def __getattr__(name: str) -> object:
    """The machine, imported when it is asked for; NotInstalled."""
    if name != "StoreMachine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from rrdstore.testing.machine import StoreMachine  # noqa: PLC0415 - hypothesis is there for those who ask
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise NotInstalled("rrdstore.testing.StoreMachine", "hypothesis", "test") from error
    return StoreMachine
