"""Advisories about paths, and that every advisory has its test."""

import re
from pathlib import Path

import pytest

from tests.security.world import OK

ADVISORIES = """38 72 115 206 233 272 322 323 324 325 326 330 349 352 353 354 414 415 416 417 418 419 420 421 425 481
483 484 492"""
"""Of Xen's security advisories, those about xenstored, and what is said beside them of guests that misuse it."""


def test_each_advisory_has_its_test():
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert sorted(set(re.findall(r"def test_xsa_(\d+)", text)), key=int) == ADVISORIES.split()


def test_xsa_323_a_path_that_is_accepted_can_be_named_in_full(machine, guest):
    """Relative paths are judged as what they become; so what is made can be told of and removed."""
    home = b"/local/domain/5/"
    longest = (b"r" * 99 + b"/") * 20 + b"r" * 48
    assert guest.ask("WRITE", longest + b"\0") == OK
    for name in (longest, home + longest):
        assert guest.ask("WATCH", name + b"\0%d\0" % len(name)) == OK
        assert guest.ask("READ", name + b"\0") == b""
    assert guest.ask("WRITE", home + longest + b"\0v") == OK
    assert guest.events() == [(longest, b"2048"), (home + longest, b"2064")] * 2
    for name in (longest + b"r", home + longest + b"r", longest + b"/r", b"r/" + longest):
        for operation, rest in (("WRITE", b""), ("MKDIR", b""), ("READ", b""), ("RM", b""), ("WATCH", b"t\0")):
            assert guest.ask(operation, name + b"\0" + rest) == "EINVAL", operation
    assert guest.ask("RM", home + longest + b"\0") == OK
    machine.toolstack.ask("SET_QUOTA", b"5\0path-max\x000\0")
    most = (b"x" * 99 + b"/") * 30 + b"x" * 56
    assert len(home + most) == 3072
    assert guest.ask("WRITE", most + b"\0") == OK
    assert guest.ask("WRITE", most + b"x\0") == "EINVAL"


@pytest.mark.parametrize("path", [b"/local/domain/", b"", b"//", b"/", b"a//b", b"a/", b"@", b"@/", b"/@/", b"."])
def test_xsa_481_every_failure_has_a_name(machine, guest, path):
    for operation, rest in (
        ("READ", b""), ("WRITE", b"v"), ("MKDIR", b""), ("RM", b""), ("DIRECTORY", b""), ("GET_PERMS", b""),
        ("SET_PERMS", b"n5\0"), ("DIRECTORY_PART", b"0\0"), ("WATCH", b"t\0"), ("UNWATCH", b"t\0"),
    ):  # fmt: skip
        for number in (0, guest.start()):
            reply = guest.ask(operation, path + b"\0" + rest, number)
            if path in {b"/", b"@"} and operation == "WATCH":
                assert reply == (OK if not number else "EEXIST")
                guest.events()
            elif path in {b"/", b"@"}:
                assert reply in {"EACCES", "EINVAL", "ENOENT", OK}
            else:
                assert reply == "EINVAL", operation
        guest.ask("RESET_WATCHES", b"\0")


def test_xsa_354_what_a_guest_writes_is_text_to_nobody(machine, guest):
    """Bytes of a guest reach the log and the history escaped, and no more of them than have room there."""
    value = b"\x1b[2J\n<script>\r\0" * 100
    assert guest.ask("WRITE", b"data/evil\0" + value) == OK
    assert guest.ask("READ", b"data/evil\0") == value
    assert guest.ask("READ", b"data/\x1b[2J\n\0") == "EINVAL"
    logged = machine.toolstack.ask("CONTROL", b"history\0log\0")
    assert b"data/evil" in logged
    assert not set(logged) & (set(range(32)) - {0, 10})
