"""Domains that come and go, on a hypervisor of dictionaries."""

import pytest

from tests.daemon.conversation import ring_of
from xsadapter.engine import lives
from xsadapter.engine.hypervisor import Life

OK = b"OK\0"


@pytest.fixture
def guest(introduced):
    return introduced


def special(peer, *watches):
    """Watches with the tokens 0, 1 and so on."""
    for token, (path, depth) in enumerate(watches):
        peer.ask("WATCH", path + b"\0%d\0" % token + (b"%d\0" % depth if depth is not None else b""))
    peer.take()


def test_introduction_is_told_once_and_answered_after_it(host, peer, guest, other):
    assert host.rings == {5: 7}
    special(other, (b"@introduceDomain", None), (b"@introduceDomain", 1), (b"@introduceDomain/6", None))
    assert peer.ask("INTRODUCE", b"6\x001\x008\0") == OK
    assert other.events() == [
        (b"@introduceDomain", b"0"),
        (b"@introduceDomain/6", b"1"),
        (b"@introduceDomain/6", b"2"),
    ]
    assert peer.ask("INTRODUCE", b"6\x001\x009\0") == OK
    assert other.events() == []
    assert host.rings == {5: 7, 6: 9}
    assert peer.ask("IS_DOMAIN_INTRODUCED", b"6\0") == b"T\0"


@pytest.mark.parametrize(
    "payload", [b"5\x001\x000\0", b"65536\x001\x001\0", b"x\x001\x001\0", b"5\x001\0", b"5\x001\x00+1\0"]
)
def test_an_introduction_that_means_nothing(daemon, peer, payload):
    assert peer.ask("INTRODUCE", payload) == "EINVAL"
    assert daemon.domains.get(5) is None


def test_an_introduction_that_cannot_be_leaves_nothing(daemon, host, peer):
    host.refuses.add(5)
    host.kill(6)
    for domid in (b"5", b"6"):
        assert peer.ask("INTRODUCE", domid + b"\x001\x001\0") == "EINVAL"
        assert peer.ask("IS_DOMAIN_INTRODUCED", domid + b"\0") == b"F\0"
    assert len(daemon.connections) == 1


def test_a_second_introduction_begins_anew(daemon, peer, guest):
    guest.ask("WATCH", b"x\0t\0")
    guest.start()
    guest.connection.reader.feed(b"half a head")
    assert peer.ask("INTRODUCE", b"5\x001\x009\0") == OK
    assert (guest.connection.watches, guest.connection.transactions, guest.connection.reader.pending) == ({}, {}, 0)
    guest.take()
    assert guest.ask("WRITE", b"x\0v") == OK


@pytest.mark.parametrize("operation", ["RELEASE", "RESUME"])
def test_release_and_resume_of_whom(peer, operation):
    assert peer.ask(operation, b"0\0") == "EINVAL"
    assert peer.ask(operation, b"9\0") == "ENOENT"
    assert peer.ask(operation, b"nine\0") == "EINVAL"


def test_what_a_dead_domain_owned_is_gone_wherever_it_was(daemon, host, peer, guest, other):
    for path, permissions in (
        (b"/elsewhere", b"n5\0"),
        (b"/elsewhere/below", b"n0\0"),
        (b"/local/domain/0/backend/vbd/5/768", b"n0\0r5\0"),
        (b"/shared", b"n0\0r5\0w6\0r5\0"),
        (b"@introduceDomain", b"n0\0r5\0"),
    ):
        if not path.startswith(b"@"):
            peer.ask("WRITE", path + b"\0v")
        assert peer.ask("SET_PERMS", path + b"\0" + permissions) == OK
    guest.ask("WRITE", b"data/x\0v")
    special(other, (b"/", None), (b"@releaseDomain", None), (b"@releaseDomain", 1))
    host.kill(5)
    lives.scan(daemon)
    told = other.events()
    assert told == [
        (b"/elsewhere", b"0"),
        (b"/local/domain/5", b"0"),
        (b"@releaseDomain", b"1"),
        (b"@releaseDomain/5", b"2"),
    ]
    assert peer.ask("READ", b"/elsewhere/below\0") == "ENOENT"
    assert peer.ask("GET_PERMS", b"/shared\0") == b"n0\0w6\0"
    assert peer.ask("GET_PERMS", b"/local/domain/0/backend/vbd/5/768\0") == b"n0\0"
    assert peer.ask("GET_PERMS", b"@introduceDomain\0") == b"n0\0"
    assert daemon.domains.get(5) is None
    assert guest.connection.closed


