"""What a tool prints on, and how it ends.

Rule: output is kept until the tool is done with what it is at, because a transaction that has to be tried again
must not have printed; messages go out at once, with the program's name before them.
"""

from __future__ import annotations

import errno
import os
from typing import BinaryIO, Final, NoReturn

NUMBERS: Final = {name: number for number, name in errno.errorcode.items()}


class Ended(Exception):
    """The tool ends here with this status; what was to be said has been said."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Unread(Exception):
    """Nobody reads the output any more."""


class Console:
    """Standard output and standard error of one tool; `name` is what it is called as."""

    def __init__(self, name: str, out: BinaryIO, err: BinaryIO) -> None:
        self.name, self._out, self._err = name, out, err
        self._kept: list[bytes] = []

    def put(self, data: bytes) -> None:
        """Some output, kept until `flush`."""
        self._kept.append(data)

    def forget(self) -> None:
        """What is kept is not to be printed."""
        self._kept.clear()

    def flush(self) -> None:
        """Print what is kept; Unread, another OSError."""
        try:
            self._out.write(b"".join(self._kept))
            self._kept.clear()
            self._out.flush()
        except BrokenPipeError:
            raise Unread from None

    def tell(self, text: str) -> None:
        """A message, with the name of the program."""
        self.write(f"{self.name}: {text}\n")

    def write(self, text: str) -> None:
        """Words on standard error as they are."""
        self._err.write(os.fsencode(text))
        self._err.flush()

    def fail(self, text: str) -> NoReturn:
        """Say why, print what is kept, and end with status 1."""
        self.tell(text)
        self.flush()
        raise Ended(1)


def reason(name: str) -> str:
    """What the system says of an error that a daemon answered; one that no client knows is an invalid argument."""
    return os.strerror(NUMBERS.get(name, errno.EINVAL))
