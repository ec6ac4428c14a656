"""A guest whose page changes under the reader: indexes, lengths, features, connection state, between any two loads.

The page is an object that changes at each access, so every interleaving of a real guest's stores with our loads can
come up, and each is found again by its seed.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from tests.daemon.test_accounts import check
from tests.security.hostile import HostilePage
from xsadapter.engine.ring import Ring
from xsadapter.transport.ring import RingClient
from xsadapter.wire import FRAME_MAX, FrameError, pack

CALLS = 40
"""Accesses that one call of the client may make: each message of at most 64 that is sent has a few."""


class Served:
    """Domain 5 on a hostile page, and domain 6, whose requests are carried out all the same."""

    def __init__(self, chance):
        self.daemon = fresh_daemon(Host())
        toolstack = Peer(self.daemon)
        for domid in (5, 6):
            toolstack.ask("MKDIR", b"/local/domain/%d\0" % domid)
            toolstack.ask("SET_PERMS", b"/local/domain/%d\0n%d\0" % (domid, domid))
            toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid)
        self.page = HostilePage(chance)
        self.other = ring_of(self.daemon, 6)
        self.notified = 0
        self.connection = ring_of(self.daemon, 5).connection
        self.client = RingClient(self.daemon, self.connection, Ring(self.page), 1005, self.notify)
        self.client.begin(15)

    def notify(self, port):
        assert port == 1005
        self.notified += 1

    def call(self, name):
        self.page.calm()
        try:
            getattr(self.client, name)()
        except FrameError as error:
            assert name == "step"
            self.client.broke(found=str(error))
        assert self.page.accesses <= CALLS
        assert self.connection.reader.pending <= FRAME_MAX + 1024
        assert sum(map(len, self.connection.output)) <= 22 * FRAME_MAX

    def check(self):
        assert self.other.ask("WRITE", b"x\0v") == b"OK\0"
        check(self.daemon)
        assert not [notice for notice in self.daemon.notices if notice.fault]


payloads = st.sampled_from([b"x\0", b"x\0v", b"\0", b"T\0", b""])
CALL_NAMES = ["receive", "step", "step", "step", "send", "turn_ends"]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(CALL_NAMES), max_size=60))
def test_nothing_escapes_loops_or_grows_whatever_the_page_does(seed, calls):
    served = Served(random.Random(seed))
    for name in calls:
        served.call(name)
    served.check()


@settings(max_examples=40)
@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(st.sampled_from(CALL_NAMES), st.integers(0, 30), payloads),
        max_size=60,
    ),
)
def test_requests_that_change_while_they_are_copied(seed, calls):
    """The guest also does what a guest should, so that whole requests get through now and then."""
    served = Served(random.Random(seed))
    page, chance = served.page, served.page.chance
    for name, kind, payload in calls:
        frame = pack(kind, 1, chance.choice([0, 0, 1]), payload)
        start = page.words[512] % 1024
        page.bytes[start : min(start + len(frame), 1024)] = frame[: 1024 - start]
        page.words[513] = (page.words[512] + len(frame)) % 2**32
        page.words[514] = page.words[515]
        page.words[517] = chance.choice([0, 0, 0, 1])
        served.call(name)
    served.check()


@pytest.mark.parametrize("features", range(16))
def test_what_the_page_says_of_features_is_not_believed(features):
    """The features word is the daemon's to say: which of them a ring has is what the domain was given."""
    served = Served(None)
    domain = served.connection.domain
    domain.features = features
    for claimed in (0, 15, 2**32 - 1):
        served.page.words[516] = claimed
        served.page.words[513] = served.page.words[512] + 5000
        served.page.words[517] = served.page.words[518] = 0
        served.call("receive")
        assert served.connection.ignored
        assert served.page.words[518] == (2 if features & 2 else 0)
        served.page.words[517] = 1
        served.call("receive")
        assert served.connection.ignored == (not features & 1)
        served.daemon.restart(served.connection)
        served.client.begin(features)
    served.check()


def test_a_guest_that_asks_to_begin_anew_for_ever():
    served = Served(None)
    for _ in range(200):
        served.page.words[517] = 1
        for name in CALL_NAMES:
            served.call(name)
    assert served.notified == 201
    assert not served.daemon.notices
    served.check()


def test_of_a_ring_that_is_ignored_nothing_is_copied():
    """Its indexes may be right again: what lies there is the guest's own until it begins anew."""
    served = Served(None)
    served.page.words[513] = served.page.words[512] + 5000
    served.call("receive")
    assert served.connection.ignored
    told = len(served.daemon.notices)
    served.page.words[513] = served.page.words[512] + 100
    for name in CALL_NAMES:
        served.call(name)
    assert not served.connection.reader.pending
    assert len(served.daemon.notices) == told
