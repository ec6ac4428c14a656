"""Commits each of which closes a bucket of a tier, as where one is made a minute: each is told to history at once."""

import sys

import pytest

import rrdstore
from rrdstore.store import run
from rrdstore.testing import ManualClock

MOST, MOST_IN_MEMORY = 50.3, 44.3
"""Python calls of a commit that closes a bucket, the manual clock's among them."""


@pytest.mark.parametrize(
    ("in_file", "where", "after", "made"),
    [
        (False, "linked", True, False),
        (False, "admit", False, False),
        (False, "admit", True, True),
        (True, "write", False, False),
        (True, "write", True, True),
        (True, "linked", False, True),
        (True, "admit", False, True),
        (True, "admit", True, True),
    ],
)
def test_an_interrupt_of_a_commit_that_closes_a_bucket(tmp_path, monkeypatch, in_file, where, after, made):
    """History is told of it at once: it is there whole, or the one before is the head still."""
    clock = ManualClock()
    if in_file:
        store = rrdstore.create(tmp_path / "s.rrdb", "8MiB", "last:5 1s:1m", clock=clock)
    else:
        store = rrdstore.memory("last:5 1s:1m", clock=clock)
    with store:
        main = store.branch("main")
        for n in range(9):
            clock.advance(2)
            main.set("/a", b"%d" % n)
        assert store.ledger.run.branch
        owner = {"write": store.ledger.storage, "admit": store.ledger, "linked": run}[where]
        real = getattr(owner, where)

        def interrupted(*arguments, **more):
            monkeypatch.setattr(owner, where, real)  # Being again what the journal has takes the same way.
            if after:
                real(*arguments, **more)
            raise KeyboardInterrupt

        monkeypatch.setattr(owner, where, interrupted)
        clock.advance(2)
        with pytest.raises(KeyboardInterrupt):
            main.set("/a", b"interrupted")
        now, number = main.get("/a"), main.head.number
        assert (now, number) == ((b"interrupted", 11) if made else (b"8", 10))
        clock.advance(2)
        main.set("/a", b"after")
        assert [one.number for one in main.log()] == list(range(number + 1, 0, -1))
        assert (main.get("/a"), main.at(str(number)).get("/a"), store.check()) == (b"after", now, [])


def test_history_is_told_at_once_of_a_commit_that_closes_a_bucket_and_the_tree_is_its_own():
    clock = ManualClock()
    with rrdstore.memory("last:3 1m:10", clock=clock) as store:
        main, run = store.branch("main"), store.ledger.run
        main.set("/a/b", b"")
        roots = []
        for n in range(6):
            clock.advance(60)
            main.set("/a/b", b"%d" % n)
            assert run.branch, "each begins a run that takes the next"
            assert not run.records
            assert run.root not in roots
            roots.append(run.root)
        main.set("/a/b", b"in the same minute")
        assert len(run.records) == 1
        assert [main.at(str(3 + n)).tree.root for n in range(6)] == roots
        assert [root.kids.names["a"].kids.names["b"].value for root in roots] == [b"%d" % n for n in range(6)]


@pytest.mark.skipif(rrdstore.BUILD == "compiled", reason="compiled, a call is none of Python's")
@pytest.mark.parametrize("in_file", [False, True], ids=["memory", "file"])
def test_a_commit_a_minute_takes_few_calls(tmp_path, in_file):
    """Time is no test, but calls are: they are most of what a commit costs."""
    clock = ManualClock()
    store = rrdstore.create(tmp_path / "s.rrdb", "8MiB", clock=clock) if in_file else rrdstore.memory(clock=clock)
    with store:
        main, found = store.branch("main"), 0

        def seen(frame, event, argument):
            nonlocal found
            found += event == "call"

        for n in range(600):
            clock.advance(60)
            if n == 400:
                sys.setprofile(seen)
            main.set(f"/d{n % 7}/k{n % 9}", b"%d" % n)
        sys.setprofile(None)
        most = MOST if in_file else MOST_IN_MEMORY
        assert 0.95 * most < found / 200 <= most
