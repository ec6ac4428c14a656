"""How many branches of the daemon's engine and commands the tests take: `make coverage`.

    python tests/branches.py REPORT.json

Of each folder the share, and each file's branches and lines that no test takes. Fails where it is not above 95 %.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FOLDERS = ("xsadapter/engine", "xsadapter/commands")
LEAST = 95.0


def main(report: str) -> int:
    files = json.loads(Path(report).read_text())["files"]
    worst = 100.0
    for folder in FOLDERS:
        mine = {name: each for name, each in sorted(files.items()) if name.startswith(f"{folder}/")}
        branches = sum(each["summary"]["num_branches"] for each in mine.values())
        missing = sum(each["summary"]["missing_branches"] for each in mine.values())
        share = 100 * (branches - missing) / branches
        worst = min(worst, share)
        print(f"{folder}: {branches - missing} of {branches} branches, {share:.1f} %")
        for name, each in mine.items():
            if each["missing_branches"] or each["missing_lines"]:
                left = ", ".join(f"{here}->{there}" for here, there in each["missing_branches"])
                print(f"  {name}: {left or 'no branch'}; lines {each['missing_lines']}")
    return worst <= LEAST


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
