"""Branch: reading and changing one tree, by table."""

import pytest

import rrdstore

BAD_PATHS = {
    "": "does not start",
    "a": "does not start",
    "/a/": "empty component",
    "//": "empty component",
    "/a//b": "empty component",
    "/a\0": "NUL",
    "/\ud800": "UTF-8",
}

READERS = {
    "get": lambda place, path: place.get(path),
    "stat": lambda place, path: place.stat(path),
    "list": lambda place, path: place.list(path),
    "in": lambda place, path: path in place,
}
WRITERS = {
    "set": lambda place, path: place.set(path, b""),
    "remove": lambda place, path: place.remove(path),
}


@pytest.mark.parametrize("call", [*READERS.values(), *WRITERS.values()], ids=[*READERS, *WRITERS])
@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_a_bad_path_is_refused_everywhere_and_nothing_is_changed(store, main, call, path):
    before = main.head
    places = [main, main.transaction()]
    if call in READERS.values():
        places.append(main.at("now"))
    for place in places:
        with pytest.raises(rrdstore.InvalidPath) as refused:
            call(place, path)
        assert refused.value.path == path
        assert BAD_PATHS[path] in refused.value.reason
    assert main.head == before


@pytest.mark.parametrize("call", [*READERS.values(), *WRITERS.values()], ids=[*READERS, *WRITERS])
@pytest.mark.parametrize("path", [b"/a", None, 7, ("a",)], ids=repr)
def test_a_path_that_is_no_str_is_a_type_error(main, call, path):
    for place in (main, main.transaction()):
        with pytest.raises(TypeError):
            call(place, path)


@pytest.mark.parametrize(
    "arguments",
    [{"value": "text"}, {"value": bytearray(b"x")}, {"value": None}, {"value": 1}, {"value": b"", "meta": "text"}],
    ids=repr,
)
def test_a_value_or_meta_that_is_not_bytes_is_a_type_error(main, arguments):
    before = main.head
    for place in (main, main.transaction()):
        with pytest.raises(TypeError):
            place.set("/a", **arguments)
    assert main.head == before
    assert "/a" not in main


@pytest.mark.parametrize(
    "said", [{"message": b"bytes"}, {"author": 7}, {"opaque": "text"}, {"message": None}], ids=repr
)
def test_what_a_commit_says_has_its_types_too(main, said):
    before = main.head
    with pytest.raises(TypeError):
        main.set("/a", b"", **said)
    assert (main.head, "/a" in main) == (before, False)


@pytest.mark.parametrize("call", ["get", "stat", "list", "remove"])
def test_what_is_not_there_is_not_found_by_name(main, call):
    for place in (main, main.transaction()):
        with pytest.raises(rrdstore.NotFound) as absent:
            getattr(place, call)("/a/b")
        assert (absent.value.what, absent.value.name) == ("node", "/a/b")


def test_parents_are_made_and_are_nodes_with_nothing_in_them(main):
    commit = main.set("/a/b/c", b"1", meta=b"m")
    assert (main.get("/a"), main.get("/a/b"), main.get("/a/b/c")) == (b"", b"", b"1")
    assert (main.list("/"), main.list("/a"), main.list("/a/b/c")) == (("a",), ("b",), ())
    node, parent = main.stat("/a/b/c"), main.stat("/a/b")
    assert (node.value, node.meta, node.created, node.modified) == (b"1", b"m", commit.number, commit.number)
    assert (parent.value, parent.meta, parent.children) == (b"", b"", 1)
    assert "/a/b" in main
    assert "/a/x" not in main


def test_meta_stays_unless_it_is_given(main):
    first = main.set("/a", b"1", meta=b"m")
    second = main.set("/a", b"2")
    node = main.stat("/a")
    assert (node.value, node.meta) == (b"2", b"m")
    assert (node.created, node.modified) == (first.number, second.number)
    main.set("/a", b"2", meta=b"")
    assert main.stat("/a").meta == b""


def test_removing_takes_all_below_and_not_the_root(main):
    main.set("/a/b/c", b"1")
    main.set("/ab", b"2")
    main.remove("/a")
    assert main.list("/") == ("ab",)
    with pytest.raises(rrdstore.InvalidPath) as refused:
        main.remove("/")
    assert refused.value.path == "/"
    main.set("/", b"the root has a value")
    assert main.get("/") == b"the root has a value"


def test_names_are_kept_as_they_are_and_listed_in_order(main):
    names = ["b", "a b", "é", "\U0001f600", "A", "-", "a", *(f"n{n}" for n in range(40))]
    for name in names:
        main.set(f"/wide/{name}", name.encode())
    assert main.list("/wide") == tuple(sorted(names))
    assert all(main.get(f"/wide/{name}") == name.encode() for name in names)


def test_a_tree_in_hand_never_changes(main):
    main.set("/a/b", b"1")
    tree, node = main.tree, main.stat("/a")
    main.set("/a/c", b"2")
    main.remove("/a/b")
    assert (tree.list("/a"), tree.get("/a/b").value, tree.get("/a/c")) == (("b",), b"1", None)
    assert node.children == 1
    assert [found.value for found in tree.walk("/a/b/x")] == [b"", b"", b"1"]
    assert [path for path, _ in tree.descend("/")] == ["/", "/a", "/a/b"]


def test_a_commit_tells_what_it_is(home):
    with home.create("last:4") as store:
        main = store.branch("main")
        first = main.head
        home.clock.advance(1.5)
        made = main.set("/a", b"", message="boot", author="dom0")
        assert (made.message, made.author, made.branch, made.kept) == ("boot", "dom0", "main", True)
        assert (made.number, made.parents, made.kept_parents) == (first.number + 1, (first.id,), (first.id,))
        assert (made.wall - first.wall).total_seconds() == (made.time - first.time).total_seconds() == 1.5
        assert made.time.utcoffset().total_seconds() == 0
        assert made.thinned == 0
        assert made.digest == main.tree.digest() != first.digest
        assert made.id.split("-")[0] == str(made.number)
        assert (made, hash(made)) == (main.head, hash(main.head))
        assert made != first
        assert made.id in repr(made)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("x" * 500, "x" * 112),
        ("é" * 500, "é" * 56),
        ("ab\U0001f600" * 100, ("ab\U0001f600" * 19)[:-1]),
        ("\ud800 alone", "? alone"),
        ("two\nlines\0", "two\nlines\0"),
    ],
    ids=ascii,
)
def test_a_message_is_cut_to_what_a_record_holds_the_same_in_every_storage(main, said, kept):
    assert main.set("/a", b"", message=said).message == kept
    assert len(main.set("/a", b"", author=said).author.encode()) <= 40


def test_equal_content_is_equal_whatever_made_it(store, main):
    other = store.branch("other", create=True)
    for n in range(40):
        main.set(f"/w/{n}", b"1")
        other.set(f"/w/{39 - n}", b"1")
    assert main.tree == other.tree
    other.set("/w/x", b"")
    other.remove("/w/x")
    assert main.tree.digest() == other.tree.digest()
    other.set("/w/1", b"2")
    assert main.tree != other.tree
