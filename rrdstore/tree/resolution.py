"""What a merge does where both sides changed the same place: rules by path pattern, the first match wins.

    rule       both changed the value              one side removed what the other changed
    conflict   conflict (the default)              conflict
    counter    base + what each side added         conflict
    set        base + what either side added       conflict
               - what either side removed
    last       the side that was set last          conflict: when it was removed is not known
    ours       the side that is merged into        as ours has it
    theirs     the side that is merged             as theirs has it
    a function what it returns, None is conflict   conflict

Rule: a counter that both sides raised by one has gone up by two, so `counter` is asked even where both made the
same change; all others leave that as it is. A counter is a decimal integer in ASCII, absent is 0; the
elements of a set are what stands between separators (a newline, unless said otherwise), none of them empty,
absent is no element, and the merged value has them sorted. What cannot be read so is a conflict. "Set last"
goes by the number of the commit that set the place on its own branch; what came by a merge was set by that
merge. Metadata is nobody's number: under `counter`, `set` and functions it conflicts as ever.
`counter` and `set` are symmetric and associative over one base; `last` is symmetric.
Cost: O(rules x components) a place that is in question. Prior art: git's merge drivers; CRDT counters and sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence  # a public alias names them
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from rrdstore.errors import ConfigError, Exists, InvalidName, InvalidPattern
from rrdstore.tree.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

Function = Callable[[str, bytes | None, bytes, bytes], bytes | None]
"""(path, base, ours, theirs) -> the merged value; base is None if neither had it, the result None for a conflict."""
Side = Literal["ours", "theirs", "last"]

_NUMBER = re.compile(rb"[+-]?[0-9]{1,4000}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
NEWLINE = "\n"


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to settle a place: a side that wins, or a function of the values; neither leaves the conflict."""

    name: str
    side: Side | None = None
    function: Function | None = None
    always: bool = False
    """Whether the function is asked even where both sides made the same change."""
    symmetric: bool = False
    """Whether it gives the same whichever side is ours."""


