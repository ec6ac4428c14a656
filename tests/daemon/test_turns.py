"""Transactions that truly conflict take turns; the clock is the test's own."""

import itertools

from tests.daemon.conversation import NUMBERS, Peer
from xsadapter.wire import pack

OK = b"OK\0"
NEW = itertools.count(1)


def at(daemon, seconds):
    daemon.flow.now = seconds
    daemon.turns.expire()


def go_on(daemon):
    """What the loop does with those whose request had to wait: each in its order."""
    while daemon.flow.resumed:
        resumed, daemon.flow.resumed = daemon.flow.resumed, []
        for connection in resumed:
            while daemon.step(connection):
                pass


def begin(peer):
    """A START; its id, or None if the answer waits."""
    replies = peer.exchange_or_wait("TRANSACTION_START", b"\0")
    return int(replies[0].payload.rstrip(b"\0")) if replies else None


class Patient(Peer):
    """A client whose answers may be late."""

    def exchange_or_wait(self, operation, payload=b"", transaction=0):
        self.request += 1
        self.feed(pack(NUMBERS[operation], self.request, transaction, payload))
        return self.take()


def lose(daemon, loser, winner, path=b"/k"):
    """Have `loser` lose a transaction by `path`."""
    number = loser.start()
    loser.ask("READ", path + b"\0", number)
    winner.ask("WRITE", path + b"\0%d" % next(NEW))
    loser.ask("WRITE", path + b"\0mine", number)
    assert loser.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"


def test_a_loser_has_the_next_turn_and_a_write_that_would_break_it_waits(daemon):
    first, second = Patient(daemon), Patient(daemon)
    first.ask("WRITE", b"/k\x000")
    lose(daemon, first, second)
    number = first.start()
    assert first.ask("READ", b"/k\0", number) != OK
    assert second.exchange_or_wait("WRITE", b"/k\0theirs") == []
    assert second.exchange_or_wait("READ", b"/k\0") == []
    assert first.ask("WRITE", b"/k\0mine", number) == OK
    assert first.ask("TRANSACTION_END", b"T\0", number) == OK
    go_on(daemon)
    assert [message.payload for message in second.take()] == [OK, b"theirs"]


def test_another_key_waits_for_nobody(daemon):
    first, second = Patient(daemon), Patient(daemon)
    first.ask("WRITE", b"/k\x000")
    lose(daemon, first, second)
    first.start()
    assert second.ask("WRITE", b"/other\0v") == OK


def test_losers_queue_one_after_the_other(daemon):
    peers = [Patient(daemon) for _ in range(4)]
    peers[0].ask("WRITE", b"/k\x000")
    for loser in peers[1:]:
        lose(daemon, loser, peers[0])
    numbers = [begin(peer) for peer in peers[1:]]
    assert numbers[0] is not None
    assert numbers[1:] == [None, None]
    done = []
    holder, number = peers[1], numbers[0]
    for following in [*peers[2:], None]:
        holder.ask("READ", b"/k\0", number)
        assert holder.ask("WRITE", b"/k\0x", number) == OK
        assert holder.ask("TRANSACTION_END", b"T\0", number) == OK
        done.append(holder)
        go_on(daemon)
        if following is not None:
            [reply] = following.take()
            holder, number = following, int(reply.payload.rstrip(b"\0"))
    assert done == peers[1:]


def test_a_turn_ends_by_itself_and_who_slept_gets_no_other(daemon):
    sleeper, other = Patient(daemon), Patient(daemon)
    sleeper.ask("WRITE", b"/k\x000")
    lose(daemon, sleeper, other)
    number = sleeper.start()
    assert other.exchange_or_wait("WRITE", b"/k\0theirs") == []
    assert daemon.turns.deadline == 0.005
    at(daemon, 0.004)
    go_on(daemon)
    assert other.take() == []
    at(daemon, 0.006)
    go_on(daemon)
    assert [message.payload for message in other.take()] == [OK]
    at(daemon, 1.0)
    assert sleeper.ask("TRANSACTION_END", b"F\0", number) == OK
    lose(daemon, sleeper, other)
    sleeper.start()
    lose(daemon, other, Patient(daemon))
    assert begin(other) is not None


