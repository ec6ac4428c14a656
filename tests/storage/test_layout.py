import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import TooSmall
from rrdstore.storage import container, ringfile
from rrdstore.storage.layout import (
    CHARGE,
    FRAME,
    KIB,
    MIB,
    PAGE,
    SPARE,
    fixed_pages,
    last_frames,
    least,
    plan,
    table_pages,
)

SIZES = st.integers(1, 1 << 40)
SLOTS = st.integers(1, 1 << 16)


def planned(size, slots):
    try:
        return plan(size, slots)
    except TooSmall:
        return None


@given(SIZES, SLOTS)
def test_all_parts_together_never_exceed_the_size(size, slots):
    layout = planned(size, slots)
    if layout is not None:
        segment_pages = layout.segments * -(-(layout.segment - 489) // 4092) + table_pages(-(-layout.segments // 8))
        assert (fixed_pages(layout) + segment_pages) * PAGE + layout.wal + layout.shm + layout.ring <= size
        assert layout.wal // FRAME <= layout.shm // (32 * KIB) * 4096


@given(SIZES, SLOTS)
def test_the_last_transaction_of_a_tick_fits_in_the_log(size, slots):
    layout = planned(size, slots)
    if layout is not None:
        assert last_frames(layout) * FRAME <= layout.wal


@given(SIZES, SLOTS)
def test_the_cleaner_gains_even_if_every_segment_ends_in_waste(size, slots):
    layout = planned(size, slots)
    if layout is not None:
        usable = (layout.segments - SPARE - 2) * (layout.segment - layout.piece)
        assert layout.room < usable
        assert layout.room // CHARGE < layout.locations
        assert (layout.locations + 1) * layout.segment > 0
        assert layout.segments * layout.segment // layout.grain < 1 << 32


@given(SLOTS)
def test_least_is_the_least(slots):
    size = least(slots)
    assert plan(size, slots).slots == slots
    with pytest.raises(TooSmall) as caught:
        plan(size - 64 * KIB, slots)
    assert caught.value.least == size
    assert str(size) in str(caught.value)


@given(SIZES, SLOTS, st.integers(0, 1 << 30))
def test_more_size_is_never_less_room(size, slots, more):
    small, large = planned(size, slots), planned(size + more, slots)
    if small is not None and small.segment == 64 * KIB:
        assert large is not None
        assert large.room >= small.room * 0.98


def test_the_default_policy_needs_about_four_mebibytes():
    assert 3 * MIB < least(871) < 5 * MIB


@pytest.mark.parametrize(("size", "slots"), [(least(8), 8), (2 * MIB + 4321, 64), (4 * MIB, 871), (9 * MIB, 100)])
def test_what_is_created_has_the_pages_that_the_formula_gives_at_most(tmp_path, size, slots):
    path = str(tmp_path / "s.rrdb")
    layout = plan(size, slots)
    ringfile.create(path, size, slots).close()
    held = container.connect(path, readonly=True, durable=False)
    pages = held.superblock().pages
    held.close()
    assert pages <= layout.pages
    assert layout.pages - pages <= layout.segment // PAGE + 40, "little is given away"
    assert container.file_size(path) == pages * PAGE
    assert container.file_size(path + "-ring") == layout.ring
