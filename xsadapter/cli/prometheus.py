"""The daemon's figures as Prometheus text, by prometheus-client (extra `metrics`): once, or for who asks by HTTP.

Rule: a scrape opens a connection, asks, and closes it; so the daemon may come and go, and `xenstored_up` says whether
it was there. Nothing of HTTP is in the daemon's own process. A scrape of 10,000 domains is about 125 requests.
"""

from __future__ import annotations

import socket
from pathlib import Path
from socketserver import TCPServer, UnixStreamServer
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from xsadapter.client import Client, RequestError
from xsadapter.client.figures import take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from xsadapter.client.figures import Figures, Spans

_PREFIX: Final = "xenstored_"
_COUNTED: Final = {"conflicts": "transactions that ended with EAGAIN", "commits-made": "commits made"}
_GAUGES: Final = {
    "connections": "connections open",
    "watches": "watches registered",
    "open-transactions": "transactions open",
    "turns-held": "transactions that others wait for",
    "queued-bytes": "bytes of answers and events that wait to be sent",
    "domains": "domains known",
    "commits-kept": "commits kept",
    "commits-unstored": "commits that no tick has stored yet",
    "store-bytes": "bytes of the store in use",
    "store-size": "size of the store in bytes, 0 in memory",
    "troubles": "what does not work now and is gone without, as CONTROL history info tells",
    "lost-by-a-kill": "1 if changes were acknowledged that a kill takes, 0 as it should be",
}
_SPANS: Final = {
    "turn": "from when there was something to do until the last answer was sent",
    "wait": "requests that waited for the turn of another's transaction",
    "tick-slice": "parts of ticks, in which nobody is served",
}
_OF_DOMAINS: Final = {
    "operations": "requests",
    "conflicts": "transactions with EAGAIN",
    "refusals": "refused by a quota",
}
_OPERATION: Final = "operations-"


class Collector:
    """What a registry asks at each scrape."""

    def __init__(self, path: str, domains: bool) -> None:
        self._path, self._domains = path, domains

    def collect(self) -> Iterator[Metric]:
        """All metrics; without a daemon only that it is not there."""
        try:
            with Client(self._path) as client:
                found = take(client, self._domains)
        except (OSError, RequestError):
            found = None
        yield GaugeMetricFamily(f"{_PREFIX}up", "whether the daemon answers", value=0 if found is None else 1)
        if found is not None:
            yield from _metrics(found)


def _metrics(figures: Figures) -> Iterator[Metric]:
    counters = figures.counters
    operations = CounterMetricFamily(f"{_PREFIX}operations", "requests carried out", labels=["operation"])
    for name, value in counters.items():
        if name.startswith(_OPERATION):
            operations.add_metric([name.removeprefix(_OPERATION)], value)
    yield operations
    for name, meaning in _COUNTED.items():
        yield CounterMetricFamily(_name(name), meaning, value=counters[name])
    for name, meaning in _GAUGES.items():
        yield GaugeMetricFamily(_name(name), meaning, value=counters[name])
    for name, meaning in _SPANS.items():
        family = HistogramMetricFamily(f"{_name(name)}_seconds", meaning)
        family.add_metric([], _buckets(figures.spans[name]), figures.spans[name].total / 1e6)
        yield family
    if figures.domains:
        yield from _of_domains(figures)


def _of_domains(figures: Figures) -> Iterator[Metric]:
    columns = next(iter(figures.domains.values()))
    for column in columns:
        if column == "domid":
            continue
        name = _name(f"domain-{column}")
        family: Any = (
            CounterMetricFamily(name, _OF_DOMAINS[column], labels=["domid"])
            if column in _OF_DOMAINS
            else GaugeMetricFamily(name, f"of one domain: {column}", labels=["domid"])
        )
        for domid, row in figures.domains.items():
            family.add_metric([str(domid)], row[column])
        yield family


def _buckets(spans: Spans) -> list[tuple[str, float]]:
    found, sum_so_far = list[tuple[str, float]](), 0
    for power, count in enumerate(spans.counts):
        sum_so_far += count
        found.append((f"{(1 << power) / 1e6:g}", sum_so_far))
    # The last bucket has all that is longer too.
    return [*found[:-1], ("+Inf", sum_so_far)]


def _name(name: str) -> str:
    return _PREFIX + name.replace("-", "_")


def registry(path: str, domains: bool) -> CollectorRegistry:
    """A registry of its own, with nothing of this process in it."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Collector(path, domains))
    return made


def text(path: str, domains: bool) -> bytes:
    """What a scrape gets."""
    return bytes(generate_latest(registry(path, domains)))


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """A scrape every few seconds is nothing to be told."""


class _OnUnixSocket(WSGIServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        UnixStreamServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        return super().get_request()[0], ("", 0)


def server(listen: str, path: str, domains: bool) -> TCPServer:
    """An HTTP server, HOST:PORT or the path of a Unix socket, which is made anew; OSError, ValueError."""
    app = make_wsgi_app(registry(path, domains))
    if "/" in listen:
        Path(listen).unlink(missing_ok=True)
        made: WSGIServer = _OnUnixSocket(listen, _Handler)  # type: ignore[arg-type]  # a path is its address
    else:
        host, colon, port = listen.rpartition(":")
        if not colon or not port.isdecimal():
            raise ValueError(f"{listen}: expected HOST:PORT or the path of a socket")
        made = WSGIServer((host or "127.0.0.1", int(port)), _Handler)
    made.set_app(app)
    return made
