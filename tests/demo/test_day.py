"""The schedule of a day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsadapter.demo.day import DAY, VICTIM, deeds, duration, seconds_of, time_of

seeds = st.integers(0, 1 << 32)


@given(seeds)
def test_the_same_seed_is_the_same_day(seed):
    assert deeds(seed) == deeds(seed)


def test_another_seed_has_another_moment_that_goes_wrong():
    moments = {deed.at for seed in range(20) for deed in deeds(seed) if deed.what == "wrong"}
    assert len(moments) > 15


@given(seeds)
def test_what_happens_can_happen(seed):
    running: set[str] = set()
    before, booted = 0, False
    for deed in deeds(seed):
        assert before <= deed.at < DAY
        before = deed.at
        match deed.what:
            case "boot":
                booted = True
            case "start" | "arrive":
                assert booted
                assert deed.name not in running
                running.add(deed.name)
            case "stop" | "leave":
                running.remove(deed.name)
            case "crash" | "wrong":
                assert deed.name in running
    assert VICTIM in running
    assert not any(name.startswith("ci-") for name in running)


@given(seeds)
def test_one_key_goes_wrong_and_its_domain_lives_all_day(seed):
    day = deeds(seed)
    assert [deed.name for deed in day if deed.what == "wrong"] == [VICTIM]
    assert sorted(deed.what for deed in day if deed.name == VICTIM) == ["start", "wrong"]


@given(st.integers(0, DAY - 1))
def test_a_time_of_day_reads_as_it_is_written(seconds):
    assert seconds_of(time_of(seconds)) == seconds


def test_the_end_of_the_day_is_not_its_beginning():
    assert time_of(DAY) == "24:00:00"
    assert seconds_of("09:05") == 9 * 3600 + 5 * 60


@pytest.mark.parametrize("text", ["", "9:05", "24:00", "12:60", "12:30:60", "12-30", "12:30:00:00", "1 :30", "١٢:٣٠"])
def test_what_is_no_time_of_day_is_refused_by_name(text):
    with pytest.raises(ValueError, match="expected a time of day"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (60, "1m"), (3723, "1h 2m"), (3605, "1h 5s"), (90_000, "25h")]
)
def test_a_duration_has_its_two_largest_units(seconds, text):
    assert duration(seconds) == text
