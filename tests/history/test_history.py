"""History: what is kept is what a tier or a hold keeps, and each hold has its end."""

import pytest

from rrdstore.errors import Exists, NotFound
from rrdstore.history.branch import begun
from rrdstore.history.commit import Key, Record
from rrdstore.history.history import History
from rrdstore.history.holds import BASE, FORK, HEAD, PIN, SNAPSHOT, TAG, TRANSACTION, Holds
from rrdstore.policy import Rings, parse

SECOND = 1_000_000


class Book:
    """A history and the commits made in it."""

    def __init__(self, keep="last:2"):
        self.history = History()
        self.number = 0
        self.main = self.branch("main", keep)
        self.commit(self.main)

    def branch(self, name, keep="last:1", origin=None):
        policy = parse(keep)
        ident = self.history.last_line + 1
        where = (origin.id, origin.head) if origin else (0, 0)
        self.history.begin(begun(ident, name, str(policy), Rings(policy), *where))
        return self.history.lines[ident]

    def commit(self, line, times=1):
        for _ in range(times):
            self.number += 1
            graph = self.history.graph
            parents = (Key(line.head, 1),) if line.head else ()
            record = Record(self.number, 1, line.id, parents, self.number * SECOND, 0, "", "", None)
            record.grafts = graph.reduced([key.number for key in parents])
            self.history.admit(record)
        return record

    @property
    def kept(self):
        return sorted(self.history.graph.records)


def test_the_tiers_and_the_head_keep_and_nothing_else():
    book = Book("last:2")
    book.commit(book.main, 5)
    assert book.kept == [5, 6]
    sparse = Book("2s:1@first")
    sparse.commit(sparse.main, 2)
    assert sparse.main.head in sparse.kept


@pytest.mark.parametrize("reason", [TAG, PIN, SNAPSHOT, TRANSACTION])
def test_a_hold_keeps_until_it_is_released_as_often_as_it_was_made(reason):
    book = Book("last:1")
    for _ in range(2):
        book.history.holds.hold(1, reason)
    book.commit(book.main, 3)
    assert book.kept == [1, 4]
    book.history.release(1, reason)
    assert book.kept == [1, 4]
    assert book.history.holds.reasons(1) == (reason,)
    book.history.release(1, reason)
    assert book.kept == [4]


def test_holds_are_counted_by_reason():
    holds = Holds()
    for reason in (TAG, TAG, PIN):
        holds.hold(7, reason)
    holds.hold(3, HEAD)
    assert (holds.numbers(), holds.reasons(7), holds.total(TAG)) == ((3, 7), (PIN, TAG), 2)
    holds.release(7, TAG)
    holds.release(7, TAG)
    assert (7 in holds, holds.reasons(7), holds.total(TAG)) == (True, (PIN,), 0)
    holds.release(7, PIN)
    assert (7 in holds, holds.reasons(7), holds.numbers()) == (False, (), (3,))


def test_a_fork_point_stays_while_any_commit_of_its_branch_does():
    book = Book("last:1")
    fork = book.main.head
    work = book.branch("work", "last:1", book.main)
    assert (work.head, work.fork, work.base, work.upstream) == (fork, fork, fork, book.main.id)
    assert set(book.history.holds.reasons(fork)) == {HEAD, FORK, BASE}
    own = book.commit(work)
    book.commit(book.main, 3)
    assert book.kept == [fork, own.number, 5]
    book.history.pin(own.number)
    book.history.end(work)
    assert book.kept == [fork, own.number, 5]
    assert (work.name, work.id in book.history.lines) == ("", True)
    book.history.unpin(own.number)
    assert book.kept == [5]
    assert list(book.history.lines) == [book.main.id]


def test_a_base_is_held_where_it_is_and_let_go_where_it_was():
    book = Book("last:1")
    work = book.branch("work", "last:1", book.main)
    first = book.commit(work).number
    book.history.meet(work, first)
    book.commit(work, 2)
    assert first in book.kept
    book.history.meet(work, work.head)
    assert first not in book.kept


