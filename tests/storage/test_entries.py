"""Edits of a commit whose paths go on from each other are written once, and read as they were."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.history.commit import Edit
from rrdstore.storage import entries, ring
from tests.storage.test_journal import ENTRIES, entry


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
