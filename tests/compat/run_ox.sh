#!/bin/bash
# run_ox.sh DIR [options]: Debian's OCaml xenstored in the foreground, its socket at DIR/socket (install.sh first).
# On SIGTERM it dumps its store to /var/run/xenstored/db and the next one reads that: end it with SIGKILL.
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd); shift
rm -f "$D/socket" "$D/evtchn" /var/run/xenstored/db
export FAKEXEN_DIR=$D
sed -e "s#^pid-file.*#pid-file = $D/ox.pid#" \
    -e "s#^xenstored-kva.*#xenstored-kva = /proc/xen/xsd_kva#" \
    -e "s#^xenstored-port.*#xenstored-port = /proc/xen/xsd_port#" \
    -e "s#^\# xenstored-log-file.*#xenstored-log-file = $D/ox.log#" /etc/xen/oxenstored.conf > "$D/oxenstored.conf"
export LD_PRELOAD=${FAKEXEN_SO:-${RRDSTORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rrdstore}/fakexen.so}
exec /usr/lib/xen-4.17/bin/oxenstored --no-fork --no-access-log --pid-file "$D/oxenstored.pid" \
    --config-file "$D/oxenstored.conf" "$@"
