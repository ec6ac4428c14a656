"""File systems of a test's own that fail in earnest: small ones that are full, and real disks in a file.

Mounting needs root; without it, or where the kernel has no such file system, the test is skipped and says why.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 4096


class Disk:
    """A file system that is mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.path / "junk").open("wb", buffering=0) as junk, contextlib.suppress(OSError):
            while junk.write(bytes(_BLOCK)) == _BLOCK:
                pass
        assert os.statvfs(self.path).f_bavail == 0

    def empty(self) -> None:
        """Give the room back."""
        (self.path / "junk").unlink()

    def remount(self, options: str) -> None:
        """Such as `ro`: nobody may have a file of it open to be written."""
        _run("mount", "-o", f"remount,{options}", str(self.path))

    def vanish(self) -> None:
        """It is not at its place any more, though files of it are open."""
        _run("umount", "-l", str(self.path))


@contextlib.contextmanager
def tmpfs(path: Path, size: str) -> Iterator[Disk]:
    """A file system in memory."""
    with _mounted(path, "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as disk:
        yield disk


class Ext4(Disk):
    """One with a disk of its own, in a file beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.image = path.with_name(f"{path.name}.image")

    def mended(self) -> None:
        """Take it away, which nobody may hinder by an open file, look through it, and mount it again."""
        _run("umount", str(self.path))
        subprocess.run(["fsck.ext4", "-p", str(self.image)], check=False, capture_output=True)
        _run("mount", *_LOOP, str(self.image), str(self.path))


_LOOP = ("-t", "ext4", "-o", "loop,errors=remount-ro")


@contextlib.contextmanager
def ext4(path: Path, size: str) -> Iterator[Ext4]:
    """A file system on a disk that is a file."""
    disk = Ext4(path)
    if shutil.which("mkfs.ext4") is None or shutil.which("fsck.ext4") is None:
        pytest.skip("there is no mkfs.ext4 here")
    subprocess.run(["truncate", "-s", size, str(disk.image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(disk.image)], check=True, capture_output=True)
    with _mounted(path, *_LOOP, str(disk.image)):
        yield disk


@contextlib.contextmanager
def _mounted(path: Path, *words: str) -> Iterator[Disk]:
    path.mkdir(exist_ok=True)
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    done = subprocess.run(["mount", *words, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no such file system can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        while path.is_mount():
            _run("umount", "-l", str(path))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
