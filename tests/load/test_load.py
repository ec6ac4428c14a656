"""The load generator's parts, on a daemon of ours in memory: what is said of a lap is what was done in it."""

from __future__ import annotations

import contextlib
import itertools
import threading

import pytest
from click.testing import CliRunner

from bench.load import libxl
from bench.load.__main__ import main
from bench.load.apart import Apart
from bench.load.arena import Arena, Paced
from bench.load.cast import Cast, OnRing, OnSocket
from bench.load.crowd import Crowd
from bench.load.daemons import OCAML, OURS, C, Foreign, kinds
from bench.load.frames import DIRECTORY, END, ERROR, HEADER, READ, START, WRITE, Client, Refused, frame, together
from bench.load.host import Asking, requests, settle, values
from bench.load.hub import HALF, Guest, Hub, Round
from bench.load.workloads import WORKLOADS
from bench.load.workloads.reading import Search, listed, parts
from bench.load.workloads.transactions import Stage, _conflicting, _prepare, _sibling
from bench.race import Best, Lap
from tests.compat import peers


@pytest.fixture(scope="module")
def target():
    with peers.short_directory() as place, peers.our_xenstored(
        place, "--no-status", "--memory", "--simulated-xen", str(place)
    ) as daemon:  # fmt: skip
        yield Foreign("memory", daemon.socket)


@pytest.fixture
def client(target):
    with Client(target) as made:
        yield made


def test_a_foreign_daemon_is_known_by_its_socket(target):
    (kind,) = kinds([f"mine={target.socket}"])
    with kind.start(target.directory, "1GiB") as found:
        assert (found.name, found.pid, found.directory) == ("mine", target.pid, target.directory)
    with pytest.raises(ValueError, match="expected one of ours, memory, c, ocaml"):
        kinds(["nobody"])


def test_requests_know_how_long_their_answers_are(target, client):
    settle(target, 2)
    known = dict(values(2))
    for operation in (READ, WRITE):
        asked = requests(operation, 2, 50)
        assert len({request for request, _ in asked}) > 20, "of random nodes"
        for request, length in asked:
            assert len(client.ask(request)) + HEADER.size == length
    assert len(client.ask(frame(READ, next(iter(known))))) == len(known[next(iter(known))])
    (all_together,) = together(requests(READ, 2, 3), 3)
    client.exchange([all_together])
    assert client.ask(frame(READ, b"/")) == b""


def test_a_refusal_is_one_and_events_are_kept_aside(client):
    with pytest.raises(Refused, match="ENOENT"):
        client.ask(frame(READ, b"/nothing"))
    client.ask(frame(4, b"/watched", b"token"))
    client.ask(frame(WRITE, b"/watched/x", data=b"1"))
    client.ask(frame(READ, b"/watched/x"))
    assert list(client.events) == [b"/watched\0token\0", b"/watched/x\0token\0"]
    client.pour(frame(WRITE, b"/poured/%d" % number, data=b"x") for number in range(200))
    assert len(client.ask(frame(DIRECTORY, b"/poured")).split(b"\0")) == 201
    with pytest.raises(Refused, match="ENOENT"):
        client.pour(frame(READ, path) for path in (b"/", b"/nothing"))


def test_a_lap_has_as_many_operations_as_were_carried_out(target, client):
    settle(target, 3)

    def done():
        return int(
            dict(line.split(" ", 1) for line in client.ask(frame(0, b"metrics")).rstrip(b"\0").decode().splitlines())[
                "operations"
            ]
        )

    for made in (
        Asking(target, requests(READ, 3)),
        Asking(target, requests(WRITE, 3), 64),
        Crowd(target, 5, requests(READ, 3)),
    ):
        before = done()
        made.act(640)
        assert done() == before + 640 + 1
        made.close()


def test_the_pace_is_found_once_and_anew_when_it_is_asked_for(target):
    acts = []
    paced = Paced(target, acts.append, least=2, most=16)
    assert paced().operations == 16, "what takes no time is done as often as may be"
    assert acts == [2, 8, 16]
    paced.again(16)
    assert acts == [2, 8, 16]


def test_a_crowd_in_a_process_of_its_own(target):
    def fails():
        raise LookupError("no such place")

    apart = Apart(lambda: Crowd(target, 3, requests(READ, 3)))
    assert apart.lap().operations >= 3
    apart.close()
    with pytest.raises(LookupError, match="no such place"):
        Apart(fails)


def test_a_domain_is_created_by_134_requests_and_goes_again(target, client):
    assert libxl.requests() == libxl.REQUESTS == 134
    creation, cast = libxl.Creation(), Cast([OnSocket(target) for _ in range(4)])
    cast.play([creation.script([number]) for number in range(900, 904)])
    for domid in range(900, 904):
        assert client.ask(frame(READ, b"/local/domain/%d/name" % domid)) == b"guest-%d" % domid
        assert client.ask(frame(17, b"%d" % domid)) == b"T\0"
        assert client.ask(frame(READ, libxl.backend(domid, b"vif", 0) + b"/state")) == b"2"
    libxl.end(client, range(900, 904))
    assert client.ask(frame(17, b"900")) == b"F\0"
    for place in libxl.places(900):
        with pytest.raises(Refused):
            client.ask(frame(READ, place))
    cast.close()


