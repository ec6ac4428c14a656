"""tune, forget, compact, forecast, replay; and --config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rrdstore
from rrdstore.policy import parse
from tests.cli.conftest import KEEP

CONFIG = """
[store]
size = "4MiB"
[[branch]]
pattern = "main"
keep = "last:4 1h:10h"
[[branch]]
pattern = "tx/*"
keep = "last:3"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "host.toml"
    path.write_text(CONFIG)
    return str(path)


def kept(shell):
    return {row["id"] for row in shell.json("log")}


def test_tune_says_what_is_lost_and_gained_and_does_it(shell):
    before = kept(shell)
    foretold = shell.json("tune", "-n", "last:2 1h:5h")[0]
    assert kept(shell) == before
    text = shell.lines("tune", "-n", "last:2 1h:5h")
    assert text[-1] == "nothing was changed"
    (done,) = shell.json("tune", "last:2 1h:5h")
    assert done == foretold | {"applied": True, "live": done["live"]}
    assert (done["before"], done["after"]) == (KEEP, "last:2 1h:5h")
    assert done["slots"] == {"before": 77, "after": 7}
    assert before - kept(shell) == set(done["drop"])
    assert [line.split()[2] for line in text if line.startswith("would drop ")] == list(done["drop"])
    assert any(line.startswith("gained: last:2 (2 of 2 in use), 1h:5h (") for line in text)
    assert [line.split()[0] for line in text if line.startswith(("last:2 ", "1h:5h "))] == ["last:2", "1h:5h"]
    assert shell("tune", "last:2 1h:5h") == "branch main keeps last:2 1h:5h already\n"


def test_tune_is_refused_as_it_is_in_a_dry_run(shell):
    for policy, code, said in (("", 2, "found no tiers"), ("last:99999", 1, "; a store of ")):
        for arguments in (("tune", policy), ("tune", "-n", policy)):
            assert said in shell.run(*arguments, code=code).stderr
    assert "which policy?" in shell.run("tune", code=2).stderr
    assert shell.json("branch")[0]["keep"] == KEEP


def test_tune_brings_a_store_to_its_configuration(shell, config):
    shell("fork", "tx/1", "--keep", "last:9")
    shell("fork", "work")
    said = shell.run("--config", config, "tune").stdout.splitlines()
    assert [line for line in said if line.startswith("branch ")] == [
        f"branch main: {KEEP} -> last:4 1h:10h",
        "branch tx/1: last:9 -> last:3",
    ]
    assert shell("--config", config, "tune") == "every branch has the policy that is asked for\n"
    assert [each["keep"] for each in shell.json("branch")] == ["last:4 1h:10h", "last:3", rrdstore.BRANCH_DEFAULT]


def test_a_store_that_disagrees_with_its_configuration_says_so(shell, config):
    done = shell.run("--config", config, "ls", "/")
    assert done.stderr == (
        f"rrdstore: warning: branch 'main' keeps '{KEEP}', not 'last:4 1h:10h' as asked for; tune would change it\n"
    )
    info = shell.run("--config", config, "info")
    assert info.stderr == ""
    assert f"  keeps {KEEP}, not last:4 1h:10h as asked for; tune would change it" in info.stdout.splitlines()
    assert (
        json.loads(shell.run("--config", config, "info", "--json").stdout)["branches"][0]["wanted"] == "last:4 1h:10h"
    )
    assert shell.json("info")["branches"][0]["wanted"] is None


def test_create_and_fork_follow_the_configuration(shell, config, tmp_path):
    path = str(tmp_path / "new.rrdb")
    said = shell("--config", config, "create", path, store=False)
    assert said == f"{path}: 4 MiB, keeps last:4 1h:10h\n"
    shell("--config", config, "-C", path, "fork", "tx/9", store=False)
    assert "last:3" in shell("-C", path, "branch", store=False)
    Path(config).write_text("[store]\nsiez = 1")
    said = shell.run("--config", config, "create", str(tmp_path / "x.rrdb"), store=False, code=2).stderr
    assert said == f"rrdstore: {config}, [store], siez: found an unknown key, expected 'size', perhaps\n"


