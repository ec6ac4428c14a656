"""Break what lets a daemon go on where another was, one rule at a time, and see which test catches it.

    python bench/takeovers.py [--only WORDS] [--since WORDS] [--list]

As bench/attacks.py, for live updates, the stream, the recovery from kill -9, the count of accounts, and supervision.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds the package it lies beside

from bench import attacks
from bench.attacks import Attack

COUNT, STATE, CODEC = "daemon/test_counting.py", "stream/test_state.py daemon/test_state.py", "stream/test_codec.py"
UPDATE, WRITTEN = "daemon/test_live_update.py", "recovery/test_written_down.py"
INHERITED = "recovery/test_inherited.py"
UNDER, DEATHS = "daemon/test_supervision.py", "recovery/test_torture.py"

TAKEOVERS = (
    Attack("the count is of a later tree", "engine/counting.py", "self._snapshot.tree.descend", "self._daemon.head.tree.descend", COUNT),
    Attack("a count that failed goes on", "engine/counting.py", "            self._begin()\n            raise", "            raise", COUNT),
    Attack("nobody waits for the count", "engine/counting.py", "            return kind in _GUESTS\n", "            return False\n", COUNT),
    Attack("a toolstack does not wait for the count", "engine/counting.py", "        return kind in _TOOLSTACK\n", "        return False\n", COUNT),
    Attack("who waits is forgotten", "engine/daemon.py", "            self.flow.resumed += counting.waited()\n", "", COUNT),
    Attack("the dead are buried before they are counted", "engine/lives.py", "            if daemon.counting is not None:\n                continue\n", "", COUNT),
    Attack("a newcomer inherits before the count", "engine/lives.py", "        if daemon.counting is not None:\n            return None\n", "", COUNT),
    Attack("the dead stay after the count", "engine/daemon.py", "            self.flow.resumed += counting.waited()\n            lives.scan(self)\n", "            self.flow.resumed += counting.waited()\n", COUNT),
    Attack("places are not tallied", "engine/accounts.py", "            places[place] = places.get(place, 0) + 1\n", "", COUNT),
    Attack("bytes of nodes are not kept apart", "engine/domains.py", "return Charged(self.usage.nodes, self.stored,", "return Charged(self.usage.nodes, self.usage.memory,", f"{COUNT} {STATE}"),
    Attack("what is not counted is told as if it were", "engine/state.py", "    charged = handed and daemon.counting is None\n", "    charged = handed\n", STATE),
    Attack("what was told is counted again", "engine/daemon.py", "        if not believed:\n", "        if True:\n", f"{COUNT} {STATE}"),
    Attack("what is asked again may be answered otherwise", "engine/repeating.py", "    return all(same)\n", "    return True\n", STATE),
    Attack("who moves is charged twice", "engine/transactions.py", "ended, self._ended = self._ended, True", "ended, self._ended = self._ended, self._ended", "daemon/test_moving.py"),
    Attack("used transactions go on", "engine/state.py", "        opened.doomed = known.used\n", "", STATE),
    Attack("requests that wait are dropped", "engine/state.py", "    connection.reader.feed(client.input)\n", "", STATE),
    Attack("a message that was begun is begun again", "engine/state.py", "connection.resume_output(client.output, begun=client.begun)", "connection.resume_output(client.output, begun=False)", STATE),
    Attack("targets are dropped", "engine/state.py", "            daemon.domains.aim(domain, daemon.domains.record(target))\n", "            pass\n", STATE),
    Attack("watches lose their order", "engine/state.py", "        key=lambda watch: watch.serial,\n", "        key=lambda watch: -watch.serial,\n", STATE),
    Attack("limits that are alike are read of another order", "stream/reading.py", "    alike = body.order, count, body.rest\n", '    alike = "", count, body.rest\n', CODEC),
    Attack("lists that are alike are read of another order", "stream/reading.py", "    alike = body.order, body.ahead(4 * count)\n", '    alike = "", body.ahead(4 * count)\n', CODEC),
    Attack("more bytes than there are", "stream/reading.py", "        if begin + count > self._end:\n", "        if begin + count > len(self._data):\n", CODEC),
    Attack("a string may hold NULs", "stream/reading.py", "        if not count or found.find(0) != count - 1:\n", "        if not count:\n", CODEC),
    Attack("bytes after a record's fields", "stream/reading.py", "        if self.left >= records.ALIGNMENT:\n", "        if False:\n", CODEC),
    Attack("a node without its parent", "stream/incoming.py", "parent(path) not in self.nodes", "False", STATE),
    Attack("a path of odd bytes below one that is there", "stream/incoming.py", " and plain(name) and ", " and ", f"{STATE} {CODEC}"),
    Attack("a connection comes twice", "stream/incoming.py", "        if record.identifier in self._connections or record.identifier in self._rings:\n", "        if False:\n", STATE),
    Attack("C gets a confined client", "stream/outgoing.py", "(everybody or client.privileged)", "True", STATE),
    Attack("C gets no ring of domain 0", "cli/updating.py", "not (update.ours or own.introduced)", "False", UPDATE),
    Attack("a store's tree does not go to one in memory", "cli/updating.py", " or lossy or other\n", " or lossy\n", UPDATE),
    Attack("what was kept is left to one in memory", "cli/updating.py", "None if update.ours and not forgets else", "None if update.ours else", UPDATE),
    Attack("what was let go of is not taken back", "cli/updating.py", "                keeping.stay(server.clients)\n", "                pass\n", UPDATE),
    Attack("a line that is not whole counts", "recovery/log.py", '    if crc != b"%08x" % zlib.crc32(batch):\n        return None\n', "", WRITTEN),
    Attack("a change counts before its size", "recovery/turn.py", "zlib.crc32(data) != self._sizes[(at >> 2) + 1]", "False", WRITTEN),
    Attack("who was in a system call goes on", "recovery/going_on.py", " or known.serial == found.doubtful", "", DEATHS),
    Attack("changes are not told again", "engine/daemon.py", "            tell_again(self, told)\n", "", DEATHS),
    Attack("a ring with something to send is in columns", "engine/columns.py", "        and not connection.output\n", "", STATE),
    Attack("a ring in a transaction is in columns", "engine/columns.py", "        and not connection.transactions\n", "", STATE),
    Attack("limits of columns are dropped", "engine/state.py", "            domain.limits.update(kinds[kind])\n", "            pass\n", STATE),
    Attack("a ring of columns begins at 0", "engine/state.py", "            connection.reader = FrameReader(connection.let_go % _INDEXES)\n", "            pass\n", INHERITED),
    Attack("rooms of who is there are given away", "recovery/words.py", "if not taken[number]]", "if taken[number] >= 0]", INHERITED),
    Attack("positions of sockets wrap", "recovery/left.py", "ahead if client.ring else sub", "ahead", INHERITED),
    Attack("what does not fit is gone on with", "recovery/inherited.py", "            self.whole = False\n            return\n", "            return\n", INHERITED),
    Attack("what is written down is of any generation", "recovery/inherited.py", "        if log.generation(directory / log.NAME) != generation:\n", "        if False:\n", INHERITED),
    Attack("a ring is not set where it was", "transport/unmapped.py", "            ring.resume(*self._indexes)\n", "            pass\n", INHERITED),
    Attack("a domain comes to C after a node that names it", "stream/stages.py", "max(named, default=0)", "0", STATE),
    Attack("a node comes to C before its parent", "stream/stages.py", "        stage = max(stage, stages.get(_above(node), 0))\n", "", STATE),
    Attack("READY is not told after an update", "cli/serving.py", '    notify("READY=1")\n', "", UNDER),
    Attack("a reload does not say since when", "cli/notify.py", 'RELOADING=1\\nMONOTONIC_USEC={time.monotonic_ns() // 1000}', "RELOADING=1", f"{UNDER} daemon/test_unit.py"),
    Attack("the store of descriptors is not emptied", "recovery/keeping.py", 'self._tell(f"FDSTOREREMOVE=1\\nFDNAME={_named(key)}", [])', "pass", UNDER),
    Attack("limits are lowered", "cli/limits.py", "        if limits[0] <= soft:\n            return\n", "", UNDER),
    Attack("a score that was chosen is changed", "cli/limits.py", "        if int(_SCORE.read_text()) == 0:\n", "        if True:\n", UNDER),
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(attacks.main(TAKEOVERS, __doc__))
