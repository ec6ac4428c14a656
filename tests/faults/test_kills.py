"""The short form of bench/kills.py: kill -9, failing calls and power cuts; nothing acknowledged is lost."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS, SEED = 60, 7


def test_nothing_acknowledged_is_lost(faulty):
    command = [sys.executable, "bench/kills.py", "--rounds", str(ROUNDS), "--seed", str(SEED)]
    environment = {**os.environ, "LD_PRELOAD": str(faulty)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    counted = {what: int(count) for count, what in re.findall(r"(\d+) ([a-z ]+?)(?:,|$)", done.stdout, re.MULTILINE)}
    assert counted["killed"] > ROUNDS // 2
    assert counted["power cuts"] > 10
    assert counted["refused"] > 0
    assert counted["acknowledged"] > 200
