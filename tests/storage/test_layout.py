import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrdstore.errors import TooSmall
from rrdstore.storage import container, ringfile
from rrdstore.storage.layout import (
    CHARGE,
    FRAME,
    KEPT_A_PAGE,
    KIB,
    MIB,
    NO_SERIES,
    PAGE,
    SPARE,
    TAGS_A_PAGE,
    SeriesRoom,
    fixed_pages,
    last_frames,
    least,
    plan,
    table_pages,
)

SIZES = st.integers(1, 1 << 40)
SLOTS = st.integers(1, 1 << 16)


SERIES = st.one_of(
    st.just(NO_SERIES),
    st.tuples(st.integers(1, 1 << 20), st.integers(1, 32), st.integers(1, 2000)).map(
        lambda made: SeriesRoom(made[0], 328 + 48 * made[1], made[0] * made[2], "x")
    ),
)


def planned(size, slots, series=NO_SERIES):
    try:
        return plan(size, slots, series)
    except TooSmall:
        return None


@given(SIZES, SLOTS, SERIES)
def test_all_parts_together_never_exceed_the_size(size, slots, series):
    layout = planned(size, slots, series)
    if layout is not None:
        segment_pages = layout.segments * -(-(layout.segment - 489) // 4092) + table_pages(-(-layout.segments // 8))
        assert (fixed_pages(layout) + segment_pages) * PAGE + layout.wal + layout.shm + layout.ring <= size
        assert layout.wal // FRAME <= layout.shm // (32 * KIB) * 4096


@given(SIZES, SLOTS, SERIES)
@example(64 * MIB, 100, SeriesRoom(4000, 400, 4000, "x"))
def test_the_last_transaction_of_a_tick_fits_in_the_log(size, slots, series):
    layout = planned(size, slots, series)
    if layout is not None:
        rows = [layout.branch_rows, layout.author_rows, layout.pin_rows, layout.dying_rows]
        rows += [-(-layout.tags // TAGS_A_PAGE), -(-layout.kept_rows // KEPT_A_PAGE)]
        if layout.series.columns:
            rows.append(-(-layout.series.columns // (4028 // layout.series.record)))
        assert sum(rows) * FRAME < layout.wal
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


def test_from_the_least_size_to_64_gib_all_grows_and_memory_follows_a_formula():
    """Without creating them: a file of 64 GiB is planned in microseconds."""
    sizes = [least(871), *(MIB << power for power in range(3, 17))]
    layouts = [plan(size, 871) for size in sizes]
    for smaller, larger in itertools.pairwise(layouts):
        assert larger.room > smaller.room
        assert larger.locations > smaller.locations
        assert larger.commits >= smaller.commits
    for layout in layouts:
        assert layout.pages * PAGE + layout.wal + layout.shm + layout.ring <= layout.size
        assert layout.locations * CHARGE >= layout.segments * layout.segment - CHARGE
        assert (layout.segments * layout.segment - 1) // layout.grain + 1 < 1 << 32
        assert layout.memory == 4 * layout.locations + 8 * layout.segments + 2 * KIB * layout.kept_rows + 24 * MIB
        assert layout.memory < layout.size // 24 + 64 * MIB
    assert layouts[-1].size == 64 << 30
    assert layouts[-1].room > 0.8 * layouts[-1].size
    with pytest.raises(TooSmall) as refused:
        plan(sizes[0] - 64 * KIB, 871)
    assert refused.value.least == sizes[0]
