"""Client sockets: whoever comes by one is a domain, and what it does to others is nothing.

Real sockets, and where the machine allows it (root) a second user, whose connection a child makes that became him.
"""

from __future__ import annotations

import array
import os
import re
import select
import signal
import socket
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.compat.guest import Guest
from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS, Host, Peer, fresh_daemon
from tests.daemon.processes import PATIENCE, running, until
from tests.daemon.test_server import read_frames
from xsadapter.cli import main
from xsadapter.client import Client, RequestError
from xsadapter.engine import lives
from xsadapter.operations import OPERATIONS
from xsadapter.server import Server
from xsadapter.transport.listener import Listener
from xsadapter.transport.socket import ClientSocket, listen
from xsadapter.transport.stream import StreamClient
from xsadapter.wire import pack

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another user")


@pytest.fixture(scope="module")
def shared():
    with short_directory() as directory:
        directory.chmod(0o755)
        yield directory


@pytest.fixture
def place():
    with short_directory() as directory:
        directory.chmod(0o755)
        yield directory


@pytest.fixture(scope="module")
def daemon(shared):
    """A daemon with a socket for domain 5, and a home of that domain."""
    with running(shared, "--memory", "--client-socket", f"{shared}/five:5") as made:
        with made.client() as toolstack:
            toolstack.mkdir("/local/domain/5")
            toolstack.set_permissions("/local/domain/5", ["n5"])
        yield made


@pytest.fixture
def five(daemon):
    """The socket of domain 5."""
    return daemon.rundir / "five"


def connect(path):
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.settimeout(PATIENCE)
    stream.connect(str(path))
    return stream


def connect_as(uid, path):
    """A connection that a user made: a child becomes him, connects, and hands it over."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setresuid(uid, uid, uid)
            with connect(path) as made:
                theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [made.fileno()]))])
                status = 0
        finally:
            os._exit(status)
    theirs.close()
    with ours:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(child, 0)
    if not descriptors:
        raise PermissionError(f"user {uid} cannot connect to {path}")
    stream = socket.socket(fileno=descriptors[0])
    stream.settimeout(PATIENCE)
    return stream


def ask(stream, operation, payload):
    """The reply's payload, or the name of the error, events passed over; None at the end of the stream."""
    message = None
    try:
        stream.sendall(pack(NUMBERS[operation], 1, 0, payload))
        while message is None or message.kind == "EVENT":
            if not stream.recv(1, socket.MSG_PEEK):
                return None
            [message] = read_frames(stream, 1)
    except (BrokenPipeError, ConnectionResetError):
        return None
    return message.payload.rstrip(b"\0").decode() if message.kind == "ERROR" else message.payload


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("/a:5", ClientSocket(Path("/a"), 5)),
        ("/a:5:1000", ClientSocket(Path("/a"), 5, 1000)),
        ("a:b:32751:0", ClientSocket(Path("a:b"), 32751, 0)),
        ("/a", "found no domain"),
        (":5", "found no domain"),
        ("/a:x", "found no domain"),
        ("/a:0", "found domain 0"),
        ("/a:32752", "found domain 32752"),
        ("/a:5:4294967295", "found user 4294967295"),
    ],
)
def test_what_the_option_says(text, meant):
    if isinstance(meant, str):
        with pytest.raises(ValueError, match=meant):
            ClientSocket.parse(text)
        done = CliRunner().invoke(main, ["run", "--memory", "--client-socket", text])
        assert (done.exit_code, meant in done.stderr) == (2, True)
    else:
        assert ClientSocket.parse(text) == meant


def test_its_users_are_that_domain_and_nothing_more(daemon, five):
    with Client(five, timeout=PATIENCE) as client, daemon.client() as toolstack:
        client.write("data", b"mine")
        assert toolstack.read("/local/domain/5/data") == b"mine"
        assert toolstack.get_permissions("/local/domain/5/data") == ["n5"]
        for refused in (
            lambda: client.read("/tool"),
            lambda: client.write("/tool/x", b""),
            lambda: client.list("/"),
            lambda: client.set_permissions("/local/domain/5/data", ["n0"]),
        ):
            with pytest.raises(RequestError, match=r"EACCES|EPERM"):
                refused()
        line = toolstack.control("history", "log", "/local/domain/5/data", "1")
        assert " dom5 conn " in line
        assert f" pid {os.getpid()} (" in line
        assert "domain 5 known: 2 nodes" in toolstack.control("domains", "5")
        client.rm("data")


