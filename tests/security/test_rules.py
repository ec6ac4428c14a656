"""The fifteen general rules that the advisories come to, each on a ring where a ring has to do with it."""

import os
import random
import socket
import stat
from pathlib import Path

import pytest

import rrdstore
from tests.compat.guest import RSP_CONS, RSP_PROD
from tests.daemon.conversation import NUMBERS, Peer
from tests.daemon.test_accounts import check
from tests.security.hostile import HostilePage
from tests.security.world import OK
from xsadapter.arguments import number
from xsadapter.cli import heritage
from xsadapter.engine.quotas import QUOTAS
from xsadapter.engine.ring import Ring
from xsadapter.errors import RequestError
from xsadapter.operations import OPERATIONS, TransactionUse
from xsadapter.stream import Global, encode
from xsadapter.transport import socket as local
from xsadapter.wire import pack

NO_PROGRAM = b"no program was named: -f comes first\0"
NOT_NUMBERS = [
    b"",
    b"-1",
    b"+1",
    b" 1",
    b"1 ",
    b"0x5",
    b"1_0",
    b"1.0",
    b"1e1",
    b"\xd9\xa1",
    b"99999999999999999999",
    b"5x",
]


def test_rule_1_the_ring_is_copied_before_it_is_looked_at():
    """Each index is loaded once a call and judged as loaded; nothing of the page is looked at twice."""
    for seed in range(200):
        page = HostilePage(random.Random(seed))
        ring = Ring(page)
        for call in (ring.waiting, ring.room, lambda: ring.copy(0, 4096), lambda: ring.fill(bytes(2000))):  # noqa: B023
            page.calm()
            outcome = page.outcome(call)
            assert len(page.loads) == len(set(page.loads)) <= 2
            assert page.stores <= {512, 515}
            assert page.read_bytes <= 1024
            assert outcome is None or len(outcome) <= 1024


def test_rule_2_nothing_a_guest_sends_ends_anything_but_its_ring(machine, guest, victim):
    """Frames of every kind with random bytes: see test_mutations for the many."""
    chance = random.Random(2)
    for _ in range(300):
        length = chance.choice([0, 1, 5, 30, 4096, 4097, 2**31])
        payload = chance.randbytes(min(length, 900))
        guest.put(pack(chance.randrange(40), 1, chance.choice([0, 1, 2**32 - 1]), payload))
        guest.kick()
        machine.turn()
        guest.words[RSP_CONS] = guest.words[RSP_PROD]
        if guest.ignored:
            guest.begin_anew()
    assert victim.ask("WRITE", b"x\0") == OK


@pytest.mark.parametrize("error", [rrdstore.StoreFull, rrdstore.Held, RuntimeError])
def test_rule_3_a_failure_charges_nobody(machine, guest, monkeypatch, error):
    """The store refuses, or there is a bug: nothing was done, so nobody has more or less than before."""
    assert guest.ask("WRITE", b"x\0v") == OK
    inside = guest.start()
    guest.ask("WRITE", b"y/z\0" + bytes(99), inside)

    def refuse(*_, **__):
        raise error.__new__(error)

    ledger = type(machine.daemon.branch._ledger)
    monkeypatch.setattr(ledger, "commit", refuse)
    for operation, payload in (
        ("WRITE", b"x\0longer"),
        ("WRITE", b"new/and/deep\0v"),
        ("MKDIR", b"new\0"),
        ("RM", b"x\0"),
        ("SET_PERMS", b"x\0n5\0r6\0"),
    ):
        assert guest.ask(operation, payload) in {"ENOSPC", "EBUSY", "EIO"}
        check(machine.daemon)
    assert guest.ask("TRANSACTION_END", b"T\0", inside) in {"ENOSPC", "EBUSY", "EIO"}
    monkeypatch.undo()
    check(machine.daemon)
    assert guest.ask("READ", b"x\0") == b"v"
    assert guest.domain.usage.transactions == 0
    machine.daemon.notices.clear()


def test_rule_4_one_request_of_a_connection_a_round(machine, guest, victim, monkeypatch):
    order = []
    step = machine.daemon.step

    def watched(connection):
        done = step(connection)
        if done:
            order.append(connection.domid)
        return done

    guest.put(b"".join(pack(2, 0, 0, b"x\0") for _ in range(15)))
    victim.put(b"".join(pack(2, 0, 0, b"x\0") for _ in range(3)))
    guest.kick()
    victim.kick()
    for client in machine.xen.clients.values():
        monkeypatch.setattr(client, "daemon", type("Watched", (), {"step": staticmethod(watched)})())
    machine.turn()
    monkeypatch.undo()
    assert order == [5, 6, 5, 6, 5, 6] + [5] * 12


