"""Series of whole stores: what was recorded survives everything, and never takes more room."""

import shutil
import sqlite3
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore import interchange
from rrdstore.errors import Corrupt, SeriesError, TooSmall
from rrdstore.policy import parse
from rrdstore.series import CONSOLIDATIONS, parse_series
from rrdstore.store.ledger import Ledger
from rrdstore.store.store import Store
from rrdstore.testing import ManualClock
from rrdstore.testing.journalled import Disk, Failed, Journalled
from tests.series.oracle import consolidated
from tests.series.test_recording import samples

KEEP = "last:3 1s:6 3s:1m 1m:10m"
DECLARED = ["/s/*:3"]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["/s/a", "/s/b", "/s/c", "/x"]),
        st.sampled_from([b"1", b"2.5", b"-7", b"nan", b"x", None]),
        st.sampled_from([0, 0.3, 1, 2.5, 7, 200]),
        st.sampled_from(["", "", "", "tick", "crash", "reopen", "broken tick", "merge", "jump"]),
    ),
    max_size=40,
)


def micros(moment):
    return int(moment.timestamp() * 1_000_000 + 0.5)


def truth(store, changes, now):
    """Every row of every path against the definition."""
    for cf in CONSOLIDATIONS:
        for tier in parse(KEEP).tiers[1:]:
            found = store.series("/s/*", cf, step=str(tier.step))
            for at, path in enumerate(found.paths):
                own = samples(changes, path, now)
                for start, got in zip(found.times.astype(np.int64).tolist(), found.values[:, at], strict=True):
                    wanted = consolidated(own, start, start + tier.step.length, cf)
                    assert got == pytest.approx(wanted, abs=1e-6, nan_ok=True), (path, cf, tier, start)


@settings(max_examples=25, deadline=None)
@given(MOVES)
def test_series_survive_ticks_crashes_openings_and_ticks_that_break(moves):
    clock, changes = ManualClock(), []
    disk = Disk(declared=parse_series(DECLARED, parse(KEEP)).text())
    store = Store.begin(Journalled(disk), clock, "journalled", KEEP)
    for path, value, gap, event in moves:
        clock.advance(gap)
        if event == "jump":
            clock.jump_wall(500 if gap else -300)
        main = store.branch("main")
        if value is None:
            if path in main:
                changes.append((micros(main.remove(path).time), [(path, None, None)]))
        elif event == "merge" and "work" not in store.branches:
            work = main.fork("work")
            work.set(path, value)
            clock.advance(1)
            commit = main.merge("work")
            changes.append((micros(commit.time), [(path, value, None)]))
            store.delete_branch("work")
        else:
            changes.append((micros(main.set(path, value).time), [(path, value, None)]))
        if event == "tick":
            store.tick()
        elif event == "reopen":
            store.close()
            store = Store(Ledger(Journalled(disk), clock, "journalled"))
        elif event in {"crash", "broken tick"}:
            if event == "broken tick":
                store.ledger.storage.fail_tick = True
                with suppress(Failed):
                    store.tick()
            disk = disk.image()
            store = Store(Ledger(Journalled(disk), clock, "journalled"))
    truth(store, changes, store.ledger.now())


def test_what_a_power_failure_leaves_is_right_or_unknown():
    clock, changes = ManualClock(), []
    disk = Disk(declared=parse_series(DECLARED, parse(KEEP)).text())
    store = Store.begin(Journalled(disk), clock, "journalled", KEEP)
    for n in range(9):
        clock.advance(1)
        changes.append((micros(store.branch("main").set("/s/a", b"%d" % n).time), [("/s/a", b"%d" % n, None)]))
    store.tick()
    image = clock.wall()
    for n in range(4):
        clock.advance(1)
        store.branch("main").set("/s/a", b"%d" % (100 + n))
    store.ledger.storage.fail_tick = True
    with pytest.raises(Failed):
        store.tick()
    lost = disk.image()
    lost.journal = []  # what follows the last tick is gone, but for cells that were on their way
    again = ManualClock(image)
    store = Store(Ledger(Journalled(lost), again, "journalled"))
    unknown = 0
    found = store.series("/s/a", "last", step="1s")
    for start, got in zip(found.times.astype(np.int64).tolist(), found.values[:, 0], strict=True):
        wanted = consolidated(samples(changes, "/s/a", image), start, start + 1_000_000, "last")
        unknown += bool(np.isnan(got))
        assert np.isnan(got) or got == wanted
    assert 0 < unknown < 6


@pytest.fixture
def grown(tmp_path):
    """A file with series, its clock and what it says."""
    clock, path = ManualClock(), str(tmp_path / "host.rrdb")
    with rrdstore.create(path, "4MiB", KEEP, series=["/s/*:3", "/t:1"], clock=clock) as store:
        main = store.branch("main")
        for n in range(400):
            clock.advance(0.7 * (n % 5))
            main.set(f"/s/{n % 4}", b"%d" % (n * n % 97))
            if n % 90 == 0:
                store.tick()
        said = everything(store)
        image = tmp_path / "image.rrdb"
        for end in ("", "-ring", "-wal"):
            shutil.copy(path + end, f"{image}{end}")
    return path, clock, said, str(image)


def everything(store):
    return {
        (cf, step): [array.tolist() for array in (found.times.astype(np.int64), np.nan_to_num(found.values, nan=-1))]
        for cf in CONSOLIDATIONS
        for step in ("1s", "3s", "1m", "5m")
        for found in [store.series("/s/*", cf, step=step)]
    }


