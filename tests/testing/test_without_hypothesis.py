"""Whoever has no hypothesis has the clock, the homes and the model; the machine says what it needs."""

import subprocess
import sys

import pytest

import rrdstore.testing

SCRIPT = """
import sys
sys.modules["hypothesis"] = None  # as if it were not there
import rrdstore.testing
from rrdstore.testing import ManualClock, ModelStore, FileHome
model = ModelStore("last:3", ManualClock())
model.set("main", "/a", b"1")
assert model.kept() == {1, 2}
try:
    rrdstore.testing.StoreMachine
except rrdstore.NotInstalled as error:
    print(error.package, error.extra, error)
"""


def test_only_the_machine_needs_it():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "hypothesis test rrdstore.testing.StoreMachine needs hypothesis, found none: pip install 'rrdstore[test]'\n"
    )


def test_what_is_not_in_the_kit():
    with pytest.raises(AttributeError, match="Mashine"):
        rrdstore.testing.Mashine  # noqa: B018 - asking for it is the test
    assert rrdstore.testing.StoreMachine.TestCase.examples == 30
