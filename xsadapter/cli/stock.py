"""What the stock daemons take at their start and this one has another word for, or no use.

Rules
1. An option that is one quota is that quota; what a quota is given twice, the last counts, and --quota more than both.
2. Of oxenstored's file of settings the quotas count that are here too, less than any option, and `pid-file` if no
   option says it. `quota-activate = false` is no limit for each of them. All else in it is not for this daemon. A file
   that cannot be read, or a line that is no setting, is said and passed over, as oxenstored does.
3. What needs nothing done here is accepted, and noted in the log, so that old service files keep working. What asks for
   something else than this daemon does is an error, and so is any option that neither daemon has.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from xsadapter.cli.options import PATH_CAP
from xsadapter.engine.quotas import VALUE_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("xsadapter")

_SINGLE: Final = {
    "entry_nb": ("-E", "nodes"),
    "entry_size": ("-S", "node-size"),
    "watch_nb": ("-W", "watches"),
    "transaction": ("-t", "transactions"),
    "perm_nb": ("-A", "node-permissions"),
    "path_max": ("-M", "path-max"),
}
"""Options of C's that are one quota each."""
_GONE: Final = (
    ("-D", "--no-domain-init"),
    ("-P", "--output-pid"),
    ("-R", "--no-recovery"),
    ("-V", "--verbose"),
)
_OTHERS: Final = ("--no-access-log", "--reraise-top-level", "--restart")
_REFUSED: Final = {
    "--disable-socket": "tools reach this daemon by its socket, so it is never without",
    "--live": "the state that oxenstored leaves at a live update cannot be read",
}
_KEYS: Final = {
    "quota-maxentity": "nodes",
    "quota-maxsize": "node-size",
    "quota-maxwatch": "watches",
    "quota-transaction": "transactions",
    "quota-path-max": "path-max",
}
"""Settings of oxenstored's that are one quota each."""
_NAMED: Final = "config_file"


@dataclass(frozen=True, slots=True)
class Stock:
    """What was said in the words of a stock daemon."""

    quotas: dict[str, int] = field(default_factory=dict)
    pid_file: str | None = None
    ignored: tuple[str, ...] = ()
    """Options that do nothing here."""


def stock_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add them; `said` reads what was given."""
    for name, why in _REFUSED.items():
        function = click.option(
            name, is_flag=True, expose_value=False, callback=_refused, help=f"Refused: {why}."
        )(function)  # fmt: skip
    for name in reversed(_OTHERS):
        function = click.option(name, is_flag=True, help="Of oxenstored: accepted and ignored.")(function)
    for names in reversed(_GONE):
        function = click.option(*names, is_flag=True, help="Accepted and ignored, as C has it no more.")(function)
    function = click.option(
        "-I", "--internal-db", is_flag=False, flag_value="on", type=click.Choice(["on", "off"]),
        help="Accepted and ignored, as C has it no more.",
    )(function)  # fmt: skip
    for name, (letter, quota) in reversed(_SINGLE.items()):
        option = click.option(
            letter, f"--{name.replace('_', '-')}", type=click.IntRange(0, VALUE_MAX), metavar="N",
            help=f"As --quota {quota}=N" + (f", at most {PATH_CAP}." if quota == "path-max" else "."),
        )  # fmt: skip
        function = option(function)
    return click.option(
        "--config-file", metavar="FILE", help="Of oxenstored: its quotas and pid-file count, where no option says so."
    )(function)


def said(given: dict[str, Any]) -> Stock:
    """From what the options of `stock_options` were given."""
    rest = dict(given)
    config = rest.pop(_NAMED)
    quotas, pid_file = _settings(Path(config)) if config else ({}, None)
    for name, (_, quota) in _SINGLE.items():
        limit = rest.pop(name)
        if limit is not None:
            quotas[quota] = limit
    if "path-max" in quotas:
        quotas["path-max"] = min(quotas["path-max"], PATH_CAP)
    return Stock(quotas, pid_file, tuple(f"--{name.replace('_', '-')}" for name, value in rest.items() if value))


def _refused(_: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        [name] = parameter.opts
        raise click.BadParameter(_REFUSED[name], param=parameter)


def _settings(path: Path) -> tuple[dict[str, int], str | None]:
    """The quotas and the pid file that oxenstored's file of settings asks for."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        _log.warning("%s: %s; going on without it", path, error.strerror)
        return {}, None
    found: dict[str, str] = {}
    for number, each in enumerate(lines, 1):
        setting = each.partition("#")[0].strip()
        key, separator, value = setting.partition("=")
        if separator:
            found[key.strip()] = value.strip()
        elif setting:
            _log.warning("%s:%d: found %s, expected KEY = VALUE; passed over", path, number, setting)
    quotas = {}
    for key, quota in _KEYS.items():
        value = found.get(key, "")
        if found.get("quota-activate") == "false":
            quotas[quota] = 0
        elif value.isascii() and value.isdigit() and int(value) <= VALUE_MAX:
            quotas[quota] = int(value)
        elif key in found:
            _log.warning("%s: found %s = %s, expected a number to %d; passed over", path, key, value, VALUE_MAX)
    return quotas, found.get("pid-file") or None
