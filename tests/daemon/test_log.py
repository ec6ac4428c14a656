"""`xsadapter log`: who did what, from the history."""

import json

import pytest
from click.testing import CliRunner

import rrdstore
from tests.daemon.conversation import Host, Peer
from xsadapter.cli import main
from xsadapter.engine.daemon import Daemon


@pytest.fixture
def store(tmp_path):
    """A store in which domains 0 and 5 have written; one commit in ten of domain 6's is kept."""
    place = tmp_path / "history.rrdb"
    with rrdstore.create(place, size="4MiB", keep="last:12") as made:
        daemon = Daemon(made, Host())
        daemon.begin("boot")
        toolstack = Peer(daemon)
        toolstack.ask("WRITE", b"/early\0v")
        number = toolstack.start()
        for name in (b"a", b"b"):
            toolstack.ask("WRITE", b"/vm/%b\0v" % name, number)
        toolstack.ask("RM", b"/early\0", number)
        toolstack.ask("TRANSACTION_END", b"T\0", number)
        toolstack.ask("WRITE", b"/local/domain/5\0")
        toolstack.ask("SET_PERMS", b"/local/domain/5\0n5\0")
        Peer(daemon, 5, privileged=False).ask("WRITE", b"data\0v")
        number = toolstack.start()
        for name in range(20):
            toolstack.ask("WRITE", b"/many/quite-a-long-name-%d\0v" % name, number)
        toolstack.ask("TRANSACTION_END", b"T\0", number)
        made.tick()
    return place


def ask(store, *words):
    done = CliRunner().invoke(main, ["log", "--store", str(store), *words])
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_newest_first(store):
    said = [line.partition(": ")[2] for line in ask(store)]
    assert said[1:] == [
        "WRITE /local/domain/5/data",
        "SET_PERMS /local/domain/5",
        "START of domain 5",
        "WRITE /local/domain/5",
        "TRANSACTION 3: WRITE /vm/a, WRITE /vm/b, RM /early",
        "WRITE /early",
        "START a fresh tree",
        "store created",
    ]
    assert len(ask(store, "--limit", "2")) == 2


def test_filters(store):
    assert [line.rpartition(" ")[2] for line in ask(store, "/local/domain/5")] == [
        "/local/domain/5/data",
        "/local/domain/5",
        "/local/domain/5",
    ]
    [line] = ask(store, "--domain", "5")
    assert "dom5 conn 2 pid 1 (test): WRITE /local/domain/5/data" in line
    assert ask(store, "--domain", "7") == []
    since = ask(store, "/local/domain/5", "--limit", "1")[0].split()[1]
    assert len(ask(store, "--since", since)) == 2


def test_the_names_are_the_audit_logs(store):
    found = [json.loads(line) for line in ask(store, "--json")]
    many, data, *_ = found
    assert (many["what"], many["whole"], many["changes"][0]) == (
        "TRANSACTION",
        False,
        "WRITE /many/quite-a-long-name-0",
    )
    assert {name: data[name] for name in ("what", "path", "author", "domain")} == {
        "what": "WRITE",
        "path": "/local/domain/5/data",
        "author": "dom5 conn 2 pid 1 (test)",
        "domain": 5,
    }
    assert data["time"].endswith("Z")
    small = next(each for each in found if each.get("changes") == ["WRITE /vm/a", "WRITE /vm/b", "RM /early"])
    assert small["whole"] is True
    assert found[-1]["message"] == "store created"


def test_a_commit_is_a_domains_if_any_that_it_stands_for_was(store):
    with rrdstore.open(store) as opened:
        main_branch = opened.branch("main")
        for number in range(40):
            main_branch.set("/x", b"%d" % number, message="WRITE /x", author=f"dom{6 + number % 2} conn 9 ring")
        opened.tick()
    last = json.loads(ask(store, "--domain", "6", "--json")[-1])
    assert last["thinned"] > 0
    assert {"dom6 conn 9 ring", "dom7 conn 9 ring"} <= set(last["authors"])
    assert ask(store, "--domain", "7")[-1].endswith(f" (and {last['thinned']} thinned)")
    assert ask(store, "--domain", "5") != []


def test_a_store_that_is_not_there(tmp_path):
    done = CliRunner().invoke(main, ["log", "--rundir", str(tmp_path)])
    assert done.exit_code == 1
    assert "history.rrdb" in done.stderr
