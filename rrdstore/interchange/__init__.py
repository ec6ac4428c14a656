"""A store as text and back: JSON Lines, for backups, for other sizes, for other programs.

    {"rrdstore":"dump","format":1,"uuid":HEX,"epoch":N,"number":N,"line":N,"size":BYTES,"slots":N}
    {"commit":ID,"epoch":N,"branch":N,"parents":[[N,EPOCH]],"time":MICROS,"wall":MICROS,"author":TEXT,"message":TEXT,
     "thinned":N,"grafts":[N],"authors":{NAME:N},"from":N,"removed":[PATH],
     "set":[[PATH,VALUE,META,CREATED,MODIFIED]]}                                                         by number
    {"branch":NAME,"id":N,"head":N,"fork":N,"upstream":N,"base":N,"keep":POLICY,"rings":BASE64,"older":N,
     "reach":[N,N,N,N],"lease":MICROSECONDS,"until":MICROSECONDS,"digest":HEX}
    {"tag":NAME,"commit":N}
    {"pin":N}
    {"series":TEXT}                                                                            if any are declared
    {"column":N,"path":PATH,"record":BASE64,"cells":[[TIER,BUCKET,KNOWN,AVERAGE,MIN,MAX,BEFORE]]}
    {"end":LINES,"blake3":HEX}

Rule: everything that decides what a store answers goes through, so that the restored one answers the same:
ids, times, authors, thinned counts, grafts, what each node says of its making, merge bases, tombstones.
A commit is the difference from the kept one that it shares with (`from`, 0 for the empty tree): `removed` first,
then `set`, parents before children. Numbers are commits', but for `id` and `upstream`, which are branches', and `line`,
the highest id that a branch ever had; a branch that was deleted has the name "" and lasts while commits of it are
kept. `reach` is what docs/format.md says. VALUE and META are text, or {"base64": ...} where they are not UTF-8. The
last line proves the others. Series are the rows and records that docs/format.md describes, null where a number is
unknown.
Not carried: what only the journal holds is dumped as commits, its opaque parts are not.
"""

from rrdstore.interchange.dump import Dumped, dump
from rrdstore.interchange.restore import load, restore
from rrdstore.interchange.rrd import export_rrd

__all__ = ["Dumped", "dump", "export_rrd", "load", "restore"]
