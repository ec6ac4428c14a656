"""What is the same in many nodes is one object: names, of which ten thousand domains have the same, and metadata.

Rule: what is long is not remembered, as who writes chooses it; of the others the latest are. Cost: O(length).
"""

from __future__ import annotations

from functools import lru_cache

REMEMBERED = 128
"""The longest name or metadata that is remembered."""

_one = lru_cache(maxsize=8192)(str)  # which gives a str as it is


def shared(name: str) -> str:
    """The same name as one object, wherever it stands: ten thousand domains have a "state" each."""
    return _one(name) if len(name) <= REMEMBERED else name


_one_meta = lru_cache(maxsize=8192)(bytes)


def shared_meta(meta: bytes) -> bytes:
    """The same for metadata, of which there are few that differ."""
    return _one_meta(meta) if len(meta) <= REMEMBERED else meta
