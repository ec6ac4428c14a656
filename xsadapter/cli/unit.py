"""`xsadapter install-unit`: the daemon as the host's xenstored under systemd, and the way back.

Rules
1. The unit has the stock one's name in the administrator's directory, which counts more than the vendor's; so the stock
   daemon is what the host has again when the file is gone. Neither starts nor stops anything.
2. systemd keeps the daemon's sockets over a restart (`recovery.keeping`): a keeper of our own would be a process of the
   unit, which systemd ends with the daemon. Before 254 it does not say that it keeps any, so the unit does.
3. Where /proc/xen is a mount of systemd's, it is there before. A daemon that dies is started again, however often it
   does, as a host must have one, unless its options are wrong; a damaged store may take its time to be mended.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

NAME: Final = "xenstored.service"
_MARK: Final = "# Written by xsadapter install-unit."
_KEPT: Final = 16384
"""Descriptors: the socket's, and one for each client."""
_DAEMON, _TOOL = "xsadapter-xenstored", "xsadapter"


def unit(programs: Path, options: str) -> str:
    """The unit's text: `programs` is where ours are, `options` what the daemon is given besides."""
    given = f" {options}" if options else ""
    return f"""{_MARK}
[Unit]
Description=The Xen store (xsadapter)
Wants=proc-xen.mount
After=proc-xen.mount
Before=xenconsoled.service xen-init-dom0.service xendomains.service libvirtd.service
ConditionPathExists=/proc/xen/capabilities
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStartPre=/bin/mkdir -p /run/xen /run/xenstored
ExecStart={programs / _DAEMON} -N --pid-file /run/xen/xenstored.pid{given}
ExecReload={programs / _TOOL} control live-update {programs / _DAEMON}
Restart=on-failure
RestartSec=500ms
RestartPreventExitStatus=2
TimeoutStartSec=15min
WatchdogSec=60
FileDescriptorStoreMax={_KEPT}
Environment=FDSTORE={_KEPT}
LimitNOFILE=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""


def _beside() -> Path:
    """Where our programs are: with this one, or else with the interpreter that runs it."""
    here = Path(sys.argv[0]).absolute().parent
    return here if (here / _DAEMON).exists() else Path(sys.executable).parent


@click.command("install-unit")
@click.option(
    "--directory",
    metavar="DIR",
    default="/etc/systemd/system",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where units of the administrator are.",
)
@click.option(
    "--options", metavar="WORDS", default="", help="What the daemon is given besides, such as '--size 256MiB'."
)
@click.option(
    "--programs",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the programs will be.  [default: beside this one]",
)
@click.option("--remove", is_flag=True, help="Take our unit away: the stock daemon is the host's again.")
def install_unit(directory: Path, options: str, programs: Path | None, remove: bool) -> None:
    """Make the daemon the host's xenstored under systemd, from its next start on.

    A unit of that name that is not ours is left alone. `systemctl reload xenstored` is a live update.

    \b
    Example:
      xsadapter install-unit --options '--size 256MiB' && systemctl daemon-reload
      xsadapter install-unit --remove && systemctl daemon-reload
    """  # noqa: D301 - the escape is click's mark: do not rewrap
    place = directory / NAME
    try:
        there = place.read_text() if place.exists() or place.is_symlink() else None
        if there is not None and not there.startswith(_MARK):
            raise click.ClickException(f"{place}: found a unit that is not ours, expected none")
        if remove:
            place.unlink(missing_ok=True)
            click.echo(f"{place} is gone")
            return
        directory.mkdir(parents=True, exist_ok=True)
        place.write_text(unit(programs or _beside(), options))
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{place} is there")
