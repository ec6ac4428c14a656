"""What both sides of a comparison say, in the same words; and what may be said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st

import rrdstore

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.testing.merges import Rules
    from rrdstore.testing.trees import Call, Tree

KEEPS = ("last:3 1s:5s 5s:30s *:4", "last:2", "*:2", "last:1 2c:3 1s:3s@first", "1s:4s *:3", "last:8 2s:20s")
BRANCHES = ("main", "x", "y", "z")
RULES = (("/a/**", "counter"), ("/*/b", "set"), ("/c/c/**", "last"), ("/**/a", "ours"))
"""What the merges of a store under test go by."""
LEASES = (None, None, None, 5, 30)
"""How many seconds a fork merges."""
SOME_RULES: tuple[Rules, ...] = ((), (), (("/b/**", "theirs"),), (("/**", "last"),), (("/*", "ours"), ("/**", "set")))
"""Of one merge, before those of the store."""

Error = TypeVar("Error", bound=Exception)

some = st.integers(0, 1 << 16)
"""Which of those there are, modulo their number."""
name = st.sampled_from("abc")
path = st.lists(name, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
place = path | st.just("/")
value = st.sampled_from([b"", b"0", b"1"])
meta = st.none() | st.sampled_from([b"", b"m"])
named = st.sampled_from(BRANCHES)
branch = st.integers(0, 3)
"""Which of the living ones, modulo their number; main more often."""
setting = st.tuples(st.just("set"), place, value, meta)
removal = st.tuples(st.just("remove"), path)
change: st.SearchStrategy[Call] = st.one_of(setting, removal)
gaps = st.sampled_from([0, 0.1, 0.5, 1.5, 7])
look = st.tuples(st.sampled_from(["get", "stat", "list", "in"]), place)
rules = st.sampled_from(SOME_RULES)
leases = st.sampled_from(LEASES)
call: st.SearchStrategy[Call] = st.one_of(setting, removal, look, look)


def content(tree: rrdstore.Tree) -> Tree:
    """A tree of the engine as one of the model."""
    return {path: (node.value, node.meta) for path, node in tree.descend()}


def microseconds(moment: datetime) -> int:
    """Since the epoch, UTC."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def refusal(expected: type[Error] | tuple[type[Error], ...], action: Callable[[], object]) -> Error:
    """The error by which `action` is refused; AssertionError if it is not."""
    try:
        done = action()
    except expected as error:
        return error
    raise AssertionError(f"done, with {done!r}; expected {expected}")


def engine_call(tx: rrdstore.Transaction, call: Call) -> object:
    """The answer of a transaction in the words of the model."""
    kind, path, *rest = call
    try:
        answer: Any = path in tx if kind == "in" else getattr(tx, kind)(path, *rest)
    except rrdstore.NotFound as error:
        return None if (error.what, error.name) == ("node", path) else error
    if kind in {"set", "remove"}:
        return True
    return (answer.value, answer.meta) if kind == "stat" else answer


def ended(tx: rrdstore.Transaction) -> tuple[rrdstore.Commit | None, rrdstore.Conflict | rrdstore.NotFound | None]:
    """The commit of a transaction, or why there is none."""
    try:
        return tx.commit(), None
    except (rrdstore.Conflict, rrdstore.NotFound) as refused:
        return None, refused