def test_rule_5_identity_is_the_rings(machine, guest, victim):
    """Whatever numbers are in a payload, in a header, or in a path: they are data."""
    assert victim.ask("WRITE", b"x\0secret") == OK
    other = victim.start()
    assert guest.ask("WRITE", b"x\0mine", other) == "ENOENT"
    assert guest.ask("TRANSACTION_END", b"F\0", other) == "ENOENT"
    assert guest.ask("READ", b"/local/domain/6/x\0") == "EACCES"
    assert guest.ask("UNWATCH", b"/local/domain/6\0t\0") == "ENOENT"
    for operation in OPERATIONS:
        if operation.privileged:
            for payload in (b"", b"5\0", b"0\0", b"0\x005\0", b"5\x001\x007\0"):
                assert guest.ask(operation.name, payload) == "EACCES", operation.name
    assert guest.ask("GET_FEATURE", b"5\0") == guest.ask("GET_FEATURE", b"0\0") == "EACCES"
    assert guest.ask("WRITE", b"made\0") == OK
    assert guest.ask("GET_PERMS", b"made\0") == b"n5\0"
    assert victim.ask("TRANSACTION_END", b"F\0", other) == OK


def test_rule_6_what_is_long_lived_belongs_to_a_domain_and_not_to_a_number(machine, guest):
    """Node, entry, watch, transaction, feature, quota, target, turn, shutdown, refusal: none is the next one's."""
    machine.guest(6)
    machine.toolstack.ask("SET_TARGET", b"5\x006\0")
    machine.toolstack.ask("SET_QUOTA", b"5\0watches\x001\0")
    guest.ask("WATCH", b"a\0t\0")
    guest.ask("WATCH", b"b\0t\0")
    guest.start()
    old = guest.domain
    machine.reuse(5, 77)
    machine.kick(1)
    assert machine.toolstack.ask("SET_FEATURE", b"5\x004\0") == OK
    next_one = machine.guest(5)
    domain = next_one.domain
    assert domain is not old
    assert (domain.features, domain.target, domain.servants, domain.shut) == (4, None, set(), False)
    assert (domain.limits["watches"], domain.refusals, domain.told) == (128, {}, {})
    assert machine.domain(6).servants == set()
    assert not machine.daemon.watches.count
    assert next_one.start() == 1


def test_rule_7_quotas_are_on_without_being_asked_for(guest):
    assert guest.domain.limits == {name: quota.default for name, quota in QUOTAS.items()}
    assert {name: quota.default for name, quota in QUOTAS.items()} == {
        "nodes": 1000,
        "watches": 128,
        "outstanding": 20,
        "memory": 2621440,
        "soft-memory": 2097152,
        "transactions": 10,
        "transaction-nodes": 1024,
        "node-permissions": 5,
        "path-max": 2048,
        "node-size": 2048,
    }


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_rule_8_numbers_are_plain_decimal(machine, guest, text):
    assert guest.ask("SET_PERMS", b"/local/domain/5\0n" + text + b"\0") == "EINVAL"
    assert guest.ask("SET_PERMS", b"/local/domain/5\0n5\0r" + text + b"\0") == "EINVAL"
    assert guest.ask("GET_DOMAIN_PATH", text + b"\0") == "EINVAL"
    assert guest.ask("WATCH", b"x\0t\0" + text + b"\0") == "EINVAL"
    assert guest.ask("DIRECTORY_PART", b"/local/domain/5\0" + text + b"\0") == "EINVAL"
    for operation in ("RELEASE", "RESUME", "IS_DOMAIN_INTRODUCED", "GET_FEATURE"):
        assert machine.toolstack.ask(operation, text + b"\0") == "EINVAL", operation
    for operation, payload in (
        ("INTRODUCE", (text, b"1", b"7")),
        ("INTRODUCE", (b"5", b"1", text)),
        ("SET_TARGET", (b"5", text)),
        ("SET_FEATURE", (b"9", text)),
        ("GET_QUOTA", (text, b"nodes")),
        ("SET_QUOTA", (b"nodes", text)),
        ("SET_QUOTA", (text, b"nodes", b"1")),
        ("CONTROL", (b"quota", b"set", b"nodes", text)),
    ):
        assert machine.toolstack.ask(operation, b"".join(part + b"\0" for part in payload)) == "EINVAL", operation
    with pytest.raises(RequestError):
        number(text, 2**32)


@pytest.mark.parametrize("operation", [row for row in OPERATIONS if row.transaction is TransactionUse.USED])
@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
def test_rule_9_absent_and_forbidden_are_the_same(machine, guest, operation, inside):
    machine.node(b"/closed", b"n0\0")
    machine.node(b"/closed/there", b"n0\0")
    machine.node(b"/closed/there/below", b"n0\0")
    rest = {"SET_PERMS": b"n5\0", "DIRECTORY_PART": b"0\0", "WRITE": b"v"}.get(operation.name, b"")
    answers = {
        guest.ask(operation.name, path + b"\0" + rest, guest.start() if inside else 0)
        for path in (b"/closed/there", b"/closed/there/below", b"/closed/absent", b"/closed/absent/below", b"/absent")
    }
    assert answers == {"EACCES"}


