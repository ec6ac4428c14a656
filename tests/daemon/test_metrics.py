"""Metrics: what is counted, CONTROL metrics, figures of two moments, `xsadapter top`, and Prometheus text."""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import threading

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.compat.peers import PROGRAMS, short_directory
from tests.daemon.conversation import Peer
from tests.daemon.scripted import Scripted
from xsadapter.cli import main, prometheus, screen
from xsadapter.client import RequestError, figures
from xsadapter.engine.metrics import Spans

LENGTHS = st.lists(st.integers(0, 5_000_000), min_size=1)


class Direct:
    """A client of a daemon without a process, as far as `figures.take` needs one."""

    def __init__(self, daemon):
        self._peer = Peer(daemon)

    def control(self, *words):
        reply = self._peer.ask("CONTROL", b"".join(word.encode() + b"\0" for word in words))
        if isinstance(reply, str):
            raise RequestError(reply)
        return reply.rstrip(b"\0").decode()


def taken(daemon, domains=True):
    return figures.take(Direct(daemon), domains)


def test_requests_are_counted_by_operation_and_by_domain(daemon, peer, introduced):
    before = taken(daemon, domains=False)
    for _ in range(3):
        peer.ask("READ", b"/tool\0")
    peer.ask("WRITE", b"/a\0b")
    introduced.ask("READ", b"/local/domain/5\0")
    introduced.ask("READ", b"/nothing\0")
    introduced.ask("INVALID")
    after = taken(daemon)
    assert after.counters["operations-READ"] - before.counters.get("operations-READ", 0) == 5
    assert after.counters["operations-unknown"] == 1
    assert after.counters["operations"] - before.counters["operations"] == 7 + 1  # itself is not in it, the last was
    assert after.domains[5]["operations"] == 3
    daemon.disconnect(peer.connection)
    assert taken(daemon).domains[0]["operations"] == after.domains[0]["operations"] + 2  # what ended is not lost


def test_conflicts_and_refusals_are_their_domains(daemon, peer, guest):
    number = guest.start()
    guest.ask("READ", b"/local/domain/5\0", number)
    peer.ask("WRITE", b"/local/domain/5\0changed")
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    for _ in range(11):
        guest.ask("TRANSACTION_START", b"\0")
    found = taken(daemon)
    assert found.counters["conflicts"] == 1
    assert (found.domains[5]["conflicts"], found.domains[5]["refusals"]) == (1, 1)
    assert (found.domains[5]["transactions"], found.domains[5]["transactions-limit"]) == (10, 10)
    assert found.domains[0]["conflicts"] == 0


def test_a_request_that_waits_is_counted_once_and_its_wait_is_measured(daemon, peer, other):
    peer.ask("WRITE", b"/key\0a")
    for _ in range(2):
        number = peer.start()
        peer.ask("READ", b"/key\0", number)
        if not daemon.turns.held:
            other.ask("WRITE", b"/key\0b")
            assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    before = daemon.operations
    other.feed(b"".join((b"\x0b\0\0\0\x01\0\0\0\0\0\0\0\x06\0\0\0", b"/key\0c")))
    assert other.take() == []
    assert daemon.operations == before
    daemon.flow.now += 0.003
    peer.ask("TRANSACTION_END", b"T\0", number)
    other.feed(b"")
    assert [message.kind for message in other.take()] == ["WRITE"]
    assert daemon.operations == before + 2
    waits = taken(daemon).spans["wait"]
    assert (waits.count, waits.total, waits.longest) == (1, 3000, 3000)


def test_pages_have_every_domain_once(daemon, peer):
    for domid in range(1, 400):
        peer.ask("WRITE", b"/local/domain/%d/x\0" % domid)
        peer.ask("SET_PERMS", b"/local/domain/%d/x\0n%d\0" % (domid, domid))
    found, first = [], b"0"
    while first:
        text = peer.ask("CONTROL", b"metrics\0domains\0" + first + b"\0")
        assert 3000 < len(text) <= 4096 or not text.count(b"next")
        _, *lines = text.rstrip(b"\0").decode().splitlines()
        first = lines.pop().split()[1].encode() if lines[-1].startswith("next") else b""
        found += [int(line.split()[0]) for line in lines]
    assert found == list(range(400))
    assert taken(daemon).domains[399]["nodes"] == 1