def test_compact_has_nothing_to_do_unless_told_to(shell):
    assert shell("compact", "-n").startswith("0 commits to drop of ")
    assert shell("compact").startswith("0 commits dropped, ")
    done = shell.json("compact")
    assert set(done) == {"dropped", "kept_before", "kept_after", "live_before", "live_after", "freed"}
    assert (done["dropped"], done["freed"]) == ([], 0)


def test_compact_applies_a_policy_once_and_again_drops_nothing(shell):
    shell("fork", "work", "--keep", "last:9")
    for number in range(5):
        shell("set", "/n", str(number), "-b", "work")
    before = kept(shell)
    foretold = shell.json("compact", "-n", "--keep", "last:3", "-b", "main")["dropped"]
    assert kept(shell) == before
    done = shell.json("compact", "--keep", "last:3", "-b", "main")
    assert done["dropped"] == foretold
    assert before - kept(shell) == set(foretold)
    assert done["freed"] == done["live_before"] - done["live_after"] > 0
    assert done["kept_before"] - done["kept_after"] == len(foretold) > 5
    assert shell.json("compact", "--keep", "last:3", "-b", "main")["dropped"] == []
    assert [(each["name"], each["keep"]) for each in shell.json("branch")] == [("main", KEEP), ("work", "last:9")]
    assert len(shell.json("log", "-b", "work")) > 5
    for arguments, code in ((("--keep", ""), 2), (("-b", "nope"), 1)):
        shell.run("compact", *arguments, code=code)
    with rrdstore.open(shell.path) as store:
        assert store.check() == []
        shell.run("compact", code=11)
        shell.run("tune", "last:1", code=11)
        shell.run("forget", "--keep-last", "1", code=11)
        assert shell.json("compact", "-n", "--keep", "last:1")["dropped"]


def test_forget_says_its_policy_and_plan_and_forgets_once(shell):
    before = kept(shell)
    foretold = shell.json("forget", "-n", "-l", "2", "-H", "3", "--keep-daily", "1")
    assert kept(shell) == before
    done = shell.json("forget", "--keep-last", "2", "--keep-hourly", "3", "-d", "1")
    assert done["policy"] == foretold["policy"]
    assert (done["keep"], done["drop"], done["dropped"]) == (foretold["keep"], foretold["drop"], foretold["dropped"])
    assert kept(shell) == before - set(done["drop"]) == set(done["keep"])
    assert parse(done["policy"]).tiers[0] == parse("last:2").tiers[0]
    assert shell.json("branch")[0]["keep"] == KEEP
    text = shell.lines("forget", "-l", "1")
    assert text[0] == "policy: last:1"
    assert [line.split()[0] for line in text[1:-3]].count("keep") >= 1
    assert text[-1].split()[1:3] == ["commits", "dropped,"]


def test_forget_may_become_the_policy_of_the_branch(shell):
    done = shell.json("forget", "--tune", "--keep-hourly", "5", "-l", "2")
    assert done["policy"] == "last:2 1h:5h" == shell.json("branch")[0]["keep"]
    assert set(done["keep"]) == kept(shell)
    assert "a store of" in shell.run("forget", "--tune", "--keep-within", "1h", code=1).stderr
    assert "left out" in shell("forget", "-n", "--tune", "-H", "48", "-d", "1")


def test_forget_refuses_what_cannot_be(shell):
    for arguments, code, said in (
        ((), 2, "nothing to keep"),
        (("--keep-last", "-1"), 2, "'unlimited' is not constant space"),
        (("--keep-within", "1w"), 2, "1y5m7d2h"),
        (("--keep-last", "1", "--keep-tag", "nope"), 1, "tag 'nope' not found"),
    ):
        assert said in shell.run("forget", *arguments, code=code).stderr
    shell("tag", "good")
    shell("set", "/x", "1")
    shell("set", "/x", "2")
    assert "tag good" in shell("forget", "--keep-last", "1", "--keep-tag", "good")


