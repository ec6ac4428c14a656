"""A daemon that dies between two steps of what it does with a row of WRITEs: before one, or after it."""

import functools
import os
import signal

from rrdstore.store.branch import Branch
from xsadapter.recovery.journal import Journal
from xsadapter.recovery.turn import Turn
from xsadapter.transport.stream import StreamClient

STEPS = (
    (Turn, "row"), (Turn, "append"), (Turn, "ended"), (Turn, "take_back"), (Turn, "forget"),
    (Branch, "set_at"), (Branch, "make"), (Branch, "change"), (Branch, "set"), (Branch, "remove"),
    (Journal, "persist"), (StreamClient, "send"),
)  # fmt: skip
"""Each is announced, made, ended, sent and forgotten by one of these, and by no other."""


ARMED = signal.SIGRTMIN + 3


def born(directory):
    """From the signal on this process has so many steps left as the file `steps` says then."""
    left = 0

    def arm(*_):
        nonlocal left
        left = int((directory / "steps").read_text())
        print("armed", flush=True)

    def step():
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepped(act):
        @functools.wraps(act)
        def wrapped(*arguments, **named):
            step()
            found = act(*arguments, **named)
            step()
            return found

        return wrapped

    for owner, name in STEPS:
        setattr(owner, name, stepped(getattr(owner, name)))
    signal.signal(ARMED, arm)
