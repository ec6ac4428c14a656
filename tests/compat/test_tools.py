"""Our tools beside Debian's, on the same daemon with the same words: what they print, say, end with and leave is equal.

The stock tool runs as a program, ours in this process, each on the same tree. What ours has that the stock one lacks
is in tests/daemon/test_tools.py.
"""

from __future__ import annotations

import fcntl
import io
import os
import random
import struct
import subprocess
import sys
import termios

import pytest

from tests.compat import peers
from xsadapter import tools
from xsadapter.client import Client

STOCK = {
    **{name: f"xenstore-{name}" for name in tools.NAMES if name != "control"},
    "control": str(peers.XEN / "xenstore-control"),
}
CHANGE = ("write", "rm", "chmod")
VALUES = {
    "/d/a": b"1",
    "/d/a/b": b"2",
    "/d/c": bytes(range(256)),
    "/d/e": b"",
    "/d/long": b"v" * 200,
    f"/d/{'n' * 90}": b"w" * 60,
    "/d/ff": b"\xff" * 40,
    "/e/e": b"",
    **{f"/d/w/k{size}": b"v" * size for size in range(66, 76)},
    **{f"/d/w/c{size}": b"\1" * size for size in range(10, 75, 13)},
    "/x" * 100: b"deep",
    "/local/domain/0/rel/x": b"r",
}


@pytest.fixture(params=["our_xenstored", "c_xenstored"])
def daemon(request, need):
    need(*(name for name in STOCK.values() if "/" not in name), peers.XEN / "xenstore-control")
    return request.getfixturevalue(request.param)


def compared(daemon, tool, words):
    """What comes of the stock tool and of ours, with the tree that each leaves if it is one that changes something."""
    found = []
    for act in (stock, ours):
        if tool in CHANGE:
            reset(daemon)
        found.append((*act(daemon, tool, words), tree(daemon) if tool in CHANGE else {}))
    return found


