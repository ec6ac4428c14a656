"""Quotas: each at its limit and one over it, and given back on every way."""

import pytest

from xsadapter.engine.quotas import QUOTAS
from xsadapter.wire import pack

OK = b"OK\0"


@pytest.fixture
def guest(introduced):
    return introduced


def limit(peer, name, value):
    assert peer.ask("SET_QUOTA", b"5\0%b\0%d\0" % (name, value)) == OK


def test_names_values_and_whose(daemon, peer, guest):
    assert peer.ask("GET_QUOTA") == " ".join(QUOTAS).encode() + b"\0"
    assert peer.ask("GET_QUOTA", b"nodes\0") == b"1000\0"
    limit(peer, b"nodes", 7)
    assert peer.ask("GET_QUOTA", b"5\0nodes\0") == b"7\0"
    assert peer.ask("SET_QUOTA", b"watches\x003\0") == OK
    assert peer.ask("GET_QUOTA", b"5\0watches\0") == b"128\0"
    assert peer.ask("GET_QUOTA", b"6\0watches\0") == b"3\0"
    assert peer.ask("GET_QUOTA", b"permissions\0") == b"5\0"
    for payload in (b"nothing\0", b"\xff\0"):
        assert peer.ask("GET_QUOTA", payload) == "EINVAL"
    for payload in (b"nodes\0-1\0", b"nodes\x004294967296\0", b"nodes\0", b"5\0nothing\x001\0"):
        assert peer.ask("SET_QUOTA", payload) == "EINVAL"
    assert peer.ask("GET_QUOTA", b"32752\0nodes\0") == "ENOENT"
    assert guest.ask("GET_QUOTA") == "EACCES"


def test_nodes(peer, guest):
    limit(peer, b"nodes", 3)
    assert guest.ask("WRITE", b"a/b\0") == OK
    assert guest.ask("WRITE", b"c\0") == "ENOSPC"
    assert guest.ask("RM", b"a/b\0") == OK
    assert guest.ask("WRITE", b"c\0") == OK
    assert peer.ask("WRITE", b"/local/domain/5/more\0") == OK
    assert peer.ask("GET_PERMS", b"/local/domain/5/more\0") == b"n5\0"
    assert guest.ask("WRITE", b"d\0") == "ENOSPC"


def test_nodes_are_judged_at_the_end_of_a_transaction(peer, guest):
    limit(peer, b"nodes", 3)
    number = guest.start()
    for path in (b"a", b"b", b"c"):
        assert guest.ask("WRITE", path + b"\0", number) == OK
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "ENOSPC"
    assert guest.ask("DIRECTORY", b"/local/domain/5\0") == b""
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "ENOENT"
    number = guest.start()
    for path in (b"a", b"b", b"c"):
        guest.ask("WRITE", path + b"\0", number)
    guest.ask("RM", b"b\0", number)
    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    number = guest.start()
    guest.ask("RM", b"a\0", number)
    guest.ask("WRITE", b"x\0", number)
    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK


def test_watches(daemon, peer, guest):
    limit(peer, b"watches", 2)
    for path in (b"a", b"b"):
        assert guest.ask("WATCH", path + b"\0t\0") == OK
    assert guest.ask("WATCH", b"c\0t\0") == "ENOSPC"
    assert guest.ask("UNWATCH", b"a\0t\0") == OK
    assert guest.ask("WATCH", b"c\0t\0") == OK
    assert guest.ask("RESET_WATCHES", b"\0") == OK
    assert daemon.domains.get(5).usage.watches == 0


def test_transactions(peer, guest):
    limit(peer, b"transactions", 2)
    first = guest.start()
    guest.start()
    assert guest.ask("TRANSACTION_START", b"\0") == "ENOSPC"
    assert guest.ask("TRANSACTION_END", b"F\0", first) == OK
    guest.start()
    assert guest.ask("RESET_WATCHES", b"\0") == OK
    guest.start()


