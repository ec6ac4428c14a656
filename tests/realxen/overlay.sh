#!/bin/bash
# overlay.sh DIR
# Makes in DIR what a Debian 12 host needs over its root: the project and what it depends on for CPython 3.11 under
# usr/local/lib/python3.11/dist-packages, its programs under usr/local/bin, its unit under etc/systemd/system.
# PYTHON (default: .venv/bin/python) has pip and setuptools; where pip finds packages is its own configuration.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
OVERLAY=${1:?DIR}
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
PACKAGES=$OVERLAY/usr/local/lib/python3.11/dist-packages
mkdir -p "$PACKAGES" "$OVERLAY/usr/local/bin" "$OVERLAY/etc/systemd/system"

rm -rf "$ROOT"/build/lib "$ROOT"/build/bdist.*  # what an earlier build left would be taken along
wheels=$(mktemp -d); trap 'rm -rf "$wheels"' EXIT
"$PYTHON" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$wheels" "$ROOT"
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-warn-script-location --upgrade --target "$PACKAGES" \
  --only-binary=:all: --implementation cp --python-version 3.11 --platform manylinux2014_x86_64 \
  --platform manylinux_2_28_x86_64 "$wheels"/*.whl
rm -rf "$PACKAGES/bin"

"$PYTHON" - "$ROOT/pyproject.toml" "$OVERLAY/usr/local/bin" <<'PROGRAMS'
import sys, tomllib
from pathlib import Path
scripts = tomllib.loads(Path(sys.argv[1]).read_text())["project"]["scripts"]
for name, place in scripts.items():
    module, function = place.split(":")
    path = Path(sys.argv[2]) / name
    path.write_text(f"#!/usr/bin/python3\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    path.chmod(0o755)
PROGRAMS
PYTHONPATH=$PACKAGES "$PYTHON" -m xsadapter install-unit --directory "$OVERLAY/etc/systemd/system" --programs /usr/local/bin >/dev/null
