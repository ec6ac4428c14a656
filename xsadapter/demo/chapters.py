"""What is left of the day, one function a chapter.

Rule: each reads the store's file, prints what it finds, and claims what can be compared with the story's notes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import click

from xsadapter.demo import travel
from xsadapter.demo.bisection import bisect
from xsadapter.demo.day import DAY, HOUR, MINUTE, VICTIM, duration, time_of
from xsadapter.demo.stage import drawn, facts, head, say, title
from xsadapter.demo.story import BROKEN, SECOND

if TYPE_CHECKING:
    import rrdstore
    from xsadapter.demo.look import Sizes
    from xsadapter.demo.picture import Pen
    from xsadapter.demo.stage import Claims
    from xsadapter.demo.story import Truth

_AGES: Final = (
    ("the last 5 minutes to", 5 * MINUTE),
    ("the last 2 hours to", 2 * HOUR),
    ("the whole day to", DAY),
)


def thinning(truth: Truth, store: rrdstore.Store, pen: Pen, claims: Claims) -> None:
    """The same day, seen again and again."""
    title("2. How the day thinned as it passed")
    say(
        "Each line is what was kept at that time of the day, from midnight on. A column is 20 minutes,",
        "and each shade twice as many commits. What is old is not cut off: it gets coarser.",
        "",
    )
    drawn(pen.day(truth.looks, truth.made, truth.midnight))
    times = [commit.time for commit in store.branch("main").log()]
    sharp = []
    for name, age in _AGES:
        gaps = [later - earlier for later, earlier in pairwise(times) if (times[0] - later).total_seconds() < age]
        sharp.append(f"{name} {duration(max(gaps).total_seconds())}")
    say("", "How closely any moment is known at the end:", f"{', '.join(sharp)}.")
    most, bound = max(len(look.kept) for look in truth.looks), truth.looks[-1].bound
    claims.add(
        most <= bound, f"whenever it was looked at, no more was kept than the policy says: at most {most} of {bound}"
    )


def size(truth: Truth, sizes: Sizes, given: int, step: int, claims: Claims) -> None:
    """The files, sampled."""
    title("3. The file did not grow")
    say(f"{sizes.samples:,} samples: at creation, after each step of {step} s, after the daemon stopped; in bytes", "")
    head(f"{'':<16}{'at least':>12}{'at most':>14}")
    for name, found in (("the store", sizes.store), ("its journal", sizes.journal), ("all files", sizes.together)):
        say(f"{name:<16}{min(found):>12,}{max(found):>14,}")
    say(f"{'the size given':<16}{'':>12}{given:>14,}", "", "All files: with the log of SQLite, which comes and goes.")
    claims.add(
        len(sizes.store) == 1 and len(sizes.journal) == 1 and 0 not in sizes.store | sizes.journal,
        f"store and journal did not change by a byte in {truth.last:,} commits",
    )
    claims.add(max(sizes.together) <= given, f"all files together never took more than {given:,} bytes")


def past(truth: Truth, store: rrdstore.Store, back_to: int, claims: Claims) -> None:
    """A moment chosen, beside now; and one of a minute ago."""
    main, moment = store.branch("main"), _moment(truth.midnight + back_to * SECOND)
    back = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    title(f"4. Back to {time_of(back_to)}")
    with main.at(back) as then:
        say(f'main.at("{back}") is', "")
        _show_snapshot(then)
        was, now = travel.domains(then.tree), travel.domains(main.tree)
        say("")
        head(f"{'':<12}{'then':<38}now")
        say(*(f"{name:<12}{before:<38}{after}" for name, before, after in travel.side_by_side(was, now)))
        kinds = travel.counted(store.diff(then, main.head))
        say(
            "",
            f"Since then {kinds['added']:,} keys were added, {kinds['removed']:,} removed,"
            f" {kinds['changed']:,} changed; store.diff names each.",
        )
        since, until = then.window
        claims.add(
            since <= moment and (until is None or moment < until),
            f"{time_of(back_to)} is in the window of what at() found",
        )
        claims.add(
            was.keys() == truth.names_at(then.commit.number),
            f"the domains in it are those that the toolstack had at its commit, number {then.commit.number}",
        )
    with main.at("1m ago") as then:
        say("", 'The near past is whole: main.at("1m ago") is', "")
        _show_snapshot(then)
        claims.add(
            then.exact and then.commit.number == truth.number_at(truth.midnight + (DAY - MINUTE) * SECOND),
            f"a minute ago was found exactly: commit {then.commit.number} was the newest then",
        )


def _show_snapshot(then: rrdstore.Snapshot) -> None:
    since, until = then.window
    exact = "yes: not one commit is missing" if then.exact else "no: others were made in that time, and thinned since"
    facts(
        ("commit", f"{then.commit.id}, made {then.commit.time:%H:%M:%S}"),
        ("by", then.commit.author),
        ("message", then.commit.message),
        ("window", f"{since:%H:%M:%S} to {'now' if until is None else f'{until:%H:%M:%S}'}: no other is kept of it"),
        ("exact", exact),
    )


def broken(truth: Truth, store: rrdstore.Store, claims: Claims) -> None:
    """The key that went wrong: when and by whom, as far as the history still knows."""
    wrong = truth.wrong
    if wrong is None:
        raise ValueError("expected a day in which a key goes wrong, found none")
    main = store.branch("main")
    commits = [*main.log()][::-1]

    def value(commit: rrdstore.Commit) -> bytes | None:
        node = store.tree(commit).get(wrong.path)
        return None if node is None else node.value

    title(f"5. What happened to the disk of {VICTIM}?")
    say(
        "It is attached read-only, and nobody knows since when:",
        "",
        f"{wrong.path} = {main.get(wrong.path).decode()!r}, which should be 'w'",
        "",
        f"Of {truth.last:,} commits {len(commits)} are kept. Bisecting them:",
        "",
    )
    found = bisect(commits, lambda commit: value(commit) == BROKEN)
    head(f"{'commit':<18}{'made':<10}{'stands for':>10}   {'the key':<10}{'left':>5}")
    for question in found.questions:
        commit, key = question.commit, value(question.commit)
        shown = "absent" if key is None else repr(key.decode())
        coloured = click.style(f"{shown:<10}", fg="red" if question.broken else "green")
        say(f"{commit.id:<18}{commit.time:%H:%M:%S}  {commit.thinned + 1:>10,}   {coloured}{question.left:>5,}")
    good, first = found.good, found.broken
    apart = duration((first.time - good.time).total_seconds())
    say("", "The first kept commit that has it wrong:", "")
    facts(
        ("commit", f"{first.id}, made {first.time:%Y-%m-%d %H:%M:%S}"),
        ("by", first.author),
        ("message", first.message),
        (
            "thinned",
            f"{first.thinned:,}"
            + (
                f": it stands for {found.candidates:,} commits, and any of them may have done it"
                if first.thinned
                else ""
            ),
        ),
        ("interval", f"after {good.time:%H:%M:%S} and not after {first.time:%H:%M:%S}: {apart}"),
    )
    at = _moment(wrong.at)
    kept = any(commit.number == wrong.number for commit in commits)
    say(
        "",
        f"And in truth: {wrong.author} did it at {at:%H:%M:%S}, in commit {wrong.number},"
        f" which is {'kept' if kept else 'one of those thinned'}.",
    )
    claims.add(
        good.time <= at <= first.time and found.holds(wrong.number),
        f"the disk broke at {at:%H:%M:%S} by commit {wrong.number}: both in the interval that bisection found",
    )
    claims.add(
        first.number - good.number == found.candidates,
        f"commits made in the interval: {found.candidates:,}, as many as the commit found stands for",
    )
    claims.add(next(main.log(wrong.path)) == first, "the log of that key alone names the same commit")


def proofs(truth: Truth, store: rrdstore.Store, claims: Claims) -> None:
    """What needs no lines of its own."""
    main = store.branch("main")
    kept = {commit.id: commit for commit in main.log()}
    claims.add(
        main.head.number == truth.last,
        f"each change that was acknowledged is a commit: clients and store counted to {truth.last:,}",
    )
    noted = {name: digest for look in truth.looks[:-1] for name, digest in look.proofs.items()}
    still = [name for name in noted if name in kept]
    claims.add(
        bool(still) and all(kept[name].digest == noted[name] for name in still),
        f"of {len(noted)} trees whose digest was noted in the day {len(still)} are kept still, and read the same",
    )
    problems = len(store.check())
    claims.add(not problems, f"check() of the whole file finds {f'{problems} problems' if problems else 'no problem'}")


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, UTC)
