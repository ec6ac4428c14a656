"""What guests tell the daemon is for the daemon's owner alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.cli.history import Wanted

if TYPE_CHECKING:
    from pathlib import Path


def test_nobody_else_may_read_the_files_of_the_store(tmp_path: Path) -> None:
    with Wanted(tmp_path / "history.rrdb", size="8MiB", keep="last:8").open() as store:
        store.branch("main").set("/secret", b"1")
        store.tick()
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}, modes
