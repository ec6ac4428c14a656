"""CONTROL's words about what the daemon has."""

import pytest

OK = b"OK\0"


@pytest.fixture
def guest(introduced):
    return introduced


def lines(peer, *words):
    reply = peer.ask("CONTROL", b"".join(word.encode() + b"\0" for word in words))
    assert isinstance(reply, bytes), reply
    return [] if reply == OK else reply.rstrip(b"\0").decode().splitlines()


def test_quota_tells_and_sets_what_later_domains_begin_with(daemon, peer, guest):
    assert "nodes             :     1000 Nodes per domain" in lines(peer, "quota")
    assert not any("soft" in line for line in lines(peer, "quota"))
    assert lines(peer, "quota", "set", "nodes", "7") == []
    assert peer.ask("GET_QUOTA", b"nodes\0") == b"7\0"
    assert peer.ask("GET_QUOTA", b"5\0nodes\0") == b"1000\0"
    for words in (("set", "nodes", "0"), ("set", "soft-memory", "5"), ("set", "nodes"), ("set", "no", "5"), ("x",)):
        assert peer.ask("CONTROL", b"quota\0" + b"".join(word.encode() + b"\0" for word in words)) == "EINVAL"
    assert peer.ask("CONTROL", b"quota\x0032752\0") == "ENOENT"


def test_quota_of_one_domain_and_the_maxima(peer, guest):
    for name in (b"a", b"b", b"c"):
        guest.ask("WRITE", name + b"\0")
    guest.ask("RM", b"a\0")
    peer.ask("SET_QUOTA", b"5\0watches\x001\0")
    guest.ask("WATCH", b"a\0t\0")
    guest.ask("WATCH", b"b\0t\0")
    told = {line.split()[0]: line for line in lines(peer, "quota", "5")}
    assert told["nodes"].endswith(":        3 (max 4, limit 1000)")
    assert told["watches"].endswith(":        1 (max 1, limit 1) refused 1")
    assert lines(peer, "quota", "max")[0].split() == ["nodes", ":", "4"]
    lines(peer, "quota", "max", "-r")
    assert lines(peer, "quota", "max")[0].split() == ["nodes", ":", "3"]


def test_soft_quotas(peer):
    assert [line.split()[0] for line in lines(peer, "quota-soft")] == ["memory"]
    assert lines(peer, "quota-soft", "set", "memory", "99") == []
    assert peer.ask("GET_QUOTA", b"soft-memory\0") == b"99\0"
    assert peer.ask("CONTROL", b"quota-soft\0set\0nodes\x009\0") == "EINVAL"


def test_domains_watches_and_transactions(daemon, peer, guest):
    guest.ask("WATCH", b"x\0to\nken\x002\0")
    guest.start()
    assert [line.split(":")[0] for line in lines(peer, "domains")] == ["domain 0 introduced", "domain 5 introduced"]
    daemon.ignore(guest.connection, "broken")
    assert lines(peer, "domains", "5") == [
        "domain 5 ignored: 1 nodes, 41 bytes, 0 watches, 0 transactions, 0 outstanding"
    ]
    assert lines(peer, "watches") == lines(peer, "transactions") == []
    daemon.restart(guest.connection)
    guest.ask("WATCH", b"x\0to\nken\x002\0")
    guest.start()
    assert lines(peer, "watches", "5") == [f"{guest.connection.author}: /local/domain/5/x to\\x0aken depth 2"]
    assert lines(peer, "transactions", "5") == [f"{guest.connection.author}: 2 for 0.000 s, 0 nodes"]
    assert lines(peer, "watches", "0") == []


def test_of_a_transaction_it_is_told_how_many_nodes_it_has_to_do_with(daemon, peer):
    number = peer.start()
    for name in (b"a", b"a/b", b"a/c", b"a/c"):
        assert peer.ask("WRITE", b"/%b\0x" % name, number) == b"OK\0"
    for name in (b"a/b", b"tool", b"tool"):
        peer.ask("READ", b"/%b\0" % name, number)
    assert lines(peer, "transactions", "0") == [f"{peer.connection.author}: {number} for 0.000 s, 5 nodes"]


def test_check_finds_what_is_wrong(daemon, peer, guest):
    assert lines(peer, "check") == []
    daemon.domains.get(5).usage.nodes += 2
    assert lines(peer, "check") == ["domain 5: charged for 3 nodes, has 1"]
    daemon.domains.get(5).usage.nodes -= 2
    assert lines(peer, "memreport")[1] == "watches 0"
