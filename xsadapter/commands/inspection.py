"""CONTROL quota, quota-soft, domains, watches, transactions, memreport, check: what the daemon has, in words.

Rules
1. `quota` and `quota-soft` are C xenstored's: the limits, one domain's usage and maxima, the maxima of all, and
   `set`, for domains that become known later. A hard limit is at least 1 here; SET_QUOTA knows 0, no limit.
2. `domains`, `watches` and `transactions` are ours; of one domain if its number is given. What a guest chose is
   escaped.
3. `check` compares the accounts with a recount of the tree, and the indexes with all names, and says what differs.
   O(nodes).

Source: the forms of C's commands are those that its `help` lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.arguments import number
from xsadapter.engine import lives
from xsadapter.engine.accounts import Accounts
from xsadapter.engine.domains import Domain, Domains
from xsadapter.engine.notices import escaped
from xsadapter.engine.permissions import DOMID_MAX
from xsadapter.engine.quotas import COUNTED, QUOTAS, SOFT, VALUE_MAX, Usage, named
from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon


def quota(daemon: Daemon, parameters: list[bytes]) -> str:
    """Hard limits; EINVAL, ENOENT."""
    return _text(_quota(daemon, parameters))


def _quota(daemon: Daemon, parameters: list[bytes]) -> Iterator[str]:
    domains = daemon.domains
    match parameters:
        case []:
            for row in QUOTAS.values():
                if not row.name.startswith(SOFT):
                    yield f"{row.name:<18}: {domains.limits[row.name]:>8} {row.meaning}"
        case [b"set", quota_name, value]:
            _set(domains, _ascii(quota_name), value, soft=False)
        case [b"max"] | [b"max", b"-r"]:
            for name in COUNTED:
                most = max((getattr(domain.maxima, name) for domain in domains if domain.domid), default=0)
                yield f"{name:<18}: {max(most, getattr(domains.maxima, name)):>8}"
            if len(parameters) == 2:
                domains.maxima = Usage()
                for domain in domains:
                    domain.maxima = Usage(**{name: getattr(domain.usage, name) for name in COUNTED})
        case [domid]:
            domain = _domain(daemon, domid)
            yield f"domain {domain.domid}:"
            for name in COUNTED:
                most = max(getattr(domain.maxima, name), getattr(domain.usage, name))
                refused = f" refused {domain.refusals[name]}" if name in domain.refusals else ""
                limit = domain.limits[name]
                yield f"{name:<18}: {getattr(domain.usage, name):>8} (max {most}, limit {limit or 'none'}){refused}"
        case _:
            raise RequestError("EINVAL")


def quota_soft(daemon: Daemon, parameters: list[bytes]) -> str:
    """Soft limits, which are only logged; EINVAL."""
    match parameters:
        case []:
            limits = daemon.domains.limits
            rows = (row for row in QUOTAS.values() if row.name.startswith(SOFT))
            return _text(f"{row.name.removeprefix(SOFT):<18}: {limits[row.name]:>8} {row.meaning}" for row in rows)
        case [b"set", quota_name, value]:
            _set(daemon.domains, SOFT + _ascii(quota_name), value, soft=True)
            return ""
        case _:
            raise RequestError("EINVAL")


def _set(domains: Domains, name: str, value: bytes, *, soft: bool) -> None:
    limit, quota_name = number(value, VALUE_MAX), named(name)
    if quota_name.startswith(SOFT) is not soft or not limit:
        raise RequestError("EINVAL")
    domains.limits[quota_name] = limit
    domains.touched.limit(None)


def domains(daemon: Daemon, parameters: list[bytes]) -> str:
    """Every known domain, or one; EINVAL, ENOENT."""
    chosen = [_domain(daemon, parameters[0])] if parameters else sorted(daemon.domains, key=lambda one: one.domid)
    return _text(_line(domain) for domain in chosen)


def _line(domain: Domain) -> str:
    state = "introduced" if domain.introduced or not domain.domid else "known"
    connection = domain.connection
    if connection is not None and connection.ignored:
        state = "ignored"
    elif domain.shut:
        state = "shut down"
    usage = domain.usage
    target = f" target {domain.target}" if domain.target is not None else ""
    return (
        f"domain {domain.domid} {state}{target}: {usage.nodes} nodes, {usage.memory} bytes, {usage.watches} watches, "
        f"{usage.transactions} transactions, {usage.outstanding} outstanding"
    )


def watches(daemon: Daemon, parameters: list[bytes]) -> str:
    """Every watch, or those of one domain; EINVAL, ENOENT."""
    return _text(
        f"{connection.author}: {path} {escaped(token)}{'' if watch.depth is None else f' depth {watch.depth}'}"
        for connection in _of(daemon, parameters)
        for (path, token), watch in connection.watches.items()
    )


def transactions(daemon: Daemon, parameters: list[bytes]) -> str:
    """Every open transaction, or those of one domain; EINVAL, ENOENT."""
    now = daemon.flow.now
    return _text(
        f"{connection.author}: {identifier} for {now - transaction.began:.3f} s, {transaction.nodes} nodes"
        for connection in _of(daemon, parameters)
        for identifier, transaction in connection.transactions.items()
    )


def memreport(daemon: Daemon, _: list[bytes]) -> str:
    """What there is of each, and what waits."""
    waiting = sum(len(message) for connection in daemon.connections.values() for message in connection.output)
    nodes = sum(domain.usage.nodes for domain in daemon.domains)
    memory = sum(domain.usage.memory for domain in daemon.domains)
    return _text(
        (
            f"nodes {nodes}, charged {memory} bytes with watches",
            f"watches {daemon.watches.count}",
            f"connections {len(daemon.connections)}, {waiting} bytes waiting",
            f"domains {sum(1 for _ in daemon.domains)}, turns {len(daemon.turns.held)}",
        )
    )


def check(daemon: Daemon, _: list[bytes]) -> str:
    """The accounts against a recount, the indexes against the names; a line for each counter or value that differs."""
    fresh = Domains(daemon.hypervisor)
    Accounts(fresh).recount(daemon.head.tree)
    found = []
    for domid in sorted({domain.domid for domain in (*daemon.domains, *fresh)}):
        known, counted = daemon.domains.get(domid), fresh.get(domid)
        has, truth = known.usage.nodes if known else 0, counted.usage.nodes if counted else 0
        if has != truth:
            found.append(f"domain {domid}: charged for {has} nodes, has {truth}")
    return _text([*found, *daemon.head.indexes.differences(daemon.head.tree)])


def _of(daemon: Daemon, parameters: list[bytes]) -> list[Connection]:
    if not parameters:
        return list(daemon.connections.values())
    domain = _domain(daemon, parameters[0])
    return [connection for connection in daemon.connections.values() if connection.domain is domain]


def _domain(daemon: Daemon, text: bytes) -> Domain:
    domid = number(text, DOMID_MAX)
    found = daemon.domains.get(domid) or lives.current(daemon, domid)
    if found is None:
        raise RequestError("ENOENT")
    return found


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise RequestError("EINVAL") from None


def _text(lines: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)
