"""A daemon that is started again on its tree: whose nodes and entries it finds there (XSA-322 across a restart)."""

import pytest

import rrdstore
from tests.daemon.conversation import Host, Peer, ring_of
from tests.daemon.test_accounts import check
from xsadapter.engine.daemon import Daemon

OK = b"OK\0"


class House:
    """A store that stays, and the daemons on it."""

    def __init__(self):
        self.store, self.host = rrdstore.memory(), Host()
        self.start()

    def start(self, boot="boot"):
        self.host.rings.clear()
        self.daemon = Daemon(self.store, self.host)
        self.continued = self.daemon.begin(boot)
        self.toolstack = Peer(self.daemon)

    def introduce(self, domid):
        assert self.toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
        return ring_of(self.daemon, domid)


@pytest.fixture
def house():
    made = House()
    for path, entries in (
        (b"/home", b"n5\0"),
        (b"/read", b"n0\0r5\0"),
        (b"/six", b"n6\0r5\0"),
        (b"/wide", b"n0\0r32757\0"),
    ):
        assert made.toolstack.ask("WRITE", path + b"\0secret") == OK
        assert made.toolstack.ask("SET_PERMS", path + b"\0" + entries) == OK
    for domid in (5, 6):
        made.introduce(domid)
    yield made
    check(made.daemon)
    assert not [notice for notice in made.daemon.notices if notice.fault]
    made.store.close()


def test_who_still_lives_has_what_it_had(house):
    commits = house.store.info().commits
    house.start()
    assert house.continued
    guest = house.introduce(5)
    for path in (b"/home\0", b"/read\0", b"/six\0"):
        assert guest.ask("READ", path) == b"secret"
    assert house.store.info().commits == commits


@pytest.mark.parametrize("fate", ["reuse", "kill"])
def test_who_died_meanwhile_is_buried_and_its_successor_inherits_nothing(house, fate):
    getattr(house.host, fate)(5)
    house.start()
    assert house.toolstack.ask("READ", b"/home\0") == "ENOENT"
    assert house.toolstack.ask("GET_PERMS", b"/read\0") == b"n0\0"
    if fate == "kill":
        house.host.reuse(5)
    guest = house.introduce(5)
    assert guest.ask("READ", b"/wide\0") == b"secret"
    for path in (b"/read\0", b"/six\0"):
        assert guest.ask("READ", path) == "EACCES"
    assert house.introduce(6).ask("READ", b"/six\0") == b"secret"


def test_a_number_that_comes_again_and_again(house):
    for _ in range(3):
        house.host.reuse(5)
        house.start()
        assert house.toolstack.ask("WRITE", b"/home\0") == OK
        assert house.toolstack.ask("SET_PERMS", b"/home\0n5\0") == OK
        house.start()
        assert house.introduce(5).ask("READ", b"/home\0") == b""
    assert house.toolstack.ask("RELEASE", b"5\0") == OK
    house.start()
    assert house.daemon.domains.get(5) is None


def test_another_boot_knows_nobody(house):
    house.start("another")
    assert not house.continued
    assert {domain.domid for domain in house.daemon.domains} == {0}
    assert house.introduce(5).ask("READ", b"/read\0") == "EACCES"


def test_what_is_kept_of_it_nobody_sees(house):
    """No listing, no event, no charge, no size of the root."""
    watcher = Peer(house.daemon)
    assert watcher.ask("WATCH", b"/\0t\0") == OK
    watcher.take()
    before = house.daemon.domains.get(0).usage.memory
    house.introduce(7)
    house.host.kill(7)
    assert house.toolstack.ask("SET_PERMS", b"/home\0n5\0r7\0") == OK
    assert watcher.events() == [(b"/home", b"t")]
    assert house.toolstack.ask("DIRECTORY", b"/\0") == b"home\0read\0six\0tool\0wide\0"
    assert house.daemon.domains.get(0).usage.memory == before
