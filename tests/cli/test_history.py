"""log, diff, tag, untag, pin, unpin, and what moments mean."""

import pytest

import rrdstore
from rrdstore.store.ledger import Ledger


def test_log_is_newest_first_with_the_gaps_that_thinning_left(shell):
    lines = shell.lines("log")
    assert lines[0].startswith("22-")
    commits = [line for line in lines if "thinned" not in line]
    gaps = [int(line.split()[1]) for line in lines if "thinned" in line]
    assert sum(gaps) + len(commits) == 22
    assert commits[1].endswith("Z  toolstack  hour 19")


def test_log_of_a_path_is_what_changed_it(shell):
    assert {line.split()[-1] for line in shell.lines("log", "/odd")} == {shell.lines("log")[0].split()[-1]}
    assert all(int(row["message"].split()[1]) % 3 == 1 for row in shell.json("log", "/domain/1") if not row["thinned"])


def test_log_between_moments(shell):
    every = shell.json("log")
    late = shell.json("log", "--since", "-6h30m")
    early = shell.json("log", "--until", "6h30m ago")
    assert late
    assert early
    assert late + early == every


def test_a_commit_in_json_has_all_that_is_known(shell):
    newest, before = shell.json("log", "--limit", "2")
    assert set(newest) == {
        "id", "number", "time", "wall", "branch", "author", "message", "parents", "kept_parents", "thinned",
        "authors", "others",
    }  # fmt: skip
    assert newest["parents"] == newest["kept_parents"] == [before["id"]]
    assert newest["time"].endswith("Z")


def test_diff_between_moments(shell):
    assert shell.lines("diff", "-6h30m", "-5h30m") == ['~ /domain/0/name "web15" -> "web18"']
    assert shell.lines("diff", "-5h30m")[-1] == '+ /odd "\\xff\\x00\\x0a\\x1b[2J"'
    assert shell.lines("diff", "now", "-5h30m", "/odd") == ['- /odd "\\xff\\x00\\x0a\\x1b[2J"']
    assert shell.lines("diff", "-5h30m", "/odd") == ['+ /odd "\\xff\\x00\\x0a\\x1b[2J"']


def test_diff_sees_metadata(shell):
    shell("tag", "before")
    shell("set", "/domain/0/name", "web18", "--meta", "n7")
    assert shell.lines("diff", "before") == ['~ /domain/0/name meta "" -> "n7"']
    (change,) = shell.json("diff", "before")
    assert change == {
        "path": "/domain/0/name",
        "kind": "changed",
        "old": {"value": "web18", "meta": ""},
        "new": {"value": "web18", "meta": "n7"},
    }


def test_diff_between_branches(shell):
    shell("fork", "work")
    shell("set", "/note", "1", "-b", "work")
    assert shell.lines("diff", "main", "work") == ['+ /note "1"']


def test_a_tag_keeps_and_names_a_commit(shell):
    named = shell("tag", "then", "6h30m ago").strip()
    assert shell.json("tag")["then"]["id"] == named
    assert shell.lines("tag")[0].split()[:2] == ["then", named]
    assert shell.json("get", "/domain/1/name", "--at", "then")[0]["value"] == "web16"
    assert any(reason["rule"] == "tag then" for reason in shell.json("explain", "then")["reasons"])
    shell("tag", "then", code=1)


def test_untag_says_which_commit_goes_with_the_name(shell):
    with rrdstore.open(shell.path) as store:
        main = store.branch("main")
        hours = list(main.log())
        for commit in hours:
            store.tag(commit.id, commit)
        for number in range(9):
            main.set("/busy", b"%d" % number)
        # Which hours the tiers keep depends on the hour at which the test runs.
        only_tagged = next(commit for commit in hours[1:-1] if len(store.explain(commit.id).reasons) == 1)
        store.tag("then", only_tagged)
        for commit in hours:
            store.untag(commit.id)
    named = only_tagged.id
    assert shell.json("untag", "then", "-n") == {"done": ["then"], "dropped": [named]}
    assert shell.lines("untag", "then", "nothing", code=3) == ["untagged then", f"dropped {named}"]
    gone = shell.json("explain", named)
    assert (gone["kept"], gone["reasons"]) == (False, [])
    assert gone["before"]
    assert "was thinned; nearest kept" in shell.run("get", "/odd", "--at", named, code=1).stderr


def test_a_pin_is_listed_until_it_is_taken_back(shell):
    pinned = shell("pin", "6h30m ago").strip()
    assert shell.lines("pin") == [pinned]
    assert shell.json("pin") == [pinned]
    assert shell.json("unpin", pinned)["done"] == [pinned]
    assert shell.json("pin") == []
    shell("unpin", pinned, code=1)


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("soon", 2),
        ("-5x", 2),
        ("2026-13-01", 2),
        ("99999999999999999999y", 2),
        ("30d ago", 1),
        ("999", 1),
        ("22-00", 1),
    ],
)
def test_a_moment_that_cannot_be(shell, when, code):
    shell("get", "/odd", "--at", when, code=code)


def test_an_id_or_its_beginning_is_a_moment(shell):
    newest = shell.json("log", "--limit", "1")[0]["id"]
    for name in (newest, newest[:6], "22"):
        assert shell.json("explain", name)["id"] == newest


def test_a_log_of_a_path_does_without_what_a_writer_thins_meanwhile(shell, monkeypatch):
    """The change of a commit that is gone is told by the one after it, as if it had been gone before."""
    with rrdstore.open(shell.path) as store:
        made = [store.branch("main").set("/x", value) for value in (b"1", b"2", b"2", b"3")]
    root = Ledger.root
    gone = {made[1].number}

    def read(self, record):
        if record.number in gone:
            raise rrdstore.Thinned(self.id(record), None, None)
        return root(self, record)

    monkeypatch.setattr(Ledger, "root", read)
    assert [row["id"] for row in shell.json("log", "/x")] == [made[3].id, made[2].id, made[0].id]
    gone |= {made[0].number, made[2].number}
    assert [row["id"] for row in shell.json("log", "/x")] == [made[3].id]


@pytest.mark.parametrize("command", [("get", "/odd"), ("ls",), ("tree",), ("log",), ("diff", "1")])
def test_what_was_thinned_while_it_was_read_is_read_again(shell, monkeypatch, command):
    expected = shell(*command)
    opened = rrdstore.open
    thinned = iter([True] * 3)

    def open_later(path, **options):
        if next(thinned, False):
            raise rrdstore.Thinned("with object 7", None, None)
        return opened(path, **options)

    monkeypatch.setattr(rrdstore, "open", open_later)
    assert shell(*command) == expected
