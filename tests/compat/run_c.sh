#!/bin/bash
# run_c.sh DIR [options]: Debian's C xenstored in the foreground, its socket at DIR/socket (install.sh first).
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd); shift
rm -f "$D/socket" "$D/evtchn"
export FAKEXEN_DIR=$D XENSTORED_RUNDIR=$D XENSTORED_ROOTDIR=$D XENSTORED_PATH=$D/socket
export LD_PRELOAD=${FAKEXEN_SO:-${RRDSTORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rrdstore}/fakexen.so}
exec /usr/lib/xen-4.17/bin/xenstored --no-fork --pid-file "$D/xenstored.pid" "$@"