def stock(daemon, tool, words):
    done = subprocess.run(
        [STOCK[tool], *words],
        env=daemon.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=peers.PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.replace(f"{peers.XEN}/".encode(), b"")


def ours(daemon, tool, words):
    out, err = io.BytesIO(), io.BytesIO()
    status = tools.run(tool, list(words), out, err)
    return status, out.getvalue(), err.getvalue()


def reset(daemon):
    with Client(daemon.socket, timeout=peers.PATIENCE) as client:
        for top in client.list("/"):
            if top != "tool":
                client.rm(f"/{top}")
        with client.pipeline() as pipe:
            for path, value in VALUES.items():
                pipe.write(path, value)
        for path in ("/", "/tool", "/tool/xenstored"):
            client.set_permissions(path, ["n0"])
        client.set_permissions("/d/a", ["n5", "r6", "b0"])


def tree(daemon):
    """Every node with its value and permissions."""
    with Client(daemon.socket, timeout=peers.PATIENCE) as client:
        found, waiting = {}, ["/"]
        while waiting:
            path = waiting.pop()
            found[path] = client.read(path), client.get_permissions(path)
            waiting += [f"{path.rstrip('/')}/{name}" for name in client.list(path)]
        return found


COMMANDS = """
read /d/a | read /d/a /d/a/b | read -p /d/a /d/c | read -R /d/c | read /d/c | read /d/none | read /d/a /d/none
read rel/x | read | read -h | read /d/a -p | read --prefix --raw /d/a | read --pre /d/a | read --r /d/a
read --nosuch=3 /d/a | read -Z /d/a | read -f /d/a | read -pR /d/a | read -Zp /d/a | read -- -p
read @releaseDomain | read --prefix=1 /d/a | read -n | read -s /d/a
write /d/a new | write /d/n1/n2 v /d/a w | write -R /d/a \\x41 | write /d/a \\x41\\101\\t\\q | write /d/a | write
write /d/a 1 /d/b | write /d/a -1 | write /d/a -- -1 | write -- /d/a -1 | write // 1 | write /d/a x @b y
write rel/y 1 | write -p /d/a 1 | write -s /d/a 1
list /d | list -p /d | list /d/e | list / | list -p / | list /d /e | list /d/none | list /d /d/none | list
list -R /d | list rel
ls | ls / | ls /d | ls -f /d | ls -p /d | ls -fp | ls /d /e | ls /d/none | ls /d/ | ls -t | ls /x -p | ls /x -f
ls -h | ls --flat /e
rm /d/a | rm /d/a /e | rm /d/none | rm /no/ne | rm /d/a /no/ne | rm -t /e/e | rm -t /d/a/b | rm / | rm
rm -tidy /e/e | rm -t rel/x
exists /d | exists /d /e | exists /d/none | exists /d /d/none | exists // | exists | exists -p /d | exists -s rel
chmod /d/a n0 | chmod /d/a n0 r5 b6 w7 | chmod -r /d n1 r2 | chmod -u /d/a/b n3 | chmod -ur /d/a b0 | chmod /d/a
chmod | chmod /d/a x0 | chmod /d/a n | chmod /d/a n1x | chmod /no n0 | chmod -u rel r0 | chmod -u rel/x r0
chmod -r rel r0
chmod /d/a n0 -r | chmod @releaseDomain n0 r7
watch -n 1 /d | watch -n 2 /d /e | watch -n 0 /d | watch -n x /d | watch -n -3 /d | watch /d /d | watch -n 1 //
watch -h | watch -n 1 rel | watch | watch -p /d | watch -n1 @releaseDomain | watch --nosuch -n 1 /d
control | control check | control nosuch | control check more | control quota 77 | control print text
control print | control log off | control logfile | control help | control quota set nosuch 1 | control quota-soft
"""
LINES = [tuple(words.split()) for line in COMMANDS.strip().splitlines() for words in line.split(" | ")]


def test_what_a_tool_does_is_what_the_stock_one_does(daemon, monkeypatch):
    monkeypatch.setenv("XENSTORED_PATH", str(daemon.socket))
    reset(daemon)
    for tool, *words in LINES:
        theirs, mine = compared(daemon, tool, words)
        assert mine == theirs, (tool, words)


FLAGS = {
    "read": "psRhfZ",
    "write": "sRhtZ",
    "list": "pshRZ",
    "ls": "fpshRZ",
    "rm": "sthZ",
    "exists": "shpZ",
    "chmod": "ursZ",
}
LONG = [
    "--flat",
    "--prefix",
    "--tidy",
    "--upto",
    "--recurse",
    "--raw",
    "--help",
    "--fl",
    "--ra",
    "--r",
    "--",
    "-",
    "-n",
]
PATHS = [
    "/d",
    "/d/a",
    "/d/a/b",
    "/e/e",
    "/d/none",
    "/d/none/x",
    "",
    "//",
    "/d/",
    "@releaseDomain",
    "rel",
    "rel/x",
    "/ä",
]
TEXTS = ["1", "", "x y", "\\x4", "\\101", "a\\\\b", "\\q", "\\", "ä", "\\x 4", "\\777", "\\x-4", "\\x0x41", "-1"]
MODES = ["n0", "r1", "b2", "w3", "x", "n", "", "n5x", "nn", "n 7", "r+6"]


def words_at_random(tool, choice):
    words = []
    for _ in range(choice.randrange(3)):
        letters = "".join(choice.choice(FLAGS[tool]) for _ in range(choice.choice((1, 1, 2))))
        words.append(choice.choice([f"-{letters}", f"-{letters}", choice.choice(LONG)]))
    for _ in range(choice.choice((0, 1, 1, 1, 2, 3))):
        words.append(choice.choice(PATHS))
        words += [choice.choice(TEXTS)] if tool == "write" else []
        words += choice.sample(MODES, choice.randrange(3)) if tool == "chmod" else []
    if choice.random() < 0.2:
        choice.shuffle(words)
    return words


def test_any_words_mean_the_same(need, our_xenstored, monkeypatch):
    need(*(name for name in STOCK.values() if "/" not in name))
    monkeypatch.setenv("XENSTORED_PATH", str(our_xenstored.socket))
    choice = random.Random(4)
    reset(our_xenstored)
    for _ in range(60):
        tool = choice.choice(sorted(FLAGS))
        words = words_at_random(tool, choice)
        theirs, mine = compared(our_xenstored, tool, words)
        assert mine == theirs, (tool, words)


def on_a_terminal(command, environment, columns):
    """What a command prints on a terminal so wide."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    with subprocess.Popen(command, env=environment, stdout=slave, stderr=subprocess.PIPE) as process:
        os.close(slave)
        printed = b""
        try:
            while data := os.read(master, 65536):
                printed += data
        except OSError:  # the other end is closed: all has been read
            pass
        os.close(master)
        return process.wait(peers.PATIENCE), printed, process.stderr.read()


def test_lines_are_as_wide_as_the_terminal(need, our_xenstored):
    need("xenstore-ls")
    reset(our_xenstored)
    mine = [sys.executable, "-m", "xsadapter.tools", "ls"]
    for columns, option in [(0, "-p"), (1, "-fp"), (5, "-p"), (11, "-p"), (20, "-fp"), (61, "-p"), (120, "-s")]:
        theirs = on_a_terminal(["xenstore-ls", option], our_xenstored.environment, columns)
        assert on_a_terminal([*mine, option], our_xenstored.environment, columns) == theirs, columns


def test_a_directory_of_many_replies_and_a_tree_of_many_levels(daemon, monkeypatch):
    monkeypatch.setenv("XENSTORED_PATH", str(daemon.socket))
    with Client(daemon.socket, timeout=peers.PATIENCE) as client, client.pipeline() as pipe:
        for number in range(300):
            pipe.write(f"/big/quite-a-long-name-{number}", b"%d" % number)
        for levels in (300, 600):
            pipe.write("/y" * levels, b"%d" % levels)
    for tool, *words in [
        ("list", "/big"),
        ("ls", "-p"),
        ("ls", "-f", "/y"),
        ("ls", "-fp", "/y/y"),
    ]:
        assert ours(daemon, tool, words) == stock(daemon, tool, words), (tool, words)
