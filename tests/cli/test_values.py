"""get, set, rm, ls, tree."""

import base64

import pytest

import rrdstore
from rrdstore.cli.values import drawn


def test_get_prints_the_exact_bytes_and_nothing_else(shell):
    assert shell("get", "/domain/1/name") == "web19"
    assert shell.run("get", "/odd").stdout_bytes == b"\xff\x00\n\x1b[2J"


def test_get_of_several_prints_those_that_are_there(shell):
    done = shell.run("get", "/domain/0/name", "/nowhere", "/domain/1/name", code=3)
    assert done.stdout == "web18web19"
    assert done.stderr == "rrdstore: node '/nowhere' not found\n"


def test_get_of_several_none_of_which_is_there_is_an_error(shell):
    assert shell.run("get", "/nowhere", "/neither", code=1).stderr.count("\n") == 2


def test_get_on_a_terminal_shows_what_would_steer_it(shell, monkeypatch):
    monkeypatch.setattr("rrdstore.cli.values.on_terminal", lambda: True)
    assert shell("get", "/odd") == "\\xff\\x00\\x0a\\x1b[2J\n"
    assert shell("get", "/domain/1/name") == "web19\n"
    assert shell.run("get", "--raw", "/odd").stdout_bytes == b"\xff\x00\n\x1b[2J"


def test_a_value_in_json_is_text_or_base64(shell):
    text, odd = shell.json("get", "/domain/1/name", "/odd")
    assert text == {"path": "/domain/1/name", "value": "web19", "meta": "", "created": 3, "modified": 21, "children": 0}
    assert base64.b64decode(odd["value"]["base64"]) == b"\xff\x00\n\x1b[2J"
    assert odd["meta"] == "n0"


@pytest.mark.parametrize("when", ["5h ago", "-5h", "4h59m"])
def test_get_at_a_moment(shell, when):
    (then,) = shell.json("get", "/domain/1/name", "--at", when)
    assert then["value"] == "web19"
    (before,) = shell.json("get", "/domain/1/name", "--at", "6h30m ago")
    assert before["value"] == "web16"


def test_set_prints_the_commit_and_it_is_there(shell):
    made = shell("set", "/new/deep", "1", "-m", "why", "--author", "me").strip()
    assert shell("get", "/new/deep") == "1"
    (newest,) = shell.json("log", "--limit", "1")
    assert (newest["id"], newest["message"], newest["author"]) == (made, "why", "me")


def test_set_takes_every_byte_of_standard_input(shell):
    every = bytes(range(256))
    shell("set", "/all", "-", stdin=every)
    assert shell.run("get", "/all").stdout_bytes == every


def test_set_leaves_the_metadata_unless_told(shell):
    shell("set", "/odd", "x")
    assert shell.json("get", "/odd")[0]["meta"] == "n0"
    shell("set", "/odd", "x", "--meta", "r1")
    assert shell.json("get", "/odd")[0]["meta"] == "r1"


def test_set_takes_a_value_that_begins_with_a_minus(shell):
    shell("set", "/offset", "--", "-5")
    assert shell("get", "/offset") == "-5"


def test_set_names_the_user_unless_told(shell, monkeypatch):
    monkeypatch.setenv("USER", "anna")
    assert shell.json("set", "/a", "1")["author"] == "anna"
    monkeypatch.setenv("RRDSTORE_AUTHOR", "backup")
    assert shell.json("set", "/a", "2")["author"] == "backup"


def test_rm_removes_all_below_in_one_commit(shell):
    before = shell.json("info")["commits"]
    assert shell.json("rm", "/domain/1", "/odd")["removed"] == ["/domain/1", "/domain/1/name", "/odd"]
    assert shell.json("info")["commits"] == before + 1
    assert shell.lines("ls", "/domain") == ["0", "2"]


def test_rm_of_several_removes_none_if_one_is_missing(shell):
    before = shell.dumped()
    shell("rm", "/domain/1", "/nowhere", code=1)
    assert shell.dumped() == before


def test_ls_lists_names_and_with_l_what_they_are(shell):
    assert shell.lines("ls") == ["domain", "odd"]
    assert shell.lines("ls", "-l") == [f"{0}  3   2   2  domain", "7  0  22  22  odd"]
    assert shell.lines("ls", "/", "/nowhere", code=3) == ["domain", "odd"]


def test_ls_shows_a_strange_name_on_one_line(shell):
    shell("set", "/a\nb\x1b", "1")
    assert "a\\x0ab\\x1b" in shell.lines("ls")


def test_tree_draws_what_is_there(shell):
    assert shell.lines("tree") == [
        "/",
        "├─ domain",
        "│  ├─ 0",
        '│  │  └─ name = "web18"',
        "│  ├─ 1",
        '│  │  └─ name = "web19"',
        "│  └─ 2",
        '│     └─ name = "web17"',
        '└─ odd = "\\xff\\x00\\x0a\\x1b[2J"',
    ]
    assert shell.lines("tree", "/domain", "--depth", "1") == ["/domain", "├─ 0", "├─ 1", "└─ 2"]
    assert shell.lines("tree", "/domain", "--depth", "0") == ["/domain"]


def test_tree_in_json_is_as_deep_as_asked(shell):
    assert [row["path"] for row in shell.json("tree", "/domain", "--depth", "1")] == [
        "/domain",
        "/domain/0",
        "/domain/1",
        "/domain/2",
    ]
    assert len(shell.json("tree")) == 9


def test_tree_goes_as_deep_as_a_path_can(shell):
    with rrdstore.memory() as store:
        store.branch("main").set("/x" * 1536, b"bottom")
        lines = list(drawn(store.branch("main").tree, "/x", None))
    assert len(lines) == 1536
    assert lines[-1].endswith('└─ x = "bottom"')


def test_tree_of_a_deep_path(shell):
    shell("set", "/x" * 100, "bottom")
    assert shell.lines("tree", "/x")[-1].endswith('└─ x = "bottom"')