def test_no_operation_of_the_toolstack_is_theirs(daemon, five):
    privileged = [operation.name for operation in OPERATIONS if operation.privileged]
    assert len(privileged) == 9
    with connect(five) as stream:
        for name in privileged:
            assert ask(stream, name, b"5\x001\x007\0") == "EACCES", name
        assert ask(stream, "GET_FEATURE", b"5\0") == "EACCES"


def test_the_file_says_who_may_come(place):
    others = [f"{place}/nobodys:6:{NOBODY}"] if os.geteuid() == 0 else []
    options = [word for each in [f"{place}/all:5", *others] for word in ("--client-socket", each)]
    with running(place, "--memory", *options) as daemon:
        assert stat.S_IMODE((place / "all").stat().st_mode) == 0o666
        assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
        if others:
            assert stat.S_IMODE((place / "nobodys").stat().st_mode) == 0o600
            assert (place / "nobodys").stat().st_uid == NOBODY
        assert daemon.stop() == 0
    assert not (place / "all").exists()


@needs_root
def test_another_user_is_sent_away(place):
    options = ["--client-socket", f"{place}/theirs:5:{NOBODY}", "--client-socket", f"{place}/all:6"]
    with running(place, "--memory", *options) as daemon:
        with connect_as(NOBODY, place / "theirs") as theirs, connect_as(NOBODY, place / "all") as alls:
            assert ask(theirs, "GET_DOMAIN_PATH", b"5\0") == b"/local/domain/5\0"
            assert ask(theirs, "CONTROL", b"help\0") == "EACCES"
            assert ask(alls, "WATCH", b"x\0t\0") == b"OK\0"
        for _ in range(3):
            with connect(place / "theirs") as mine:
                assert ask(mine, "GET_DOMAIN_PATH", b"5\0") is None
        with pytest.raises(PermissionError):
            connect_as(NOBODY, daemon.socket)
        assert daemon.log.count("sent away: user 0 is not 65534") == 1


def test_quotas_are_the_domains_however_many_connections_there_are(daemon, five):
    with daemon.client() as toolstack, connect(five) as first, connect(five) as second:
        toolstack.ask(NUMBERS["SET_QUOTA"], b"5\0watches\0" + b"3\0")
        answers = [ask(stream, "WATCH", b"data\0%d\0" % n) for n, stream in enumerate([first, second, first])]
        assert answers == [b"OK\0"] * 3
        assert ask(second, "WATCH", b"data\0more\0") == "ENOSPC"
        first.close()
        until(lambda: "1 watches" in toolstack.control("domains", "5"), "the first one's watches are gone")
        assert ask(second, "WATCH", b"data\0more\0") == b"OK\0"
        toolstack.ask(NUMBERS["SET_QUOTA"], b"5\0watches\0" + b"128\0")


def test_malformed_input_ends_them_and_nobody_else(daemon, five):
    with connect(five) as bad, connect(five) as good, daemon.client() as toolstack:
        for _ in range(20):
            with connect(five) as another:
                another.sendall(pack(2, 1, 0, b"x\0")[:12] + b"\xff\xff\xff\xff")
                assert ask(another, "READ", b"x\0") is None
        bad.sendall(os.urandom(12) + b"\xff\xff\xff\x7f")
        assert ask(bad, "READ", b"x\0") is None
        assert ask(good, "READ", b"data\0") == "ENOENT"
        assert toolstack.read("/tool") == b""
        assert daemon.log.count("payload of ") == 1


def test_more_than_32_wait_outside_until_one_goes(daemon, five):
    streams = [connect(five) for _ in range(33)]
    with daemon.client() as toolstack:
        *there, outside = streams
        assert [ask(stream, "GET_DOMAIN_PATH", b"5\0") for stream in there] == [b"/local/domain/5\0"] * 32
        outside.sendall(pack(NUMBERS["GET_DOMAIN_PATH"], 1, 0, b"5\0"))
        for _ in range(20):
            toolstack.read("/tool")
        assert not select.select([outside], [], [], 0)[0]
        there[7].close()
        assert read_frames(outside, 1)[0].payload == b"/local/domain/5\0"
    for stream in streams:
        stream.close()


