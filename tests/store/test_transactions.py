"""Transactions: the table of what conflicts with what, and serialisability against the serial oracle."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.testing.calls import content, ended, engine_call, look, removal, setting
from rrdstore.testing.trees import EMPTY, Serial, after

START = [("set", "/a", b"0", b"m"), ("set", "/a/b", b"0", None), ("set", "/c", b"0", None)]


def prepared(store, edits=START):
    main = store.branch("main")
    with main.transaction() as tx:
        for edit in edits:
            engine_call(tx, edit)
    return main


def do(place, edit):
    kind, path, *rest = edit
    getattr(place, kind)(path, *rest)


def test_a_transaction_is_one_commit_seen_by_nobody_before(store):
    main = prepared(store)
    head = main.head
    with main.transaction(message="move", author="me") as tx:
        assert tx.start == head
        tx.set("/a", b"1")
        tx.remove("/c")
        tx.set("/d/e", b"2", meta=b"x")
        assert (tx.get("/a"), tx.list("/"), "/c" in tx, tx.stat("/d/e").meta) == (b"1", ("a", "d"), False, b"x")
        assert (main.get("/a"), main.list("/")) == (b"0", ("a", "c"))
        assert main.head == head
    made = main.head
    assert (made.parents, made.message, made.author) == ((head.id,), "move", "me")
    assert content(main.tree) == after(
        EMPTY, [*START, ("set", "/a", b"1", None), ("remove", "/c"), ("set", "/d/e", b"2", b"x")]
    )
    assert main.stat("/d").created == made.number


@pytest.mark.parametrize("moved", [False, True])
def test_missing_parents_get_the_meta_that_is_asked_for(store, moved):
    main = prepared(store)
    with main.transaction() as tx:
        tx.set("/a/x/y/z", b"1", meta=b"own", parents=b"theirs")
        tx.set("/a/x/w", b"2", meta=b"own", parents=b"theirs")
        tx.set("/a/v/w", b"3", parents=b"theirs")
        tx.set("/c", b"4", parents=b"theirs")
        if moved:
            main.set("/elsewhere", b"")
    expected = [
        *START, ("set", "/a/x", b"", b"theirs"), ("set", "/a/x/y", b"", b"theirs"), ("set", "/a/x/y/z", b"1", b"own"),
        ("set", "/a/x/w", b"2", b"own"), ("set", "/a/v", b"", b"theirs"), ("set", "/a/v/w", b"3", None),
        ("set", "/c", b"4", None), *([("set", "/elsewhere", b"", None)] if moved else []),
    ]  # fmt: skip
    assert content(main.tree) == after(EMPTY, expected)


def test_parents_that_somebody_else_made_meanwhile_are_a_conflict(store):
    main = prepared(store)
    with pytest.raises(rrdstore.Conflict) as conflict, main.transaction() as tx:  # noqa: PT012 - a body, to its end
        tx.set("/n/m/l", b"1", parents=b"mine")
        main.set("/n", b"theirs")
    assert conflict.value.paths == ("/n",)
    assert main.get("/n") == b"theirs"
    with pytest.raises(TypeError), main.transaction() as tx:
        tx.set("/o/p/q", b"1", parents="text")


def test_a_body_that_raises_commits_nothing_and_ends_it(store):
    main = prepared(store)
    head = main.head
    with pytest.raises(ZeroDivisionError), main.transaction() as tx:  # noqa: PT012 - a body, to its end
        tx.set("/a", b"1")
        raise ZeroDivisionError
    assert (main.head, main.get("/a")) == (head, b"0")
    with pytest.raises(rrdstore.Closed):
        tx.get("/a")


def test_a_body_that_writes_nothing_commits_nothing_but_checks_what_it_read(store):
    main = prepared(store)
    with main.transaction() as tx:
        tx.get("/a")
    assert tx.start == main.head
    reader = main.transaction()
    reader.get("/a")
    made = main.set("/c", b"1")
    assert reader.commit() == made
    reader = main.transaction()
    reader.get("/a")
    main.set("/a", b"1")
    with pytest.raises(rrdstore.Conflict):
        reader.commit()


@pytest.mark.parametrize(
    "use",
    [
        lambda tx: tx.get("/a"),
        lambda tx: tx.stat("/a"),
        lambda tx: tx.list("/a"),
        lambda tx: "/a" in tx,
        lambda tx: tx.set("/a", b""),
        lambda tx: tx.remove("/a"),
        lambda tx: tx.note("/a", "value"),
        lambda tx: tx.tree,
        lambda tx: tx.commit(),
    ],
)
@pytest.mark.parametrize("end", ["commit", "abort"])
def test_an_ended_transaction_takes_nothing_more(store, use, end):
    main = prepared(store)
    tx = main.transaction()
    getattr(tx, end)()
    tx.abort()
    with pytest.raises(rrdstore.Closed):
        use(tx)


READS = {
    "value": lambda tx: tx.get("/a"),
    "node": lambda tx: tx.stat("/a"),
    "list": lambda tx: tx.list("/a"),
    "there": lambda tx: "/a" in tx,
    "not there": lambda tx: "/x/y" in tx,
    "removed": lambda tx: tx.remove("/a"),
    "own": lambda tx: (tx.set("/a", b"9", meta=b"9"), tx.stat("/a")),
    "blind": lambda tx: tx.set("/a", b"9"),
    "noted meta": lambda tx: tx.note("/a", "meta"),
    "by tree": lambda tx: tx.tree.get("/a"),
}
CHANGES = {
    "value": ("set", "/a", b"1"),
    "meta": ("set", "/a", b"0", b"other"),
    "child": ("set", "/a/new", b""),
    "below": ("set", "/a/b", b"1"),
    "removed": ("remove", "/a"),
    "made": ("set", "/x/y", b""),
    "near": ("set", "/x", b""),
    "elsewhere": ("set", "/c", b"1"),
}
CONFLICTS = {
    ("value", "value"), ("value", "removed"),
    ("node", "value"), ("node", "meta"), ("node", "child"), ("node", "removed"),
    ("own", "child"), ("own", "removed"),  # how many children it had was not its own doing
    ("list", "child"), ("list", "removed"),
    ("there", "removed"),
    ("not there", "made"),
    ("removed", "removed"),
    ("noted meta", "meta"), ("noted meta", "removed"),
}  # fmt: skip


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_read_and_changed_conflicts_and_nothing_else_does(store, read, change):
    main = prepared(store)
    tx = main.transaction()
    READS[read](tx)
    tx.set("/out", b"1")
    do(main, CHANGES[change])
    head = main.head
    if (read, change) in CONFLICTS:
        with pytest.raises(rrdstore.Conflict) as refused:
            tx.commit()
        assert refused.value.paths == ("/x/y" if read == "not there" else "/a",)
        assert refused.value.what == "transaction"
        assert main.head == head
        assert "/out" not in main
    else:
        tx.commit()
        assert main.get("/out") == b"1"


def test_what_was_changed_and_changed_back_did_not_change(store):
    main = prepared(store)
    tx = main.transaction()
    tx.stat("/a")
    tx.list("/a")
    tx.set("/out", b"")
    main.set("/a", b"1")
    main.set("/a/x", b"")
    main.remove("/a/x")
    main.set("/a", b"0")
    tx.commit()


def test_the_later_end_wins_a_blind_write_and_removal_covers_what_came(store):
    main = prepared(store)
    first, second, remover = main.transaction(), main.transaction(), main.transaction()
    first.set("/a", b"first")
    second.set("/a", b"second")
    remover.remove("/c")
    second.commit()
    first.commit()
    assert main.get("/a") == b"first"
    main.set("/c/new/below", b"")
    remover.commit()
    assert "/c" not in main


def test_blind_writes_keep_meta_of_the_head(store):
    main = prepared(store)
    tx = main.transaction()
    tx.set("/a", b"1")
    main.set("/a", b"x", meta=b"newer")
    tx.commit()
    assert (main.get("/a"), main.stat("/a").meta) == (b"1", b"newer")


def test_all_conflicts_are_named(store):
    main = prepared(store)
    tx = main.transaction()
    for path in ("/c", "/a", "/a/b"):
        tx.get(path)
    for path in ("/a", "/c"):
        main.set(path, b"1")
    with pytest.raises(rrdstore.Conflict) as refused:
        tx.commit()
    assert set(refused.value.paths) == {"/a", "/c"}


@pytest.mark.parametrize(
    ("path", "what", "error"), [("a", "value", rrdstore.InvalidPath), ("/a", "values", ValueError)]
)
def test_a_note_of_nothing_that_can_be_read_is_refused_when_it_is_made(store, path, what, error):
    main = prepared(store)
    tx = main.transaction()
    with pytest.raises(error):
        tx.note(path, what)
    tx.set("/out", b"")
    tx.commit()


def test_what_a_transaction_has_shown_never_changes(store):
    main = prepared(store)
    tx = main.transaction()
    tx.set("/d/x", b"1")
    tree, node = tx.tree, tx.stat("/d")
    tx.set("/d/y", b"2")
    tx.remove("/d/x")
    assert (tree.list("/d"), tree.get("/d/x").value, node.children) == (("x",), b"1", 1)
    assert tx.list("/d") == ("y",)
    tx.commit()
    assert (tree.list("/d"), main.list("/d")) == (("x",), ("y",))


def test_a_transaction_holds_its_start_however_many_commits_pass(home):
    with home.create("last:1") as store:
        main = prepared(store)
        tx = main.transaction()
        for n in range(30):
            main.set("/c", b"%d" % n)
        store.tick()
        assert tx.start.kept
        assert (tx.get("/c"), main.get("/c")) == (b"0", b"29")
        tx.abort()
        assert not tx.start.kept


class TestUpdate:
    def test_it_runs_again_until_nothing_comes_between(self, store):
        main = prepared(store)
        runs = []

        def change(tx):
            runs.append(tx.get("/a"))
            if len(runs) < 4:
                main.set("/a", b"%d" % len(runs))
            tx.set("/b", tx.get("/a"))
            return len(runs)

        assert main.update(change, message="said") == 4
        assert runs == [b"0", b"1", b"2", b"3"]
        assert (main.get("/b"), main.head.message) == (b"3", "said")

    def test_it_gives_up_with_the_conflict(self, store):
        main = prepared(store)
        runs = []

        def change(tx):
            runs.append(tx.get("/a"))
            main.set("/a", b"%d" % len(runs))
            tx.set("/b", b"")

        with pytest.raises(rrdstore.Conflict):
            main.update(change, retries=3)
        assert len(runs) == 4
        assert "/b" not in main

    def test_another_error_ends_it_at_once(self, store):
        main = prepared(store)
        head = main.head
        with pytest.raises(rrdstore.NotFound):
            main.update(lambda tx: tx.get("/absent"))
        assert main.head == head


calls = st.lists(st.tuples(st.integers(0, 2), setting | removal | look | look), max_size=16)
ends = st.permutations([0, 1, 2])


@settings(max_examples=150)
@given(calls, ends, st.lists(setting | removal, max_size=3), st.integers(0, 3))
def test_transactions_are_as_if_one_after_the_other(calls, ends, between, when):
    """Three at once, and commits of others: each that commits would have answered the same at its end.

    And none is refused needlessly: where all that it has seen of every path is as it was, it commits.
    """
    with rrdstore.memory("last:4") as store:
        main = prepared(store)
        tree = after(EMPTY, START)
        open_ones = [(main.transaction(), Serial(tree)) for _ in range(3)]
        for which, call in calls:
            tx, serial = open_ones[which]
            assert engine_call(tx, call) == serial.call(call)
        for done, which in enumerate(ends):
            if done == when:
                for edit in between:
                    if edit[0] == "set" or edit[1] in tree:
                        do(main, edit)
                        tree = after(tree, [edit])
            tx, serial = open_ones[which]
            _, conflict = ended(tx)
            if conflict:
                assert set(conflict.paths) <= {call[1] for call, _ in serial.calls}
                assert all(serial.changed(path, tree) for path in conflict.paths)
            else:
                assert serial.same_on(tree)
                tree = after(tree, serial.edits)
            assert content(main.tree) == tree


def test_how_many_children_a_node_had_was_read_by_stat(store):
    main = prepared(store)
    main.set("/a/one", b"")
    tx = main.transaction()
    assert tx.stat("/a").children == 2
    tx.set("/out", b"")
    main.set("/a/two", b"")
    with pytest.raises(rrdstore.Conflict) as refused:
        tx.commit()
    assert refused.value.paths == ("/a",)

    tx = main.transaction()
    tx.set("/new", b"")
    tx.stat("/new")
    tx.stat("/a")
    tx.set("/a/mine", b"")
    main.set("/a/two", b"changed, and as many as before")
    tx.commit()
    assert main.list("/a") == ("b", "mine", "one", "two")


def test_a_leaf_that_was_shown_stays_as_it_was(store):
    main = prepared(store)
    with main.transaction() as tx:
        tx.set("/a/leaf", b"1")
        node, tree = tx.stat("/a/leaf"), tx.tree
        tx.set("/a/leaf", b"2")
        tx.set("/a/leaf/below", b"")
        assert (node.value, node.children, tree.stat("/a/leaf").value) == (b"1", 0, b"1")
        assert (tx.get("/a/leaf"), tx.stat("/a/leaf").children) == (b"2", 1)
        directory = tx.stat("/a/leaf")
        tx.set("/a/leaf/more", b"")
        assert (directory.children, tx.stat("/a/leaf").children) == (1, 2)
