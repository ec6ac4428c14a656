"""fetch, graph, export, and what create and info say of series."""

from __future__ import annotations

import csv
import json
import sys
import time
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

import rrdstore
from rrdstore.cli import main
from rrdstore.testing import ManualClock
from tests.cli.conftest import Shell

PATTERN = "/vm/*/load"


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A store with two hours of two paths behind it."""
    path = tmp_path_factory.mktemp("series") / "host.rrdb"
    clock = ManualClock((int(time.time()) - 7200) * 1_000_000)
    with rrdstore.create(path, "4MiB", "last:8 10s:1h 1m:3h", series=[f"{PATTERN}:2"], clock=clock) as store:
        branch = store.branch("main")
        for n in range(240):
            branch.set(f"/vm/{n % 3}/load", b"%d" % n if n % 3 else b'"$x,')
            clock.advance(30)
    return Shell(str(path))


def test_fetch_says_the_same_in_every_form(shell):
    words = ("fetch", PATTERN, "--cf", "max", "--since", "90m ago", "--until", "10m ago", "--step", "1m")
    document = shell.json(*words)
    assert document["paths"] == ["/vm/0/load", "/vm/1/load"]
    assert 79 <= len(document["times"]) == len(document["values"]) <= 81
    assert {row[0] for row in document["values"]} == {None}
    assert all(isinstance(row[1], float) for row in document["values"])
    rows = list(csv.reader(shell.lines(*words, "--csv")))
    assert rows[0] == ["time", *document["paths"]]
    shared = {row[0]: row[1:] for row in rows[1:]}
    for at, values in zip(document["times"], document["values"], strict=True):
        assert shared.get(at, ["", repr(values[1])]) == ["", repr(values[1])]
    lines = shell.lines(*words)
    assert len(lines) in range(len(rows) - 1, len(rows) + 2)
    assert lines[1].split()[2] == "nan"


@pytest.mark.parametrize(
    "words",
    [
        ("fetch", PATTERN, "--cf", "median"), ("fetch", PATTERN, "--step", "7s"), ("fetch", "/other"), ("fetch", "x"),
        ("graph", PATTERN, "-o", "x.gif"), ("export", "--rrd", "x.xml", "/other"), ("fetch", PATTERN, "--step", "5q"),
    ],
)  # fmt: skip
def test_wrong_usage_says_what_is_expected(shell, words):
    assert "expected" in shell.run(*words, code=2).stderr


def test_a_plot_is_drawn_in_both_kinds(shell, tmp_path):
    pytest.importorskip("matplotlib")
    svg, png = tmp_path / "x.svg", tmp_path / "x.png"
    assert "rows of 2 paths" in shell("graph", PATTERN, "-o", str(svg), "--since", "1h ago", "--title", "a $ <b>")
    said = "".join(ET.parse(svg).getroot().itertext())
    assert "a $ <b>" in said
    assert "/vm/1/load" in said
    shell("graph", "/vm/1/load", "-o", str(png))
    assert png.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(shell, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = shell.run("graph", PATTERN, "-o", str(tmp_path / "x.svg"), code=12)
    assert "a plot needs matplotlib, found none: pip install 'rrdstore[graph]'" in done.stderr
    assert not (tmp_path / "x.svg").exists()


def test_export_writes_xml(shell, tmp_path):
    target = tmp_path / "x.xml"
    assert shell.json("export", "--rrd", str(target), PATTERN)["paths"] == ["/vm/0/load", "/vm/1/load"]
    root = ET.parse(target).getroot()
    assert [node.text for node in root.iter("name")] == ["s0", "s1"]
    assert len(root.findall("rra")) == 8
    assert shell("export", "--rrd", "-").startswith("<?xml")


def test_info_says_how_full_the_columns_are(shell):
    found = shell.json("info")["series"]
    assert found == [{"pattern": PATTERN, "paths": 2, "used": 2, "present": 2, "surplus": 80}]
    assert "80 values were not recorded" in shell("info")


def test_create_declares_series_and_estimates_them(tmp_path):
    def run(*words, code=0):
        done = CliRunner().invoke(main, ["create", str(tmp_path / "a.rrdb"), *words], prog_name="rrdstore")
        assert done.exit_code == code, done.output
        return done.output

    said = json.loads(run("--series", "/a/*:10", "--series", "/b:1", "--estimate", "--json"))
    assert said["series_paths"] == 11
    assert 11 * 23_000 < said["series_bytes"] < 11 * 25_000
    assert "expected PATTERN:PATHS" in run("--series", "/a", code=2)
    assert "needs at least" in run("--series", "/a/*:1000", "--size", "8MiB", code=2)
    run("--series", "/a/*:10", "--size", "8MiB", "--json")
    with rrdstore.open(tmp_path / "a.rrdb", readonly=True) as store:
        assert store.info().series[0].paths == 10


def test_log_says_who_wrote(shell):
    assert any(line.startswith("    by (nobody) ") for line in shell.lines("log", "--authors", "--limit", "3"))
    assert shell.json("log", "--limit", "1")[0]["authors"] == {"": 1}
