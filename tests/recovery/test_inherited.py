"""What is written down goes on over a live update, and a kill after it finds what is so then."""

import socket
import sys
from pathlib import Path

from tests.compat.guest import Guest
from tests.compat.peers import short_directory
from tests.daemon.conversation import fresh_daemon
from tests.daemon.processes import PATIENCE, running
from tests.daemon.test_live_update import update
from xsadapter.engine.state import ConnectionState
from xsadapter.operations import Kind
from xsadapter.recovery import left, log
from xsadapter.recovery.inherited import Inherited
from xsadapter.recovery.log import Log, connection_step
from xsadapter.recovery.words import DONE, RECEIVED, Words
from xsadapter.transport.hub import SimulatedXen
from xsadapter.wire import HEADER, FrameReader, pack

PROGRAM = str(Path(sys.executable).parent / "xsadapter")
OK = b"OK\0"
STORE = ("--size", "8MiB", "--keep", "last:8")


def answer(client):
    """The payload of a message that comes."""
    with client.makefile("rb") as file:
        return file.read(HEADER.unpack(file.read(HEADER.size))[3])


def test_it_is_gone_on_with_and_a_kill_after_the_update_finds_it():
    with short_directory() as directory:
        options = (*STORE, "--simulated-xen", str(directory))
        with (
            running(directory, *options) as first,
            first.client() as toolstack,
            Guest(directory, 5) as guest,
            socket.socket(socket.AF_UNIX) as halfway,
        ):
            toolstack.write("/local/domain/5/name", b"web")
            toolstack.set_permissions("/local/domain/5", ("n5",))
            toolstack.set_permissions("/local/domain/5/name", ("n5",))
            toolstack.ask(Kind.INTRODUCE, b"5\x001\x007\0")
            assert guest.ask("WATCH", b"name\0before\0") == OK
            assert guest.events() == [(b"name", b"before")]
            halfway.settimeout(PATIENCE)
            halfway.connect(str(first.socket))
            asked = pack(Kind.READ, 1, 0, b"/local/domain/5/name\0")
            halfway.sendall(asked + asked[:20])
            assert answer(halfway) == b"web"
            place = directory / log.NAME
            before = place.stat().st_ino, log.generation(place)
            assert update(first, PROGRAM) == (0, ""), first.log
            assert (place.stat().st_ino, log.generation(place)) == before
            assert guest.ask("WATCH", b"name\0after\0") == OK
            assert guest.events() == [(b"name", b"after")]
            transaction = guest.start()
            first.process.kill()
            first.process.wait()
            guest.put(pack(Kind.READ, 77, 0, b"name\0"))
            with running(directory, *options):
                halfway.sendall(asked[20:])
                assert answer(halfway) == b"web"
                assert next(found for found in iter(guest.message, None) if found.kind == "READ").payload == b"web"
                assert guest.ask("WRITE", b"name\0new", transaction=transaction) == OK
                assert guest.ask("TRANSACTION_END", b"T\0", transaction=transaction) == OK
                assert set(guest.events()) == {(b"name", b"after"), (b"name", b"before")}
                assert toolstack.read("/local/domain/5/name") == b"new"


def test_what_does_not_fit_is_not_gone_on_with(tmp_path):
    words = Words(tmp_path / "state.3", 3)
    Log(tmp_path / log.NAME, 3, "boot", []).close()
    words.take(7).put(b"12345678", 100, 50)
    words.close()
    assert Inherited.found(tmp_path, 0, 0) is None
    Words(tmp_path / "state.4", 4).close()
    assert Inherited.found(tmp_path, 4, 0) is None
    for waits, fits in ((b"12345678", True), (b"345678", True), (b"", True), (b"0123456789", False)):
        found = Inherited.found(tmp_path, 3, 0)
        connection = fresh_daemon(None).connect("", serial=7)
        found.socket(connection, ConnectionState(7, 0, "", True, input=waits))
        assert found.whole is fits
        if fits:
            assert (connection.done, connection.written) == (108 - len(waits), 50)
        found.words.close()


def test_of_a_socket_s_client_what_was_written_down_may_be_any_number_of_bytes_ago(tmp_path):
    for gigabytes in range(8):
        done, sent = 100 + (gigabytes << 30), 200 + (gigabytes << 30)
        words = Words(tmp_path / "state.1", 1)
        words.take(7).put(b"waiting", done, sent)
        words.close()
        steps = [connection_step(ConnectionState(7, 0, "", True)), ["output", 7, 90, 150, "x" * 40]]
        Log(tmp_path / log.NAME, 1, "boot", steps).close()
        (client,) = left.load(tmp_path, "boot", 5).state.connections
        assert (client.input, client.output) == (b"waiting", ())


def test_room_of_clients_that_are_there_is_not_given_to_another(tmp_path):
    words = Words(tmp_path / "state.1", 1)
    taken = {words.take(serial).number for serial in (7, 8, 9)}
    words.close()
    words = Words(tmp_path / "state.1")
    room = words.take(10)
    assert room.number not in taken
    assert (room.get(DONE), room.get(RECEIVED)) == (0, 0)
    words.close()


def test_a_ring_that_goes_on_is_mapped_when_it_is_touched_and_ignored_if_that_cannot_be():
    with short_directory() as directory:
        made = SimulatedXen(directory)
        daemon = made.daemon = fresh_daemon(made)
        for domid in (5, 6, 7):
            with Guest(directory, domid) as guest:
                guest.words[512], guest.words[513], guest.words[514], guest.words[515] = 40, 41, 60, 60
            connection = daemon.connect("ring", domid, privileged=False)
            daemon.domains.record(domid).connection = connection
            made.resume(connection, (40 if domid == 5 else 41, 60))
            assert (connection.let_go, connection.written) == (40 if domid == 5 else 41, 60)
            connection.reader = FrameReader(connection.let_go)
        assert not made._pages
        (directory / "ring.7").unlink()
        kept, moved, lost = (made.clients[1000 + domid] for domid in (5, 6, 7))
        assert kept.receive()
        assert list(made._pages) == [1005]
        assert kept.ring.indexes == (40, 60)
        assert not moved.receive()
        assert moved.ring.indexes == (41, 60)
        assert not lost.receive()
        assert lost.connection.ignored
        assert not kept.connection.ignored
        made.rebind(lost.connection, 7)
        assert lost.ring.indexes == (0, 0)
        assert set(made._pages) == {1005, 1006, 1007}
        made.close()
        daemon.store.close()
