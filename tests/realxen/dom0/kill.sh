# Scenario 3: the daemon is killed ten times under a guest that counts and watches; nothing else is started again.
. /dom0/scenario/dom0/lib.sh || exit 1
start_daemon; start_host
create pv1 $SCENARIO/guest/count.sh; said pv1 counts 90; home=/local/domain/1
consoled=$(cat /run/xenconsoled.pid); spent=0
with_this() { echo "$spent $(cpu)" | awk '{ printf "%.2f", $1 + $2 }'; }
for round in $(seq 1 10); do
  before=$(timeout 20 xenstore-read $home/data/n)
  began=$(cut -d' ' -f1 /proc/uptime)
  spent=$(with_this); kill -9 "$(pid_of_daemon)"; start_daemon; status=$?
  ready=$(cut -d' ' -f1 /proc/uptime)
  timeout 20 xenstore-write $home/data/ping $round
  if wait_for 60 sh -c "[ \"\$(xenstore-read $home/data/pong)\" = $round ]"; then pong=fires; else pong=silent; fi
  wait_for 30 sh -c "[ \"\$(xenstore-read $home/data/n)\" -gt $((before + 20)) ]"; goes_on=$?
  result "kill $round: started again $status, the guest's watch $pong, it counts on $goes_on"
  figure "kill $round: at $before, ready after $(echo "$began $ready" | awk '{ printf "%.1f", $2 - $1 }') s, CPU $(cpu) s"
done
result "xenconsoled is the same: $([ "$consoled" = "$(pidof xenconsoled)" ] && echo yes)"
create pv2 $SCENARIO/guest/second.sh; said pv2 waits 90; result "pv2 $(said pv2 waits && echo lives)"
timeout 20 xenstore-write $home/data/stop 1; said pv1 'script rc' 60; log_of pv1 | grep -a '^==\|^--'
timeout 60 xl shutdown -w pv1 >/dev/null; result "xl shutdown -w pv1: $?"
timeout 60 xl destroy pv2; result "xl destroy pv2: $?"; sleep 3; shown
figure "daemon's CPU $(with_this) s, in eleven processes"
kill "$(pid_of_daemon)"; sleep 3
timeout 200 python3 $SCENARIO/dom0/counted.py $STORE $home/data/n
check
cp -r $CONSOLES /out/
