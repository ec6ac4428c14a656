"""The conversation of a live update, the shell's part (looking at programs, becoming one) played by the test."""

import pytest

from tests.daemon.conversation import NUMBERS, Peer
from xsadapter.engine.update import Stage
from xsadapter.wire import pack

BUSY = b"another connection is at a live update\0"
FIRST = b"no program was named: -f comes first\0"
OK = b"OK\0"


@pytest.fixture
def update(daemon):
    return daemon.update


def control(*words):
    return b"".join(word + b"\0" for word in (b"live-update", *words))


def put(peer, *words):
    """A request that may have to wait: nothing if it does."""
    return send(peer, "CONTROL", control(*words))


def send(peer, operation, payload):
    peer.request += 1
    peer.feed(pack(NUMBERS[operation], peer.request, 0, payload))
    return said(peer)


def said(peer):
    peer.feed(b"")
    return [message.payload for message in peer.take() if message.kind != "EVENT"]


def answered(peer):
    """What was waited for, once the daemon has said that it may be tried again."""
    resumed = peer.daemon.flow.resumed
    assert peer.connection in resumed
    resumed.clear()
    return said(peer)


def chosen(daemon, peer, *, ours):
    """A program has been named, looked at and accepted."""
    assert put(peer, b"-f", b"/new") == []
    assert daemon.update.active
    daemon.update.accept(daemon, ours=ours)
    assert answered(peer) == [OK]


def test_a_program_is_looked_at_before_it_is_answered(daemon, peer, update):
    chosen(daemon, peer, ours=True)
    assert (update.program, update.stage) == ("/new", Stage.ACCEPTED)
    assert not update.active
    assert put(peer, b"-c", b"--one  two") == []
    assert update.words == ["--one", "two"]
    update.accept(daemon, ours=True)
    assert answered(peer) == [OK]
    assert put(peer, b"-s", b"-t", b"30", b"-F", b"-v", b"1") == []
    assert (update.stage, update.timeout, update.force, update.version) == (Stage.STARTED, 30.0, True, 1)
    assert update.active


def test_what_fails_is_answered_once_and_forgotten(daemon, peer, update):
    assert put(peer, b"-f", b"/none") == []
    update.fail(daemon, "/none: expected a program that can be run")
    assert answered(peer) == [b"/none: expected a program that can be run\0"]
    assert update.stage is Stage.NONE
    assert put(peer, b"-s") == [FIRST]
    chosen(daemon, peer, ours=True)
    put(peer, b"-s")
    update.fail(daemon, "it did not become")
    assert answered(peer) == [b"it did not become\0"]
    assert peer.ask("WRITE", b"/goes-on\0") == OK


def test_one_at_a_time_and_no_longer_than_its_connection(daemon, peer, other, update):
    chosen(daemon, peer, ours=True)
    assert put(other, b"-f", b"/other") == [BUSY]
    assert put(other, b"-a") == [BUSY]
    assert put(peer, b"-a") == [OK]
    assert put(other, b"-a") == [OK]
    chosen(daemon, peer, ours=True)
    daemon.disconnect(peer.connection)
    assert update.stage is Stage.NONE
    chosen(daemon, other, ours=True)


@pytest.mark.parametrize(
    "words",
    [
        (b"-x",),
        (b"-f",),
        (b"-f", b"/new", b"more"),
        (b"-a", b"more"),
        (b"-s", b"-t"),
        (b"-s", b"-t", b"-1"),
        (b"-s", b"-v", b"3"),
        (b"-s", b"-x"),
    ],
)
def test_a_form_that_is_none(daemon, peer, update, words):
    chosen(daemon, peer, ours=True)
    assert peer.ask("CONTROL", control(*words)) == "EINVAL"
    assert update.stage is Stage.ACCEPTED


def test_ours_goes_on_with_the_transactions_that_are_open(daemon, peer, other, update):
    other.start()
    chosen(daemon, peer, ours=True)
    put(peer, b"-s")
    assert not update.gathers
    assert update.hindrance(daemon) is None
    assert other.start() == 2


def test_for_another_program_transactions_come_to_an_end(daemon, introduced, peer, other, update):
    number = introduced.start()
    chosen(daemon, peer, ours=False)
    put(peer, b"-s", b"-t", b"10")
    assert update.gathers
    assert update.hindrance(daemon) == "transactions are open in domain 5"
    assert send(other, "TRANSACTION_START", b"\0") == []
    again = introduced.start()
    for each in (number, again):
        assert introduced.ask("TRANSACTION_END", b"T\0", each) == OK
    assert update.hindrance(daemon) is None
    assert said(other) == []
    update.fail(daemon, "no more")
    assert answered(other) == [b"1\0"]
    assert said(peer) == [b"no more\0"]


def test_with_force_only_what_is_older_than_the_timeout_is_cut(daemon, peer, other, update):
    other.start()
    chosen(daemon, peer, ours=False)
    put(peer, b"-s", b"-t", b"10", b"-F")
    daemon.flow.now += 9
    assert update.hindrance(daemon) == "transactions are open in domain 0"
    daemon.flow.now += 2
    assert update.hindrance(daemon) is None


def test_what_waits_goes_on_if_who_wanted_the_update_goes(daemon, peer, other):
    Peer(daemon).start()
    chosen(daemon, peer, ours=False)
    put(peer, b"-s")
    assert send(other, "TRANSACTION_START", b"\0") == []
    daemon.disconnect(peer.connection)
    assert answered(other) == [b"1\0"]


def test_who_was_made_to_wait_and_has_gone_is_not_asked_again(daemon, peer, other):
    Peer(daemon).start()
    chosen(daemon, peer, ours=False)
    put(peer, b"-s")
    assert send(other, "TRANSACTION_START", b"\0") == []
    daemon.disconnect(other.connection)
    daemon.disconnect(peer.connection)
    assert other.connection not in daemon.flow.resumed