def test_a_domain_has_one_request_a_round_however_many_connections_it_has(daemon, five):
    """All is there before the daemon looks: between two requests of the toolstack's it carries out one of theirs."""
    streams = [connect(five) for _ in range(2)]
    with daemon.client() as watching, connect(daemon.socket) as toolstack:
        for stream in (*streams, toolstack):
            ask(stream, "GET_DOMAIN_PATH", b"5\0")
        daemon.process.send_signal(signal.SIGSTOP)
        for which, stream in enumerate(streams):
            stream.sendall(b"".join(pack(11, n, 0, b"data\0%d of %d" % (n, which)) for n in range(12)))
        toolstack.sendall(b"".join(pack(11, n, 0, b"/toolstack\0%d" % n) for n in range(12)))
        daemon.process.send_signal(signal.SIGCONT)
        read_frames(toolstack, 12)
        for stream in streams:
            read_frames(stream, 12)
        log = watching.control("history", "log", "/", "40").splitlines()[::-1]
    authors = [re.findall(r" (dom[05]) conn .* WRITE /(?:toolstack|local)", line) for line in log]
    authors = [author for found in authors for author in found]
    first, last = authors.index("dom0"), len(authors) - 1 - authors[::-1].index("dom0")
    between = authors[first : last + 1]
    assert between.count("dom0") == authors.count("dom0") > 5
    assert all(pair != ["dom5", "dom5"] for pair in map(list, pairwise(between)))
    for stream in streams:
        stream.close()


@pytest.mark.parametrize(("confined", "done"), [(ClientSocket(Path("x"), 5), [1, 2, 3]), (None, [10])])
def test_a_turn_of_confined_clients_alone_is_one_round(place, confined, done):
    """So whoever comes meanwhile waits for one request of each domain, and not for 64."""
    daemon = fresh_daemon(Host())
    with listen(place / "s") as listening:
        # With something to do each second a turn ends though nothing comes.
        server = Server(daemon, [Listener(listening, confined)], lambda _: None)
        with connect(place / "s") as stream:
            server._once()
            stream.sendall(pack(NUMBERS["GET_DOMAIN_PATH"], 1, 0, b"5\0") * 10)
            found = []
            for _ in done:
                server._once()
                found.append(daemon.operations)
        server.close()
    daemon.store.close()
    assert found == done


def test_a_flood_that_nobody_reads_stops_at_the_quota(daemon, five):
    flood = pack(2, 1, 0, b"data\0") * 400
    with daemon.client() as toolstack, Client(five, timeout=PATIENCE) as client:
        client.write("data", b"v" * 2000)
        streams = [connect(five) for _ in range(8)]
        for stream in streams:
            stream.setblocking(False)
        for _ in range(50):
            for stream in select.select([], streams, [], 0)[1]:
                stream.send(flood)
            assert toolstack.read("/tool") == b""
        said = toolstack.control("domains", "5")
        assert int(said.partition(" outstanding")[0].rpartition(" ")[2]) <= 20
        for stream in streams:
            stream.close()
        # Nothing of theirs is left, and who is left is served again.
        assert client.read("data") == b"v" * 2000
        until(lambda: " 0 outstanding" in toolstack.control("domains", "5"), "nothing of theirs is left")


def test_they_live_and_end_with_the_domain(place):
    options = ["--simulated-xen", str(place), "--client-socket", f"{place}/five:5"]
    with running(place, "--memory", *options) as daemon, daemon.client() as toolstack, Guest(place, 5) as guest:
        toolstack.mkdir("/local/domain/5")
        toolstack.set_permissions("/local/domain/5", ["n5"])
        toolstack.ask(NUMBERS["INTRODUCE"], b"5\x001\x007\0")
        with connect(place / "five") as local:
            assert ask(local, "WRITE", b"data\0v") == b"OK\0"
            assert guest.ask("READ", b"data\0") == b"v"
            toolstack.ask(NUMBERS["RELEASE"], b"5\0")
            assert local.recv(1) == b""
        assert not toolstack.exists("/local/domain/5")
        with connect(place / "five") as local:
            assert ask(local, "READ", b"data\0") == "EACCES"
            (place / "dead.5").touch()
            guest.kick(1)
            assert local.recv(1) == b""
            with connect(place / "five") as late:
                assert late.recv(1) == b""
            assert "sent away: there is no domain 5" in daemon.log
            assert toolstack.read("/tool") == b""


