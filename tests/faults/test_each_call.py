"""Each call to the system fails in turn: what was asked is done or refused, and nothing acknowledged is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.shim import EIO, ENOSPC, TORN

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("thing", "kinds", "stride"),
    [
        ("set", EIO, 1),
        ("tag", EIO, 1),
        ("fork", EIO, 1),
        ("compact", EIO, 1),
        ("large", TORN, 5),
        ("tick", EIO, 2),  # among them the last barrier, when the transaction is in the log already
        ("delete", ENOSPC, 1),
        ("tune", EIO, 1),
        ("open", EIO, 3),
        ("close", ENOSPC, 9),
    ],
)
def test_a_call_that_fails_loses_nothing(faulty, tmp_path, thing, kinds, stride):
    command = [sys.executable, "tests/faults/each_call.py", thing, str(tmp_path), str(kinds), str(stride), "1"]
    environment = {**os.environ, "LD_PRELOAD": str(faulty)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    failed, refused = map(int, done.stdout.split())
    assert failed
    assert refused
