"""Permission lists: parsing, what they allow, what children inherit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsadapter.engine import permissions
from xsadapter.engine.permissions import READ, WRITE
from xsadapter.errors import RequestError

texts = st.lists(
    st.tuples(st.sampled_from("nrwb"), st.integers(0, 65535)).map(lambda pair: f"{pair[0]}{pair[1]}".encode()),
    min_size=1,
    max_size=6,
)


@given(texts)
def test_a_list_comes_back_as_it_was_set(written):
    meta = permissions.pack(permissions.parse(written))
    assert permissions.text(meta) == b"".join(text + b"\0" for text in written)
    assert permissions.entries(meta) == permissions.parse(written)


@given(texts, st.integers(0, 65535), st.sampled_from([READ, WRITE, READ | WRITE]))
def test_the_owner_or_the_first_entry_or_the_default_decides(written, domid, rights):
    meta = permissions.pack(permissions.parse(written))
    letters = {"n": "", "r": "r", "w": "w", "b": "rw"}
    listed = [(text[:1].decode(), int(text[1:])) for text in written]
    wanted = {READ: "r", WRITE: "w", READ | WRITE: "rw"}[rights]
    if listed[0][1] in {domid, 32757}:
        expected = True
    else:
        named = [letter for letter, who in listed[1:] if who in {domid, 32757}]
        expected = set(wanted) <= set(letters[named[0] if named else listed[0][0]])
    assert permissions.allows(meta, (domid,), rights) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [b""],
        [b"r"],
        [b"x5"],
        [b"R5"],
        [b"r-1"],
        [b"r+1"],
        [b"r 1"],
        [b"r1 "],
        [b"r1_0"],
        [b"r65536"],
        [b"r999999"],
        [b"r0x5"],
        [b"n0", b""],
        [b"r\xd9\xa5"],
    ],
)
def test_what_is_no_list(wrong):
    with pytest.raises(RequestError) as caught:
        permissions.parse(wrong)
    assert caught.value.name == "EINVAL"


def test_a_node_without_metadata_belongs_to_domain_0():
    assert permissions.text(b"") == b"n0\0"
    assert permissions.owner(b"") == 0
    assert not permissions.allows(b"", (5,), READ)


def test_children_copy_their_parent_and_an_unprivileged_creator_owns_them():
    assert permissions.inherited(b"r3\0w7\0", None) == b"r3\0w7\0"
    assert permissions.inherited(b"r3\0w7\0", 5) == b"r5\0w7\0"
    assert permissions.inherited(b"", None) == b"n0\0"


def test_equal_lists_are_one_object():
    first = permissions.pack(permissions.parse([b"n0", b"r4242"]))
    assert permissions.pack(permissions.parse([b"n0", b"r4242"])) is first
    assert permissions.inherited(b"n7\0r4242\0", 0) is first
