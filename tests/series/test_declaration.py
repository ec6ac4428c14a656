"""What may be declared, and what a number is."""

from math import isnan

import pytest

import rrdstore
from rrdstore.errors import ConfigError, SeriesError
from rrdstore.policy import DEFAULT, parse
from rrdstore.series import Declared, parse_series
from rrdstore.series.number import LIMIT, number
from rrdstore.store.config import loads


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"1", 1.0), (b"-1.5", -1.5), (b"+.5e1", 5.0), (b"7.", 7.0), (b"0", 0.0), (b"1e100", LIMIT), (b"1E-3", 0.001),
        (b"00012", 12.0), (b"1e-99999", 0.0),
    ],
)  # fmt: skip
def test_numbers(value, wanted):
    assert number(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b" 1", b"1 ", b"1\n", b"nan", b"inf", b"-Infinity", b"1e999", b"1e101", b"-2e100", b"1_0", b"0x1f",
        b"1,5", b".", b"e5", b"--1", b"\xb2", "٣".encode(), b"9" * 41, b"1e", b"text", b"\0",
    ],
)  # fmt: skip
def test_what_is_no_number_is_unknown(value):
    assert isnan(number(value))


@pytest.mark.parametrize(
    "text", ["", "/a", "/a:", "/a:x", "/a:0", "/a:-1", "a:1", "/a/***:1", ":5", "/a:9999999999", "/a:²", "/a:1048577"]
)
def test_what_cannot_be_declared(text):
    with pytest.raises(SeriesError) as caught:
        parse_series([text], parse(DEFAULT))
    assert caught.value.expected


def test_declarations_that_do_not_go_together():
    policy = parse(DEFAULT)
    for texts in (["/a:1", "/a:2"], [f"/{n}:1" for n in range(65)], ["/a:1048576", "/b:1"], ["/" + "x" * 2100 + ":1"]):
        with pytest.raises(SeriesError):
            parse_series(texts, policy)
    with pytest.raises(SeriesError, match="time tier"):
        parse_series(["/a:1"], parse("last:5 16c:4 *:7"))
    assert parse_series([], policy) is None


def test_a_pattern_may_hold_a_colon():
    declared = parse_series(["/a:b/*:3"], parse(DEFAULT))
    assert [(each.pattern, each.paths) for each in declared.declarations] == [("/a:b/*", 3)]


def test_the_text_of_a_declaration_says_all_of_it():
    declared = parse_series(["/a/*:3", "/é/**:7"], parse(DEFAULT))
    assert Declared.from_text(declared.text()) == declared
    for text in ("", "{}", "[]", '{"tiers":"x","series":[]}', '{"tiers":"1s:5","series":[["a",1]]}'):
        with pytest.raises(SeriesError):
            Declared.from_text(text)


def test_the_arithmetic_of_the_page():
    declared = parse_series(["/a/*:1000"], parse(DEFAULT))
    assert declared.rows == 300 + 120 + 48 + 30 + 52 == 550
    assert declared.record == 568
    assert 23_000 < declared.bytes_per_path < 25_000


def test_a_configuration_declares_series():
    config = loads('[[series]]\npattern = "/a/*"\npaths = 5\n')
    assert [str(each) for each in config.series] == ["/a/*:5"]
    with rrdstore.memory(config=config) as store:
        assert store.info().series[0].paths == 5
    for text in ('pattern = "/a"', "paths = 5", 'pattern = "a"\npaths = 5', 'pattern = "/a"\npaths = 0',
                 'pattern = "/a"\npaths = true', 'pattern = "/a"\npaths = 5\nrows = 3'):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            loads(f"[[series]]\n{text}\n")
        assert caught.value.table == "[[series]] 1"
