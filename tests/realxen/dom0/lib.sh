# Sourced by the scenarios, in dom0: what they say and how they look at the daemon. $DAEMON is `ours` or `c`.
. /dom0/xenlib.sh
SCENARIO=/dom0/scenario CONSOLES=/var/log/xen/console SEEN=0
STORE=/var/run/xenstored/history.rrdb

result() { echo "== $*"; }  # the same with every daemon
figure() { echo "-- $*"; }  # a time, or whatever else may differ

start_daemon() {
  case $DAEMON in
    ours) xsadapter-xenstored --pid-file /run/xenstored.pid --size ${SIZE:-64MiB} --keep "last:${LAST:-6000} 1s:1h *:64" --trace-file /out/audit 2>>/out/daemon.log;;
    c) start_cxenstored;;
  esac
}
pid_of_daemon() { cat /run/xenstored.pid; }
cpu() { awk '{ printf "%.2f", ($14 + $15) / 100 }' "/proc/$(pid_of_daemon)/stat"; }

start_host() { # everything but the daemon, which must be there
  [ -s /run/xenstored.pid ] || { tail -5 /out/daemon.log; exit 1; }
  init_dom0 >/dev/null; result "xen-init-dom0 $?"
  start_consoled; result "xenconsoled $?"
  xenstore-watch @introduceDomain @releaseDomain >/tmp/events & wait_for 10 grep -q release /tmp/events
}
events() { # what the toolstack's watches told since the last call
  local told; sleep 2; told=$(tail -n +$((SEEN + 1)) /tmp/events | tr '\n' ' '); SEEN=$(wc -l </tmp/events)
  result "events after $1: $told"
}
create() { # NAME SCRIPT [TYPE]
  local began; mkguest "$2" "/tmp/$1.cpio"; guestcfg "$1" "/tmp/$1.cpio" "/tmp/$1.cfg" "${3:-pv}"
  began=$(now); timeout 120 xl create "/tmp/$1.cfg" >/dev/null 2>"/out/xl-$1.log"; result "xl create $1: $?"
  figure "xl create $1 took $(($(now) - began)) s"
}
log_of() { tr -d '\r' <"$CONSOLES/guest-$1.log" 2>/dev/null; }
said() { # NAME PATTERN [SECONDS]: whether it says so in that time
  local end=$(($(now) + ${3:-0})); until log_of "$1" | grep -aq "$2"; do [ "$(now)" -lt $end ] || return 1; sleep 0.3; done; }
names() { timeout 20 xl list | awk 'NR > 1 { print $1 }' | tr '\n' ' '; }
shown() { result "xl list: $(names)"; }
check() { timeout 200 rrdstore -C $STORE check >/out/check.txt 2>&1; result "rrdstore check: $?"; sed 's/^/-- /' /out/check.txt; }
# A guest that is a kernel of its own, with a number of its own: toy NAME DOMID WHAT
toy() {
  cat >"/tmp/$1.cfg" <<C
name="$1"
type="pvh"
kernel="$SCENARIO/toy"
cmdline="$3"
memory=16
vcpus=1
on_crash="preserve"
on_reboot="restart"
on_soft_reset="preserve"
C
  DOMID=$2 LD_PRELOAD=$SCENARIO/chosen.so timeout 120 xl create "/tmp/$1.cfg" >/dev/null 2>"/out/xl-$1.log"; result "xl create $1: $?"
  said "$1" 'obeys\|asks\|counts' 30 || result "silent: $1"
}
tell() { timeout 20 xenstore-write "/local/domain/$1/data/do" "$2"; }
state() { timeout 20 xl list "$1" | awk 'NR > 1 { print $5 }'; }
in_state() { state "$1" | grep -q "$2"; }
until_so() { # SECS FUNCTION...: as wait_for, of a function of this shell
  local end=$(($(now) + $1)); shift; until "$@"; do [ "$(now)" -lt $end ] || return 1; sleep 0.3; done; }
is_gone() { ! timeout 20 xl list "$1" >/dev/null 2>&1; }
