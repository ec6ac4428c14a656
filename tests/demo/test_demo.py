"""The whole demo, on a file, with a day of coarse steps: everything happens, only guests report less often."""

import contextlib
import dataclasses
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import rrdstore
from tests.compat.peers import short_directory
from xsadapter.demo import __main__ as program
from xsadapter.demo import chapters
from xsadapter.demo.day import DAY, HOUR, deeds, seconds_of, time_of
from xsadapter.demo.look import Sizes
from xsadapter.demo.picture import Pen
from xsadapter.demo.play import SIZE, Wish, perform
from xsadapter.demo.stage import Claims
from xsadapter.demo.story import LOOKS, SECOND, Truth

ROOT = Path(__file__).parents[2]
STEP = 1800


@dataclasses.dataclass
class Performance:
    """What is left of one: its claims, its output, and what the chapters were given."""

    claims: Claims
    output: str
    truth: Truth
    sizes: Sizes
    file: Path


@pytest.fixture(scope="module")
def performance():
    noted = {}
    thinning, size = chapters.thinning, chapters.size

    def remember_truth(truth, *rest):
        noted["truth"] = truth
        thinning(truth, *rest)

    def remember_sizes(truth, sizes, *rest):
        noted["sizes"] = sizes
        size(truth, sizes, *rest)

    output = io.StringIO()
    with short_directory() as directory, pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr(chapters, "thinning", remember_truth)
        patch.setattr(chapters, "size", remember_sizes)
        claims = perform(directory, Wish(7, seconds_of("12:30"), STEP))
        patch.undo()
        assert sorted(path.name for path in directory.iterdir()) == ["store"]
        yield Performance(claims, output.getvalue(), file=directory / "store" / "history.rrdb", **noted)


def test_everything_it_claims_is_true(performance):
    assert [claim.sentence for claim in performance.claims.made if not claim.holds] == []
    assert len(performance.claims.made) == 12
    assert performance.claims.hold


def test_it_was_a_whole_day(performance):
    truth = performance.truth
    assert [look.at for look in truth.looks] == [truth.midnight + at * SECOND for at in LOOKS]
    assert truth.made[-1] > truth.midnight + (DAY - STEP) * SECOND
    assert truth.made == sorted(truth.made)
    wrong = next(deed for deed in deeds(7) if deed.what == "wrong")
    assert truth.wrong is not None
    assert truth.wrong.at == truth.midnight + wrong.at * SECOND
    assert performance.sizes.samples == DAY // STEP + 2


def test_it_can_be_read_in_a_hundred_columns_without_colours(performance):
    lines = performance.output.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in performance.output
    assert not [line for line in lines if line != line.rstrip()]
    for deed in deeds(7):
        shown = [line for line in lines if line.startswith(f"   {time_of(deed.at)}  ") and deed.name in line]
        assert bool(shown) == (not deed.is_job and deed.what != "wrong"), deed


def test_the_moment_that_goes_wrong_is_a_secret_until_the_end(performance):
    assert performance.truth.wrong is not None
    moment = time_of((performance.truth.wrong.at - performance.truth.midnight) / SECOND)
    before, _, after = performance.output.partition("The first kept commit that has it wrong:")
    assert moment not in before.partition("5. What happened")[0]
    assert f"And in truth: disk-tidy did it at {moment}" in after


@pytest.fixture
def store(performance):
    with rrdstore.open(performance.file, readonly=True, clock=End(performance.truth.midnight)) as opened:
        yield opened


