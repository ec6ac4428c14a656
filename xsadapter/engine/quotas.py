"""Quotas: what one domain may have, by the names of C xenstored.

Rules
1. Limits are inclusive: up to and including N. 0 is no limit. What would exceed one is refused with
   ENOSPC (memory: ENOMEM; a path: EINVAL), before anything has changed.
2. They bind unprivileged connections alone. What a privileged one makes for a domain counts for that
   domain and is never refused.
3. A domain's limits are the global ones as they were when it became known; SET_QUOTA changes one
   domain, or what later ones begin with.
4. A refusal is told in the log, one line for a domain and quota every ten seconds, and counted.

Source: names, defaults and what counts are those of the public protocol documents; the limits of C
4.22 are off by one, ours are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from xsadapter.errors import RequestError


class Quota(NamedTuple):
    """One row: the default, whether GET_QUOTA tells it for one domain, and what it means."""

    name: str
    default: int
    meaning: str
    refusal: str = "ENOSPC"


QUOTAS: Final = {
    quota.name: quota
    for quota in (
        Quota("nodes", 1000, "Nodes per domain"),
        Quota("watches", 128, "Watches per domain"),
        Quota("outstanding", 20, "Outstanding requests per domain"),
        Quota("memory", 2621440, "Total memory per domain (bytes)", "ENOMEM"),
        Quota("soft-memory", 2097152, "Memory per domain from which on it is logged (bytes)"),
        Quota("transactions", 10, "Active transactions per domain"),
        Quota("transaction-nodes", 1024, "Nodes accessed in one transaction"),
        Quota("node-permissions", 5, "Permission entries of a node"),
        Quota("path-max", 2048, "Length of a path (bytes)", "EINVAL"),
        Quota("node-size", 2048, "Size of a node (bytes)"),
    )
}
"""In the order in which GET_QUOTA names them."""

SOFT: Final = "soft-"
"""What the names of limits that are only logged begin with."""
ALIASES: Final = {"permissions": "node-permissions", "path-length": "path-max", "quota": "nodes"}
"""Other spellings, of documents and options."""

VALUE_MAX: Final = 2**32 - 1
QUIET: Final = 10.0
"""Seconds between two log lines for one domain and quota."""


class QuotaError(RequestError):
    """A refusal by a quota, of which `limit` is what it was then."""

    def __init__(self, name: str, quota: str, limit: int) -> None:
        self.quota, self.limit = quota, limit
        super().__init__(name)


def named(text: str) -> str:
    """A quota's own name; EINVAL."""
    name = ALIASES.get(text, text)
    if name not in QUOTAS:
        raise RequestError("EINVAL")
    return name


def defaults() -> dict[str, int]:
    """The limits a daemon begins with."""
    return {quota.name: quota.default for quota in QUOTAS.values()}


@dataclass(slots=True)
class Usage:
    """What a domain has now. Bytes of memory, pieces of the rest."""

    nodes: int = 0
    memory: int = 0
    watches: int = 0
    transactions: int = 0
    outstanding: int = 0


COUNTED: Final = ("nodes", "watches", "outstanding", "memory", "transactions")
"""Those that are counted over time and have a maximum; the others bound single things."""
