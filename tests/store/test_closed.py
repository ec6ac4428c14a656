"""What is closed or may only be read says so, whatever is asked of it."""

import pytest

import rrdstore

CHANGES = {
    "set": lambda store, main: main.set("/a", b""),
    "remove": lambda store, main: main.remove("/there"),
    "fork": lambda store, main: main.fork("x"),
    "branch": lambda store, main: store.branch("x", create=True),
    "delete_branch": lambda store, main: store.delete_branch("work"),
    "merge": lambda store, main: main.merge("work"),
    "tag": lambda store, main: store.tag("x", "t"),
    "untag": lambda store, main: store.untag("t"),
    "pin": lambda store, main: store.pin("t"),
    "unpin": lambda store, main: store.unpin("t"),
    "tick": lambda store, main: store.tick(),
    "transaction": lambda store, main: write(main),
    "update": lambda store, main: main.update(lambda tx: tx.set("/a", b"")),
}
READS = {
    "get": lambda store, main: main.get("/there"),
    "stat": lambda store, main: main.stat("/there"),
    "list": lambda store, main: main.list("/"),
    "in": lambda store, main: "/there" in main,
    "tree": lambda store, main: main.tree,
    "head": lambda store, main: main.head,
    "log": lambda store, main: list(main.log()),
    "at": lambda store, main: main.at("now"),
    "branch": lambda store, main: store.branch("main"),
    "branches": lambda store, main: store.branches,
    "tags": lambda store, main: store.tags,
    "pins": lambda store, main: store.pins,
    "diff": lambda store, main: list(store.diff("t", "now")),
    "plan": lambda store, main: store.plan(),
    "explain": lambda store, main: store.explain("t"),
    "info": lambda store, main: store.info(),
    "check": lambda store, main: store.check(),
    "watch": lambda store, main: main.watch("/", print),
}


def write(main):
    with main.transaction() as tx:
        tx.set("/a", b"")


def furnished(home):
    store = home.create("last:8")
    main = store.branch("main")
    main.set("/there", b"1")
    store.tag("t", main.head)
    store.pin(main.head)
    main.fork("work").set("/w", b"")
    return store, main


@pytest.mark.parametrize("use", [*CHANGES.values(), *READS.values()], ids=[*CHANGES, *READS])
def test_a_closed_store_does_nothing_and_says_so(home, use):
    store, main = furnished(home)
    store.close()
    store.close()
    with pytest.raises(rrdstore.Closed):
        use(store, main)


def test_what_was_in_hand_when_the_store_was_closed(home):
    store, main = furnished(home)
    snapshot, tx, commit, watch = main.at("now"), main.transaction(), main.head, main.watch("/", print)
    store.close()
    for use in (lambda: snapshot.get("/there"), lambda: tx.get("/there"), tx.commit, lambda: commit.digest):
        with pytest.raises(rrdstore.Closed):
            use()
    tx.abort()
    snapshot.close()
    watch.close()
    assert (commit.number, commit.message, snapshot.commit) == (2, "", commit)


def test_a_store_as_a_context_closes_itself_whatever_happens(home):
    with pytest.raises(ZeroDivisionError), home.create("last:8") as store:
        raise ZeroDivisionError
    with pytest.raises(rrdstore.Closed):
        store.info()


@pytest.mark.parametrize("use", CHANGES.values(), ids=CHANGES)
def test_a_store_opened_to_be_read_is_not_changed(lasting, use):
    furnished(lasting)[0].close()
    with lasting.open(readonly=True) as store:
        main = store.branch("main")
        head = main.head
        with pytest.raises(rrdstore.ReadOnly) as refused:
            use(store, main)
        assert "store" in refused.value.what
        assert (main.head, list(store.branches), list(store.tags)) == (head, ["main", "work"], ["t"])
        assert "/a" not in main


@pytest.mark.parametrize("use", READS.values(), ids=READS)
def test_and_everything_can_be_read_there(lasting, use):
    furnished(lasting)[0].close()
    with lasting.open(readonly=True) as store:
        use(store, store.branch("main"))
        with store.branch("main").transaction() as tx:
            assert tx.get("/there") == b"1"
