"""A xenstore written for being right and for nothing else: the oracle of test_model.py.

The tree is a dict from path to (value, permission list). A transaction is a copy of it and a list of what was asked
and answered; END runs the list again on the tree as it is, whole, and commits if all answers are the same. Events
search every watch, quotas count every node. An entry that must not count is in capitals. Nothing here is shared with
the daemon.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Tree = dict[str, tuple[bytes, tuple[bytes, ...]]]
OWN = (b"n0",)
ANYBODY = 32757


@dataclass(eq=False)
class Client:
    domid: int
    privileged: bool
    transactions: dict[int, tuple[Tree, list]] = field(default_factory=dict)
    next_id: int = 1
    target: int | None = None
    limits: dict[str, int] = field(default_factory=dict)
    events: list[tuple[bytes, bytes]] = field(default_factory=list)
    late: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(eq=False)
class Watch:
    client: Client
    path: str
    token: bytes
    depth: int | None
    strip: int


def above(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def levels(upper: str, lower: str) -> int | None:
    first, second = [[part for part in path.split("/") if part] for path in (upper, lower)]
    return len(second) - len(first) if second[: len(first)] == first else None


def can(client: Client, entries: tuple[bytes, ...], right: str) -> bool:
    if client.privileged or owns(client, entries):
        return True
    granted = {"n": "", "r": "r", "w": "w", "b": "rw"}
    for entry in entries[1:]:
        if entry[:1].islower() and int(entry[1:]) in {client.domid, client.target, ANYBODY}:
            return right in granted[chr(entry[0])]
    return right in granted[chr(entries[0][0])]


def owns(client: Client, entries: tuple[bytes, ...]) -> bool:
    return int(entries[0][1:]) in {client.domid, client.target, ANYBODY}


def owned(tree: Tree, domid: int) -> int:
    return sum(int(entries[0][1:]) == domid for _, entries in tree.values())


class Model:
    def __init__(self) -> None:
        self.tree: Tree = dict.fromkeys(("/", "/tool", "/tool/xenstored"), (b"", OWN))
        self.watches: list[Watch] = []
        self.nobody: set[int] = set()
        """Domids that no domain has."""

    def ask(self, client: Client, operation: str, arguments: tuple, transaction: int) -> bytes | str:
        """The payload of the reply or the name of the error; events are put to the clients."""
        if operation == "TRANSACTION_START":
            return self.start(client, transaction)
        if operation == "TRANSACTION_END":
            return self.end(client, transaction, arguments[0])
        if operation == "WATCH":
            return self.watch(client, *arguments)
        if operation == "UNWATCH":
            return self.unwatch(client, *arguments)
        if not transaction:
            before, effects = dict(self.tree), []
            reply = self.carry_out(self.tree, client, operation, arguments, effects)
            if self.is_over(client, before, self.tree):
                self.tree = before
                return "ENOSPC"
            self.tell(effects, before)
            return reply
        if transaction not in client.transactions:
            return "ENOENT"
        tree, asked = client.transactions[transaction]
        reply = self.carry_out(tree, client, operation, arguments, [])
        asked.append((operation, arguments, reply))
        return reply

    def start(self, client: Client, transaction: int) -> bytes | str:
        if transaction:
            return "EBUSY" if transaction in client.transactions else "ENOENT"
        if client.limits and len(client.transactions) >= client.limits["transactions"]:
            return "ENOSPC"
        number, client.next_id = client.next_id, client.next_id + 1
        client.transactions[number] = (dict(self.tree), [])
        return b"%d\0" % number

    def end(self, client: Client, transaction: int, commit: bool) -> bytes | str:
        if transaction not in client.transactions:
            return "ENOENT"
        _, asked = client.transactions.pop(transaction)
        if not commit:
            return b"OK\0"
        tree, effects = dict(self.tree), []
        for operation, arguments, reply in asked:
            if self.carry_out(tree, client, operation, arguments, effects) != reply:
                return "EAGAIN"
        if self.is_over(client, self.tree, tree):
            return "ENOSPC"
        before, self.tree = self.tree, tree
        self.tell(effects, before)
        return b"OK\0"

    def is_over(self, client: Client, before: Tree, after: Tree) -> bool:
        """Whether a change makes a guest have more nodes, and more than it may."""
        now = owned(after, client.domid)
        return bool(client.limits) and owned(before, client.domid) < now > client.limits["nodes"]

    def fits(self, tree: Tree, client: Client, path: str, entries: tuple[bytes, ...], size: int) -> bool:
        """Whether a guest's node is small enough with this list and these bytes beside the names below it."""
        names = [other for other in tree if other != "/" and above(other) == path]
        size += 16 + 8 * len(entries) + sum(len(name) - name.rfind("/") for name in names)
        return not client.limits or size <= client.limits["node-size"]

    def carry_out(self, tree: Tree, client: Client, operation: str, arguments: tuple, effects: list) -> bytes | str:
        path = arguments[0]
        if operation == "SET_PERMS":
            entries = arguments[1]
            if client.limits and len(entries) > client.limits["node-permissions"]:
                return "ENOSPC"
            if int(entries[0][1:]) in self.nobody:
                return "ENOENT"
            marked = (entry.upper() if int(entry[1:]) in self.nobody else entry for entry in entries[1:])
            arguments = (path, (entries[0], *marked))
        if operation == "RM" and path == "/":
            return "EINVAL"
        right = "w" if operation in {"WRITE", "MKDIR", "RM", "SET_PERMS"} else "r"
        there = path in tree
        judged = path
        while judged not in tree:
            judged = above(judged)
        if not can(client, tree[judged][1], right):
            return "EACCES"
        if operation == "READ":
            return tree[path][0] if there else "ENOENT"
        if operation == "GET_PERMS":
            return b"".join(entry.lower() + b"\0" for entry in tree[path][1]) if there else "ENOENT"
        if operation == "DIRECTORY":
            names = sorted(other.rpartition("/")[2] for other in tree if other != "/" and above(other) == path)
            return b"".join(name.encode() + b"\0" for name in names) if there else "ENOENT"
        if operation == "SET_PERMS":
            return self.permit(tree, client, path, arguments[1], effects)
        if operation == "RM":
            if not there:
                return b"OK\0" if above(path) in tree else "ENOENT"
            for other in list(tree):
                if (levels(path, other) or 0) > 0 or other == path:
                    del tree[other]
            effects.append((path, True))
            return b"OK\0"
        if there:
            if operation == "WRITE":
                if not self.fits(tree, client, path, tree[path][1], len(arguments[1])):
                    return "ENOSPC"
                tree[path] = (arguments[1], tree[path][1])
                effects.append((path, False))
            return b"OK\0"
        entries = tree[judged][1]
        if not client.privileged:
            entries = (entries[0][:1] + b"%d" % client.domid, *entries[1:])
        own = 16 + 8 * len(entries) + (len(arguments[1]) if operation == "WRITE" else 0)
        name = (path if judged == "/" else path[len(judged) :]).split("/")[1]
        grown = len(tree[judged][0]) + len(name) + 1
        parent = tree[judged][1]
        if client.limits and (own > client.limits["node-size"] or not self.fits(tree, client, judged, parent, grown)):
            return "ENOSPC"
        made = path
        while made != judged:
            tree[made] = (arguments[1] if operation == "WRITE" and made == path else b"", entries)
            made = above(made)
        effects.append((path, False))
        return b"OK\0"

    def permit(self, tree: Tree, client: Client, path: str, entries: tuple[bytes, ...], effects: list) -> bytes | str:
        if path not in tree:
            return "ENOENT"
        if not client.privileged:
            if not owns(client, tree[path][1]):
                return "EACCES"
            if entries[0][1:] != tree[path][1][0][1:]:
                return "EPERM"
            if not self.fits(tree, client, path, entries, len(tree[path][0])):
                return "ENOSPC"
        tree[path] = (tree[path][0], entries)
        effects.append((path, False))
        return b"OK\0"

    def watch(self, client: Client, path: str, token: bytes, depth: int | None, strip: int) -> bytes | str:
        if any((watch.client, watch.path, watch.token) == (client, path, token) for watch in self.watches):
            return "EEXIST"
        if client.limits and sum(watch.client is client for watch in self.watches) >= client.limits["watches"]:
            return "ENOSPC"
        self.watches.append(Watch(client, path, token, depth, strip))
        client.late.append((path[strip:].encode(), token))
        return b"OK\0"

    def unwatch(self, client: Client, path: str, token: bytes) -> bytes | str:
        for watch in self.watches:
            if (watch.client, watch.path, watch.token) == (client, path, token):
                self.watches.remove(watch)
                return b"OK\0"
        return "ENOENT"

    def tell(self, effects: list[tuple[str, bool]], before: Tree) -> None:
        """The net effect: each path that was named once, in the order of first naming."""
        merged: dict[str, bool] = {}
        for path, removed in effects:
            merged[path] = merged.get(path, False) or removed
        after, told = self.tree, set()
        for path, removed in merged.items():
            if removed:
                gone = {place for place in before if place not in after and (levels(path, place) or 0) > 0}
                for place in sorted(gone - told, key=lambda place: _deepest_first(place, gone)):
                    for watch in self.watches:
                        if watch.path == place:
                            self.deliver(watch, place, before)
            if path in after or path in before:
                told.add(path)
                for watch in self.watches:
                    distance = levels(watch.path, path)
                    if distance is not None and (watch.depth is None or distance <= watch.depth):
                        self.deliver(watch, path, before)

    def deliver(self, watch: Watch, path: str, before: Tree) -> None:
        client = watch.client
        now = self.tree if path in self.tree else before
        seen = [now.get(path), now.get(above(path)), before.get(path)]
        if not client.privileged and not any(node is not None and can(client, node[1], "r") for node in seen):
            return
        event = (path[watch.strip :].encode(), watch.token)
        if event not in client.events:
            client.events.append(event)


def _deepest_first(place: str, _: set[str]) -> tuple:
    """A key that puts what is below a place before it, and siblings by name."""
    return (*((0, part) for part in place.split("/")[1:]), (1, ""))
