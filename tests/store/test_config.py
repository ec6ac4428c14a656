"""The configuration file: what it gives, every way it can be wrong, and a store that disagrees with it."""

from __future__ import annotations

import pytest

import rrdstore
from rrdstore import config
from rrdstore.storage.layout import MIB

TEXT = """
[store]
size = "4MiB"

[[branch]]
pattern = "main"
keep = "last:20, 60x1m"

[[branch]]
pattern = "tx/*"
keep = "last:3"

[[branch]]
pattern = "**"
keep = "last:5"
"""


def test_the_first_pattern_that_matches_decides():
    made = config.loads(TEXT)
    assert made.size == "4MiB"
    assert made.keep("main") == "last:20 1m:1h"
    assert [made.keep(name) for name in ("tx/7", "tx/a/b", "tx", "work", "a//b", "/")] == ["last:3"] + ["last:5"] * 5
    assert config.loads("[[branch]]\npattern='main'\nkeep='last:1'").keep("work") is None
    assert config.loads("") == rrdstore.Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[stor]\nsize = 1", "c.toml, stor: found an unknown key, expected 'store', perhaps"),
        ("size = 1", "c.toml, size: found an unknown key, expected one of "),
        ("[store]\nsise = 1", "c.toml, [store], sise: found an unknown key, expected 'size', perhaps"),
        ("[store]\nmemory = true", "c.toml, [store], memory: found True, expected a size"),
        ("[store]\nmemory = 'all'", "c.toml, [store], memory: found 'all', expected a number"),
        ("[store]\nwhen_held = 'wait'", "c.toml, [store], when_held: found 'wait', expected 'fail' or 'memory'"),
        ("[store]\nsize = 'huge'", "c.toml, [store], size: found 'huge', expected a number of bytes, or"),
        ("[store]\nsize = true", "c.toml, [store], size: found True, expected a size"),
        ("[store]\nsize = 0", "c.toml, [store], size: found 0, expected a number of bytes"),
        ("store = 7", "c.toml, store: found 7, expected a table, [store]"),
        ("[branch]\npattern = 'a'", "c.toml, branch: found one table or a value, expected tables in a row, [[branch]]"),
        ("branch = [1]", "c.toml, branch: found one table or a value, expected tables in a row, [[branch]]"),
        ("[[branch]]\nkeep = 'last:1'", "c.toml, [[branch]] 1, pattern: found nothing, expected a text in quotes"),
        ("[[branch]]\npattern = 'a'", "c.toml, [[branch]] 1, keep: found nothing, expected a text in quotes"),
        ("[[branch]]\npattern = 3\nkeep = 'last:1'", "c.toml, [[branch]] 1, pattern: found 3, expected a text"),
        ("[[branch]]\npattern = ''\nkeep = 'last:1'", "c.toml, [[branch]] 1, pattern: found '', it is empty"),
        ("[[branch]]\npattern = 'a***'\nkeep = 'last:1'", "c.toml, [[branch]] 1, pattern: found 'a***', "),
        (
            "[[branch]]\npattern = 'a'\nkeep = ''",
            "[[branch]] 1, keep: found '' with no tiers, expected 1 to 32",
        ),
        (
            "[[branch]]\npattern='a'\nkeep='last:1'\n[[branch]]\npattern='b'\nkeep='2m:1h 5m:2h'",
            "[[branch]] 2, keep: found '2m:1h 5m:2h' with a step of 5m after one of 2m, expected a multiple",
        ),
        (
            "[[branch]]\npattern='a'\nkeep='last:1'\nkep='x'",
            "[[branch]] 1, kep: found an unknown key, expected 'keep', per",
        ),
        (
            "[[branch]]\npattern='a'\nkeep='last:1'\nlease='soon'",
            "[[branch]] 1, lease: found 'soon', expected a number with a unit",
        ),
        ("[[merge]]\npattern='/a'\nrule='sum'", "[[merge]] 1, rule: found 'sum', expected one of conflict, counter"),
        ("[[merge]]\npattern='/a'\nrules='set'", "[[merge]] 1, rules: found an unknown key, expected one of pattern"),
        ("[[merge]]\npattern='a'\nrule='set'", "[[merge]] 1, pattern: found 'a'"),
        ("merge = 1", "merge: found 1, expected a list of tables"),
        ("[store", "c.toml: found "),
        (b"\xff", "c.toml: found a byte that is no UTF-8 at 0, expected TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text, said, tmp_path):
    with pytest.raises(rrdstore.ConfigError) as wrong:
        config.loads(text, "c.toml")
    assert said in str(wrong.value)
    path = tmp_path / "c.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(rrdstore.ConfigError) as wrong:
        rrdstore.create(tmp_path / "s.rrdb", config=path)
    assert wrong.value.where == str(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_and_its_branches_are_made_as_it_says(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    with rrdstore.create(tmp_path / "s.rrdb", config=str(path)) as store:
        main = store.branch("main")
        assert (main.keep, store.info().size) == ("last:20 1m:1h", 4 * MIB)
        assert main.fork("tx/1").keep == "last:3"
        assert main.fork("tx/2", keep="last:2").keep == "last:2"
        assert store.branch("new", create=True).keep == "last:5"
    with rrdstore.open(tmp_path / "s.rrdb") as store:
        assert store.branch("main").fork("tx/3").keep == rrdstore.BRANCH_DEFAULT
    with pytest.warns(rrdstore.PolicyDiffers) as said, rrdstore.open(tmp_path / "s.rrdb", config=path) as store:
        assert store.branch("main").fork("tx/4").keep == "last:3"
    assert [warning.message.branch for warning in said] == ["tx/2", "tx/3"]


def test_what_is_given_goes_before_it(tmp_path):
    made = config.loads(TEXT)
    with rrdstore.create(tmp_path / "s.rrdb", "2MiB", "last:7", config=made) as store:
        assert (store.branch("main").keep, store.info().size) == ("last:7", 2 * MIB)
        assert store.config == made
    with rrdstore.memory(config=made) as store:
        assert store.branch("main").keep == "last:20 1m:1h"
    with pytest.raises(rrdstore.PolicyError):
        rrdstore.memory("", config=made)


@pytest.mark.parametrize("readonly", [False, True])
def test_a_store_that_disagrees_warns_and_shows_both(tmp_path, readonly):
    path = tmp_path / "s.rrdb"
    with rrdstore.create(path, "2MiB", "last:20") as store:
        store.branch("main").fork("work", "last:5")
    with pytest.warns(rrdstore.PolicyDiffers) as said:
        store = rrdstore.open(path, keep="last:9", config=config.loads(TEXT), readonly=readonly)
    with store:
        (differs,) = [warning.message for warning in said]
        assert (differs.branch, differs.stored, differs.wanted) == ("main", "last:20", "last:9")
        main, work = store.info().branches
        assert (main.keep, main.wanted) == ("last:20", "last:9")
        assert (work.keep, work.wanted) == ("last:5", None)
        if not readonly:
            store.tune("main", "last:9")
            assert store.info().branches[0].wanted is None
    assert said[0].filename == __file__


def test_a_store_that_agrees_does_not_warn(tmp_path):
    path = tmp_path / "s.rrdb"
    rrdstore.create(path, "2MiB", "last:20 1m:1h").close()
    rrdstore.open(path, keep="60x1m last:20").close()  # Warnings are errors here.
    with pytest.raises(rrdstore.PolicyError):
        rrdstore.open(path, keep="")


def test_what_a_file_says_of_memory_and_of_being_held_is_what_opening_does(tmp_path):
    said = config.loads("[store]\nsize = '4MiB'\nmemory = '1MiB'\nwhen_held = 'memory'")
    path = tmp_path / "s.rrdb"
    for made in (rrdstore.create, rrdstore.open):
        with made(path, config=said) as store:
            assert store.ledger.when_held == "memory"
            assert store.info().memory == store.ledger.storage._layout.memory + (1 << 20)
    with rrdstore.open(path, config=said, memory="2MiB", when_held="fail") as store:
        assert store.ledger.when_held == "fail"
        assert store.info().memory == store.ledger.storage._layout.memory + (2 << 20)
    with rrdstore.open(path) as store:
        assert (store.ledger.when_held, store.info().memory) == ("fail", 0)


def test_merges_go_by_its_rules_and_branches_have_its_leases():
    rules = '[[merge]]\npattern="/n"\nrule="counter"\n[[merge]]\npattern="/**"\nrule="ours"\n'
    made = config.loads(f"[[branch]]\npattern='w*'\nkeep='last:5'\nlease='2h'\n{rules}")
    with rrdstore.memory("last:9", config=made) as store:
        main = store.branch("main")
        work, other = main.fork("work"), main.fork("other")
        assert (work._line.lease, other._line.lease) == (7_200_000_000, 0)
        assert main.fork("web", lease="1m")._line.lease == 60_000_000
        main.set("/n", b"3")
        main.set("/m", b"3")
        work.set("/n", b"5")
        work.set("/m", b"5")
        with pytest.raises(rrdstore.Conflict):
            main.merge(work, rules=[("/m", "conflict")])
        main.merge(work)
        assert (main.get("/n"), main.get("/m")) == (b"8", b"3")
