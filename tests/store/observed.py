"""All that can be seen of a store, as one value: what must not change when something is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.store.commit import Commit

if TYPE_CHECKING:
    import rrdstore


def observed(store: rrdstore.Store, *, ids: bool = True) -> dict[str, object]:
    """Branches, tags, pins and kept commits with their trees; `ids` off for stores that differ in them alone."""
    ledger = store.ledger
    numbers = {number: Commit(ledger, record) for number, record in ledger.history.graph.records.items()}
    by_id = {commit.id: number for number, commit in numbers.items()}
    return {
        "commits": {
            number: (
                commit.id if ids else None, commit.time, commit.wall, commit.author, commit.message, commit.branch,
                len(commit.parents), tuple(sorted(by_id[parent] for parent in commit.kept_parents)), commit.thinned,
                [(path, node.value, node.meta, node.created, node.modified)
                 for path, node in ledger.tree(ledger.history.graph.records[number]).descend()],
            )
            for number, commit in numbers.items()
        },
        "branches": {
            name: (branch.head.number, branch.keep, branch._line.fork,
                   branch._line.base, branch._line.rings.picks())
            for name, branch in store.branches.items()
        },
        "tags": {name: commit.number for name, commit in store.tags.items()},
        "pins": {by_id[commit] for commit in store.pins},
        "bound": store.info().bound,
        "made": store.info().commits,
    }  # fmt: skip