def test_the_root_survives_its_owner(daemon, host, peer, guest):
    peer.ask("SET_PERMS", b"/\0r5\0w6\0")
    peer.ask("RELEASE", b"5\0")
    assert peer.ask("GET_PERMS", b"/\0") == b"r0\0w6\0"
    assert peer.ask("READ", b"/tool\0") == b""


def test_orphans_can_be_kept(daemon, host, peer, guest):
    daemon.keep_orphans = True
    guest.ask("WRITE", b"x\0v")
    host.kill(5)
    lives.scan(daemon)
    assert peer.ask("GET_PERMS", b"/local/domain/5/x\0") == b"n0\0"


def test_a_shutdown_is_told_once_until_the_domain_is_resumed(daemon, host, peer, guest, other):
    peer.ask("INTRODUCE", b"6\x001\x008\0")
    special(other, (b"@releaseDomain", None))
    for domid in (5, 6):
        host.lives[domid] = Life(1000 + domid, shutdown=True)
    for expected in ([(b"@releaseDomain", b"0")], []):
        lives.scan(daemon)
        assert other.events() == expected
    assert peer.ask("RESUME", b"5\0") == OK
    lives.scan(daemon)
    assert other.events() == [(b"@releaseDomain", b"0")]
    assert peer.ask("READ", b"/local/domain/5\0") == b""


def test_dying_is_not_dead(daemon, host, peer, guest):
    host.lives[5] = Life(1005, dying=True)
    lives.scan(daemon)
    assert peer.ask("IS_DOMAIN_INTRODUCED", b"5\0") == b"T\0"


def test_another_domain_with_the_number_has_nothing_of_the_first(daemon, host, peer, guest):
    peer.ask("WRITE", b"/shared\0v")
    peer.ask("SET_PERMS", b"/shared\0n0\0b5\0")
    guest.ask("WRITE", b"x\0v")
    peer.ask("SET_QUOTA", b"5\0nodes\x003\0")
    host.reuse(5)
    assert peer.ask("INTRODUCE", b"5\x001\x009\0") == OK
    again = ring_of(daemon, 5)
    assert again.ask("READ", b"/shared\0") == "EACCES"
    assert peer.ask("READ", b"/local/domain/5\0") == "ENOENT"
    assert peer.ask("GET_QUOTA", b"5\0nodes\0") == b"1000\0"
    assert daemon.domains.get(5).usage.nodes == 0


def test_an_entry_for_a_domain_that_does_not_exist_never_counts(daemon, host, peer):
    host.kill(7)
    peer.ask("WRITE", b"/a\0v")
    assert peer.ask("SET_PERMS", b"/a\0n7\0") == "ENOENT"
    assert peer.ask("SET_PERMS", b"/a\0n0\0r7\0") == OK
    assert peer.ask("GET_PERMS", b"/a\0") == b"n0\0r7\0"
    host.lives[7] = Life(77)
    peer.ask("INTRODUCE", b"7\x001\x001\0")
    assert ring_of(daemon, 7).ask("READ", b"/a\0") == "EACCES"


def test_a_target_s_rights_last_as_long_as_the_target(daemon, host, peer, guest):
    peer.ask("INTRODUCE", b"6\x001\x008\0")
    stub = ring_of(daemon, 6)
    guest.ask("WRITE", b"x\0v")
    assert stub.ask("READ", b"/local/domain/5/x\0") == "EACCES"
    for payload, answer in (
        (b"6\x009\0", "ENOENT"),
        (b"6\x000\0", "EINVAL"),
        (b"6\x006\0", "EINVAL"),
        (b"6\x005\0", OK),
    ):
        assert peer.ask("SET_TARGET", payload) == answer
    assert stub.ask("READ", b"/local/domain/5/x\0") == b"v"
    assert stub.ask("WRITE", b"/local/domain/5/y\0") == OK
    assert peer.ask("GET_PERMS", b"/local/domain/5/y\0") == b"n6\0"
    host.kill(5)
    lives.scan(daemon)
    peer.ask("MKDIR", b"/z\0")
    host.lives[5] = Life(99)
    peer.ask("SET_PERMS", b"/z\0n5\0")
    assert stub.ask("READ", b"/z\0") == "EACCES"


