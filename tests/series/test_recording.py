"""The rings against the definitions, over random histories."""

from math import isnan

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rrdstore.errors import SeriesError
from rrdstore.policy import parse
from rrdstore.policy.step import Step
from rrdstore.series import CONSOLIDATIONS, Recording, parse_series
from rrdstore.series.fetch import fetch
from rrdstore.series.number import number
from rrdstore.tree.pattern import Pattern
from tests.series.oracle import consolidated, known

SECOND = 1_000_000
POLICIES = ["1s:5", "1s:7 5s:40s 1m:10m", "10s:2m 1h:1d 1M:1y", "last:3 2s:20s 1m:5m *:4"]
STEPS = [None, "5s", "10s", "1m", "30s", "1h", "1M", "1y"]

values = st.one_of(
    st.integers(-1000, 1000).map(lambda n: b"%d" % n),
    st.floats(-1e6, 1e6).map(lambda x: repr(x).encode()),
    st.sampled_from([b"nan", b"1e999", b"", b"inf", b"12 ", b"0x10", b"1_0", b"1e99", b"-.5e-3"]),
)
gaps = st.one_of(
    st.integers(0, 3 * SECOND),
    st.sampled_from([0, 1, SECOND // 2, SECOND, 5 * SECOND, 60 * SECOND, 3600 * SECOND]),
    st.integers(0, 4_000_000 * SECOND),
)
steps = st.tuples(gaps, st.sampled_from(["/a", "/b", "/c/x", "/c"]), st.one_of(values, st.none()))


def replayed(changes, policy, declared, every=0):
    """A recording fed with these changes; stored and loaded again after each `every` of them."""
    plan = parse_series(declared, parse(policy))
    disk, records = {}, [b""] * plan.columns

    def load(addresses):
        return b"".join(disk.get(address, bytes(40)) for address in addresses)

    recording = Recording(plan, (), load)
    for count, (rt, edits) in enumerate(changes, 1):
        recording.feed(rt, edits)
        if every and count % every == 0:
            cells, changed = recording.cut()
            if count % (2 * every) == 0:  # A tick that failed: the next has it too.
                recording.uncut()
                cells, changed = recording.cut()
            disk.update(cells)
            for index, record in changed.items():
                records[index] = record
            recording.ticked()
            recording = Recording(plan, records, load)
    assert all(0 <= address < plan.cells for address in {*disk, *recording.cells})
    return recording


def samples(changes, path, end):
    """What the definitions need of one path: (rt, value or NaN) at each commit that touched it."""
    found = []
    for rt, edits in changes:
        value = ...
        for where, data, _ in edits:
            if data is None and (path == where or path.startswith(where + "/")):
                value = float("nan")
            elif where == path and data is not None:
                value = number(data)
        if value is not ...:
            found.append((rt, value))
    return [sample for sample in found if sample[0] <= end]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.lists(steps, min_size=1, max_size=40),
    gaps,
    st.integers(0, 3),
    st.integers(-2_000_000 * SECOND, 2_000_000_000 * SECOND),
)
@example("1s:5", [(0, "/a", b"1"), (5 * SECOND, "/a", b"2")], 2 * SECOND, 1, 0)
@example("last:3 2s:20s 1m:5m *:4", [(0, "/a", b"0"), (5 * SECOND, "/a", None), (5 * SECOND, "/b", b"")], 0, 0, 2)
@example("1s:5", [(0, "/a", b"0"), (SECOND, "/a", b"0")], SECOND, 1, 0)
def test_every_row_is_what_the_definition_says(policy, moves, rest, every, origin):
    changes, rt = [], origin
    for gap, path, value in moves:
        rt += gap
        changes.append((rt, [(path, value, None)]))
    now = rt + rest
    recording = replayed(changes, policy, ["/**:4"], every)
    columns = recording.matching(Pattern("/**"))
    for step in STEPS:
        for cf in CONSOLIDATIONS:
            every_ = recording.rings[0].tier.step if step is None else Step(int(step[:-1]), step[-1])
            try:
                found = fetch(recording, columns, cf, now, step=None if step is None else every_)
            except SeriesError:
                continue
            compare(found, changes, every_, cf, now)


def compare(found, changes, step, cf, now):
    times = found.times.astype(np.int64)
    for column, path in enumerate(found.paths):
        own = samples(changes, path, now)
        greatest = max((abs(value) for _, value in own if not isnan(value)), default=0)
        for row, start in enumerate(times):
            end = step.start(step.bucket(int(start)) + 1)
            assert end <= now
            if (
                end - start >= 1 << 32
                and 0 < abs(2 * known(own, int(start), end) - (end - start)) <= (end - start) >> 30
            ):
                continue  # nearer to half than a cell of a long step can say
            wanted = consolidated(own, int(start), end, cf)
            got = found.values[row, column]
            if cf == "average":
                assert isnan(got) == isnan(wanted), (path, start)
                assert isnan(wanted) or abs(got - wanted) <= 1e-9 * greatest, (path, start)
            else:
                assert (isnan(got) and isnan(wanted)) or got == wanted, (path, start, cf)
