"""A rule broken on purpose: what to change where, and whose tests should see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    rule: int
    name: str
    edits: tuple[tuple[str, str, str], ...]
    """File below rrdstore/, the text, what it becomes."""
    tests: str
    """Those of the rule, below tests/, beside the machine."""


def broken(rule: int, name: str, tests: str, *edits: tuple[str, str, str]) -> Mutation:
    return Mutation(rule, name, edits, tests)