class End:
    """The clock as the demo left it."""

    def __init__(self, midnight: int) -> None:
        self._now = midnight + DAY * SECOND

    def wall(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return 0


def false(tell) -> list[str]:
    """What is claimed by a chapter and does not hold."""
    claims = Claims()
    tell(claims)
    return [claim.sentence for claim in claims.made if not claim.holds]


def altered(performance: Performance, **changes: object) -> Truth:
    return dataclasses.replace(performance.truth, **changes)


def test_the_chapters_hold_again_on_the_file_alone(performance, store):
    truth = performance.truth
    assert not false(lambda claims: chapters.thinning(truth, store, Pen(), claims))
    assert not false(lambda claims: chapters.past(truth, store, 9 * HOUR, claims))
    assert not false(lambda claims: chapters.broken(truth, store, claims))
    assert not false(lambda claims: chapters.proofs(truth, store, claims))


@pytest.mark.parametrize("at", [0, 9, 10, 3600, seconds_of("13:05"), DAY - 1])
def test_any_moment_can_be_gone_back_to(performance, store, at):
    assert not false(lambda claims: chapters.past(performance.truth, store, at, claims))


def test_a_break_outside_of_the_interval_would_be_noticed(performance, store):
    wrong = performance.truth.wrong
    assert wrong is not None
    for other in (
        dataclasses.replace(wrong, number=wrong.number + 2000),
        dataclasses.replace(wrong, number=2),
        dataclasses.replace(wrong, at=wrong.at + 4 * HOUR * SECOND),
        dataclasses.replace(wrong, at=wrong.at - 4 * HOUR * SECOND),
    ):
        [sentence] = false(
            lambda claims, other=other: chapters.broken(altered(performance, wrong=other), store, claims)
        )
        assert "the interval that bisection found" in sentence


def test_a_domain_too_few_would_be_noticed(performance, store):
    names = [(since, called - {"web2"}) for since, called in performance.truth.names]
    truth = altered(performance, names=names)
    assert len(false(lambda claims: chapters.past(truth, store, seconds_of("12:30"), claims))) == 1


def test_a_commit_too_few_would_be_noticed(performance, store):
    truth = altered(performance, made=performance.truth.made[:-1])
    assert len(false(lambda claims: chapters.proofs(truth, store, claims))) == 1


def test_a_commit_that_reads_otherwise_would_be_noticed(performance, store):
    first, *rest = performance.truth.looks
    forged = dataclasses.replace(first, proofs={name: bytes(32) for name in first.proofs})
    assert len(false(lambda claims: chapters.proofs(altered(performance, looks=[forged, *rest]), store, claims))) == 1


@pytest.mark.parametrize(
    "grown",
    [
        {"store": {14_995_456, 14_999_552}},
        {"journal": {524_288, 0}},
        {"together": {1, (16 << 20) + 1}},
    ],
)
def test_a_file_that_grew_would_be_noticed(performance, grown):
    sizes = dataclasses.replace(performance.sizes, **grown)
    limit = rrdstore.parse_size(SIZE)
    assert len(false(lambda claims: chapters.size(performance.truth, sizes, limit, STEP, claims))) == 1


def test_nothing_claimed_is_nothing_proved():
    assert not Claims().hold


# As a program


def test_a_claim_that_fails_is_status_1(monkeypatch):
    claims = Claims()
    claims.add(True, "one")
    claims.add(False, "two")
    monkeypatch.setattr(program, "perform", lambda *_: claims)
    assert CliRunner().invoke(program.demo, []).exit_code == 1


def test_what_is_asked_for_is_performed(monkeypatch):
    wishes = []
    claims = Claims()
    claims.add(True, "one")
    monkeypatch.setattr(program, "perform", lambda directory, wish: wishes.append((directory.exists(), wish)) or claims)
    done = CliRunner().invoke(program.demo, ["--seed", "3", "--at", "09:15", "--step", "60"])
    assert done.exit_code == 0
    assert wishes == [(True, Wish(3, 9 * 3600 + 15 * 60, 60))]


@pytest.mark.parametrize("words", [["--at", "25:00"], ["--step", "0"], ["--step", "7"], ["--seed", "x"]])
def test_a_wish_that_cannot_be_is_a_usage_error(words):
    assert CliRunner().invoke(program.demo, words).exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(number):
    with short_directory() as directory:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "xsadapter.demo"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(directory), "PYTHONIOENCODING": "ascii"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "db1 starts" in line:
                    break
            assert [path.name for path in directory.glob("*/*")]
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 130
        assert errors == "\n   Interrupted; nothing is left behind.\n"
        assert list(directory.iterdir()) == []
