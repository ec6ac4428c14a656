"""Which start of the machine this is: what was written before another is no more than what reached the disk."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def boot() -> int:
    """64 bits that tell this start of the machine from all others; 0 where the system does not say."""
    try:
        return int(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:16].replace("-", ""), 16)
    except (OSError, ValueError):
        return 0