def test_nodes_of_a_transaction(peer, guest):
    limit(peer, b"transaction-nodes", 2)
    number = guest.start()
    assert guest.ask("WRITE", b"/local/domain/5\0v", number) == OK
    assert guest.ask("READ", b"/local/domain/5\0", number) == b"v"
    assert guest.ask("READ", b"a\0", number) == "ENOENT"
    assert guest.ask("READ", b"b\0", number) == "ENOSPC"
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "ENOMEM"
    assert guest.ask("READ", b"/local/domain/5\0") == b""


def test_entries_of_a_list(peer, guest):
    limit(peer, b"node-permissions", 2)
    guest.ask("WRITE", b"a\0")
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0") == OK
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0r0\0") == "ENOSPC"
    assert peer.ask("SET_PERMS", b"/local/domain/5/a\0n5\0r0\0r0\0") == OK


def test_the_size_of_a_node_and_of_its_parent(peer, guest):
    assert guest.ask("WRITE", b"a\0" + bytes(2048 - 24)) == OK
    assert guest.ask("WRITE", b"a\0" + bytes(2048 - 23)) == "ENOSPC"
    limit(peer, b"node-size", 100)
    assert guest.ask("WRITE", b"a\0") == OK
    assert guest.ask("WRITE", b"b" * 73 + b"\0") == OK
    assert guest.ask("WRITE", b"c\0") == "ENOSPC"
    assert peer.ask("WRITE", b"/local/domain/5/c\0" + bytes(3000)) == OK
    assert guest.ask("RM", b"c\0") == OK


def test_a_longer_list_counts_in_the_size_of_its_node(peer, guest):
    limit(peer, b"node-size", 100)
    assert guest.ask("WRITE", b"a\0" + bytes(100 - 16 - 2 * 8 - 2)) == OK
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0") == OK
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0r0\0") == "ENOSPC"
    assert guest.ask("MKDIR", b"a/b\0") == OK
    assert guest.ask("MKDIR", b"a/c\0") == "ENOSPC"
    number = guest.start()
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0r0\0", number) == "ENOSPC"
    assert guest.ask("GET_PERMS", b"a\0", number) == b"n5\0r0\0"
    assert peer.ask("SET_PERMS", b"/local/domain/5/a\0n5\0r0\0r0\0") == OK


def test_the_length_of_a_path_counts_without_anybodys_home(peer, guest):
    limit(peer, b"path-max", 20)
    assert guest.ask("WRITE", b"p" * 20 + b"\0") == OK
    assert guest.ask("WRITE", b"p" * 21 + b"\0") == "EINVAL"
    assert guest.ask("READ", b"/local/domain/65535/" + b"p" * 20 + b"\0") == "EACCES"
    assert guest.ask("READ", b"/elsewhere/" + b"p" * 10 + b"\0") == "EINVAL"
    assert guest.ask("WATCH", b"p" * 21 + b"\0t\0") == "EINVAL"


def test_memory(daemon, peer, guest):
    usage = daemon.domains.get(5).usage
    limit(peer, b"memory", usage.memory + 300)
    assert guest.ask("WRITE", b"a\0" + bytes(100)) == OK
    assert guest.ask("WRITE", b"a\0" + bytes(500)) == "ENOMEM"
    assert guest.ask("WRITE", b"b\0" + bytes(500)) == "EIO"
    assert guest.ask("WATCH", b"w" * 300 + b"\0t\0") == "ENOMEM"
    limit(peer, b"memory", usage.memory + 8)
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0r0\0") == "ENOMEM"
    assert guest.ask("SET_PERMS", b"a\0n5\0r0\0") == OK
    assert guest.ask("WRITE", b"a\0") == OK
    assert guest.ask("RM", b"a\0") == OK


def test_who_does_not_read_is_not_read(daemon, peer, guest):
    limit(peer, b"outstanding", 3)
    for _ in range(3):
        guest.feed(pack(2, 1, 0, b"a\0"))
        assert daemon.domains.get(5).usage.outstanding <= 3
    assert guest.connection.stalled
    guest.connection.sent(1)
    assert guest.connection.stalled
    guest.connection.sent(sum(map(len, guest.connection.output)))
    assert not guest.connection.stalled


