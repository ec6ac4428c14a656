"""Thirty deaths under load, and some at live updates; the long form is bench/torture.py."""

from tests.compat.peers import short_directory
from tests.recovery.torture import Torture


def test_who_is_killed_thirty_times_loses_nothing_that_was_acknowledged():
    with short_directory() as directory:
        torture = Torture(directory, seed=6)
        try:
            torture.run(rounds=30, longest=0.3)
        finally:
            torture.close()
        assert sum(actor.story.requests for actor in torture.actors) > 1000
        assert not sum(actor.story.doubts for actor in torture.actors if actor.name.startswith("ring"))


def test_killed_after_and_within_a_live_update_it_loses_nothing_either():
    with short_directory() as directory:
        torture = Torture(directory, seed=7)
        try:
            torture.updates(rounds=4, longest=3)
        finally:
            torture.close()
        assert torture.updated == 2
        assert not sum(actor.story.doubts for actor in torture.actors if actor.name.startswith("ring"))
