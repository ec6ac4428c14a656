"""The output queue: what the kernel takes piecemeal, and which events are dropped as equal meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.conversation import Peer, cut, fresh_daemon, pair
from xsadapter.wire import pack


def queued(connection):
    return b"".join(connection.output)


def test_a_reply_that_no_frame_can_hold_becomes_e2big(peer):
    peer.connection.reply(2, 7, 9, bytes(4097))
    [(kind, request, transaction, payload)] = peer.take()
    assert (kind, request, transaction, payload) == ("ERROR", 7, 9, b"E2BIG\0")
    peer.connection.reply(2, 7, 9, bytes(4096))
    assert [len(message.payload) for message in peer.take()] == [4096]


def test_a_client_with_something_to_send_waits_once(daemon, peer, other):
    daemon.waiting.clear()
    peer.feed(pack(2, 1, 0, b"/\0") * 3)
    other.feed(pack(2, 1, 0, b"/\0"))
    assert daemon.waiting == [peer.connection, other.connection]
    daemon.waiting.clear()
    peer.connection.sent(10)
    peer.feed(pack(2, 1, 0, b"/\0"))
    assert daemon.waiting == []
    peer.connection.sent_all()
    peer.feed(pack(2, 1, 0, b"/\0"))
    assert daemon.waiting == [peer.connection]


@given(st.lists(st.integers(1, 60), max_size=30), st.lists(st.sampled_from([b"/a", b"/b"]), min_size=1, max_size=12))
def test_however_it_is_taken_the_bytes_are_whole_frames(pieces, writes):
    daemon = fresh_daemon()
    peer, other = Peer(daemon), Peer(daemon)
    other.feed(pack(4, 1, 0, b"/\0t\0") + pack(4, 2, 0, b"/a\0u\0"))
    got = b""
    for number, path in enumerate(writes):
        peer.ask("WRITE", path + b"\0")
        if number < len(pieces):
            piece = queued(other.connection)[: pieces[number]]
            got += piece
            other.connection.sent(len(piece))
    got += queued(other.connection)
    other.connection.sent_all()
    found = cut(got)
    assert [message.kind for message in found[:4]] == ["WATCH", "EVENT", "WATCH", "EVENT"]
    told = [pair(message) for message in found[4:]]
    assert {path for path, _ in told} == set(writes)
    assert all((path, b"u") in told for path, _ in told if path == b"/a")


def test_an_event_is_waiting_until_its_first_byte_is_taken(peer, other):
    other.ask("WATCH", b"/a\0t\0")
    size = 16 + len(b"/a\0t\0")
    peer.ask("WRITE", b"/a\0")
    peer.ask("WRITE", b"/a\0")
    assert len(queued(other.connection)) == size
    other.connection.sent(1)
    peer.ask("WRITE", b"/a\0")
    assert len(queued(other.connection)) == 2 * size - 1
    other.connection.sent(size - 1)
    peer.ask("WRITE", b"/a\0")
    assert len(queued(other.connection)) == size
    other.connection.sent(size)
    assert other.connection.output == []
    peer.ask("WRITE", b"/a\0")
    assert len(queued(other.connection)) == size


def test_special_events_are_never_equal(daemon, other):
    other.ask("WATCH", b"@releaseDomain\0t\0")
    for _ in range(3):
        for watch in daemon.watches.matching("@releaseDomain"):
            watch.tell("@releaseDomain")
    assert other.events() == [(b"@releaseDomain", b"t")] * 3