def test_a_burial_takes_them_too_before_it_is_told():
    daemon = fresh_daemon(Host())
    toolstack = Peer(daemon)
    toolstack.ask("MKDIR", b"/local/domain/5\0")
    toolstack.ask("SET_PERMS", b"/local/domain/5\0n5\0")
    toolstack.ask("INTRODUCE", b"5\x001\x007\0")
    connection, gone = (lives.confine(daemon, 5, "pid 1 (test)") for _ in range(2))
    daemon.disconnect(gone)
    assert daemon.domains.record(5).clients == {connection}
    connection.reader.feed(pack(NUMBERS["WATCH"], 1, 0, b"@releaseDomain\0t\0"))
    assert daemon.step(connection)
    connection.sent_all()
    toolstack.ask("RELEASE", b"5\0")
    assert (connection.closed, connection.output, daemon.flow.ended) == (True, [], [connection])
    assert daemon.watches.count == 0
    assert set(daemon.connections.values()) == {toolstack.connection}
    assert lives.confine(daemon, 32760, "pid 1 (test)") is None
    daemon.store.close()


def test_a_targets_rights_are_theirs_too(place):
    options = ["--simulated-xen", str(place), "--client-socket", f"{place}/five:5"]
    with running(place, "--memory", *options) as daemon, daemon.client() as toolstack:
        guests = [Guest(place, domid) for domid in (5, 6)]
        for domid in (5, 6):
            toolstack.ask(NUMBERS["INTRODUCE"], b"%d\x001\x007\0" % domid)
        toolstack.write("/six", b"v")
        toolstack.set_permissions("/six", ["n6"])
        with connect(place / "five") as local:
            assert ask(local, "READ", b"/six\0") == "EACCES"
            toolstack.ask(NUMBERS["SET_TARGET"], b"5\x006\0")
            assert ask(local, "READ", b"/six\0") == b"v"
            toolstack.ask(NUMBERS["RELEASE"], b"6\0")
            toolstack.write("/six", b"v")
            assert ask(local, "READ", b"/six\0") == "EACCES"
        for guest in guests:
            guest.close()


def test_who_has_to_wait_is_not_read():
    daemon = fresh_daemon(Host())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = daemon.connect("pid 1 (test)", 5, privileged=False)
        client = StreamClient(daemon, ours, connection, Listener(ours, ClientSocket(Path("x"), 5)))
        assert client.wanted == select.EPOLLIN
        connection.held = (2, 1, 0, b"x\0")
        assert client.wanted == 0
        connection.held = None
        connection.domain.usage.outstanding = 20
        assert client.wanted == 0
        theirs.sendall(pack(2, 1, 0, b"x\0"))
        assert client.receive() is True
        assert client.step() is False
        connection.domain.usage.outstanding = 0
        assert client.step() is True
        assert client.wanted == select.EPOLLIN
    daemon.store.close()


def test_who_comes_and_goes_without_end_is_let_in_now_and_then(tmp_path):
    """Each took a millisecond of everybody's time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "s"))
        theirs = Listener(listening, ClientSocket(tmp_path / "s", 5, None))
        came = [step for step in range(10_000) if theirs.early(100 + step / 1000) is None]
        assert came[:64] == list(range(64)), "a device model comes with all its clients at once"
        assert 64 + 195 <= len(came) <= 64 + 200
        theirs.early(110.0)
        assert 110.0 < theirs.early(110.0) <= 110.1
        assert theirs.early(200.0) is None, "after a while as many again"
        ours = Listener(listening)
        assert [ours.early(0.0) for _ in range(1000)] == [None] * 1000
