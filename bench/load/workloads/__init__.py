"""The workloads, in the order of the table of bars; each a function of an arena, with its bars beside its measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.load.workloads import single

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load.arena import Arena

WORKLOADS: dict[str, Callable[[Arena], None]] = {
    "single": single.one_by_one,
    "outstanding": single.outstanding,
}
