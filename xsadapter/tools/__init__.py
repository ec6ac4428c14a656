"""The xenstore-* tools: read, write, list, ls, rm, exists, chmod, watch and control, on any xenstore daemon.

Rule: options, output, messages and exit status are those of Debian's xenstore-utils, byte for byte on the
same daemon (tests/compat/test_tools.py runs both), so that a script does not see which it calls. Beside that:
`--at WHEN` on those that read, which asks our daemon for the past; `-d DEPTH` of watch, as newer ones have it;
`chmod -r /`, which the stock one gets wrong.

- program: which tool is meant, the options, the connection, the exit status
- getopt: the words of a command line, cut as glibc does
- kinds: the table of the tools
- nodes, listing, watching, control: what they do
- past: a client of what was
- escaping: values as printable text and back

They work in bytes: whatever a name on the command line or a value holds goes through unchanged. A start costs
what Python's own does, as nothing of the engine or of click is imported.
"""

from xsadapter.tools.program import NAMES, main, run

__all__ = ["NAMES", "main", "run"]