def test_rule_9_a_watch_tells_nothing_of_what_is_hidden(machine, guest):
    machine.node(b"/closed/there", b"n0\0")
    for path in (b"/closed/there\0", b"/closed/absent\0"):
        assert guest.ask("WATCH", path + b"t\0") == OK
    assert guest.events() == [(b"/closed/there", b"t"), (b"/closed/absent", b"t")]
    machine.toolstack.ask("RM", b"/closed\0")
    machine.node(b"/closed/absent", b"n0\0")
    assert guest.events() == []


def test_rule_10_the_socket_is_born_closed(tmp_path, monkeypatch):
    """Not made closed afterwards: between the two anybody could connect."""
    modes = []
    bind = socket.socket.bind

    def seen(self, address):
        bind(self, address)
        modes.append(stat.S_IMODE(Path(address).stat().st_mode))

    monkeypatch.setattr(socket.socket, "bind", seen)
    before = os.umask(0)
    try:
        local.listen(tmp_path / "s").close()
        assert modes == [0o600]
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_rule_11_only_the_toolstack_names_files(machine, guest):
    before = set(machine.directory.iterdir())
    for command in (b"logfile\0evil", b"memreport\0evil", b"live-update\0-f\0evil", b"log\0on", b"print\0x", b"check"):
        assert guest.ask("CONTROL", command + b"\0") == "EACCES"
    assert set(machine.directory.iterdir()) == before


def test_rule_12_a_guest_cannot_fill_the_log(machine, guest):
    notices = machine.daemon.notices
    notices.clear()
    for attempt in range(50):
        if attempt % 2:
            guest.words[513] += 5000
        else:
            guest.put(b"\xff" * 16)
        guest.kick()
        machine.turn()
        assert guest.ignored
        guest.begin_anew()
        guest.ask("WRITE", b"x\0" + bytes(3000))
        for _ in range(12):
            guest.ask("TRANSACTION_START", b"\0")
    assert len(notices) == 3
    machine.daemon.flow.now += 11
    guest.ask("WRITE", b"x\0" + bytes(3000))
    assert "refused 51 times" in notices[-1].text
    assert all(notice.text.isprintable() for notice in notices)


def test_rule_12_what_a_bug_logs_of_a_request_is_escaped(machine, guest, monkeypatch):
    def bug(*_):
        raise RuntimeError

    monkeypatch.setattr(type(machine.daemon), "_carry_out", bug)
    assert guest.ask("READ", b"\x1b]0;evil\n\xff\0") == "EIO"
    [notice] = machine.daemon.notices
    assert notice.text.isprintable()
    assert r"\x1b]0;evil\x0a\xff\x00" in notice.text
    machine.daemon.notices.clear()


def test_rule_13_no_state_is_taken_from_a_file_that_a_client_names(machine, tmp_path):
    """A client names a program alone; the state lies in the daemon's directory, and nobody else may touch it."""
    state = tmp_path / "state"
    state.write_bytes(b"".join(encode([Global()])))
    assert machine.toolstack.ask("CONTROL", b"live-update\0-s\0-U\0%b\0" % bytes(state)) == NO_PROGRAM
    assert machine.toolstack.ask("CONTROL", b"live-update\0-U\0") == "EINVAL"
    state.chmod(0o644)
    with pytest.raises(heritage.HeritageError, match="expected a file of ours"):
        heritage.read(state)
    state.chmod(0o600)
    (tmp_path / "link").symlink_to(state)
    with pytest.raises(OSError, match="link"):
        heritage.read(tmp_path / "link")
    assert heritage.read(state).head is None


def test_rule_14_nobody_is_waited_for(machine, guest, victim):
    """A guest that takes neither its notifications nor its replies; one whose port is gone."""
    for each in (guest, victim):
        for _ in range(600):
            machine.xen.notify(each.port)
    victim.told.close()
    (machine.directory / f"port.{victim.port}").unlink()
    machine.xen.notify(victim.port)
    assert not any(os.get_blocking(descriptor) for descriptor in machine.xen.descriptors())
    slow = Peer(machine.daemon)
    slow.feed(pack(NUMBERS["WATCH"], 1, 0, b"/local/domain/5\0t\0"))
    assert guest.ask("WRITE", b"x\0") == OK
    victim.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    assert slow.take()


def test_rule_15_bytes_are_copied_before_an_index_moves_by_one_store():
    """In both directions; x86 needs no fence between, and the notification that follows is one."""
    page = HostilePage(None)
    ring = Ring(page)
    page.calm()
    ring.fill(bytes(300))
    ring.show(300)
    assert page.log == ["load 515", "load 514", "copy in", "load 515", "store 515"]
    page.words[513] = 300
    page.calm()
    ring.let_go(len(ring.copy(0, 4096)))
    assert page.log == ["load 512", "load 513", "copy out", "load 512", "store 512"]
    page.words[512], page.words[513], page.words[515], page.words[514] = 900, 1900, 900, 900
    page.calm()
    ring.let_go(len(ring.copy(0, 4096)))
    ring.show(ring.fill(bytes(1024)))
    assert page.log == [
        *("load 512", "load 513", "copy out", "copy out", "load 512", "store 512"),
        *("load 515", "load 514", "copy in", "copy in", "load 515", "store 515"),
    ]