def test_a_domain_and_its_target_may_die_in_either_order(daemon, host, peer, guest):
    peer.ask("INTRODUCE", b"6\x001\x008\0")
    peer.ask("SET_TARGET", b"6\x005\0")
    host.kill(5)
    host.kill(6)
    lives.scan(daemon)
    assert [domain.domid for domain in daemon.domains] == [0]


def test_features_are_fixed_by_the_introduction(daemon, host, peer, guest):
    assert peer.ask("GET_FEATURE") == b"15\0"
    assert guest.ask("GET_FEATURE") == b"15\0"
    assert guest.ask("GET_FEATURE", b"5\0") == "EACCES"
    assert peer.ask("SET_FEATURE", b"5\x002\0") == "EBUSY"
    assert peer.ask("SET_FEATURE", b"6\x0016\0") == "EINVAL"
    assert peer.ask("SET_FEATURE", b"6\x002\0") == OK
    assert peer.ask("GET_FEATURE", b"6\0") == b"2\0"
    peer.ask("INTRODUCE", b"6\x001\x008\0")
    plain = ring_of(daemon, 6)
    assert plain.ask("WATCH", b"x\0t\x001\0") == "EINVAL"
    host.kill(7)
    assert peer.ask("GET_FEATURE", b"7\0") == "ENOENT"


def test_an_ignored_ring_is_told_of_when_its_domain_dies(daemon, host, peer, guest, other):
    special(other, (b"@releaseDomain", None))
    daemon.ignore(guest.connection, "broken")
    host.kill(5)
    lives.scan(daemon)
    assert other.events() == [(b"@releaseDomain", b"0")]


def test_the_history_says_who_went(daemon, host, peer, guest):
    guest.ask("WRITE", b"x\0v")
    host.kill(5)
    lives.scan(daemon)
    assert (daemon.branch.head.message, daemon.branch.head.author) == ("END of domain 5", "xsadapter")


def test_deep_and_wide_belongings_go_without_recursion(daemon, host, peer, guest):
    peer.ask("SET_QUOTA", b"5\0nodes\x000\0")
    guest.ask("WRITE", b"/local/domain/5" + b"/d" * 1500 + b"\0")
    host.kill(5)
    lives.scan(daemon)
    assert peer.ask("READ", b"/local/domain/5\0") == "ENOENT"


def test_another_domain_with_the_number_is_seen_by_looking(daemon, host, peer, guest, other):
    special(other, (b"@releaseDomain", None))
    guest.ask("WRITE", b"x\0v")
    host.reuse(5)
    lives.scan(daemon)
    assert other.events() == [(b"@releaseDomain", b"0")]
    assert peer.ask("READ", b"/local/domain/5/x\0") == "ENOENT"
    assert guest.connection.closed


def test_the_wildcard_counts_only_if_its_setter_has_the_feature(daemon, peer, guest):
    peer.ask("SET_FEATURE", b"6\x007\0")
    peer.ask("WRITE", b"/plain\0v")
    peer.ask("SET_PERMS", b"/plain\0n6\0")
    peer.ask("INTRODUCE", b"6\x001\x008\0")
    plain = ring_of(daemon, 6)
    assert plain.ask("SET_PERMS", b"/plain\0n6\0r32757\0") == OK
    assert plain.ask("GET_PERMS", b"/plain\0") == b"n6\0r32757\0"
    assert guest.ask("READ", b"/plain\0") == "EACCES"
    assert peer.ask("SET_PERMS", b"/plain\0n6\0r32757\0") == OK
    assert guest.ask("READ", b"/plain\0") == b"v"


def test_guests_are_told_of_domains_if_the_list_says_so(daemon, host, peer, guest):
    special(guest, (b"@introduceDomain", None), (b"@releaseDomain", None))
    for introduced, expected in ((b"n0\0", []), (b"n0\0r5\0", [(b"@introduceDomain", b"0")])):
        peer.ask("SET_PERMS", b"@introduceDomain\0" + introduced)
        peer.ask("INTRODUCE", b"6\x001\x008\0")
        peer.ask("RELEASE", b"6\0")
        assert guest.events() == [*expected, (b"@releaseDomain", b"1")]
