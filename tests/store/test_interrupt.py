"""Ctrl-C at a bad moment: what the journal or the file has got is made, once, and the store goes on."""

from __future__ import annotations

import pytest

import rrdstore


def numbers(store):
    return [commit.number for commit in store.branch("main").log()]


def interrupt_once(monkeypatch, owner, name, *, after):
    """Have the method raise KeyboardInterrupt at its next call, after it was done or instead."""
    real = getattr(owner, name)

    def interrupted(*args, **kwargs):
        monkeypatch.setattr(owner, name, real)
        if after:
            real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize(
    ("owner", "name", "after", "made"),
    [
        ("storage", "append", False, False),
        ("storage", "append", True, True),
        ("ledger", "admit", False, True),
        ("ledger", "admit", True, True),
    ],
)
def test_a_commit_is_made_once_or_not_at_all(tmp_path, monkeypatch, owner, name, after, made):
    path = tmp_path / "host.rrdb"
    with rrdstore.create(path, size="8MiB", keep="last:32") as store:
        main = store.branch("main")
        main.set("/before", b"1")
        interrupt_once(monkeypatch, store.ledger if owner == "ledger" else store.ledger.storage, name, after=after)
        # A transaction's commit is admitted at once; those of a run are in tests/store/test_run.py.
        with pytest.raises(KeyboardInterrupt), main.transaction() as tx:
            tx.set("/during", b"1")
        assert ("/during" in main) is made
        main.set("/after", b"1")
        known, names = numbers(store), main.list("/")
        assert len(known) == len(set(known)) == 3 + made
    with rrdstore.open(path) as again:
        assert (numbers(again), again.branch("main").list("/")) == (known, names)
        assert again.check() == []


@pytest.mark.parametrize("written", [False, True])
def test_a_commit_past_the_journal_whose_disk_fails_is_refused_if_it_is_not_there(tmp_path, monkeypatch, written):
    """It was refused, and there, where the disk failed only after all was written."""
    path = tmp_path / "host.rrdb"
    with rrdstore.create(path, size="2MiB", keep="last:8") as store:
        main, ledger = store.branch("main"), store.ledger
        main.set("/a", b"before")
        run = ledger.ticks.run

        def fails(*args, **kwargs):
            monkeypatch.setattr(ledger.ticks, "run", run)
            if written:
                run(*args, **kwargs)
            raise rrdstore.Unwritable(str(path), "disk I/O error")

        monkeypatch.setattr(ledger.ticks, "run", fails)
        monkeypatch.setattr(ledger.holding, "settled", lambda _: False)
        large = b"l" * 21_000
        if written:
            made = main.set("/a", large)
            assert (made.number, main.head.number) == (3, 3)
        else:
            with pytest.raises(rrdstore.Unwritable):
                main.set("/a", large)
        assert main.get("/a") == (large if written else b"before")
        assert main.set("/b", b"1").number == 3 + written
    with rrdstore.open(path) as again:
        assert again.branch("main").get("/a") == (large if written else b"before")
        assert again.check() == []


@pytest.mark.parametrize("after", [False, True])
def test_what_history_is_told_of_is_not_lost(tmp_path, monkeypatch, after):
    """It was: the run was given up first, and the next commit stood on what came before it."""
    path = tmp_path / "host.rrdb"
    with rrdstore.create(path, size="8MiB", keep="last:3") as store:
        main = store.branch("main")
        for number in range(8):
            main.set("/a", b"%d" % number)
        interrupt_once(monkeypatch, store.ledger._history, "admit", after=after)
        with pytest.raises(KeyboardInterrupt):
            list(main.log())
        assert main.get("/a") == b"7"
        main.set("/b", b"1")
        known = numbers(store)
    with rrdstore.open(path) as again:
        assert (again.branch("main").get("/a"), again.branch("main").get("/b")) == (b"7", b"1")
        assert numbers(again) == known
        assert again.check() == []


@pytest.mark.parametrize(
    ("owner", "name", "after", "made"),
    [
        ("storage", "append", False, False),
        ("storage", "append", True, True),
        ("history", "tag", False, True),
        ("history", "tag", True, True),
    ],
)
def test_a_tag_is_made_once_or_not_at_all(tmp_path, monkeypatch, owner, name, after, made):
    path = tmp_path / "host.rrdb"
    with rrdstore.create(path, size="8MiB", keep="last:32") as store:
        main = store.branch("main")
        main.set("/before", b"1")
        interrupt_once(
            monkeypatch, store.ledger.history if owner == "history" else store.ledger.storage, name, after=after
        )
        with pytest.raises(KeyboardInterrupt):
            store.tag("during", main.head)
        assert ("during" in store.tags) is made
        main.set("/after", b"1")
        store.tag("after", main.head)
        known = {tag: commit.number for tag, commit in store.tags.items()}
    with rrdstore.open(path) as again:
        assert {tag: commit.number for tag, commit in again.tags.items()} == known
        assert again.check() == []


@pytest.mark.parametrize(
    ("name", "after"),
    [("begin", False), ("_store", False), ("_outline", False), ("_end", False), ("_end", True), ("_reaping", False)],
)
def test_a_tick_is_done_or_done_again(tmp_path, monkeypatch, name, after):
    path = tmp_path / "host.rrdb"
    with rrdstore.create(path, size="8MiB", keep="last:3") as store:
        main = store.branch("main")
        for n in range(9):
            main.set("/n", b"%d" % n)
        interrupt_once(monkeypatch, store.ledger.storage._ticks, name, after=after)
        with pytest.raises(KeyboardInterrupt):
            store.tick()
        for n in range(9, 12):
            main.set("/n", b"%d" % n)
        store.tick()
        assert (main.get("/n"), len(numbers(store)), store.check()) == (b"11", 3, [])
    with rrdstore.open(path) as again:
        assert (again.branch("main").get("/n"), len(numbers(again)), again.check()) == (b"11", 3, [])
