"""The unbounded store: every commit ever made, as dicts, with all its parents. Naive on purpose.

It shares with the engine the batch plan of a policy (which tests/policy holds to its definitions) and nothing
else: trees are flat dicts, merge bases are searched in the whole graph, what is kept is recomputed from all
commits ever made, and what a transaction read is whatever its calls answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rrdstore.policy import parse, plan

Tree = dict[str, tuple[bytes, bytes]]
"""Of each path: value, meta. The root is always there."""

EMPTY: Tree = {"/": (b"", b"")}


# Trees


def below(tree: Tree, path: str) -> Tree:
    """What is at and below a path."""
    inside = "/" if path == "/" else path + "/"
    return {place: node for place, node in tree.items() if place == path or place.startswith(inside)}


def above(path: str) -> list[str]:
    """The ancestors of a path, the root first."""
    parts = path.split("/")[1:-1] if path != "/" else []
    return ["/", *("/" + "/".join(parts[: n + 1]) for n in range(len(parts)))] if path != "/" else []


def names(tree: Tree, path: str) -> tuple[str, ...]:
    inside = "/" if path == "/" else path + "/"
    rest = (place[len(inside) :] for place in tree if place.startswith(inside) and place != path)
    return tuple(sorted({name for name in rest if "/" not in name}))


def edited(tree: Tree, edit: tuple) -> Tree:
    """The tree after ("set", path, value, meta) or ("remove", path); removing nothing does nothing."""
    tree = dict(tree)
    kind, path, *rest = edit
    if kind == "set":
        value, meta = rest
        for parent in above(path):
            tree.setdefault(parent, (b"", b""))
        tree[path] = (value, tree.get(path, (b"", b""))[1] if meta is None else meta)
    else:
        for place in below(tree, path):
            del tree[place]
    return tree


def after(tree: Tree, edits) -> Tree:
    for edit in edits:
        tree = edited(tree, edit)
    return tree


def differences(a: Tree, b: Tree) -> dict[str, tuple]:
    return {path: (a.get(path), b.get(path)) for path in {*a, *b} if a.get(path) != b.get(path)}


def merged(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, set[str]]:
    """The three-way merge and its conflicts; at a conflict the tree has ours."""
    result: Tree = {}
    clashes: set[str] = set()

    def pick(path, was, our, their):
        if our == their or their == was:
            return our
        if our == was:
            return their
        clashes.add(path)
        return our

    def visit(path: str) -> None:
        sides = [below(tree, path) for tree in (base, ours, theirs)]
        was, our, their = sides
        if our and their:
            old = was.get(path, (None, None))
            picked = [pick(path, old[n], our[path][n], their[path][n]) for n in (0, 1)]
            # One place is one conflict: neither half is taken then.
            result[path] = our[path] if path in clashes else (picked[0], picked[1])
            for name in sorted({*names(base, path), *names(ours, path), *names(theirs, path)}):
                visit(f"{path}/{name}" if path != "/" else f"/{name}")
        elif our == was:
            result.update(their)
        else:
            result.update(our)
            if their not in (was, our):
                clashes.add(path)

    visit("/")
    return result, clashes


# History


@dataclass
class Made:
    """A commit as it was made."""

    number: int
    id: str
    branch: int
    parents: tuple[int, ...]
    rt: int
    tree: Tree
    stamps: dict[str, tuple[int, int]]
    """Of each path the numbers of the commits that made it and last set it."""
    message: str
    reach: int
    """Itself and all its ancestors, a bit for each number."""


@dataclass
class Line:
    """A branch, living or deleted."""

    id: int
    name: str
    keep: str
    head: int
    fork: int
    upstream: int
    base: int
    alive: bool = True
    own: list[int] = field(default_factory=list)


@dataclass
class Model:
    commits: dict[int, Made] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    pins: set[int] = field(default_factory=set)
    open: list[int] = field(default_factory=list)
    """The commit of each transaction and snapshot that is open, or has not been noticed to be closed."""

    def line(self, name: str) -> Line:
        return next(line for line in self.lines.values() if line.alive and line.name == name)

    @property
    def names(self) -> dict[str, Line]:
        return {line.name: line for line in self.lines.values() if line.alive}

    def head(self, name: str) -> Made:
        return self.commits[self.line(name).head]

    # What happens

    def begin(self, name: str, keep: str, origin: str | None) -> Line:
        line = Line(max(self.lines, default=0) + 1, name, keep, 0, 0, 0, 0)
        if origin is not None:
            source = self.line(origin)
            line.head = line.fork = line.base = source.head
            line.upstream = source.id
        self.lines[line.id] = line
        return line

    def commit(self, name: str, commit, edits, merged_in: int | None = None, tree: Tree | None = None) -> Made:
        """Note a commit that the engine has made; `edits` did it, or `tree` is known."""
        line = self.line(name)
        before = self.commits.get(line.head)
        old = before.tree if before else EMPTY
        new = after(old, edits) if tree is None else tree
        stamps = dict(before.stamps) if before else {"/": (0, 0)}
        if tree is None:
            stamps = stamped(old, stamps, edits, commit.number)
        else:
            for path, (was, now) in differences(old, new).items():
                if now is None:
                    del stamps[path]
                else:
                    stamps[path] = (commit.number if was is None else stamps[path][0], commit.number)
        parents = tuple(number for number in (line.head, merged_in) if number)
        rt = round(commit.time.timestamp() * 1_000_000)
        reach = 1 << commit.number
        for parent in parents:
            reach |= self.commits[parent].reach
        made = Made(commit.number, commit.id, line.id, parents, rt, new, stamps, commit.message, reach)
        assert commit.number == max(self.commits, default=0) + 1
        assert commit.parents == tuple(self.commits[number].id for number in parents)
        assert rt >= max((other.rt for other in self.commits.values()), default=rt)
        self.commits[commit.number] = made
        line.head = commit.number
        line.own.append(commit.number)
        return made

    def end(self, name: str) -> None:
        line = self.line(name)
        line.alive = False
        for other in self.lines.values():
            if other.upstream == line.id:
                other.upstream = other.base = 0

    # The graph

    def is_ancestor(self, number: int, of: int) -> bool:
        """Whether it is, or is the same."""
        return bool(self.commits[of].reach >> number & 1)

    def best(self, reach: int) -> list[int]:
        """Of a set of commits, as bits, those that are no ancestors of another of them, ascending."""
        found = []
        while reach:
            newest = reach.bit_length() - 1
            found.append(newest)
            reach &= ~self.commits[newest].reach
        return found[::-1]

    def bases(self, a: int, b: int) -> list[int]:
        """The best common ancestors, by the whole graph."""
        return self.best(self.commits[a].reach & self.commits[b].reach)

    def base_tree(self, numbers: list[int]) -> Tree:
        """The recursive merge of several bases, git's way; the older side stands where they clash."""
        tree = self.commits[numbers[0]].tree
        for done, number in enumerate(numbers[1:], 1):
            against = self.base_tree(sorted({base for n in numbers[:done] for base in self.bases(n, number)}))
            tree, _ = merged(against, tree, self.commits[number].tree)
        return tree

    def paired(self, a: str, b: str) -> bool:
        """Whether one was forked from the other, both living."""
        left, right = self.line(a), self.line(b)
        return left.upstream == right.id or right.upstream == left.id

    # What is kept

    def kept(self) -> set[int]:
        kept = {*self.tags.values(), *self.pins, *self.open}
        for line in self.lines.values():
            if line.alive:
                own = [(self.commits[number].rt, number) for number in line.own]
                kept |= {line.head, line.base, *plan(parse(line.keep), own).keep}
        kept.discard(0)
        size = -1
        while size != len(kept):
            size = len(kept)
            branches = {self.commits[number].branch for number in kept}
            kept |= {line.fork for line in self.lines.values() if line.fork and (line.alive or line.id in branches)}
        return kept

    def grafts(self, number: int, kept: set[int]) -> set[int]:
        """The nearest kept ancestors, less those that are ancestors of another."""
        nearest: set[int] = set()
        seen: set[int] = set()
        stack = list(self.commits[number].parents)
        while stack:
            top = stack.pop()
            if top in kept:
                nearest.add(top)
            elif top not in seen:
                seen.add(top)
                stack.extend(self.commits[top].parents)
        return set(self.best(sum(1 << near for near in nearest)))

    def thinned(self, number: int, kept: set[int]) -> int:
        """How many of its branch are gone between it and the kept one before it."""
        own = self.lines[self.commits[number].branch].own
        count, at = 0, own.index(number)
        while at > 0 and own[at - 1] not in kept:
            count, at = count + 1, at - 1
        return count

    def log(self, name: str, path: str | None, kept: set[int]) -> list[int]:
        head = self.line(name).head
        reached = [number for number in sorted(kept, reverse=True) if self.is_ancestor(number, head)]
        return reached if path is None else [number for number in reached if self.touches(number, path, kept)]

    def touches(self, number: int, path: str, kept: set[int]) -> bool:
        here = below(self.commits[number].tree, path)
        before = [below(self.commits[graft].tree, path) for graft in self.grafts(number, kept)]
        return all(here != was for was in before) if before else bool(here)

    def lineage(self, name: str) -> list[int]:
        """All that a branch has been at, oldest first."""
        line = self.line(name)
        numbers, fork = list(line.own), line.fork
        while fork:
            origin = self.lines[self.commits[fork].branch]
            numbers = [n for n in origin.own if n <= fork] + numbers
            fork = origin.fork
        return numbers