@pytest.mark.parametrize("words", [b"domains\0", b"domains\x00-1\0", b"all\0000\0", b"domains\0001\0002\0"])
def test_what_means_nothing(peer, words):
    assert peer.ask("CONTROL", b"metrics\0" + words) == "EINVAL"


def test_metrics_are_not_for_guests(guest):
    assert guest.ask("CONTROL", b"metrics\0") == "EACCES"


@given(LENGTHS, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_known_within_a_factor_of_two(lengths, share):
    counted = Spans()
    for length in lengths:
        counted.took((length + 0.5) / 1_000_000)
    spans = figures.Spans(counted.total, counted.longest, tuple(counted.counts))
    assert (spans.count, spans.total, spans.longest) == (len(lengths), sum(lengths), max(lengths))
    truth = sorted(lengths)[max(0, -int(-share * len(lengths) // 1) - 1)]
    assert truth <= spans.quantile(share) <= max(1, 2 * truth)


def test_a_span_longer_than_any_bucket_is_in_the_last():
    counted = Spans()
    counted.took(1e9)
    assert counted.counts[-1] == 1


def domain(**numbers):
    columns = (
        "domid",
        "operations",
        "conflicts",
        "refusals",
        "nodes",
        "memory",
        "watches",
        "transactions",
        "outstanding",
    )
    return {**dict.fromkeys(columns, 0), "nodes-limit": 1000, "queued": 0, **numbers}


def moment(seconds, operations, domains):
    spans = figures.Spans(300, 200, (0, 0, 0, 0, 0, 0, 0, 1, 1))
    counters = dict.fromkeys(
        ("conflicts", "connections", "domains", "watches", "open-transactions", "turns-held", "queued-bytes",
         "commits-made", "commits-kept", "commits-unstored", "store-bytes", "store-size"), 1,
    )  # fmt: skip
    counters |= {"operations": operations, "operations-READ": operations // 2, "operations-WRITE": operations // 2}
    return figures.Figures(seconds, counters, dict.fromkeys(("turn", "wait", "tick-slice"), spans), domains)


EARLY = moment(
    100, 1000, {0: domain(operations=900), 5: domain(domid=5, operations=50), 6: domain(domid=6, operations=50)}
)
LATE = moment(
    102,
    3000,
    {0: domain(operations=901), 5: domain(domid=5, operations=1049), 7: domain(domid=7, operations=20, nodes=3)},
)


def test_the_busiest_domains_come_first():
    assert screen.busiest(EARLY, None, "operations", 2) == [0, 5]
    assert screen.busiest(LATE, EARLY, "operations", 9) == [5, 7, 0]
    assert screen.busiest(LATE, EARLY, "nodes", 1) == [7]


def test_a_screen():
    lines = screen.lines(LATE, EARLY, [5, 7], {5: "web" * 9})
    assert lines[0] == "up 1m 42s, of the last 2 s: 1,000 operations/s (READ 50%, WRITE 50%), 0.0 conflicts/s"
    assert lines[3] == "turns: none"
    assert lines[-2].split() == ["5", "webwebwebwebwebw", "499.5", "0", "0", "0/1000", "0", "0", "0", "0", "0"]
    assert lines[-1].split() == ["7", "10.0", "0", "0", "3/1000", "0", "0", "0", "0", "0"]
    assert len({len(line) for line in lines[-3:]}) == 1
    alone = screen.lines(EARLY, None, [], {})
    assert alone[0].startswith("up 1m 40s, of the last 100 s: 10 operations/s")
    assert alone[3] == "turns: 0.0/s, at most 50 % 128 µs, 99 % 200 µs, 99.9 % 200 µs; longest ever 200 µs"


def test_a_domain_that_began_anew_counts_from_nothing():
    again = dataclasses.replace(LATE, domains={5: domain(domid=5, operations=10)})
    assert again.rate(EARLY, 5, "operations") == 5


def test_top_once(process, client):
    client.write("/test/x", b"1")
    result = CliRunner().invoke(main, ["top", "--once", "--socket", str(process.socket)])
    assert result.exit_code == 0, result.output
    assert "operations/s" in result.output
    assert any(line.split()[:1] == ["0"] for line in result.output.splitlines())
    assert "\033" not in result.output


def test_top_as_json(process, client, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    client.write("/test/x", b"1")
    client.write("/local/domain/0/name", b"Domain-0\n")
    ran = CliRunner().invoke(
        main, ["top", "--count", "2", "--interval", "0.1", "--json", "--socket", str(process.socket)]
    )
    first, second = map(json.loads, ran.output.splitlines())
    client.rm("/local/domain/0/name")
    assert second["counters"]["operations"] > first["counters"]["operations"]
    assert second["domains"][0]["name"] == "Domain-0?"
    assert second["microseconds"]["turn"]["count"] > 0
    assert second["elapsed"] == pytest.approx(max(second["seconds"] - first["seconds"], 0.001), abs=0.002)


def test_top_paints_over_the_last_screen_on_a_terminal(process):
    here, terminal = os.openpty()
    words = [PROGRAMS / "xsadapter", "top", "--count", "1", "--socket", process.socket]
    subprocess.run(words, stdout=terminal, check=True, timeout=60)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while data := os.read(here, 4096):
            shown += data
    os.close(here)
    assert shown.startswith(b"\033[H\033[Jup ")
    assert shown.count(b"\033") == 2


def test_top_of_a_daemon_that_tells_no_metrics(tmp_path):
    with short_directory() as place, Scripted(place / "s", [[(0, b"OK\0")]]):
        result = CliRunner().invoke(main, ["top", "--once", "--socket", str(place / "s")])
    assert (result.exit_code, result.output) == (1, "Error: this daemon tells no metrics (EINVAL): ours does\n")
    result = CliRunner().invoke(main, ["top", "--once", "--socket", str(tmp_path / "nothing")])
    assert result.exit_code == 1
    assert "No such file" in result.output


def test_prometheus_text(process, client):
    client.write("/test/x", b"1")
    result = CliRunner().invoke(main, ["metrics", "--socket", str(process.socket)])
    found = {family.name: family for family in text_string_to_metric_families(result.output)}
    assert found["xenstored_up"].samples[0].value == 1
    writes = {sample.labels["operation"]: sample.value for sample in found["xenstored_operations"].samples}
    assert writes["WRITE"] >= 1
    of_domains = found["xenstored_domain_operations"].samples
    assert {sample.labels["domid"] for sample in of_domains} >= {"0"}
    turns = [sample for sample in found["xenstored_turn_seconds"].samples if sample.name.endswith("_bucket")]
    assert [sample.value for sample in turns] == sorted(sample.value for sample in turns)
    assert turns[-1].labels["le"] == "+Inf"
    without = CliRunner().invoke(main, ["metrics", "--no-domains", "--socket", str(process.socket)])
    assert "xenstored_domain_" not in without.output


def test_without_a_daemon_it_is_said_that_it_is_not_there(tmp_path):
    assert "xenstored_up 0.0" in prometheus.text(str(tmp_path / "nothing"), True).decode()


@pytest.mark.parametrize("where", ["port", "socket"])
def test_scrapes(process, where, tmp_path):
    listen = "127.0.0.1:0" if where == "port" else f"{process.socket}-metrics"
    with prometheus.server(listen, str(process.socket), False) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with socket.socket(socket.AF_INET if where == "port" else socket.AF_UNIX) as stream:
            stream.connect(server.server_address)
            stream.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: stream.recv(4096), b""))
        thread.join()
    assert answer.startswith(b"HTTP/1.0 200")
    assert b"\nxenstored_up 1.0\n" in answer


def test_a_place_to_listen_that_is_none(process):
    result = CliRunner().invoke(main, ["metrics", "--listen", "nowhere", "--socket", str(process.socket)])
    assert result.exit_code == 1
    assert "expected HOST:PORT" in result.output
