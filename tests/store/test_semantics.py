"""docs/semantics.md names a test for each rule: those tests exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"`([a-z_/]+\.py)::((?:Test\w+::)?)(test_\w+)`")


def test_the_tests_that_hold_the_rules_are_there():
    page = (TESTS.parent / "docs" / "semantics.md").read_text()
    named = NAMED.findall(page)
    missing = [
        f"{path}::{group}{name}"
        for path, group, name in named
        if not (TESTS / path).exists()
        or f"def {name}(" not in (text := (TESTS / path).read_text())
        or (group and f"class {group.removesuffix('::')}" not in text)
    ]
    assert not missing
    assert page.count("::test_") == len(named)
    assert {f"### {n}." for n in range(1, 13)} == set(re.findall(r"### \d+\.", page))
    assert len(named) > 40
