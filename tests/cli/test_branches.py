"""branch, fork, merge."""

import rrdstore


def test_a_fork_merges_back(shell):
    start = shell("fork", "work").strip()
    assert start == shell.json("log", "--limit", "1")[0]["id"]
    shell("set", "/note", "1", "-b", "work")
    shell("set", "/other", "2")
    merged = shell("merge", "work", "-m", "all of it").strip()
    assert (shell("get", "/note"), shell("get", "/other")) == ("1", "2")
    newest = shell.json("log", "--limit", "1")[0]
    assert (newest["id"], newest["message"], len(newest["parents"])) == (merged, "all of it", 2)


def test_a_conflict_names_every_path_and_changes_nothing(shell):
    shell("fork", "work")
    for name in ("main", "work"):
        shell("set", "/a", name, "-b", name)
        shell("set", "/b", name, "-b", name)
    before = shell.dumped()
    done = shell.run("merge", "work", code=1)
    assert done.stdout == "! /a\n! /b\n"
    assert done.stderr == "rrdstore: merge conflicts at /a, /b\n"
    assert shell.json("merge", "work", code=1) == {"commit": None, "conflicts": ["/a", "/b"]}
    assert shell.dumped() == before


def test_branches_are_listed_made_and_deleted(shell):
    shell("branch", "notes", "more", "--keep", "last:5")
    listed = {row["name"]: row for row in shell.json("branch")}
    assert set(listed) == {"main", "notes", "more"}
    assert listed["notes"]["keep"] == "last:5"
    assert listed["main"]["made"] == 22
    assert [line.split()[0] for line in shell.lines("branch")] == ["main", "more", "notes"]
    assert shell.lines("ls", "-b", "notes") == []
    done = shell.json("branch", "-d", "notes")
    assert done["done"] == ["notes"]
    assert len(done["dropped"]) == 1
    assert set(shell.json("branch")[0]) == {"name", "head", "kept", "made", "keep"}
    shell("branch", "-d", "notes", code=1)


def test_of_several_branches_some_may_be_there(shell):
    assert "exists already" in shell.run("branch", "main", "new", code=3).stderr
    shell("branch", "-d", "main", "new", code=3)
    assert [row["name"] for row in shell.json("branch")] == ["main"]


def test_two_branches_without_a_base_do_not_merge(shell):
    shell("branch", "apart")
    assert "cannot merge" in shell.run("merge", "apart", code=1).stderr


def test_a_deleted_branch_leaves_what_is_tagged(shell):
    shell("fork", "work")
    shell("set", "/note", "1", "-b", "work")
    shell("tag", "noted", "-b", "work")
    assert shell.json("branch", "-d", "work") == {"done": ["work"], "dropped": []}
    assert shell("get", "/note", "--at", "noted") == "1"
    assert rrdstore.open(shell.path, readonly=True).check() == []


def test_rules_of_a_merge_and_of_a_configuration(shell, tmp_path):
    shell("set", "/n", "1")
    shell("fork", "work")
    shell("set", "/n", "3")
    shell("set", "/m", "ours")
    shell("set", "/n", "5", "-b", "work")
    shell("set", "/m", "theirs", "-b", "work")
    shell("merge", "work", code=1)
    assert "expected one of conflict" in shell.run("merge", "work", "--rule", "/n=sum", code=2).stderr
    file = tmp_path / "host.toml"
    file.write_text('[[merge]]\npattern = "/n"\nrule = "counter"\n')
    shell("--config", str(file), "merge", "work", code=1)
    shell("--config", str(file), "merge", "work", "--rule", "/m=theirs")
    assert (shell("get", "/n"), shell("get", "/m")) == ("7", "theirs")


def test_an_older_commit_merges_and_a_patch_goes_over(shell):
    shell("fork", "work", "--lease", "30d")
    older = shell("set", "/a", "1", "-b", "work").strip()
    shell("set", "/a", "2", "-b", "work")
    shell("merge", "work", "--at", older)
    assert shell("get", "/a") == "1"
    shell("patch", "work", "--since", older)
    assert shell("get", "/a") == "2"
    shell("set", "/a", "3")
    assert shell.json("patch", "work", "--since", older, code=1) == {"commit": None, "conflicts": ["/a"]}
    shell("fork", "other", "--lease", "soon", code=2)
