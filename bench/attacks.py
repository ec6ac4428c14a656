"""Break what protects the daemon from its guests, one rule at a time, and see which test catches it.

    python bench/attacks.py [--only WORDS] [--since WORDS] [--list]

As bench/mutants.py, for the rules of `xsadapter`: each mutation is made in a copy of the project, where the tests that
are to catch it run. Prints a row for each; ends with 1 if one survives, or if the text it changes is not there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

from bench.mutants import ROOT, copied, failing


@dataclass(frozen=True)
class Attack:
    name: str
    file: str
    """Below xsadapter/."""
    old: str
    new: str
    tests: str
    """Below tests/."""


PAGE = "security/test_hostile_page.py security/test_rules.py daemon/test_ring.py security/test_advisories_ring.py"
RING, IDENTITY = "security/test_advisories_ring.py", "security/test_advisories_identity.py"
CONFINED, TRAIL, AUDIT = "daemon/test_confined.py", "daemon/test_trail.py", "daemon/test_audit.py"
MEMORY, RULES = "security/test_advisories_memory.py", "security/test_rules.py"
CROWDS = "security/test_crowds.py"

ATTACKS = (
    Attack("indexes are masked, not judged", "engine/ring.py", "if used > HALF:", "if used > 2**40:", PAGE),
    Attack("a full ring is refused", "engine/ring.py", "if used > HALF:", "if used >= HALF:", PAGE),
    Attack("the producer is loaded twice", "engine/ring.py", '        count = min(used - skip, most)\n', '        count = min(((words[_REQ_PROD] - consumer) & _WRAP) - skip, most)\n', PAGE),
    Attack("room is given back before the bytes are copied", "engine/ring.py", "        data = bytes(self._bytes[start : start + first])\n", "        words[_REQ_CONS] = (consumer + count) & _WRAP\n        data = bytes(self._bytes[start : start + first])\n", PAGE),
    Attack("a ring that ended is read", "transport/ring.py", "        if connection.closed:\n            return False\n", "", RING),
    Attack("the largest request is never whole", "transport/ring.py", "if pending < FRAME_MAX else", "if pending < 4096 else", "daemon/test_hub.py security"),
    Attack("an ignored ring is read", "transport/ring.py", "        if connection.ignored or connection.stalled:\n            return False\n        reader", "        if connection.stalled:\n            return False\n        reader", PAGE),
    Attack("a broken ring is forgotten", "engine/daemon.py", "        connection.ignored = True\n", "        self.disconnect(connection)\n", RING),
    Attack("a length is signed", "wire.py", 'struct.Struct("=4I")', 'struct.Struct("=3Ii")', RING),
    Attack("replies of any length", "engine/connection.py", "if len(payload) > PAYLOAD_MAX:\n            kind", "if len(payload) > 9999:\n            kind", "security daemon/test_connection.py"),
    Attack("events of any length", "engine/connection.py", "        if len(payload) > PAYLOAD_MAX:\n            return\n", "", MEMORY),
    Attack("equal events are queued again", "engine/connection.py", "            if payload in self.queued_events:\n                return\n", "", RING),
    Attack("events do not count as outstanding", "engine/connection.py", "self._queue_event(message, flow.cause)", "self._queue_event(message, None)", RING),
    Attack("what was not read in time stays", "engine/connection.py", "and 0 < message.until <= now", "and 0 < message.until <= now - 99", MEMORY),
    Attack("a guest full of nodes is not read", "engine/guest.py", "usage.memory >= memory and self.output)", "usage.memory >= memory)", MEMORY),
    Attack("any number outstanding", "engine/guest.py", "(outstanding and usage.outstanding >= outstanding)", "(outstanding and usage.outstanding >= 99999)", "security/test_advisories_memory.py security/test_advisories_ring.py"),
    Attack("watches are told to everybody", "engine/events.py", "connection in late or not self.may_see(connection.identities)", "connection in late", IDENTITY),
    Attack("special watches are told to everybody", "engine/specials.py", "    if connection.privileged:\n", "    if connection:\n", IDENTITY),
    Attack("nested removals look everywhere again", "engine/watches.py", "        looked.add(id(place))\n", "", MEMORY),
    Attack("visibility is judged for each watch", "engine/events.py", "verdict = self._verdicts.get(identities)", "verdict = None", MEMORY),
    Attack("the transaction of a WATCH counts", "operations.py", 'arguments.strings(2, 3), False, _IGNORED, "watch"', 'arguments.strings(2, 3), False, _LOOKED_UP, "watch"', IDENTITY),
    Attack("privileged operations are everybody's", "engine/daemon.py", "if operation.privileged and not connection.privileged:", "if False:", RULES),
    Attack("unique ids are not compared", "engine/lives.py", "if known is not None and domid and (life is None or life.unique != known.unique):", "if known is not None and domid and life is None:", IDENTITY),
    Attack("a scan compares no unique ids", "engine/lives.py", "if life is None or life.unique != domain.unique:\n            if daemon", "if life is None:\n            if daemon", "security/test_advisories_identity.py security/test_rules.py daemon/test_domains.py"),
    Attack("a domain's entries outlive it", "engine/lives.py", "        elif domain.domid in listed(node.meta).named:\n", "        elif False:\n", IDENTITY),
    Attack("only the home goes", "engine/lives.py", "        if whole(place, domain):\n", "        if not place.startswith(domain.home):\n            continue\n        if whole(place, domain):\n", IDENTITY),
    Attack("entries for nobody count", "engine/permissions.py", "        if not entry.stale and (entry.domid in identities", "        if (entry.domid in identities", IDENTITY),
    Attack("nobody is kept in mind", "engine/permissions.py", "for entry in entries if not entry.stale))", "for entry in entries))", IDENTITY),
    Attack("a servant that died stays one", "engine/lives.py", "    daemon.domains.aim(domain, None)\n", "", IDENTITY),
    Attack("a target that died stays one", "engine/lives.py", "        daemon.domains.aim(daemon.domains.record(domid), None)\n", "        pass\n", IDENTITY),
    Attack("rights are not judged again at the END", "engine/transactions.py", "if self._connection.identities == self._identities and", "if", IDENTITY),
    Attack("guests give nodes away", "commands/permissions.py", '        if entries[0].domid != permissions.owner(node.meta):\n            raise RequestError("EPERM")\n', "", IDENTITY),
    Attack("the root's list is nobody's business", "commands/permissions.py", "        if not permissions.owns(node.meta, connection.identities):", '        if place != "/" and not permissions.owns(node.meta, connection.identities):', IDENTITY),
    Attack("the root goes with its owner", "engine/lives.py", ' and path != "/" and not keep', " and not keep", IDENTITY),
    Attack("nodes are counted when they are not made", "engine/view.py", "zip(made, along(self._head.tree, made), strict=True):", "zip(made * 2, along(self._head.tree, made * 2), strict=True):", MEMORY),
    Attack("only the last of new nodes is counted", "engine/view.py", "        for each, node in zip(made, along(self._head.tree, made), strict=True):\n", "        for each, node in zip(made[-1:], along(self._head.tree, made[-1:]), strict=True):\n", MEMORY),
    Attack("a removal is not counted below", "engine/view.py", "        for gone, node in before.descend(path):\n", "        for gone, node in ((path, before.stat(path)),):\n", "security/test_advisories_memory.py daemon/test_accounts.py"),
    Attack("accounts are settled before the commit", "engine/view.py", "            head.moved(head.branch.set(path, value, None", "            head.accounts.grew(old.meta, 1)\n            head.moved(head.branch.set(path, value, None", "security/test_rules.py daemon/test_accounts.py"),
    Attack("a failed transaction commits what it can", "engine/transactions.py", "            if self._poisoned:\n", "            if False:\n", MEMORY),
    Attack("nodes are not judged at the END", "engine/transactions.py", "                if not done._is_borne():", "                if False:", MEMORY),
    Attack("made and removed counts at the END", "engine/bearing.py", "_is_owned(after, domid) and not _is_owned", "not _is_owned", MEMORY),
    Attack("requests of a transaction are free", "engine/transactions.py", "            self._charge(more)\n", "", MEMORY),
    Attack("a message that waits takes no more than its bytes", "engine/guest.py", "self.domain.charge(_KEPT + len(message))", "self.domain.charge(len(message))", MEMORY),
    Attack("events that are dropped are made", "engine/guest.py", "        if not memory or self.domain.usage.memory + _KEPT + HEADER_SIZE + len(path) + len(token) + 2 <= memory:\n", "        if True:\n", "security/test_crowds.py"),
    Attack("nested removals are counted again and again", "engine/bearing.py", "for top in topmost(path for path in gone if path in now)", "for top in (path for path in gone if path in now)", MEMORY),
    Attack("a request takes no more than its bytes", "engine/transactions.py", "more = REQUEST + size + ", "more = 16 + size + ", MEMORY),
    Attack("transactions of guests never give way", "commands/transactions.py", "    if 4 * taken >= 3 * most:\n", "    if False:\n", MEMORY),
    Attack("a transaction without a snapshot is asked", "engine/transactions.py", "        if self.gave_way:\n            raise RequestError(\"EAGAIN\")\n", "", MEMORY),
    Attack("answers of a transaction are free", "engine/transactions.py", "        self._charge(len(reply))\n", "", MEMORY),
    Attack("an END settles from before its replay", "engine/transactions.py", "            done = self._replayed(paths)\n            before = self._head.still()\n", "            before = self._head.still()\n            done = self._replayed(paths)\n", "security"),
    Attack("a transaction outlives its connection", "engine/transactions.py", "if not all(self._same(again)) or self._connection.closed:", "if not all(self._same(again)):", RING),
    Attack("one commit tells any number at once", "engine/telling.py", "AT_ONCE: Final = 256", "AT_ONCE: Final = 1 << 60", CROWDS),
    Attack("what a guest does not read is made", "engine/telling.py", "MADE: Final = 32", "MADE: Final = 1 << 60", CROWDS),
    Attack("what waits to be told waits again", "engine/guest.py", "telling.key in self._untold or ", "", CROWDS),
    Attack("a guest that is behind is read", "engine/guest.py", "            or self.behind\n", "", CROWDS),
    Attack("an answer overtakes what is told later", "engine/guest.py", "while self.behind and not self.closed:", "while False:", CROWDS),
    Attack("what is told later is told to everybody", "engine/telling.py", "if change.may_see(connection.identities):", "if True:", CROWDS),
    Attack("what is owed to a guest is nobody's memory", "engine/guest.py", "        self.domain.charge(cost)\n", "", CROWDS),
    Attack("a port never rests", "bells.py", "if client is None or vain < PATIENCE or", "if True or vain < PATIENCE or", "security/test_bells.py"),
    Attack("a port that notified in vain is not forgiven", "bells.py", "vain - 2, now", "vain, now", "security/test_bells.py"),
    Attack("a removal looks at all that is watched", "engine/watches.py", "if tree is None or len(below) < _FEW:", "if True:", CROWDS),
    Attack("a removal forgets some that were there", "engine/watches.py", "    if node.children < len(below):\n", "    if node.children < 3:\n        return []\n    if node.children < len(below):\n", CROWDS),
    Attack("a deep request counts as any", "engine/transactions.py", "_DEEPER: Final = 3", "_DEEPER: Final = 0", MEMORY),
    Attack("any number come by a client socket", "transport/listener.py", "        if due > now:\n", "        if False:\n", CONFINED),
    Attack("answers go to a connection that ended", "engine/connection.py", "        if self.closed:\n            self.late.clear()\n            return\n", "", "security/test_advisories_ring.py security"),
    Attack("relative paths are judged as they are", "commands/access.py", "        if len(path) - (home.end() if home else 0) > limit:", "        if len(path) - (home.end() if home else 0) > limit + 1:", "security/test_advisories_paths.py"),
    Attack("a trailing slash passes", "paths.py", 'rb"/|(?:/[A-Za-z0-9_@-]+)+")', 'rb"/|(?:/[A-Za-z0-9_@-]+)+/?")', "security/test_advisories_paths.py"),
    Attack("signs pass", "arguments.py", "if not text.isdigit() or", "if not text.lstrip(b'-+ ').isdigit() or", RULES),
    Attack("absent is told", "commands/access.py", '        if not allows(above.meta, connection.identities, rights):\n            raise RequestError("EACCES")\n        return None\n', "        return None\n", RULES),
    Attack("claims grow", "engine/turns.py", "lost if len(claim.paths) + len(lost) > _PATHS else claim.paths | lost", "claim.paths | lost", MEMORY),
    Attack("turns do not protect", "engine/turns.py", "        raise Later\n", "", "security/test_advisories_memory.py daemon/test_turns.py"),
    Attack("everything is logged", "engine/flow.py", "    due = not domain.domid or last is None", "    due = True or last is None", RULES),
    Attack("log lines have bytes of guests", "engine/notices.py", "if 32 <= byte < 127 and byte != 92", "if byte", RULES),
    Attack("watches of a reset stay", "engine/daemon.py", "        self.watches.remove_all(connection)\n", "", MEMORY),
    Attack("transactions of a reset stay", "engine/daemon.py", "            transaction.abort()\n", "            pass\n", "security daemon/test_accounts.py"),
    Attack("the socket is closed to others too late", "transport/socket.py", "before = os.umask(0o177)", "before = os.umask(0)", RULES),
    Attack("quotas begin off", "engine/quotas.py", "quota.name: quota.default for quota in QUOTAS.values()", "quota.name: 0 for quota in QUOTAS.values()", RULES),
    Attack("clients confined to a domain have a turn each", "rounds.py", "if client.connection.domid in served or ready", "if ready", CONFINED),
    Attack("confined clients take a whole turn", "rounds.py", "if alone or not ready:", "if not ready:", "daemon/test_rounds.py"),
    Attack("any user comes in", "transport/listener.py", "if confined.uid is not None and who.uid != confined.uid:", "if False:", CONFINED),
    Attack("any number comes in", "transport/listener.py", "self.clients >= _CONFINED_MAX", "False", CONFINED),
    Attack("nobody comes in again", "transport/listener.py", "        if listener.full:\n            self._poll.modify(listener.socket, select.EPOLLIN)\n        listener.clients", "        listener.clients", CONFINED),
    Attack("who is confined is not", "engine/lives.py", "connection = daemon.connect(peer, domid, privileged=False)", "connection = daemon.connect(peer, domid)", CONFINED),
    Attack("clients outlive their domain", "engine/lives.py", "        daemon.disconnect(client)\n", "        pass\n", CONFINED),
    Attack("their sockets outlive it", "engine/lives.py", "        daemon.flow.ended.append(client)\n", "", CONFINED),
    Attack("clients that went are remembered", "engine/daemon.py", "            connection.domain.clients.discard(connection)\n", "", CONFINED),
    Attack("targets are the ring's alone", "engine/domains.py", "(domain.connection, *domain.clients)", "(domain.connection,)", CONFINED),
    Attack("who has too much outstanding is read", "transport/stream.py", " or connection.stalled\n", "\n", CONFINED),
    Attack("who has too much outstanding is served", "transport/stream.py", " or (self.confined and connection.stalled)", "", CONFINED),
    Attack("who waits for a turn is read", "transport/stream.py", "connection.held is not None", "False", CONFINED),
    Attack("a client socket is the daemon's", "transport/socket.py", "os.chown(path, client.uid, -1)", "pass", CONFINED),
    Attack("a bad frame fills the log", "engine/daemon.py", 'if is_due(connection.domain, "broke", self.flow):', "if True:", CONFINED),
    Attack("changes before a transaction are sides of its conflict", "engine/trail.py", "found.time >= began", "True", TRAIL),
    Attack("whatever lies above is a side", "engine/trail.py", "change.operation == _REMOVED", "True", TRAIL),
    Attack("the trail remembers for ever", "engine/trail.py", "if len(known) > _RECENT:", "if False:", TRAIL),
    Attack("guests' records are not marked", "engine/trail.py", "Record(not connection.privileged,", "Record(False,", TRAIL),
    Attack("refusals fill the log", "engine/trail.py", "if pace.told > _REFUSALS:", "if False:", TRAIL),
    Attack("what was forbidden is not told", "engine/trail.py", "_FORBIDDEN: Final = {\"EACCES\", \"EPERM\"}", "_FORBIDDEN: Final = {\"EPERM\"}", TRAIL),
    Attack("everything refused is told", "engine/trail.py", "elif error.name in _FORBIDDEN and not connection.privileged:", "elif True:", TRAIL),
    Attack("whole payloads are recorded", "engine/trail.py", "escaped(payload[:_SHOWN])", "escaped(payload)", TRAIL),
    Attack("records without a place", "engine/trail.py", "self.on = on and self.sink.ready", "self.on = on", TRAIL),
    Attack("lines are not ASCII", "audit.py", "ensure_ascii=True", "ensure_ascii=False", AUDIT),
    Attack("files grow", "audit.py", "self._used += written", "pass", AUDIT),
    Attack("half a line stays", "audit.py", "os.ftruncate(self._descriptor, self._used)", "pass", AUDIT),
    Attack("links are followed", "audit.py", " | os.O_NOFOLLOW", "", AUDIT),
    Attack("pipes are written", "audit.py", "if not stat.S_ISREG(", "if False and not stat.S_ISREG(", AUDIT),
    Attack("guests write beside the toolstack", "audit.py", "if record.guest is bool(guest)", "if True", AUDIT),
    Attack("another size does not hold", "audit.py", "if size > room:", "if False:", AUDIT),
    Attack("a line longer than a file", "audit.py", "if len(each) > self._most or not", "if not", AUDIT),
    Attack("a page that was cut is the end", "transport/page.py", "if mapping is None or _libc.mmap", "if True or _libc.mmap", "daemon/test_hub.py"),
    Attack("a page that was cut is as good as any", "engine/ring.py", "        if self._vanished():\n", "        if False:\n", "daemon/test_hub.py"),
    Attack("a page that was cut is not mapped again", "transport/hub.py", "        if page is None or page.vanished:\n", "        if False:\n", "daemon/test_hub.py"),
    Attack("levels are made one by one", "engine/view.py", "change.set(path, value, meta=meta, parents=meta)", "[change.set(each, value if each == path else b'', meta=meta) for each in made]", "security/test_extremes.py"),
    Attack("levels are looked for one by one", "engine/view.py", "        if run and not path.startswith(f\"{run[-1]}/\"):\n", "        if run:\n", "security/test_extremes.py"),
    Attack("soft memory is not told", "engine/domains.py", "if self.domid and (0 < self.limits", "if False and (0 < self.limits", "daemon/test_quotas.py"),
    Attack("soft memory is told at any pace", "engine/daemon.py", " and is_due(domain, \"soft-memory\", self.flow)", "", "daemon/test_quotas.py"),
    Attack("quotas of the command line are forgotten", "cli/serving.py", "Daemon(store, xen, bounds.quotas, indexes)", "Daemon(store, xen, indexes=indexes)", "daemon/test_cli.py"),
    Attack("orphans go though they are to stay", "cli/serving.py", "    daemon.keep_orphans = bounds.keep_orphans\n", "", "daemon/test_cli.py"),
    Attack("a timeout of the command line is forgotten", "cli/serving.py", "daemon.flow.event_timeout = bounds.event_timeout", "pass", "daemon/test_cli.py"),
    Attack("a longer list is borne by no quota", "commands/permissions.py", "        bearing.bear(connection, view, place, packed, node.value, node)\n", "", "daemon/test_quotas.py security/test_serial.py"),
    Attack("a longer list takes no memory", "engine/bearing.py", "    growth = own - NODE - ENTRY * len(entries(old.meta)) - len(old.value)\n", "    growth = len(value) - len(old.value)\n", "daemon/test_quotas.py"),
    Attack("listings of the past are made for each part", "commands/history.py", "        daemon.past_listings[key] = found\n", "", "daemon/test_control.py"),
    Attack("answers come before the log", "server.py", "            self._write_down()\n        if flow.waiting", "            pass\n        if flow.waiting", AUDIT),
)  # fmt: skip


def missing(attack: Attack) -> str:
    """What is wrong with the text that it changes; empty if nothing is."""
    found = (ROOT / "xsadapter" / attack.file).read_text().count(attack.old)
    return "" if found == 1 else f"{attack.name}: {found} times in {attack.file}: {attack.old!r}"


def caught(attack: Attack) -> str:
    """The first test that fails, "" for none."""
    with tempfile.TemporaryDirectory(prefix="xsadapter-mutant-") as name:
        folder = Path(name)
        copied(None, folder)
        path = folder / "xsadapter" / attack.file
        path.write_text(path.read_text().replace(attack.old, attack.new))
        return failing(folder, attack.tests.split())


def main(attacks: tuple[Attack, ...] = ATTACKS, about: str = __doc__) -> int:
    given = argparse.ArgumentParser(description=about.split("\n", maxsplit=1)[0])
    given.add_argument("--only", default="", help="those whose name has these words")
    given.add_argument("--since", default="", help="the first whose name has these words, and all behind it")
    given.add_argument("--list", action="store_true", help="only see that each can be made")
    asked = given.parse_args()
    first = next(at for at, each in enumerate(attacks) if asked.since in each.name)
    wanted = [each for each in attacks[first:] if asked.only in each.name]
    wrong = [problem for each in wanted if (problem := missing(each))]
    print("| broken | caught by |\n|---|---|")
    for each in wanted if not asked.list and not wrong else ():
        found = caught(each)
        print(f"| {each.name} | {found.partition('::')[2] or found or '-'} |", flush=True)
        if not found:
            wrong.append(f"{each.name}: no test catches it")
    for problem in wrong:
        print(problem, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