def counter(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:  # noqa: ARG001 - a Function
    """The sum of what both sides added to a decimal integer; None if one is no integer."""
    values = (base if base is not None else b"0", ours, theirs)
    if not all(_NUMBER.fullmatch(value) for value in values):
        return None
    was, our, their = map(int, values)
    return b"%d" % (our + their - was)


def union(separator: bytes) -> Function:
    """The function that merges sets whose elements stand between separators."""

    def merged(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes:  # noqa: ARG001 - a Function
        was, our, their = (set(filter(None, (value or b"").split(separator))) for value in (base, ours, theirs))
        return separator.join(sorted((our & their) | (our - was) | (their - was)))

    return merged


CONFLICT = Rule("conflict", symmetric=True)
COUNTER = Rule("counter", function=counter, always=True, symmetric=True)
SET = Rule("set", function=union(NEWLINE.encode()), symmetric=True)
LAST = Rule("last", side="last", symmetric=True)
OURS = Rule("ours", side="ours")
THEIRS = Rule("theirs", side="theirs")
BUILT_IN = {rule.name: rule for rule in (CONFLICT, COUNTER, SET, LAST, OURS, THEIRS)}
_registered: dict[str, Rule] = {}


def register_merge(name: str, function: Function, *, symmetric: bool = False) -> None:
    """Make `function` known as a merge rule of that name, for all stores of this process; Exists, InvalidName.

    It is called with (path, base, ours, theirs) where both sides changed a value differently, and returns the
    merged value, or None for a conflict. `symmetric` promises that ours and theirs can change places.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidName("merge rule", name, "a lower-case letter, then at most 31 of a-z, 0-9, _ and -")
    if name in BUILT_IN or _registered.get(name, Rule(name, function=function)).function is not function:
        raise Exists("merge rule", name)
    if not callable(function):
        raise TypeError(f"a merge rule is a function, not {type(function).__name__}")
    _registered[name] = Rule(name, function=function, symmetric=symmetric)


@dataclass(frozen=True, slots=True)
class MergeRules:
    """Patterns and their rules, in order. Made by `merge_rules`."""

    rules: tuple[tuple[Pattern, Rule], ...] = ()

    def rule(self, names: tuple[str, ...]) -> Rule:
        """The rule of a place: the first whose pattern matches, or conflict."""
        return next((rule for pattern, rule in self.rules if pattern.covers(names)), CONFLICT)

    def before(self, others: MergeRules) -> MergeRules:
        """These, and then the others."""
        return MergeRules(self.rules + others.rules)

    @property
    def always(self) -> bool:
        """Whether any rule has to be asked where both sides made the same change."""
        return any(rule.always for _, rule in self.rules)

    @property
    def symmetric(self) -> MergeRules:
        """The same, with conflicts in place of what depends on which side is ours: for bases, which have no sides."""
        return MergeRules(tuple((pattern, rule if rule.symmetric else CONFLICT) for pattern, rule in self.rules))

    def __bool__(self) -> bool:
        return bool(self.rules)


Given: TypeAlias = "MergeRules | Sequence[Mapping[str, object] | tuple[str | Pattern, str | Rule | Function]]"


def merge_rules(table: Given, where: str = "merge rules") -> MergeRules:
    """Rules from tables as TOML gives them, or from pairs of a pattern and a rule's name or a function.

        [[merge]]
        pattern = "/stats/**"
        rule = "counter"            conflict, counter, set, last, ours, theirs, or a registered name

    `separator`, of rule "set" only, is what stands between elements. Unknown keys are errors, never ignored:
    ConfigError naming `where` (the file), the key, what was found and what was expected.
    """
    if isinstance(table, MergeRules):
        return table
    if not isinstance(table, (list, tuple)):
        raise ConfigError(where, "", "merge", repr(table)[:60], "a list of tables")
    return MergeRules(tuple(_read(row, where, f"[[merge]] {number}") for number, row in enumerate(table, 1)))


_KEYS = ("pattern", "rule", "separator")


def _read(row: object, where: str, table: str) -> tuple[Pattern, Rule]:
    if isinstance(row, tuple) and len(row) == 2:
        row = {"pattern": row[0], "rule": row[1]}
    if not isinstance(row, dict):
        raise ConfigError(where, table, "", repr(row)[:60], "a table with pattern and rule")
    for name in row:
        if name not in _KEYS:
            raise ConfigError(where, table, name, "an unknown key", _one_of(_KEYS))
    for name in ("pattern", "rule"):
        if name not in row:
            raise ConfigError(where, table, name, "nothing", f"a {name}")
    pattern, rule = _pattern(row["pattern"], where, table), _rule(row["rule"], where, table)
    if "separator" in row:
        separator = row["separator"]
        if rule.name != "set":
            raise ConfigError(where, table, "separator", f"rule {rule.name!r}", "rule 'set'")
        if not isinstance(separator, str) or not separator:
            raise ConfigError(where, table, "separator", repr(separator)[:60], "text of at least one character")
        rule = replace(rule, function=union(separator.encode()))
    return pattern, rule


def _pattern(given: object, where: str, table: str) -> Pattern:
    if isinstance(given, Pattern):
        return given
    if not isinstance(given, str):
        raise ConfigError(where, table, "pattern", repr(given)[:60], "a pattern such as '/stats/**'")
    try:
        return Pattern(given)
    except InvalidPattern as fault:
        raise ConfigError(where, table, "pattern", f"{given!r}, {fault.found}", fault.expected) from None


def _rule(given: object, where: str, table: str) -> Rule:
    if isinstance(given, Rule):
        return given
    if isinstance(given, str):
        rule = BUILT_IN.get(given) or _registered.get(given)
        if rule is None:
            raise ConfigError(where, table, "rule", repr(given)[:60], _one_of((*BUILT_IN, *_registered)))
        return rule
    if callable(given):
        return Rule(getattr(given, "__name__", "function"), function=given)
    raise ConfigError(where, table, "rule", repr(given)[:60], "the name of a rule, or a function")


def _one_of(names: Iterable[str]) -> str:
    return "one of " + ", ".join(names)
