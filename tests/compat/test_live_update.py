"""A live update from Debian's C xenstored to ours and back: the same clients, watches and guest go on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat import peers
from tests.compat.guest import Guest
from tests.daemon.processes import running
from xsadapter.client import Client
from xsadapter.errors import RequestError
from xsadapter.operations import Kind

OK = b"OK\0"
CONTROL = peers.XEN / "xenstore-control"
OURS = Path(sys.executable).parent / "xsadapter-xenstored"
STOCK = peers.XEN / "xenstored"


@pytest.fixture
def stock():
    peers.need(*peers.C_NEEDS, CONTROL)
    with peers.short_directory() as directory, peers.c_xenstored(directory) as daemon:
        yield daemon


def update(daemon, program, words):
    """The stock tool's live update."""
    done = subprocess.run(
        [CONTROL, "live-update", "-c", words, program],
        env=daemon.environment,
        capture_output=True,
        text=True,
        timeout=2 * peers.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{(daemon.directory / 'log').read_text()}"


def is_ours(client):
    try:
        return client.control("domains") != ""
    except RequestError:
        return False


@pytest.mark.parametrize("history", ["--memory", "--size 8MiB"])
def test_from_c_to_ours_and_back_to_c(stock, history):
    place = stock.directory
    with Client(stock.socket, timeout=peers.PATIENCE) as client, Guest(place, 5) as guest:
        client.write("/local/domain/5/name", b"one")
        client.set_permissions("/local/domain/5", ("n5", "r7"))
        client.set_permissions("/local/domain/5/name", ("n5",))
        client.ask(Kind.INTRODUCE, b"5\x001\x007\0")
        assert guest.ask("WATCH", b"name\0mine\0") == OK
        assert guest.events() == [(b"name", b"mine")]
        with client.watch("/local") as watch:
            assert next(watch) == "/local"

            update(stock, OURS, f"-N --rundir {place} {history} --simulated-xen {place}")
            assert is_ours(client)
            assert guest.ask("WRITE", b"name\0two") == OK
            assert guest.events() == [(b"name", b"mine")]
            assert next(watch) == "/local/domain/5/name"
            assert client.get_permissions("/local/domain/5") == ["n5", "r7"]
            assert client.control("check") == "OK"
            open_one = guest.start()
            done = subprocess.run(
                [CONTROL, "live-update", "-t", "1", STOCK],
                env=stock.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert "transactions are open in domain 5" in done.stdout + done.stderr
            assert guest.ask("TRANSACTION_END", b"F\0", transaction=open_one) == OK

            update(stock, STOCK, f"--no-fork --pid-file {place}/xenstored.pid")
            assert not is_ours(client)
            assert not (place / "state").exists()
            assert guest.ask("READ", b"name\0") == b"two"
            client.write("/local/domain/5/name", b"three")
            assert next(watch) == "/local/domain/5/name"
            assert guest.events() == [(b"name", b"mine")]
            assert client.get_permissions("/local/domain/5") == ["n5", "r7"]
            assert client.is_introduced(5)
            assert stock.process.poll() is None


def test_from_ours_as_it_was_started_to_c_and_back():
    peers.need(*peers.C_NEEDS, CONTROL)
    with peers.short_directory() as place:
        words = f"-N --rundir {place} --size 8MiB --simulated-xen {place} --event 1"
        fake = {"LD_PRELOAD": str(peers.FAKEXEN), "FAKEXEN_DIR": str(place)}
        with running(place, *words.split()[3:], "-N", program="xsadapter.cli.xenstored", **fake) as process:
            ours = peers.Daemon("rrdstore", place, process.process)
            with Client(process.socket, timeout=peers.PATIENCE) as client:
                client.write("/a", b"one")
                update(ours, STOCK, f"--no-fork --pid-file {place}/xenstored.pid")
                assert not is_ours(client)
                assert client.read("/a") == b"one"
                client.write("/a", b"two")
                update(ours, OURS, words)
                assert is_ours(client)
                assert client.read("/a") == b"two"
