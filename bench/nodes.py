"""What a node takes in memory, and the collector's time over the heap: `python -m bench.nodes [domains]`.

A host of 10,000 domains (or as many as said): 44 nodes each, 29 of them with a value of their own, permissions as
metadata, one transaction a domain, in a memory store with the default policy. Bytes are what the process grew by, so
names, values, caches and the history that is kept are in them, and what malloc holds back too.

The cyclic collector looks at every container of the heap and finds nothing: the engine makes no reference cycles.
A program that holds a large store should call `gc.freeze()` when it is loaded; the engine does not, as the collector
is the program's.
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import rrdstore

DOMAINS = 10_000
PAGE = 4096


def resident() -> int:
    """Bytes of the process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def domain(number: int) -> dict[str, str]:
    """What a toolstack writes for a domain with a disk and a network interface."""
    home = f"/local/domain/{number}"
    disk, interface = f"/local/domain/0/backend/vbd/{number}/51712", f"/local/domain/0/backend/vif/{number}/0"
    return {
        f"{home}/vm": f"/vm/{number:032x}",
        f"{home}/name": f"guest-{number}",
        f"{home}/domid": f"{number}",
        f"{home}/cpu/0/availability": "online",
        f"{home}/memory/target": f"{524288 + number}",
        f"{home}/memory/static-max": f"{524288 + number}",
        f"{home}/console/ring-ref": f"{1044476 + number}",
        f"{home}/console/port": "2",
        f"{home}/console/limit": "1048576",
        f"{home}/console/type": "xenconsoled",
        f"{home}/store/port": "1",
        f"{home}/store/ring-ref": f"{1044477 + number}",
        f"{home}/device/vbd/51712/backend": disk,
        f"{home}/device/vbd/51712/state": "4",
        f"{home}/device/vbd/51712/ring-ref": f"{8 + number}",
        f"{home}/device/vbd/51712/event-channel": f"{9 + number % 50}",
        f"{home}/device/vif/0/backend": interface,
        f"{home}/device/vif/0/state": "4",
        f"{home}/device/vif/0/mac": f"00:16:3e:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
        f"{home}/device/vif/0/tx-ring-ref": f"{768 + number}",
        f"{home}/device/vif/0/rx-ring-ref": f"{769 + number}",
        f"{disk}/frontend": f"{home}/device/vbd/51712",
        f"{disk}/params": f"/dev/vg/guest-{number}",
        f"{disk}/state": "4",
        f"{disk}/online": "1",
        f"{disk}/sectors": f"{41943040 + number}",
        f"{interface}/frontend": f"{home}/device/vif/0",
        f"{interface}/state": "4",
        f"{interface}/bridge": "xenbr0",
    }


def main(domains: int) -> None:
    """Build it and print the figures."""
    store = rrdstore.memory()
    branch = store.branch("main")
    gc.collect()
    before = resident()
    for number in range(1, domains + 1):
        own, back = b"n%d,r0" % number, b"n0,r%d" % number
        with branch.transaction(message="create") as transaction:
            for path, value in domain(number).items():
                transaction.set(path, value.encode(), meta=back if "/0/backend/" in path else own)
        if number % 1000 == 0:
            print(f"\r{number:,} of {domains:,} domains", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    gc.collect()
    grown = resident() - before
    began = time.process_time()
    cycles = gc.collect()
    took = time.process_time() - began
    gc.freeze()
    began = time.process_time()
    gc.collect()
    frozen = time.process_time() - began
    nodes = sum(1 for _ in branch.tree.descend())
    print(f"{nodes:,} nodes, {grown / nodes:.0f} bytes each")
    print(f"gc.collect: {took * 1000:.0f} ms and {cycles} objects in cycles; frozen: {frozen * 1000:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DOMAINS)
