"""Whatever bytes arrive, the daemon answers each frame once and has no bug to report."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import Peer, fresh_daemon
from xsadapter.wire import FrameError, pack

PATHS = [b"/", b"/a", b"a", b"@releaseDomain", b"", b"//", b"/local/domain/"]
NUMBERS = [b"0", b"1", b"-1", b"4096", b"99999999999"]
MOMENTS = [b"1s", b"2h ago", b"@5", b"2-", b"1-00000000", b"now"]
VERBS = [b"history", b"walk", b"values", b"permissions", b"at", b"log", b"diff", b"list", b"explain", b"help"]
words = st.sampled_from([*PATHS, *NUMBERS, *MOMENTS, *VERBS, b"n0", b"r5", b"T"])
payloads = st.one_of(
    st.lists(words, max_size=5).map(lambda parts: b"".join(part + b"\0" for part in parts)),
    st.lists(words, max_size=4).map(b"\0".join),
    st.binary(max_size=30),
)
frames = st.tuples(
    st.one_of(st.integers(0, 30), st.just(0), st.just(0xFFFF)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 0, 0, 1, 2, 2**32 - 1]),
    payloads,
)


@settings(max_examples=300)
@given(st.lists(frames, max_size=30), st.booleans())
def test_every_frame_is_answered_once_and_in_order(sent, privileged):
    daemon = fresh_daemon()
    peer = Peer(daemon, 0 if privileged else 5, privileged=privileged)
    for kind, request, transaction, payload in sent:
        peer.feed(pack(kind, request, transaction, payload))
    replies = [message for message in peer.take() if message.kind != "EVENT"]
    assert [(message.request, message.transaction) for message in replies] == [frame[1:3] for frame in sent]
    assert not [notice for notice in daemon.notices if notice.fault]
    daemon.disconnect(peer.connection)
    assert daemon.watches.count == 0


@given(st.binary(max_size=400), st.integers(1, 50))
def test_bytes_without_sense_end_in_replies_or_in_the_end_of_the_connection(data, piece):
    daemon = fresh_daemon()
    peer = Peer(daemon)
    try:
        for start in range(0, len(data), piece):
            peer.feed(data[start : start + piece])
    except FrameError:
        return
    peer.take()
    assert not daemon.notices
    assert Peer(daemon).ask("READ", b"/\0") == b""
