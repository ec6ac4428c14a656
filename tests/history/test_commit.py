"""Commits: ids by their definition, and texts cut to what a record holds."""

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Key, Record, commit_id, cut

numbers = st.integers(1, (1 << 48) - 1)


@given(st.binary(min_size=16, max_size=16), numbers, st.integers(1, 1 << 31))
def test_an_id_is_the_number_and_its_proof(uuid, number, epoch):
    text = uuid + epoch.to_bytes(8, "little") + number.to_bytes(8, "little")
    assert commit_id(uuid, Key(number, epoch)) == f"{number}-{blake3(text).hexdigest()[:8]}"


def test_ids_differ_by_store_number_and_epoch():
    ids = {commit_id(bytes([n]) * 16, Key(number, epoch)) for n in (0, 1) for number in (1, 2) for epoch in (1, 2)}
    assert len(ids) == 8


@given(st.text(max_size=200), st.integers(1, 150))
def test_a_cut_text_is_the_longest_beginning_that_fits(text, limit):
    fits = text.encode(errors="replace").decode()
    while len(fits.encode()) > limit:
        fits = fits[:-1]
    assert cut(text, limit) == fits


@given(st.text(st.characters(codec=None), max_size=60))
def test_whatever_text_it_is_it_can_be_written(text):
    assert cut(cut(text, MESSAGE_BYTES), MESSAGE_BYTES) == cut(text, MESSAGE_BYTES)
    assert len(cut(text, AUTHOR_BYTES).encode()) <= AUTHOR_BYTES


@pytest.mark.parametrize("text", [b"bytes", None, 1, b""])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TypeError):
        cut(text, 10)


def test_a_record_is_stored_once_it_has_a_top():
    record = Record(3, 1, 1, (Key(2, 1),), 10, 11, "author", "message", None)
    assert (record.key, record.stored, record.grafts, record.thinned) == (Key(3, 1), False, (), 0)
    record.top = 1
    assert record.stored
