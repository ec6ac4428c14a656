"""The twelve rules of docs/semantics.md, each broken on purpose: what to change where, and whose tests should see it.

A mutation is an edit of the package's text. Its anchor must be there exactly once: code that moves takes its mutation
along, and `bench/mutants.py` fails where one has been left behind.
"""

from __future__ import annotations

from bench.merge_mutations import MERGE_MUTATIONS
from bench.mutation import broken

RING, TIERS, HISTORY = "policy/ring.py", "policy/tiers.py", "history/history.py"
POLICY = "policy/test_plan.py policy/test_tiers.py policy/test_pressure.py policy/test_grammar.py"

MUTATIONS = (
    broken(
        1,
        "buckets are not aligned",
        POLICY,
        (RING, "return key[0] // self._length\n", "return (key[0] + 700_000) // self._length\n"),
    ),
    broken(
        1,
        "the first of a bucket stays, not the last",
        POLICY,
        (RING, "self.lazy = not tier.first", "self.lazy = tier.first"),
        (RING, "self._first = tier.first", "self._first = not tier.first"),
    ),
    broken(
        1,
        "a ring has one slot less",
        POLICY,
        (RING, "self._rows = tier.rows\n        self._count", "self._rows = tier.rows - 1 or 1\n        self._count"),
    ),
    broken(
        1,
        "a bucket that is closed in order keeps nothing",
        POLICY,
        (RING, "        slots = self._slots\n        slots[self._open] = top", "        slots = self._slots"),
    ),
    broken(
        2,
        "what is older than the span is evicted",
        POLICY,
        (
            RING,
            "                lost.append(held[1])\n        self._slots[position] = key\n        return 1",
            (
                "                lost.append(held[1])\n        self._slots[position] = key\n"
                "        for at in [at for at, old in self._slots.items() if self._bucket(old) <= bucket - self._rows]:\n"
                "            lost.append(self._slots.pop(at)[1])\n        return 1"
            ),
        ),
    ),
    broken(
        3,
        "what comes later takes the slot",
        POLICY,
        (
            RING,
            "            elif key <= held:\n                return 0",
            "            elif key == held:\n                return 0",
        ),
    ),
    broken(
        3,
        "tombstones are forgotten at closing",
        POLICY,
        (TIERS, "tombstones += [_TOMBSTONE.pack(index, *key) for key in sorted(track.dead)]", "tombstones += []"),
    ),
    broken(
        3,
        "pressure leaves no tombstone",
        POLICY,
        (
            RING,
            (
                "        self.dead.add(key)\n\n    def raise_dead(self, key: Key) -> None:\n"
                '        """Put a tombstone where one was."""\n        self._slots[self._bucket(key) % self._rows] = key'
            ),
            (
                "        self._slots.pop(self._bucket(key) % self._rows)\n\n    def raise_dead(self, key: Key) -> None:\n"
                '        """Put a tombstone where one was."""\n        self._slots[self._bucket(key) % self._rows] = key'
            ),
        ),
    ),
    broken(
        4,
        "a tolerance is granted to each commit",
        "history/test_clock.py",
        ("history/clock.py", "min(ahead, 3 * elapsed)", "min(ahead, 3 * elapsed + 1_000_000)"),
    ),
    broken(
        4,
        "the wall clock is believed",
        "history/test_clock.py",
        ("history/clock.py", "min(ahead, 3 * elapsed)", "ahead"),
    ),
    broken(
        4,
        "time stands still while the wall clock is behind",
        "history/test_clock.py",
        ("history/clock.py", "halves = self._halves + elapsed\n        ahead", "halves = self._halves\n        ahead"),
    ),
    broken(
        5,
        "fork points are not held",
        "history store/test_branches.py",
        (HISTORY, "in ((line.head, HEAD), (line.fork, FORK)):", "in ((line.head, HEAD),):"),
        (
            HISTORY,
            "if line.fork:\n                self.release(line.fork, FORK)",
            "if line.fork:\n                self.let_go(line.fork)",
        ),
    ),
    broken(
        5,
        "two holds count as one",
        "history store/test_branches.py",
        ("history/holds.py", "held[reason] = held.get(reason, 0) + 1", "held[reason] = 1"),
    ),
    broken(
        5,
        "a pin does not hold",
        "history store/test_branches.py",
        (HISTORY, "self.holds.hold(number, PIN)", "pass"),
        (HISTORY, "self.release(number, PIN)", "self.let_go(number)"),
    ),
    broken(
        5,
        "a snapshot does not hold",
        "store/test_moments.py store/test_transactions.py",
        ("store/leases.py", "self._ledger.history.holds.hold(*lease)", "pass"),
        ("store/leases.py", "self._ledger.history.release(*lease)", "self._ledger.history.let_go(lease[0])"),
    ),
    broken(
        5,
        "recovery loses what a snapshot kept and a tag names",
        "store/test_settle.py",
        ("store/redoing.py", "yield entry.key.number", "yield from ()"),
    ),
    broken(
        5,
        "a tick does not know of branches, tags and pins alone",
        "store/test_settle.py",
        ("store/ticks.py", "history.changed or history.moved)", "history.changed)"),
    ),
    broken(
        5,
        "a branch of the journal has no lease",
        "storage/test_journal.py store/test_settle.py",
        ("storage/entries.py", "change.head, change.lease, change.until", "change.head, 0, 0"),
    ),
    broken(
        5,
        "a deletion of the journal is passed over",
        "store/test_settle.py",
        (
            "store/redoing.py",
            "    Ended: _ended,",
            "    Ended: lambda ledger, made: None,",
        ),
    ),
    broken(
        8,
        "grafts are not reduced",
        "history/test_graph.py",
        ("history/graph.py", "return tuple(number for number in wanted if number not in reached)", "return wanted"),
    ),
    broken(
        8,
        "what a thinned commit stood for is lost",
        "history/test_graph.py",
        ("history/authors.py", "heir.thinned += dropped.thinned + 1", "heir.thinned += 1"),
    ),
    broken(
        9,
        "what holds a commit is not among its reasons",
        "store/test_log_diff.py",
        ("store/reports.py", "        reasons = (*reasons, Reason(held))", "        pass"),
    ),
    broken(9, "a reason promises too much", POLICY, ("policy/reason.py", "commits=rows - newer)", "commits=rows + 1)")),
    broken(
        9,
        "a tier gives no reason",
        POLICY,
        (TIERS, "        found = [key for key in track.picks() if key[1] == number]", "        found = []"),
    ),
    broken(
        10,
        "the largest gap goes first",
        "policy/test_pressure.py history",
        (TIERS, "best = min(inner, default=None)", "best = max(inner, default=None)"),
    ),
    broken(
        10,
        "pressure takes what is held",
        "history store/test_settle.py",
        (
            HISTORY,
            "frozenset(number for number in self.graph.lines.get(line.id, ()) if number in self.holds)",
            "frozenset()",
        ),
    ),
    broken(
        10,
        "the smallest branch goes first",
        "history",
        (
            HISTORY,
            "            reverse=True,\n        )\n        for line in by_size",
            "        )\n        for line in by_size",
        ),
    ),
    broken(
        10,
        "32 commits go where one is needed",
        "store/test_settle.py",
        (
            "store/room.py",
            "(lacking + slack > 0 and thinned < BATCH)",
            "thinned < BATCH",
        ),
    ),
    broken(
        10,
        "what was thinned for a change that is refused is not taken back",
        "store/test_refused.py",
        ("store/room.py", "self._ledger.go_back()", "pass"),
    ),
    broken(
        11,
        "an empty policy is accepted",
        POLICY,
        ("policy/policy.py", "if not 1 <= len(written) <= MAX_TIERS:", "if len(written) > MAX_TIERS:"),
    ),
    broken(
        11,
        "tune keeps the old tiers",
        "store/test_tuning.py",
        (HISTORY, "line.keep, line.rings = keep, rings", "line.keep = keep"),
    ),
    broken(
        11,
        "recovery decides again by what it finds kept",
        "store/test_refitting.py",
        (
            "store/refitting.py",
            "for number in fit.picks])",
            "for number in records if records[number].branch == fit.line])",
        ),
    ),
    broken(
        11,
        "what new tiers hold is not kept until all is done again",
        "store/test_refitting.py",
        ("store/redoing.py", "yield from fit.picks", "yield from ()"),
    ),
    broken(
        11,
        "what pressure took comes back with another policy",
        "store/test_refitting.py",
        ("store/refitting.py", "rings.state()", 'b""'),
    ),
    broken(
        11,
        "branches are compacted one by one",
        "store/test_refitting.py",
        (
            "store/compaction.py",
            "ledger.change(Fitted(tuple(fits)))",
            "[ledger.change(Fitted((fit,))) for fit in fits]",
        ),
    ),
    broken(
        11,
        "what another policy does not keep stays until more comes",
        "store/test_refitting.py",
        (
            HISTORY,
            "for number in reversed(self.graph.lines.get(line.id, [])[:]):  # As",
            "for number in ():  # As",
        ),
    ),
    broken(
        11,
        "a dry run is none",
        "store/test_tuning.py",
        ("store/tuning.py", "applied=changes and not dry_run", "applied=changes"),
    ),
    broken(
        12,
        "an average is not weighted by time",
        "series",
        ("series/ring.py", "self.total / self.known", "(least + greatest) / 2"),
    ),
    broken(
        12,
        "the least stands for the greatest",
        "series",
        ("series/ring.py", "average, least, greatest, self.before)", "average, least, least, self.before)"),
    ),
    broken(
        12,
        "the authors of what is thinned are lost",
        "store/test_authors.py history",
        (
            "history/authors.py",
            "counts = {dropped.author: 1} if dropped.authors is None else dict(dropped.authors)",
            "counts = {dropped.author: 1}",
        ),
    ),
    broken(
        12,
        "of a run longer than what stays only those are counted that do",
        "store/test_run.py",
        (
            "store/passed.py",
            "                stand_for(first, chain.from_iterable(self.names))\n",
            "                pass\n",
        ),
    ),
    broken(
        12,
        "of nine names that wrote once the last one goes, not the last by name",
        "store/test_run.py",
        ("history/authors.py", "            if last > name:\n", "            if last:\n"),
    ),
    broken(
        8,
        "a commit that somebody holds is not told what it stood on when it went with a run",
        "store/test_run.py",
        ("store/passed.py", "for record in (first, *self.held):", "for record in (first,):"),
    ),
    *MERGE_MUTATIONS,
)
