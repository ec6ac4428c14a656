"""Which changes may use the reserve: deleting works in a full store, whatever goes with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from rrdstore.history.commit import Edit
from rrdstore.store.shrinking import shrinks

NODE = 40
paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
changes = st.lists(st.tuples(paths, st.none() | st.integers(0, 90)), min_size=1, max_size=6)


def taken(branch):
    """Bytes of all nodes."""
    return sum(NODE + len(path.rpartition("/")[2]) + len(node.value) for path, node in branch.tree.descend("/"))


@given(st.lists(st.tuples(paths, st.integers(0, 90)), max_size=6), changes)
def test_a_change_shrinks_if_the_tree_takes_no_more_after_it(before, change):
    with rrdstore.memory() as store:
        main = store.branch("main")
        main.set("/z", b"")
        for path, size in before:
            main.set(path, bytes(size))
        edits, size, root = [], taken(main), main.tree.root
        with main.transaction() as tx:
            for path, length in change:
                if length is not None:
                    tx.set(path, bytes(length))
                    edits.append(Edit(path, bytes(length)))
                elif path in tx:
                    tx.remove(path)
                    edits.append(Edit(path, None))
        removes = any(edit.value is None for edit in edits)
        # Never wrongly; and where nothing is touched twice, always rightly.
        if shrinks(root, edits) and edits:
            assert removes
            assert taken(main) <= size
        places = [edit.path for edit in edits]
        apart = not any(f"{one}/".startswith(f"{other}/") for one in places for other in places if one is not other)
        if apart and removes and len(set(places)) == len(places) and taken(main) <= size:
            assert shrinks(root, edits)


def full(store):
    """Not even a kibibyte has room any more, whatever is thinned."""
    main = store.branch("main")
    for size in (40_000, 4_000, 1_000, 100):
        number = 0
        with pytest.raises(rrdstore.StoreFull):  # noqa: PT012 - which of them is refused is the question
            while number < 1000:
                main.set(f"/big/{size}/{number}", bytes(size))
                number += 1
    with pytest.raises(rrdstore.StoreFull):  # noqa: PT012 - likewise
        for size in range(0, 60_000, 20):
            main.set("/pad", bytes(size))


def test_deleting_works_in_a_full_store_with_a_name_that_is_kept_elsewhere_too(tmp_path):
    with rrdstore.create(tmp_path / "s.rrdb", "4MiB", "last:2") as store:
        main = store.branch("main")
        with main.transaction() as tx:
            for number in range(200):
                tx.set(f"/names/{number}", b"name")
            tx.set("/index/name", b"0")
        full(store)
        with pytest.raises(rrdstore.StoreFull):
            main.change([("/index/name", b"1" * 500, None)])
        with pytest.raises(rrdstore.StoreFull):
            main.change([("/index/more", bytes(500), None), ("/names/199", None, None)])
        for number in range(199):
            main.change([("/index/name", b"%d" % (number + 1), None), (f"/names/{number}", None, None)])
        assert main.get("/index/name") == b"199"
        assert main.tree.list("/names") == ("199",)
