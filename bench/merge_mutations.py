"""Rules 6 and 7 of docs/semantics.md, each broken on purpose; what a mutation is says `mutations`."""

from __future__ import annotations

from bench.mutation import broken

HISTORY = "history/history.py"
JOINING = "store/branching.py"
MERGING = "store/merging.py"
MERGES = "store/test_merges.py"
BRANCHES = "tree/test_merge.py store/test_branches.py"

MERGE_MUTATIONS = (
    broken(
        6,
        "the base is not moved",
        BRANCHES,
        (JOINING, "history.meet(fork, made.base, made.older, made.reach, record.rt)", "pass"),
    ),
    broken(
        6,
        "the base is moved too far",
        BRANCHES,
        (MERGING, "base, older, since, side = theirs.number, how.base", "base, older, since, side = number, how.base"),
    ),
    broken(
        6,
        "what went past the last merge is merged from the newer base",
        MERGES,
        (MERGING, "return Joint(fork, fork.older, True)", "return Joint(fork, fork.base, True)"),
    ),
    broken(
        6,
        "of two that went past each other one commit is the base",
        MERGES,
        (JOINING, "if how.crossing:\n", "if False:\n"),
    ),
    broken(
        6,
        "the base of two is made from the newer base",
        MERGES,
        (JOINING, "virtual(base, met, their, number", "virtual(met, met, their, number"),
    ),
    broken(
        6,
        "a commit that is older than the older base is merged from it",
        MERGES,
        (MERGING, "if reach.side == other.id and number >= reach.older:", "if reach.side == other.id:"),
    ),
    broken(
        6,
        "what is older than the base is merged from it",
        MERGES,
        (MERGING, "if number >= (reach.fork if fork is other else reach.upstream):", "if True:"),
    ),
    broken(
        6,
        "another pair merges what the branch between them does not have",
        MERGES,
        (
            MERGING,
            "if graph.reaches(between.head, number) and graph.reaches(number, base.number):",
            "if graph.reaches(number, base.number):",
        ),
    ),
    broken(
        6,
        "another pair merges what does not stand on the base",
        MERGES,
        (
            MERGING,
            "if graph.reaches(between.head, number) and graph.reaches(number, base.number):",
            "if graph.reaches(between.head, number):",
        ),
    ),
    broken(
        6,
        "a base of two is not held",
        MERGES,
        (
            HISTORY,
            "        for number in (*self.needed(base), *self.needed(older)):",
            "        for number in (base, older) if False else ():",
        ),
        (HISTORY, "        gone = (*self.needed(line.base), *self.needed(line.older))", "        gone = ()"),
    ),
    broken(
        6,
        "the journal forgets what a merge made of the base",
        MERGES,
        (
            "store/redoing.py",
            "ledger.admit(line, record, entry.edits, entry.meeting)",
            "ledger.admit(line, record, entry.edits)",
        ),
    ),
    broken(
        6,
        "recovery does not hold what it merges",
        MERGES,
        (
            "store/redoing.py",
            "yield from (key.number for key in entry.parents[1:])",
            "yield from ()",
        ),
    ),
    broken(
        7,
        "a lease never ends",
        MERGES,
        (HISTORY, "if line.base and line.lease and line.until <= rt:", "if False:"),
    ),
    broken(
        7,
        "a lease is not renewed",
        MERGES,
        (HISTORY, "line.until = rt + line.lease if base else 0", "pass"),
    ),
    broken(
        7,
        "a patch does not look at old values",
        "tree/test_patch.py store/test_merges.py",
        ("tree/patch.py", "if here in (old, new):", "if here != b'?':"),
    ),
    broken(
        7,
        "a patch removes whatever is there",
        "tree/test_patch.py store/test_merges.py",
        ("tree/patch.py", "if orphan or (here is not None and not equal(here, old)):", "if orphan:"),
    ),
    broken(
        7,
        "a patch makes parents",
        "tree/test_patch.py",
        ("tree/patch.py", "orphan = here is None and edit.find(root, names[:-1]) is None", "orphan = False"),
    ),
    broken(
        7,
        "a rule settles what comes after another that matches",
        "tree/test_resolution.py store/test_merges.py",
        (
            "tree/resolution.py",
            "(rule for pattern, rule in self.rules if",
            "(rule for pattern, rule in self.rules[::-1] if",
        ),
    ),
    broken(
        7,
        "both having removed a place is a conflict where a counter is",
        "tree/test_merge.py tree/test_resolution.py store/test_merges.py",
        ("tree/merge.py", "(our is their and (our is None or not always))", "(our is their and not always)"),
    ),
    broken(
        7,
        "the fork point stands for the base",
        BRANCHES,
        (JOINING, "base, their = ledger.root(records[how.base])", "base, their = ledger.root(records[how.fork.fork])"),
    ),
    broken(
        7,
        "in a merge theirs wins",
        BRANCHES,
        ("tree/merge.py", "return theirs if ours == base else None", "return theirs"),
    ),
    broken(
        7,
        "a removal wins against a change below it",
        BRANCHES,
        (
            "tree/merge.py",
            "        elif not equal(was, their):\n            side",
            "        elif number < 0:\n            side",
        ),
    ),
)
