"""Each operation of the table is documented, tested for what it does, and fuzzed."""

import random
import re
from pathlib import Path

import pytest

from tests.security.mutations import World
from xsadapter.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
NAMES = [operation.name for operation in OPERATIONS]


def test_the_documents_table_is_the_daemons():
    found = re.findall(
        r"^\| (\d+) \| ([A-Z_]+) \| ([a-z0-9 ]+) \| ([a-z ]+) \|", (ROOT / "docs/xenstore.md").read_text(), re.MULTILINE
    )
    assert found == [
        (str(row.number), row.name, "domain 0" if row.privileged else "everybody", row.transaction.value)
        for row in OPERATIONS
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_asked_for_by_conformance_tests(name):
    """Of the stock daemons too, as far as Debian's have it; the four newest operations they answer ENOSYS."""
    newest = {"GET_FEATURE", "SET_FEATURE", "GET_QUOTA", "SET_QUOTA", "DIRECTORY_PART", "RESUME", "SET_TARGET"}
    folders = ("daemon",) if name in newest else ("daemon", "compat")
    for folder in folders:
        text = "".join(path.read_text() for path in (ROOT / "tests" / folder).glob("test_*.py"))
        assert f'("{name}"' in text, folder


def test_every_operation_is_fuzzed_and_gets_through_now_and_then():
    """That all are sent is the grammar's doing; that they are carried out is what makes it worth."""
    world = World(random.Random(9))
    for at in range(12_000):
        world.stream(at % 2)
    assert set(NAMES) - set(world.answered) == set()
    world.close()
