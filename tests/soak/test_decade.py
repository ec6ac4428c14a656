"""The short form of bench/decade.py: a commit a minute for three weeks, and a clock that jumps ten years and back."""

import pytest

from bench.decade import DAY, MINUTE, YEAR, run

DAYS = 21


@pytest.mark.parametrize("jump", [False, True])
def test_three_weeks_of_a_commit_a_minute(tmp_path, jump):
    done = run(tmp_path / "s.rrdb", DAYS * DAY // MINUTE, size="8MiB", jump=jump, tick_every=5_000)
    assert done.commits == DAYS * 1_440
    assert 256 < done.most_kept <= done.bound == 871 + 1 + 1
    assert done.first * YEAR >= DAYS * DAY - MINUTE
    assert done.oldest * YEAR >= (DAYS - 2) * DAY, "beside the first, one of the first two days"
    assert len(done.bytes) == 1
    assert done.most_bytes <= done.size == 8 << 20
    assert done.count > 4
    assert (0 < done.farthest <= 1 + 1e-9) if jump else done.farthest == 0
    assert done.problems == []