def test_deleting_a_branch_ends_the_bases_that_lead_to_it_and_what_only_they_kept():
    book = Book("last:1")
    one = book.branch("one", "last:1", book.main)
    book.commit(one)
    two = book.branch("two", "last:1", one)
    book.commit(two)
    book.history.end(one)
    assert (two.upstream, two.base) == (0, 0)
    assert book.history.holds.reasons(two.fork) == (FORK,)
    assert two.fork in book.kept


def test_deleting_a_branch_may_end_one_deleted_before():
    """The base of a fork is the last commit that a third, deleted branch has: both end at once."""
    book = Book("last:1")
    gone = book.branch("gone", "last:1", book.main)
    base = book.commit(gone).number
    one = book.branch("one", "last:1", book.main)
    two = book.branch("two", "last:1", one)
    book.commit(one)
    book.commit(two)
    book.history.meet(two, base)
    book.history.end(gone)
    assert base in book.kept
    book.history.end(one)
    assert base not in book.kept
    assert set(book.history.names) == {"main", "two"}
    assert gone.id not in book.history.lines


def test_a_branch_id_is_never_given_twice():
    book = Book()
    ids = []
    for _ in range(3):
        line = book.branch("work", "last:1", book.main)
        ids.append(line.id)
        book.history.end(line)
    assert len(set(ids)) == 3


def test_names_are_taken_once_and_found_or_not():
    book = Book()
    book.history.tag("v", Key(1, 1))
    for call, error, what in (
        (lambda: book.branch("main"), Exists, "branch"),
        (lambda: book.history.line("x"), NotFound, "branch"),
        (lambda: book.history.tag("v", Key(1, 1)), Exists, "tag"),
        (lambda: book.history.untag("x"), NotFound, "tag"),
        (lambda: book.history.unpin(1), NotFound, "pin"),
    ):
        with pytest.raises(error) as refused:
            call()
        assert refused.value.what == what
    book.history.pin(1)
    book.history.pin(1)
    book.history.unpin(1)
    assert book.history.holds.reasons(1) == (HEAD, TAG)


def test_what_a_tick_must_say_is_what_changed_since_the_last():
    book = Book("last:2")
    history = book.history
    book.commit(book.main, 4)
    assert sorted(history.fresh) == book.kept == [4, 5]
    assert (history.gone, history.changed) == ([], {})
    for record in history.fresh.values():
        record.top = 1
    history.cut()
    for record in history.graph.records.values():
        record.top = 1
    assert not history.fresh
    book.commit(book.main)
    assert sorted(history.fresh) == [6]
    assert [record.number for record in history.gone] == [4]
    assert sorted(history.changed) == [5]
    assert (history.graph.records[5].grafts, history.graph.records[5].thinned) == ((), 4)
    book.commit(book.main)
    assert [record.number for record in history.gone] == [4, 5]
    assert not history.changed
    assert sorted(history.fresh) == [6, 7]


def test_pressure_takes_from_the_branch_that_keeps_most_and_never_what_is_held():
    book = Book("last:9")
    book.commit(book.main, 8)
    work = book.branch("work", "last:3", book.main)
    book.commit(work, 3)
    history = book.history
    history.tag("t", Key(4, 1))
    held = {4, book.main.head, work.head, work.fork, work.base}
    gone = []
    while history.relieve():
        before = len(gone)
        gone += [number for number in range(1, book.number + 1) if number not in book.kept and number not in gone]
        assert len(gone) == before + 1, "each time one commit"
        assert held <= set(book.kept)
    assert set(book.kept) == held
    assert gone[0] < 9
    assert book.main.rings.holds(4), "what is held keeps its place in the tiers too"
    assert sum(1 + history.graph.records[n].thinned for n in history.graph.lines[book.main.id]) == 9


def test_loading_drops_what_only_a_process_held():
    book = Book("last:1")
    history = book.history
    history.holds.hold(1, SNAPSHOT)
    book.commit(book.main, 2)
    assert book.kept == [1, 3]
    records = [history.graph.records[number] for number in book.kept]
    for record in records:
        record.top = 1
    again = History()
    again.load(records, [book.main], {}, ())
    assert sorted(again.graph.records) == [3]
    assert [record.number for record in again.gone] == [1]
    assert again.graph.records[3].thinned == 2
