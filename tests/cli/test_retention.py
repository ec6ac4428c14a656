"""create, info, check, plan, explain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rrdstore
from tests.cli.conftest import KEEP


def test_create_makes_a_store_of_its_whole_size(shell, tmp_path):
    path = tmp_path / "new.rrdb"
    said = shell("create", str(path), "--size", "4MiB", "--keep", "1m:1h last:8", store=False)
    assert said == f"{path}: 4 MiB, keeps last:8 1m:1h\n"
    with rrdstore.open(path, readonly=True) as store:
        assert store.branch("main").keep == "last:8 1m:1h"
        assert 3 << 20 < store.info().used <= 4 << 20


def test_create_makes_nothing_over_what_is_there(shell):
    before = Path(shell.path).read_bytes()
    assert "exists already" in shell.run("create", shell.path, store=False, code=1).stderr
    assert Path(shell.path).read_bytes() == before


def test_an_estimate_creates_nothing(shell, tmp_path):
    path = str(tmp_path / "new.rrdb")
    said = shell("create", path, "--estimate", "--keep", "last:256 1m:2h 1w:1y *:64", store=False).splitlines()
    assert [line.split() for line in said[:5]] == [
        ["tier", "commits", "reach"],
        ["last:256", "256"],
        ["1m:2h", "120", "2h"],
        ["1w:1y", "52", "364d"],
        ["*:64", "65"],
    ]
    made = json.loads(shell("create", path, "--estimate", "--json", "--size", "1MiB", store=False))
    assert (made["slots"], made["size"], made["room"]) == (871, 1 << 20, 0)
    assert made["least"] > 1 << 20
    assert "too small" in shell("create", path, "--estimate", "--size", "1MiB", store=False)
    assert not Path(path).exists()


def test_the_least_size_of_an_estimate_is_the_least_that_can_be_created(shell, tmp_path):
    least = rrdstore.estimate("1GiB", KEEP).least
    path = str(tmp_path / "new.rrdb")
    shell("create", path, "--keep", KEEP, "--size", str(least - 65536), store=False, code=2)
    shell("create", path, "--keep", KEEP, "--size", str(least), store=False)


def test_info_is_a_table_and_in_json_all_there_is(shell):
    text = shell("info")
    assert "22 made" in text
    assert "branch main  head 22-" in text
    found = shell.json("info")
    assert (found["commits"], found["tags"], found["unstored"]) == (22, 0, 0)
    assert found["kept"] <= found["bound"]
    assert sum(found["files"].values()) == found["used"] <= found["size"] == 4 << 20
    (main,) = found["branches"]
    assert [tier["tier"] for tier in main["tiers"]] == KEEP.split()
    assert main["tiers"][0] == main["tiers"][0] | {"used": 8, "rows": 8}


def test_plan_says_of_every_commit_why_it_stays(shell):
    kept = {row["id"] for row in shell.json("log")}
    said = shell.json("plan")
    assert set(said["keep"]) == kept
    assert said["drop"] == {}
    assert all(reasons for reasons in said["keep"].values())
    assert [tier["slots"] for tier in said["tiers"]] == [8, 60, 9]
    lines = shell.lines("plan")
    assert {line.split()[1] for line in lines if line.startswith("keep ")} == kept


def test_plan_draws_a_line_a_tier(shell):
    *tiers, _ages = shell.lines("plan", "--summary", "--width", "40")
    assert [line.split()[0] for line in tiers] == KEEP.split()
    assert tiers[0].endswith("8/8")


def test_explain_a_kept_commit(shell):
    newest = shell.json("log", "--limit", "1")[0]["id"]
    first, *reasons = shell.lines("explain", newest)
    assert first.startswith(f"{newest} is kept")
    assert "  head of main" in reasons


def test_explain_a_thinned_commit(shell):
    with rrdstore.open(shell.path) as store:
        main = store.branch("main")
        gone = [main.set("/busy", b"%d" % number).id for number in range(10)][1]
    assert shell("explain", gone).startswith(f"{gone} was thinned between ")
    said = shell.json("explain", gone)
    assert (said["kept"], said["reasons"]) == (False, [])
    assert int(said["before"].split("-")[0]) < int(gone.split("-")[0]) < int(said["after"].split("-")[0])


def test_check_is_silent_where_nothing_is_wrong(shell):
    assert shell("check") == ""
    assert shell.json("check") == []


def test_check_prints_each_problem_and_fails(shell, monkeypatch):
    problems = [rrdstore.Problem("here", "this", "that"), rrdstore.Problem("there", "1", "2")]
    monkeypatch.setattr(rrdstore.Store, "check", lambda store, progress=None: problems)
    assert shell.lines("check", code=1) == ["here: found this, expected that", "there: found 1, expected 2"]
    assert shell.json("check", code=1)[0] == {"where": "here", "found": "this", "expected": "that"}


@pytest.mark.parametrize("command", ["info", "plan", "log", "branch", "ls", "tree"])
def test_what_is_printed_is_text_or_one_document(shell, command):
    assert shell.lines(command)
    assert shell.json(command)
