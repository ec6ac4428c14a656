"""A store of constant size whose history thins progressively.

A persistent tree with commits, branches and three-way merge. Commits go into round-robin tiers that keep
the recent past in every detail and the distant past in coarser and coarser steps, so space stays constant
and merges stay right for ever.

    import rrdstore
    with rrdstore.create("host.rrdb", size="64MiB") as store:
        main = store.branch("main")
        main.set("/local/domain/1/name", b"web1")
"""

from types import FunctionType as _FunctionType

from rrdstore.errors import (
    Closed,
    ConfigError,
    Conflict,
    Corrupt,
    Exists,
    Held,
    InvalidName,
    InvalidPath,
    InvalidPattern,
    InvalidSize,
    InvalidWhen,
    LeaseEnded,
    LimitReached,
    Locked,
    NoStore,
    NotFound,
    NotInstalled,
    OtherFormat,
    PolicyDiffers,
    PolicyError,
    ReadOnly,
    SeriesError,
    StoreError,
    StoreFull,
    Thinned,
    TooLarge,
    TooSmall,
    Unmergeable,
    Unwritable,
)
from rrdstore.history.clock import Clock, SystemClock
from rrdstore.policy import BRANCH_DEFAULT, DEFAULT, Fill, Forecast, Plan, Reason, Replay
from rrdstore.series import Fill as SeriesFill
from rrdstore.series import Series
from rrdstore.storage.protocol import Problem
from rrdstore.store import config
from rrdstore.store.branch import Branch
from rrdstore.store.commit import Commit
from rrdstore.store.config import Config
from rrdstore.store.estimate import Estimate, estimate
from rrdstore.store.history import foreseen as forecast
from rrdstore.store.history import read_times
from rrdstore.store.history import tried as replay
from rrdstore.store.holding import HeldBy
from rrdstore.store.mending import Lost
from rrdstore.store.opening import DEFAULT_SIZE, create, memory, open  # noqa: A004 - `rrdstore.open` is what a user expects
from rrdstore.store.repair import Repaired, repair, set_aside
from rrdstore.store.reports import BranchInfo, Explanation, Info, Plans
from rrdstore.store.size import format_size, parse_size
from rrdstore.store.snapshot import Snapshot
from rrdstore.store.store import Store
from rrdstore.store.transaction import Transaction
from rrdstore.store.tuning import Tuned
from rrdstore.store.watch import Watch
from rrdstore.tree.diff import Change
from rrdstore.tree.edit import Way
from rrdstore.tree.edit import find as _find
from rrdstore.tree.merge import Clash
from rrdstore.tree.node import Node
from rrdstore.tree.pattern import Pattern
from rrdstore.tree.resolution import MergeRules, merge_rules, register_merge
from rrdstore.tree.spot import Spot
from rrdstore.tree.tree import Tree

BUILD = "pure Python" if isinstance(_find, _FunctionType) else "compiled"
"""How the hot modules were built (setup.py): what both programs say after their version."""

__all__ = [
    "BRANCH_DEFAULT",
    "BUILD",
    "DEFAULT",
    "DEFAULT_SIZE",
    "Branch",
    "BranchInfo",
    "Change",
    "Clash",
    "Clock",
    "Closed",
    "Commit",
    "Config",
    "ConfigError",
    "Conflict",
    "Corrupt",
    "Estimate",
    "Exists",
    "Explanation",
    "Fill",
    "Forecast",
    "Held",
    "HeldBy",
    "Info",
    "InvalidName",
    "InvalidPath",
    "InvalidPattern",
    "InvalidSize",
    "InvalidWhen",
    "LeaseEnded",
    "LimitReached",
    "Locked",
    "Lost",
    "MergeRules",
    "NoStore",
    "Node",
    "NotFound",
    "NotInstalled",
    "OtherFormat",
    "Pattern",
    "Plan",
    "Plans",
    "PolicyDiffers",
    "PolicyError",
    "Problem",
    "ReadOnly",
    "Reason",
    "Repaired",
    "Replay",
    "Series",
    "SeriesError",
    "SeriesFill",
    "Snapshot",
    "Spot",
    "Store",
    "StoreError",
    "StoreFull",
    "SystemClock",
    "Thinned",
    "TooLarge",
    "TooSmall",
    "Transaction",
    "Tree",
    "Tuned",
    "Unmergeable",
    "Unwritable",
    "Watch",
    "Way",
    "config",
    "create",
    "estimate",
    "forecast",
    "format_size",
    "memory",
    "merge_rules",
    "open",
    "parse_size",
    "read_times",
    "register_merge",
    "repair",
    "replay",
    "set_aside",
]