def test_the_toolstack_never_waits_for_a_guest(daemon, guest):
    toolstack = Patient(daemon)
    toolstack.ask("WRITE", b"/k\x000")
    toolstack.ask("SET_PERMS", b"/k\0n5\0")
    lose(daemon, guest, toolstack)
    guest.start()
    assert toolstack.ask("WRITE", b"/k\0now") == OK


def test_a_client_that_goes_wakes_those_who_wait_for_it(daemon):
    first, second = Patient(daemon), Patient(daemon)
    first.ask("WRITE", b"/k\x000")
    lose(daemon, first, second)
    first.start()
    assert second.exchange_or_wait("WRITE", b"/k\0theirs") == []
    daemon.disconnect(first.connection)
    go_on(daemon)
    assert [message.payload for message in second.take()] == [OK]
    assert daemon.turns.held == {}


def test_who_has_a_transaction_open_is_not_made_to_wait(daemon):
    first, second = Patient(daemon), Patient(daemon)
    first.ask("WRITE", b"/k\x000")
    lose(daemon, first, second)
    open_already = second.start()
    lose(daemon, second, first)
    first.start()
    assert begin(second) is not None
    assert second.ask("TRANSACTION_END", b"F\0", open_already) == OK


def holding(daemon, *reads):
    """A holder of a turn for /k who has made these requests in its transaction, and another client."""
    first, second = Patient(daemon), Patient(daemon)
    for path in (b"/k\x000", b"/a/b\0"):
        first.ask("WRITE", path)
    lose(daemon, first, second)
    number = first.start()
    for operation, payload in reads:
        assert isinstance(first.ask(operation, payload, number), bytes)
    return first, second, number


def test_removing_what_is_above_what_was_read_waits(daemon):
    _, second, _ = holding(daemon, ("READ", b"/a/b\0"))
    assert second.exchange_or_wait("RM", b"/a\0") == []


def test_adding_to_what_was_listed_waits_and_a_value_there_does_not(daemon):
    _, second, _ = holding(daemon, ("DIRECTORY", b"/a\0"))
    assert second.ask("WRITE", b"/a/b\0v") == OK
    assert second.exchange_or_wait("WRITE", b"/a/c\0") == []


def test_an_end_that_would_break_the_turn_waits_and_is_then_judged(daemon):
    first, second = Patient(daemon), Patient(daemon)
    first.ask("WRITE", b"/k\x000")
    lose(daemon, first, second)
    theirs = second.start()
    second.ask("READ", b"/k\0", theirs)
    second.ask("WRITE", b"/k\0theirs", theirs)
    mine = first.start()
    first.ask("READ", b"/k\0", mine)
    assert second.exchange_or_wait("TRANSACTION_END", b"T\0", theirs) == []
    first.ask("WRITE", b"/k\0mine", mine)
    assert first.ask("TRANSACTION_END", b"T\0", mine) == OK
    go_on(daemon)
    assert [message.payload for message in second.take()] == [b"EAGAIN\0"]


def test_the_toolstack_goes_on_before_guests_that_waited_longer(daemon, guest):
    holder, toolstack = Patient(daemon), Patient(daemon)
    holder.ask("WRITE", b"/k\x000")
    holder.ask("SET_PERMS", b"/k\0n5\0")
    lose(daemon, holder, toolstack)
    number = holder.start()
    guest.feed(pack(NUMBERS["WRITE"], 1, 0, b"/k\0guest"))
    toolstack.exchange_or_wait("WRITE", b"/k\0toolstack")
    holder.ask("TRANSACTION_END", b"F\0", number)
    assert daemon.flow.resumed == [toolstack.connection, guest.connection]