def test_forecast_needs_no_store(shell, monkeypatch):
    monkeypatch.delenv("RRDSTORE", raising=False)
    made = json.loads(shell("forecast", "last:10 1m:1h", "--every", "2/m", "--change", "1KiB", "--json", store=False))
    assert (made["slots"], made["kept"], made["bytes"]) == (70, 66, 70 << 10)
    assert [tier["covers"] for tier in made["tiers"]] == [300.0, 3600.0]
    assert (made["series_paths"], made["series_bytes"]) == (
        0,
        rrdstore.estimate("4MiB", "last:10 1m:1h", ["/a:1"]).series_bytes,
    )
    made = json.loads(shell("forecast", "last:10 1m:1h", "--series", "/a/*:7", "--json", store=False))
    assert made["series_paths"] == 7
    text = shell("forecast", "--series", "/a/*:1000", store=False).splitlines()
    assert text[-1] == "series of 1000 paths take 22.0 MiB beside that, 23.1 kB a path"
    assert shell("forecast", store=False).splitlines()[-1] == "a path of a series would take 23.1 kB beside that"
    assert "series" not in shell("forecast", "last:3", store=False)
    assert "found no ':'" in shell.run("forecast", "--series", "/a", store=False, code=2).stderr
    text = shell("forecast", "last:10 1m:1h", "--every", "30s", store=False).splitlines()
    assert text[0].split() == ["tier", "slots", "back", "to", "bytes", "covers"]
    assert text[-2].startswith("at this pace about 66 commits")
    assert "at this pace" not in shell("forecast", store=False)
    for every in ("soon", "0s", "3/", "1e9s"):
        assert "expected a step" in shell.run("forecast", "--every", every, store=False, code=2).stderr


def test_forecast_of_a_store_is_of_its_own_policy_and_pace(shell):
    made = shell.json("forecast")
    assert (made["policy"], made["slots"]) == (KEEP, 77)
    assert shell.json("forecast", "last:3")["tiers"][0]["covers"] == pytest.approx(3 * 3600, rel=0.2)


def test_replay_of_times_from_anywhere(shell, tmp_path):
    path = tmp_path / "times.txt"
    path.write_text("".join(f"{1_700_000_000 + 60 * number}\n" for number in range(100)))
    (made,) = json.loads(shell("replay", "last:3 10m:1h", "--times", str(path), "--json", store=False))
    assert (made["commits"], made["kept"], made["slots"], made["reach"]) == (100, 8, 9, 2580.0)  # 23:52:20 - 23:09:20
    assert made["gaps"][0]["dropped"] > 0
    same = shell("replay", "last:3 10m:1h", "--times", "-", "--json", store=False, stdin=path.read_bytes())
    assert json.loads(same) == [made]
    text = shell("replay", "last:3", "*:4", "--times", str(path), "--ascii", store=False)
    assert text.isascii()
    assert "policy 1" in text
    assert "policy 2" in text
    path.write_text("1\nsoon\n")
    assert (
        "times.txt, line 2: 'soon'" in shell.run("replay", "last:3", "--times", str(path), store=False, code=2).stderr
    )


def test_replay_of_a_store(shell):
    (made,) = shell.json("replay", "last:3")
    assert (made["commits"], made["kept"]) == (len(kept(shell)), 3)
    text = shell.lines("replay", "last:3 *:4")
    assert [line.split()[0] for line in text[:4]] == ["last:3", "last:3", "*:4", "together"]


def test_drawings_are_ascii_where_nothing_else_can_be_printed(shell, monkeypatch):
    assert not shell("plan", "-s").isascii()
    assert shell("plan", "-s", "--ascii").isascii()
    monkeypatch.setattr("rrdstore.cli.drawing.only_ascii", lambda plain: True)
    assert shell("plan", "-s").isascii()


def test_plan_of_another_policy(shell):
    said = shell.json("plan", "--keep", "last:2")
    assert len(said["tiers"]) == 1
    assert set(said["keep"]) | set(said["drop"]) == kept(shell)
    assert not set(said["keep"]) & set(said["drop"])
    assert set(said["drop"]) == set(shell.json("tune", "-n", "last:2")[0]["drop"])
