"""What entries say in brief, paths that go on from each other and authors that come again, is read as it was."""

import struct
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.history.commit import Edit, Key
from rrdstore.storage import entries, locking, ring, rings
from tests.storage.test_journal import ENTRIES, REFS, SIZE, TEXT, UUID, entry, recovered, stored


@given(ENTRIES, st.lists(st.sampled_from(["a", "b", "/", "é"]), min_size=1, max_size=9), st.data())
def test_paths_that_go_on_from_each_other_come_back_as_they_were(one, parts, drawn):
    """Whatever their order, with removals and with what only looks as if it went on."""
    paths = ["/" + "/".join(filter(None, "".join(parts[:end]).split("/"))) for end in range(1, len(parts) + 1)]
    values = st.none() | st.binary(max_size=3)
    edits = tuple(Edit(path, drawn.draw(values)) for path in drawn.draw(st.permutations(paths)))
    one = one._replace(edits=edits, meeting=None)
    data = entries.encode(one)
    assert ring.decode(data) == one
    spelled_out = sum(13 + len(edit.path.encode()) + len(edit.value or b"") for edit in edits)
    assert entries.is_new(one) is (len(data) < len(entries.encode(one._replace(edits=()))) + spelled_out)


def test_a_chain_of_levels_takes_its_length_and_not_its_square():
    edits = tuple(Edit("/a" * level, b"", b"n5\0") for level in range(1, 901))
    one = entry(5)._replace(edits=edits)
    assert len(entries.encode(one)) < 900 * 20
    assert ring.decode(entries.encode(one)) == one


@given(
    ENTRIES.map(lambda one: one._replace(meeting=None, opaque=b"", edits=one.edits[:1])),
    st.integers(-(1 << 32), 1 << 32),
    TEXT,
    st.booleans(),
)
def test_a_commit_in_brief_comes_back_as_it_was(one, lag, before, same):
    number, epoch, path = one.number, one.epoch, one.edits[0].path if one.edits else ""
    one = one._replace(
        parents=(Key(number - 1, epoch),), branch=one.branch >> 31, rt=one.rt >> 1, wall=(one.rt >> 1) + lag,
        message=one.message + path, author=before if same else one.author,
    )  # fmt: skip
    data = entries.encode(one, before)
    assert ring.decode(data, before) == one
    brief = len(one.edits) == 1 and one.edits[0].value is not None and one.branch < 1 << 32
    assert any(data[6:8]) is (brief and -(1 << 31) <= lag < 1 << 31)
    if any(data[6:8]):
        assert len(data) < len(entries.encode(one)) - 25 - len(path.encode())
        for wrong in (
            data[:-1],
            data + b"\0",
            data[:6] + bytes([data[6] | 16]) + data[7:],
            data[:7] + b"\1" + data[8:],
        ):
            with pytest.raises((ValueError, struct.error)):
                ring.decode(wrong, before)
        if data[6] & 2:
            with pytest.raises(ValueError, match="the author of nothing"):
                ring.decode(data)


BRIEF = st.integers(1, 9).map(lambda number: entry(number)._replace(opaque=b""))


@given(st.lists(st.one_of(BRIEF, BRIEF, BRIEF, ENTRIES, REFS), min_size=2, max_size=12), st.data())
def test_who_made_a_commit_is_read_as_it_was_whatever_lies_before_it(made, drawn):
    """Cuts, nets and what is no commit between commits of one author: each is told from where it can be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s-ring"
        descriptor = locking.lock(path, make=True)
        rings.fill(descriptor, path, SIZE, UUID, generation=1)
        opened = rings.attach(descriptor, path, SIZE, UUID, readonly=False)
        assert recovered(opened, 1) == []
        begin, since = (1, ring.START), []
        for one in made:
            what = drawn.draw(st.sampled_from(["", "cut", "end", "net", "again"]))
            if what == "cut":
                opened.cut()
            elif what == "end":
                stored(opened)
                begin, since = opened.rest(), []
            elif what == "net":
                assert opened.put_off(b"net", gains=False, flush=False)
                since = []
            elif what == "again":
                assert recovered(opened, *begin) == since
            assert opened.append(one)
            since.append(one)
        reader = rings.reader(path, SIZE, UUID)
        assert recovered(reader, *begin) == since
        reader.close()
        opened.close()