def test_a_file_says_the_same_after_opening_a_crash_and_a_dump(grown, tmp_path):
    path, clock, said, image = grown
    for opened in (path, image):
        with rrdstore.open(opened, readonly=True, clock=clock) as store:
            assert everything(store) == said
        with rrdstore.open(opened, clock=clock) as store:
            assert everything(store) == said
            assert store.check() == []
            fills = store.info().series
    assert [(fill.used, fill.surplus) for fill in fills] == [(3, 100), (0, 0)]
    lines: list[str] = []
    with rrdstore.open(path, readonly=True, clock=clock) as store:
        interchange.dump(store, lines.append)
    with interchange.load(lines, clock=clock) as store:
        assert everything(store) == said
    with interchange.restore(tmp_path / "copy.rrdb", lines, "8MiB", clock=clock) as store:
        assert everything(store) == said
        assert store.info().series == fills
        assert store.check() == []
        again: list[str] = []
        interchange.dump(store, again.append)
    assert [line for line in again if line.startswith(('{"series', '{"column'))] == [
        line for line in lines if line.startswith(('{"series', '{"column'))
    ]


def test_a_rehearsal_records_and_keeps_nothing(grown):
    path, clock, said, _ = grown
    with rrdstore.open(path, rehearse=True, clock=clock) as store:
        clock.advance(10)
        store.branch("main").set("/s/0", b"55")
        store.tick()
        clock.advance(10)
        assert store.series("/s/0", "last", step="1s").values[-1] == 55
        assert store.branch("main").fork("w") is not None
    clock.jump_wall(-20)
    with rrdstore.open(path, readonly=True, clock=ManualClock(clock.wall())) as store:
        assert everything(store) == said


@pytest.mark.parametrize("table", ["series", "column"])
def test_a_flipped_byte_is_named(grown, table):
    path, clock, _, _ = grown
    with sqlite3.connect(path) as connection:
        row = bytearray(connection.execute(f"SELECT d FROM {table} WHERE id = 1").fetchone()[0])
        row[400] ^= 1
        connection.execute(f"UPDATE {table} SET d = ? WHERE id = 1", (bytes(row),))
    connection.close()
    if table == "column":
        with pytest.raises(Corrupt, match="table column, row 1"):
            rrdstore.open(path, clock=clock)
        return
    with rrdstore.open(path, clock=clock) as store:
        assert any("table series, row 1" in str(problem) for problem in store.check())
        with pytest.raises(Corrupt):
            store.series("/s/*", step="1s")


@pytest.mark.parametrize(
    ("pattern", "more"),
    [
        ("/s/*", {"cf": "median"}), ("/s/*", {"step": "7m", "since": "1m ago"}), ("/s/*", {"step": "x"}),
        ("/s/*", {"step": 0}), ("/s/*", {"step": True}), ("/nothing/*", {}), ("/s/99", {}), ("/s/*", {"step": "1M1"}),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(pattern, more):
    clock = ManualClock()
    with rrdstore.memory("2m:1h", series=["/s/*:3"], clock=clock) as store:
        store.branch("main").set("/s/1", b"5")
        with pytest.raises(SeriesError):
            store.series(pattern, **more)
        assert store.series("/s/*").values.shape[1] == 1
    with rrdstore.memory("2m:1h") as store, pytest.raises(SeriesError):
        store.series("/s/*")


def test_a_declared_pattern_without_a_path_has_no_columns():
    with rrdstore.memory("2m:1h", series=["/s/*:3"]) as store:
        found = store.series("/s/*", since="10m ago")
        assert found.paths == ()
        assert found.values.shape == (len(found.times), 0)


def test_other_branches_have_no_series_until_they_are_merged():
    clock = ManualClock()
    with rrdstore.memory("1s:1h", series=["/s/*:3"], clock=clock) as store:
        work = store.branch("main").fork("work")
        work.set("/s/1", b"5")
        assert store.series("/s/*").paths == ()
        clock.advance(5)
        store.branch("main").merge("work")
        clock.advance(5)
        assert store.series("/s/*").paths == ("/s/1",)
        assert (store.series("/s/1").values == 5).all()


def test_a_size_too_small_is_refused_and_the_least_is_enough(tmp_path):
    with pytest.raises(TooSmall) as caught:
        rrdstore.create(tmp_path / "a.rrdb", "4MiB", series=["/s/*:100"])
    least = caught.value.least
    estimate = rrdstore.estimate(least, series=["/s/*:100"])
    assert estimate.least == least
    assert estimate.series_paths == 100
    with rrdstore.create(tmp_path / "a.rrdb", least, series=["/s/*:100"]) as store:
        assert store.info().used <= least
    with pytest.raises(TooSmall):
        rrdstore.create(tmp_path / "b.rrdb", least - (64 << 10), series=["/s/*:100"])


def test_tune_leaves_series_as_they_are(grown):
    path, clock, said, _ = grown
    with rrdstore.open(path, clock=clock) as store:
        store.tune("main", "last:5 1h:10")
        assert everything(store) == said
    with rrdstore.open(path, clock=clock) as store:
        assert everything(store) == said


def test_bytes_stay_what_they_are_however_much_is_recorded(tmp_path):
    clock, path = ManualClock(), tmp_path / "host.rrdb"
    with rrdstore.create(path, "16MiB", series=["/s/*:150"], clock=clock, sync="none") as store:
        main, size = store.branch("main"), path.stat().st_size
        for n in range(60):
            clock.advance(61 if n % 2 else 0.5)
            with main.transaction() as tx:
                for at in range(160):
                    tx.set(f"/s/{at}", b"%d" % (n * at))
            store.tick()
            info = store.info()
            assert info.used <= info.size
        assert path.stat().st_size == size
        assert store.info().series[0].surplus == 600
        assert store.check() == []
