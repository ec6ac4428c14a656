"""The event loop on real sockets: a daemon in memory, in a process of its own."""

import contextlib
import os
import select
import signal
import socket
import stat
import struct
import threading

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import cut
from tests.daemon.processes import PATIENCE, running
from xsadapter.client import Client, RequestError
from xsadapter.wire import pack


def raw(process):
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.settimeout(PATIENCE)
    stream.connect(str(process.socket))
    return stream


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        assert piece, "closed"
        data += piece
    return data


def read_frames(stream, count):
    data = b""
    for _ in range(count):
        header = read_exactly(stream, 16)
        data += header + read_exactly(stream, struct.unpack("=4I", header)[3])
    return cut(data)


def test_the_socket_is_its_owners_alone(process):
    assert stat.S_IMODE(process.socket.stat().st_mode) == 0o600


def test_a_request_byte_by_byte(process):
    with raw(process) as stream:
        for byte in pack(2, 7, 0, b"/tool\0"):
            stream.send(bytes([byte]))
        [reply] = read_frames(stream, 1)
        assert (reply.kind, reply.request, reply.payload) == ("READ", 7, b"")


def test_a_frame_that_is_too_long_ends_the_connection_after_what_came_before(process):
    with raw(process) as stream:
        stream.sendall(pack(2, 1, 0, b"/tool\0") + struct.pack("=4I", 2, 2, 0, 4097) + bytes(16))
        assert [message.request for message in read_frames(stream, 1)] == [1]
        # What was not read makes the kernel reset the connection rather than end it.
        with contextlib.suppress(ConnectionResetError):
            assert stream.recv(1) == b""


def test_the_author_is_who_connected(client):
    client.write("/test/a", b"v")
    line = client.control("history", "log", "/test/a", "1")
    assert f" pid {os.getpid()} (" in line
    assert line.strip().endswith(": WRITE /test/a")


def test_a_client_that_hangs_up_is_forgotten(process, client):
    stream = raw(process)
    stream.sendall(pack(4, 1, 0, b"/test\0t\0") + pack(6, 2, 0, b"\0"))
    read_frames(stream, 3)
    stream.close()
    client.write("/test/x", b"")
    assert client.read("/test/x") == b""


def test_requests_that_came_before_the_hang_up_are_carried_out(process, client):
    with raw(process) as stream:
        stream.sendall(b"".join(pack(11, number, 0, b"/test/%d\0v" % number) for number in range(500)))
        stream.shutdown(socket.SHUT_WR)
        while stream.recv(65536):
            pass
    assert len(client.list("/test")) == 500


def test_a_flood_of_one_client_leaves_room_for_another(process, client):
    client.write("/test/a", b"v" * 1000)
    flood = pack(2, 1, 0, b"/test/a\0") * 2000
    with raw(process) as stream:
        sender = threading.Thread(target=stream.sendall, args=(flood,))
        sender.start()
        assert client.read("/test/a") == b"v" * 1000
        assert len(read_exactly(stream, 2000 * 1016)) == 2000 * 1016
        sender.join()


def test_a_client_that_reads_nothing_gets_everything_later(process, client):
    client.write("/test/a", b"v" * 4000)
    with raw(process) as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        count = 3000
        flood = memoryview(pack(2, 1, 0, b"/test/a\0") * count)
        stream.setblocking(False)
        # Until the daemon reads no more, having a mebibyte to send that nobody takes.
        while flood and select.select([], [stream], [], 0.5)[1]:
            flood = flood[stream.send(flood[:8192]) :]
        assert client.read("/test/a") == b"v" * 4000
        stream.setblocking(True)
        stream.settimeout(PATIENCE)
        sender = threading.Thread(target=stream.sendall, args=(flood,))
        sender.start()
        for _ in range(count):
            [reply] = read_frames(stream, 1)
            assert len(reply.payload) == 4000
        sender.join()


def test_out_of_descriptors_it_goes_on_and_accepts_again():
    with short_directory() as directory, running(directory, "--memory", program="tests.daemon.few_descriptors") as made:
        with made.client() as first, contextlib.ExitStack() as others:
            assert first.read("/tool") == b""
            for _ in range(40):
                stream = others.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                stream.connect(str(made.socket))
            assert first.read("/tool") == b""
            others.close()
            with made.client() as late:
                assert late.read("/tool") == b""
        assert made.stop() == 0
        assert "cannot accept a client" in made.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_the_socket_goes(number):
    with short_directory() as directory, running(directory, "--memory") as made, made.client() as client:
        client.write("/a", b"v")
        made.process.send_signal(number)
        assert made.process.wait(PATIENCE) == 0
        assert not made.socket.exists()
        with pytest.raises(ConnectionError):
            client.read("/a")


def test_a_socket_that_nobody_answers_is_replaced_and_a_live_one_is_not():
    with short_directory() as directory:
        with running(directory, "--memory") as first:
            with pytest.raises(RuntimeError, match="found a daemon that listens there"), running(directory, "--memory"):
                pass
            with first.client() as client:
                assert client.read("/tool") == b""
            first.process.kill()
            first.process.wait(PATIENCE)
        assert (directory / "socket").exists()
        with running(directory, "--memory") as second, second.client() as client:
            assert client.read("/tool") == b""


def test_a_file_in_the_place_of_the_socket_is_left_alone():
    with short_directory() as directory:
        (directory / "socket").write_text("precious")
        with pytest.raises(RuntimeError, match="a file that is no socket"), running(directory, "--memory"):
            pass
        assert (directory / "socket").read_text() == "precious"


def test_the_pid_file_is_locked_while_it_runs():
    with short_directory() as directory:
        pid_file = directory / "pid"
        with running(directory, "--memory", "--pid-file", str(pid_file)) as first:
            assert pid_file.read_text() == f"{first.process.pid}\n"
            with (
                pytest.raises(RuntimeError, match="locked by another daemon"),
                running(directory / "other", "--memory", "--pid-file", str(pid_file)),
            ):
                pass
            assert first.stop() == 0
        assert not pid_file.exists()


def test_the_service_manager_is_told_of_the_end_too():
    with (
        short_directory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices,
        running(directory, "--memory") as made,
    ):
        (directory / "notify").unlink()
        notices.bind(str(directory / "notify"))
        notices.settimeout(PATIENCE)
        made.process.terminate()
        assert notices.recv(100) == b"STOPPING=1"


def test_a_client_without_a_daemon_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        Client(tmp_path / "socket")


def test_refusals_have_the_name_and_the_question(client):
    with pytest.raises(RequestError) as caught:
        client.read("/test/no/such/thing")
    assert (caught.value.name, caught.value.operation, caught.value.subject) == (
        "ENOENT",
        "READ",
        "/test/no/such/thing",
    )
    assert str(caught.value) == "READ /test/no/such/thing: ENOENT"
