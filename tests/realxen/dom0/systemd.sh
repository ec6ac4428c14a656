# Our unit under Debian's systemd, which has booted dom0: READY, the descriptor store over a kill, RELOADING, WATCHDOG, stop; then
# Debian's init script for Xen with XENSTORED=, by bash: busybox's shell has a start-stop-daemon of its own, which starts what
# the script only tests for.
. /dom0/scenario/dom0/lib.sh || exit 1
UNIT=xenstored.service PID_FILE=/run/xen/xenstored.pid
pid_of_daemon() { cat $PID_FILE; }
show() { timeout 60 systemctl show $UNIT -p "$1" --value; }
number() { timeout 20 xenstore-read /local/domain/1/data/n; }
counts_on() { [ "$(number)" -gt "$1" ]; }
restarted() { [ "$(show NRestarts)" -gt "$1" ] && [ "$(show ActiveState)" = active ]; }
told() { [ "$(grep -c "$1" /tmp/watched)" -gt 0 ]; }
goes_on() { # what everybody notices of it
  local at; at=$(number); timeout 20 xenstore-write "/tool/watched/$1" 1; until_so 60 told "$1"; local watch=$?
  until_so 120 counts_on $((at + 20))
  result "$1: the guest counts on $?, dom0's watch was told $watch, xenconsoled is the same: $([ "$consoled" = "$(pidof xenconsoled)" ] && echo yes)"
}
mkdir -p /etc/systemd/system/$UNIT.d; printf '[Service]\nWatchdogSec=40\nTimeoutStartSec=300\n' >/etc/systemd/system/$UNIT.d/rig.conf
systemctl daemon-reload; figure "$(systemctl --version | head -1)"
timeout 400 systemctl start $UNIT; result "systemctl start: $?, $(show ActiveState), $(show Type)"
figure "it says: $(journalctl -q -o cat -u $UNIT | tail -3 | tr '\n' ';')"
init_dom0 >/dev/null; start_consoled; consoled=$(pidof xenconsoled)
xenstore-watch /tool/watched >/tmp/watched & wait_for 20 grep -q watched /tmp/watched
toy one 1 count; result "descriptors kept by systemd: $([ "$(show NFileDescriptorStore)" -ge 3 ] && echo some)"
goes_on start

pid=$(show MainPID); kill -9 "$pid"; until_so 200 restarted 0
result "kill -9: restarted $?, another process $([ "$pid" != "$(show MainPID)" ] && echo yes), a keeper of our own: $(ps | grep -c '[r]ecovery.keeper')"
goes_on kill

pid=$(show MainPID); timeout 400 systemctl reload $UNIT; result "systemctl reload: $?, $(show ActiveState), the same process $([ "$pid" = "$(show MainPID)" ] && echo yes)"
goes_on reload

before=$(show NRestarts); kill -STOP "$(show MainPID)"; until_so 300 restarted "$before"; result "stopped: the watchdog has it restarted $?"
goes_on watchdog

timeout 60 systemctl stop $UNIT; result "systemctl stop: $?, $(show ActiveState), $(show Result), descriptors kept $(show NFileDescriptorStore)"
kill "$(pidof xenconsoled)"; rm -f /run/xenconsoled.pid; sleep 1

PID_FILE=/run/xenstore.pid
mkdir -p /etc/default; printf '%s\n' XENSTORED=/usr/local/bin/xsadapter-xenstored 'XENCONSOLED_ARGS="--log=guest --log-dir=/var/log/xen/console"' >/etc/default/xen
timeout 200 bash /etc/init.d/xen start; result "/etc/init.d/xen start: $?, xenstored $(kill -0 "$(pid_of_daemon)" && echo runs), xenconsoled $(pidof xenconsoled >/dev/null && echo runs)"
figure "score of memory: $(cat "/proc/$(pid_of_daemon)/oom_score_adj"), the journal has: $(journalctl -q -o cat -t xenstored | tail -3 | tr '\n' ';')"
consoled=$(pidof xenconsoled); xenstore-watch /tool/watched >/tmp/watched & wait_for 20 grep -q watched /tmp/watched
goes_on init-script; toy two 2 obey; result "another guest: $(timeout 20 xenstore-read /local/domain/2/data/up)"
pid=$(pid_of_daemon); timeout 200 bash /etc/init.d/xen start; result "once more: $?, the same daemon: $([ "$pid" = "$(pid_of_daemon)" ] && kill -0 "$pid" && echo yes)"
timeout 20 xenstore-write /local/domain/1/data/stop 1; said one 'counted' 60; log_of one | grep '^=='
timeout 60 bash /etc/init.d/xen stop; result "/etc/init.d/xen stop: $?, xenstored still $(kill -0 "$pid" && echo runs)"
figure "daemon's CPU $(cpu) s"
journalctl -q -o short-monotonic -u $UNIT | tail -60 >/out/journal.txt
cp -r $CONSOLES /out/
