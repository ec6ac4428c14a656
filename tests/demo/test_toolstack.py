"""The writes of a toolstack, through the daemon: what they leave, and that they are counted."""

import os
import signal
import threading
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

import rrdstore
from rrdstore.testing import ManualClock
from tests.compat.peers import short_directory
from xsadapter.client import Client
from xsadapter.demo import guests, toolstack
from xsadapter.demo.actors import Actor, Tally
from xsadapter.demo.service import beside
from xsadapter.demo.toolstack import Domain
from xsadapter.demo.travel import Seen, counted, domains, side_by_side

WEB = Domain(3, "web1", UUID("c0a80101-0000-4000-8000-000000000001"), 1 << 19)


@pytest.fixture
def place():
    with short_directory() as directory:
        yield directory / "socket"


@pytest.fixture
def store():
    with rrdstore.memory(clock=ManualClock()) as made:
        yield made


def start(xl: Actor, domain: Domain, name: str = "") -> None:
    toolstack.create(xl, domain, name or domain.name)
    guests.connect(xl, xl, domain)
    guests.report(xl, domain, 5, Random(0))


def end(xl: Actor, domain: Domain) -> None:
    toolstack.destroy_devices(xl, domain)
    for path in (f"/vm/{domain.uuid}", domain.home, f"/libxl/{domain.domid}"):
        xl.remove(path)


def test_a_domain_is_what_a_toolstack_makes_of_it(store, place):
    main = store.branch("main")

    def story() -> None:
        with Actor("xl", place, Tally(0)) as xl, Client(place) as client:
            toolstack.boot(xl)
            start(xl, WEB, "web1--incoming")
            assert client.read("/local/domain/3/name") == b"web1--incoming"
            toolstack.rename(xl, WEB, "web1")
            assert client.get_permissions("/local/domain/3") == ["n0", "r3"]
            assert client.get_permissions("/local/domain/3/data") == ["n3"]
            assert client.get_permissions("/libxl/3") == ["n0"]
            assert client.get_permissions("/local/domain/3/device/vbd/51712/state") == ["n3", "r0"]
            assert client.get_permissions("/local/domain/0/backend/vbd/3/51712/state") == ["n0", "r3"]

    beside(store, place, "boot", story)
    disk, card = WEB.devices
    for path in (WEB.frontend(disk), WEB.backend(disk), WEB.frontend(card), WEB.backend(card)):
        assert main.get(f"{path}/state") == guests.CONNECTED
    assert main.get(main.get(f"{WEB.frontend(disk)}/backend").decode() + "/frontend").decode() == WEB.frontend(disk)
    assert main.get(main.get("/local/domain/3/vm").decode() + "/name") == b"web1"
    assert domains(main.tree) == {"Domain-0": Seen(0, 2048, ""), "web1": Seen(3, 512, "w")}


def test_a_domain_that_has_ended_leaves_nothing(store, place):
    trees = []

    def story() -> None:
        with Actor("xl", place, Tally(0)) as xl:
            toolstack.boot(xl)
            for domid in (1, 2, 7):
                domain = Domain(domid, f"web{domid}", UUID(int=domid, version=4), 1 << 18)
                start(xl, domain)
                end(xl, domain)
                trees.append(store.branch("main").tree.digest())

    beside(store, place, "boot", story)
    assert len(set(trees)) == 1
    assert list(domains(store.branch("main").tree)) == ["Domain-0"]


def test_the_clients_count_what_the_store_counts(store, place):
    def story() -> list[tuple[int, int]]:
        head = store.branch("main").head.number
        tally, counts = Tally(head), []
        with Actor("xl", place, tally) as xl:
            for step in (
                lambda: toolstack.boot(xl),
                lambda: start(xl, WEB),
                lambda: toolstack.rename(xl, WEB, "web2"),
                lambda: toolstack.ask(xl, WEB, b"poweroff"),
                lambda: guests.acknowledge(xl, WEB),
                lambda: xl.read_all([f"{WEB.home}/name", "/tool"]),
                lambda: end(xl, WEB),
            ):
                step()
                counts.append((tally.commits, store.branch("main").head.number))
        return counts

    counts, _ = beside(store, place, "boot", story)
    assert all(client == made for client, made in counts)
    assert counts[-1][0] > 30


def test_the_history_names_the_program_that_an_actor_plays(store, place):
    before = Path("/proc/self/comm").read_text()

    def story() -> None:
        with Actor("xl", place, Tally(0)) as xl, Actor("squeezed", place, Tally(0)) as squeezed:
            xl.write("/a", b"1")
            squeezed.write("/b", b"1")

    beside(store, place, "boot", story)
    authors = [commit.author for commit in store.branch("main").log()][:2]
    assert authors == [f"dom0 conn 2 pid {os.getpid()} (squeezed)", f"dom0 conn 1 pid {os.getpid()} (xl)"]
    assert Path("/proc/self/comm").read_text() == before


def test_two_moments_side_by_side(store):
    main = store.branch("main")
    assert domains(main.tree) == {}
    for domid, name in ((1, b"a"), (10, b"b"), (2, b"c")):
        main.set(f"/local/domain/{domid}/name", name)
    then = domains(main.tree)
    main.remove("/local/domain/10")
    main.set("/local/domain/11/name", b"b")
    main.set("/local/domain/11/memory/target", b"2048")
    main.set("/local/domain/12/name", b"d")
    now = domains(main.tree)
    assert [(name, was[:9].rstrip(), new[:9].rstrip()) for name, was, new in side_by_side(then, now)] == [
        ("a", "domain 1", "domain 1"),
        ("c", "domain 2", "domain 2"),
        ("b", "domain 10", "domain 11"),
        ("d", "-", "domain 12"),
    ]
    assert now["b"] == Seen(11, 2, "")
    first = [*main.log()][-2]
    assert counted(store.diff(first, main.head)) == {"added": 8}


# The daemon beside a story


def test_what_a_story_returns_comes_back_and_the_socket_goes(store, place):
    def story() -> str:
        assert place.is_socket()
        return threading.current_thread().name

    assert beside(store, place, "boot", story)[0] == "story"
    assert not place.exists()


def test_what_a_story_raises_is_raised(store, place):
    def story() -> None:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        beside(store, place, "boot", story)
    assert not place.exists()


def test_requests_are_counted(store, place):
    def story() -> None:
        with Client(place) as client:
            for _ in range(25):
                client.read("/tool")

    assert beside(store, place, "boot", story)[1] == 25


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_story(store, place, number):
    ended = []

    def story() -> None:
        with Client(place) as client:
            os.kill(os.getpid(), number)
            try:
                while True:
                    client.read("/tool")
            except ConnectionError:
                ended.append("by the daemon")
                raise

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        beside(store, place, "boot", story)
    assert ended == ["by the daemon"]
    assert not place.exists()
    assert signal.getsignal(number) is before
    assert not [thread for thread in threading.enumerate() if thread.name == "story"]