def test_what_fails_is_tried_again_and_counted(target, client):
    def script():
        creation.again = 0
        yield from creation._transaction([(READ, (b"/contended",), b""), (WRITE, (b"/contended",), b"mine")])

    creation = libxl.Creation()
    client.ask(frame(WRITE, b"/contended", data=b"0"))
    running, answer, ends = script(), None, 0
    with contextlib.suppress(StopIteration):
        while True:
            request = running.send(answer)
            ends += HEADER.unpack_from(request)[0] == END
            refused = HEADER.unpack_from(request)[0] == END and ends == 1
            answer = (ERROR, b"EAGAIN\0") if refused else (START, client.ask(request))
    assert (creation.again, ends) == (1, 2)


def test_rings_wrap_and_hold_no_more_than_there_is_room_for(target):
    guest = Guest(target, 77)
    assert guest.put(bytes(1000))
    assert not guest.put(bytes(25))
    guest.words[512] = 1000  # as if the daemon had taken them
    assert guest.put(b"x" * 100)
    assert bytes(guest.bytes[1000:1024]) + bytes(guest.bytes[:76]) == b"x" * 100
    guest.bytes[HALF + 1020 : HALF + 1024] = b"abcd"
    guest.bytes[HALF : HALF + 2] = b"ef"
    guest.words[514], guest.words[515] = 1020, 1026
    assert (guest.waiting, guest.take(), guest.waiting) == (6, b"abcdef", 0)
    guest.close()


def test_rings_ask_round_and_round_beside_one_that_floods(target, client):
    hub = Hub(target)
    hub.introduce(range(1, 9))
    for domid in hub.guests:
        client.pour(
            (
                frame(WRITE, b"/local/domain/%d/data" % domid, data=b"x"),
                frame(14, b"/local/domain/%d/data" % domid, b"n%d" % domid),
            )
        )
    asked = {domid: (frame(READ, b"/local/domain/%d/data" % domid), 17) for domid in range(1, 8)}
    for flood in (None, (8, frame(READ, b"/local/domain/8/data"))):
        turns = Round(hub, asked, flood)
        longest = turns.run(3)
        assert len(turns.waits) == 21
        assert max(longest.values()) == max(turns.waits)
    hub.close()


def test_a_stage_counts_commits_and_not_those_that_were_in_vain(target):
    hub = Hub(target)
    hub.introduce((41,))
    _prepare(target, (41,))
    stage = Stage(target, [OnSocket(target), OnSocket(target), OnRing(hub, hub.guests[41])], _conflicting)
    lap = stage.lap()
    assert lap.operations == 12 <= stage.commits
    assert stage.again >= max(stage.most)
    stage.close()
    alone = Stage(target, [OnSocket(target)], _sibling)
    assert (alone.lap().operations, alone.again) == (4, 0)
    alone.close()
    hub.close()


def test_a_name_is_found_by_every_way_there_is(target, client):
    client.ask(frame(13, b"/local"))
    settle(target, 12)
    search = Search(target, 12)
    assert search._scan(b"guest-7") == 7
    assert search._scan(b"nobody") is None
    if search.indexed:
        assert search._ask(b"guest-7") == 7
    search.close()
    client.pour(frame(WRITE, b"/many/%d" % number, data=b"x") for number in range(1500))
    assert sorted(listed(client, b"/many")) == sorted(parts(client, b"/many")) == sorted(b"%d" % n for n in range(1500))


def test_a_race_has_everybodys_best_and_bars_stand_beside_it():
    arena = Arena(kinds(["ours", "c", "ocaml"]), runs=3, show=False)
    walls = {name: itertools.cycle(some) for name, some in ((OURS, (4, 2, 3)), (C, (1, 5, 5)), (OCAML, (3, 3, 3)))}
    best = arena.race("READ", {name: lambda some=some: Lap(2, next(some), 8) for name, some in walls.items()})
    assert {name: one.wall for name, one in best.items()} == {OURS: 1e6, C: 0.5e6, OCAML: 1.5e6}
    arena.against_c("READ", "so", {OURS: Best(cpu=3), C: Best(cpu=2)}, 1.1)
    arena.against_best("READ", "so", {OURS: Best(cpu=3), C: Best(cpu=9), OCAML: Best(cpu=6)}, 2.5)
    arena.against_c("READ", "so", {C: Best(cpu=2)}, 1.1)
    assert [(aim.found, aim.bar, aim.met) for aim in arena.aims] == [(1.5, 1.1, "**missed**"), (2, 2.5, "**missed**")]
    assert arena.races[0].table().startswith("READ\n")


def test_the_command_line(target):
    listed_ones = CliRunner().invoke(main, ["--list"]).output.splitlines()
    assert [line.split()[0] for line in listed_ones] == list(WORKLOADS)
    assert all(len(line.split()) > 3 for line in listed_ones)
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2
    assert CliRunner().invoke(main, ["single", "--daemon", "nobody"]).exit_code == 2
    words = ["directory", "--daemon", f"mine={target.socket}", "--runs", "1", "--short", "--no-save"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "| mine |" in done.output
    assert threading.active_count() == 1
