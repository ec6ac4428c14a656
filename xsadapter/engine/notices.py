"""What the state machine wants logged: it has no logger, so it collects, and the shell fetches.

Rule: text in a notice is written for a log: bytes of clients are escaped before they get here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing worth a log line; `fault` is the bug behind it, if it is one."""

    text: str
    fault: Exception | None = None


def escaped(data: bytes) -> str:
    """Bytes of a client as one printable line: backslash escapes for everything else. O(data)."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data)
