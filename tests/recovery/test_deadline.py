"""The real daemon: what a guest has not read waits from the restart on, not from the machine's start."""

from tests.compat.guest import Guest
from tests.compat.peers import short_directory
from tests.daemon.processes import running
from xsadapter.client.figures import take
from xsadapter.operations import Kind

EVENTS = 120
SECONDS = 60
"""Less than any machine has run that has come so far, and long enough to be read in."""


def test_what_was_not_read_before_a_kill_is_read_after_it():
    with short_directory() as place, Guest(place, 5) as guest:
        options = "--size", "8MiB", "--simulated-xen", str(place), "--timeout", f"watch-event={SECONDS}"
        with running(place, *options) as daemon, daemon.client() as toolstack:
            toolstack.mkdir("/local/domain/5")
            toolstack.set_permissions("/local/domain/5", ("n5",))
            toolstack.ask(Kind.INTRODUCE, b"5\x001\x007\0")
            assert guest.ask("WATCH", b"x\0token\0") == b"OK\0"
            for number in range(EVENTS):
                toolstack.write(f"/local/domain/5/x/{number}", b"")
            daemon.process.kill()
            daemon.process.wait()
        with running(place, *options) as daemon, daemon.client() as toolstack:
            # What was not read in time is dropped once a second.
            while take(toolstack, domains=False).seconds < 2.5:
                pass
            told = set()
            while len(told) < EVENTS + 1:
                message = guest.message()
                assert message.kind == "EVENT"
                told.add(message.payload)
        assert "dropped" not in daemon.log
