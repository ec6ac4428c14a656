"""What is due in a turn of the loop, and how long it may sleep: with a clock that is moved by hand."""

import math
from types import SimpleNamespace

import pytest

from xsadapter.errands import Errands
from xsadapter.timers import Timers


class Errand:
    """Something that is due, once."""

    def __init__(self, at):
        self.at, self.asked, self.done = at, 0, []

    def __getattribute__(self, name):
        if name == "at":
            self.asked += 1
        return object.__getattribute__(self, name)

    def turn(self, server):
        self.done.append(server)
        self.at = None


def timers(*errands, turns=None):
    daemon = SimpleNamespace(
        turns=SimpleNamespace(held=turns is not None, deadline=turns),
        flow=SimpleNamespace(now=0.0),
        metrics=SimpleNamespace(turns=SimpleNamespace(took=lambda _: None)),
    )
    ticking = SimpleNamespace(at=None, served=lambda _: None, turn=lambda: None)
    listeners = SimpleNamespace(wake=None, rest=lambda _: None)
    return Timers("server", daemon, listeners, ticking, Errands(errands), SimpleNamespace(wake=None))


def test_who_has_nothing_to_wait_for_sleeps_for_ever():
    assert timers().turn(1.0, False) == -1.0
    assert timers(Errand(None)).turn(1.0, False) == -1.0


@pytest.mark.parametrize("which", ["errand", "ticking", "expire", "wake", "turns", "bells"])
def test_the_first_that_is_due_ends_the_sleep(which):
    moments = dict.fromkeys(("errand", "ticking", "expire", "wake", "turns", "bells"), 9.0) | {which: 3.5}
    one = timers(Errand(moments["errand"]), turns=moments["turns"])
    one._ticking.at, one._listeners.wake, one.expire_at = moments["ticking"], moments["wake"], moments["expire"]
    one._bells.wake = moments["bells"]
    assert one.turn(1.0, False) == 2.5


def test_what_is_overdue_is_no_reason_to_sleep_less_than_not_at_all():
    one = timers(turns=0.5)
    assert one.turn(1.0, False) == 0.0


def test_an_errand_is_done_when_it_is_due_and_asked_not_in_every_turn():
    errand = Errand(1.003)
    one = timers(errand)
    one.turn(1.0, False)
    asked = errand.asked
    for now in (1.001, 1.002):
        assert one.turn(now, True) == pytest.approx(1.003 - now)
    assert (errand.asked, errand.done) == (asked, [])
    assert one.turn(1.003, True) == -1.0
    assert errand.done == ["server"]


def test_an_errand_that_gets_its_time_meanwhile_is_asked_within_ten_milliseconds():
    errand = Errand(None)
    one = timers(errand)
    assert one.turn(1.0, False) == -1.0
    errand.at = 0.0
    left = one.turn(1.004, True)
    assert 0 < left <= 0.01, "it is not asked in this turn, but the sleep is short"
    assert one.turn(1.004 + left, False) == -1.0
    assert errand.done == ["server"]
    assert one.turn(math.nextafter(2.0, 3), True) == -1.0, "where turns are rare it is asked in each"
