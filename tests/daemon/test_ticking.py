"""When the store of a daemon is ticked: by a clock that is moved by hand."""

import types

import pytest

from xsadapter import ticking
from xsadapter.engine.metrics import Metrics


class Slow:
    """A daemon as far as its timer knows one: a tick of it takes so many slices of so many seconds."""

    def __init__(self, clock, slices, seconds):
        self.metrics, self.store = Metrics(), types.SimpleNamespace(unstored=1)
        self._clock, self._slices, self._seconds = clock, slices, seconds
        self.ticks = self._left = 0

    def tick(self, _seconds):
        if not self._left:
            self.ticks, self._left = self.ticks + 1, self._slices
        self._clock.now += self._seconds
        self._left -= 1
        return not self._left


@pytest.fixture
def clock(monkeypatch):
    clock = types.SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(ticking, "time", clock)
    return clock


def one_tick(daemon, timer, clock):
    """Have one tick done; when it ended."""
    ticks = daemon.ticks
    while daemon.ticks == ticks or daemon._left:
        clock.now = max(clock.now, timer.at)
        timer.turn()
    return clock.now


def test_a_tick_begins_two_seconds_after_somebody_was_served_if_there_is_something_to_store(clock):
    daemon = Slow(clock, 3, 0.002)
    timer = ticking.Ticking(daemon)
    for _ in range(3):
        ended = one_tick(daemon, timer, clock)
        assert timer.at is None, "nobody was served since"
        timer.served(clock.now)
        timer.served(clock.now + 0.3)
        assert timer.at == pytest.approx(ended + 2)
    clock.now = timer.at
    daemon.store.unstored = 0
    ticks = daemon.ticks
    timer.turn()
    assert (daemon.ticks, timer.at) == (ticks, None), "there was nothing to store"


def test_the_slices_of_a_tick_leave_nine_tenths_of_the_time(clock):
    daemon = Slow(clock, 3, 0.002)
    timer = ticking.Ticking(daemon)
    clock.now = timer.at
    for _ in range(2):
        timer.turn()
        timer.served(clock.now)
        assert timer.at == pytest.approx(clock.now + 9 * 0.002)
        clock.now = timer.at