def stamped(tree: Tree, stamps: dict, edits, number: int) -> dict:
    """`stamps` after some edits of `tree` by commit `number`."""
    stamps = dict(stamps)
    for edit in edits:
        new = edited(tree, edit)
        for path in tree.keys() - new.keys():
            del stamps[path]
        for path in new.keys() - tree.keys():
            stamps[path] = (number, number)
        if edit[0] == "set":
            stamps[edit[1]] = (stamps[edit[1]][0], number)
        tree = new
    return stamps


# Transactions


class Serial:
    """A transaction by its calls and answers: it may commit wherever all the answers would be the same."""

    def __init__(self, tree: Tree) -> None:
        self.start = self.tree = tree
        self.calls: list[tuple] = []
        self.edits: list[tuple] = []

    def call(self, call: tuple) -> object:
        """Do one call to the private tree, and remember what it answered."""
        answer, self.tree = answered(self.tree, call)
        self.calls.append((call, answer))
        if call[0] == "set" or (call[0] == "remove" and answer is True):
            self.edits.append(call)
        return answer

    def same_on(self, tree: Tree) -> bool:
        """Whether every call would have answered the same on another tree."""
        for call, answer in self.calls:
            again, tree = answered(tree, call)
            if again != answer:
                return False
        return True

    def changed(self, path: str, tree: Tree) -> bool:
        """Whether anything that a call can tell of a path is different on another tree."""
        return tree.get(path) != self.start.get(path) or names(tree, path) != names(self.start, path)


def answered(tree: Tree, call: tuple) -> tuple[object, Tree]:
    """What a call answers, None for NotFound, and the tree after it."""
    kind, path, *_ = call
    node = tree.get(path)
    if kind == "set":
        return True, edited(tree, call)
    if kind == "in":
        return node is not None, tree
    if node is None:
        return None, tree
    if kind == "remove":
        return True, edited(tree, call)
    return {"get": node[0], "stat": node, "list": names(tree, path)}[kind], tree