def test_a_request_is_outstanding_until_its_events_are_read_by_others(daemon, peer, guest):
    peer.ask("WATCH", b"/local/domain/5\0t\0")
    peer.take()
    guest.ask("WRITE", b"a\0")
    assert daemon.domains.get(5).usage.outstanding == 1
    assert peer.events() == [(b"/local/domain/5/a", b"t")]
    assert daemon.domains.get(5).usage.outstanding == 0


def test_an_event_that_is_not_read_in_time_is_dropped(daemon, peer, guest):
    guest.ask("WATCH", b"a\0t\0")
    guest.take()
    peer.ask("WRITE", b"/local/domain/5/a\0")
    daemon.flow.now = 19.0
    assert daemon.expire()
    daemon.flow.now = 20.0
    assert not daemon.expire()
    assert guest.events() == []
    assert any("not read in time" in notice.text for notice in daemon.notices)
    peer.ask("WRITE", b"/local/domain/5/a\0")
    guest.connection.sent(1)
    daemon.flow.now = 60.0
    assert daemon.expire()


def test_refusals_are_counted_and_logged_not_too_often(daemon, peer, guest):
    limit(peer, b"watches", 1)
    guest.ask("WATCH", b"a\0t\0")
    daemon.notices.clear()
    for _ in range(5):
        assert guest.ask("WATCH", b"b\0t\0") == "ENOSPC"
    assert [notice.text for notice in daemon.notices] == ["domain 5 is at its quota watches of 1: refused 1 times"]
    daemon.flow.now = 10.0
    guest.ask("WATCH", b"b\0t\0")
    assert daemon.notices[-1].text.endswith("refused 6 times")
    assert daemon.domains.get(5).refusals == {"watches": 6}


def test_soft_memory_is_told_once_each_way_and_not_too_often(daemon, peer, guest):
    """Ten seconds at least lie between two lines; who crosses the limit meanwhile is told of as soon as that is due."""
    limit(peer, b"soft-memory", 2000)

    def told():
        found = [notice.text for notice in daemon.notices if "soft memory" in notice.text]
        daemon.notices.clear()
        return found

    assert guest.ask("WRITE", b"a\0" + bytes(1900)) == OK
    [line] = told()
    assert line.startswith("domain 5 is above its soft memory of 2000: ")
    guest.ask("WRITE", b"b\0" + bytes(1900))
    guest.ask("RM", b"a\0")
    guest.ask("RM", b"b\0")
    assert told() == []
    daemon.flow.now = 10.0
    guest.ask("READ", b"b\0")
    [line] = told()
    assert line.startswith("domain 5 is below its soft memory of 2000: ")
    # What the toolstack makes for it counts.
    daemon.flow.now = 20.0
    peer.ask("WRITE", b"/local/domain/5/c\0" + bytes(1999))
    assert len(told()) == 1
    assert peer.ask("RELEASE", b"5\0") == OK
    assert told() == []
    peer.ask("SET_QUOTA", b"0\0soft-memory\x001\0")
    peer.ask("WRITE", b"/x\0" + bytes(99))
    assert told() == []


def test_the_toolstack_has_none(daemon, peer):
    daemon.domains.get(0).limits.update(dict.fromkeys(QUOTAS, 1))
    for number in range(5):
        assert peer.ask("WRITE", b"/a/%d\0" % number + bytes(100)) == OK
        assert peer.ask("WATCH", b"/a/%d\0t\0" % number) == OK
        peer.start()


def test_zero_is_no_limit(peer, guest):
    for name in QUOTAS:
        limit(peer, name.encode(), 0)
    for number in range(200):
        assert guest.ask("WATCH", b"a%d\0t\0" % number) == OK
    assert guest.ask("WRITE", b"a\0" + bytes(4000)) == OK
