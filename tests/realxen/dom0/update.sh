# Scenario 3, without a kill: another program takes the daemon's place, three times, under guests that count and watch. With
# $DAEMON `c` the first one takes it from the stock daemon; else that takes it a fourth time, which is the way back.
LAST=40000 SIZE=192MiB
. /dom0/scenario/dom0/lib.sh || exit 1
OURS=/usr/local/bin/xsadapter-xenstored
OPTIONS="--pid-file /run/xenstored.pid --size $SIZE --keep last:$LAST,1s:1h,*:64"
number() { timeout 20 xenstore-read "/local/domain/$1/data/n"; }
ponged() { [ "$(timeout 20 xenstore-read "/local/domain/$1/data/pong" 2>/dev/null)" = "$2" ]; }
counts_on() { [ "$(number "$1")" -gt "$2" ]; }
syslogd -O /out/messages; start_daemon; start_host
toy one 1 count; toy two 2 count
xenstore-watch /tool/watched >/tmp/watched & wait_for 10 grep -q watched /tmp/watched
pid=$(pid_of_daemon); consoled=$(pidof xenconsoled)
rounds="1 2 3 4"; [ $DAEMON = ours ] || rounds="1 2 3"
for round in $rounds; do
  one=$(number 1); two=$(number 2); began=$(cut -d' ' -f1 /proc/uptime); becomes=python
  if [ $DAEMON$round = c1 ]; then
    timeout 120 xenstore-control live-update -c "$OPTIONS" $OURS >/tmp/update 2>&1; status=$?
  elif [ $round = 4 ]; then
    becomes=xenstored
    timeout 120 xenstore-control live-update -c "--pid-file=/run/xenstored.pid --priv-domid=0" $XB/xenstored >/tmp/update 2>&1; status=$?
  else
    timeout 120 xsadapter control live-update $OURS >/tmp/update 2>&1; status=$?
  fi
  readlink "/proc/$pid/exe" | grep -q $becomes || status=another
  ended=$(cut -d' ' -f1 /proc/uptime)
  timeout 20 xenstore-write /local/domain/1/data/ping $round; timeout 20 xenstore-write /local/domain/2/data/ping $round
  if until_so 30 ponged 1 $round && until_so 30 ponged 2 $round; then pong=fires; else pong=silent; fi
  until_so 30 counts_on 1 $((one + 20)) && until_so 30 counts_on 2 $((two + 20)); goes_on=$?
  timeout 20 xenstore-write /tool/watched $round; sleep 1
  result "update $round: $status, the same process $([ "$pid" = "$(pid_of_daemon)" ] && kill -0 "$pid" && echo yes), the guests' watches $pong, they count on $goes_on, dom0's watch told $(wc -l </tmp/watched) times"
  figure "update $round at $one and $two: $(tr '\n' ' ' </tmp/update) took $(echo "$began $ended" | awk '{ printf "%.1f", $2 - $1 }') s"
  events "update $round"
done
result "xenconsoled is the same: $([ "$consoled" = "$(pidof xenconsoled)" ] && echo yes)"
toy three 3 obey; result "three: $(timeout 20 xenstore-read /local/domain/3/data/up)"; events "a third guest"
for each in 1 2; do timeout 20 xenstore-write /local/domain/$each/data/stop 1; done
said one 'counted' 60; log_of one | grep '^=='; said two 'counted' 60; log_of two | grep '^=='
timeout 60 xl destroy one; timeout 60 xl destroy two; timeout 60 xl destroy three; events "their destruction"; sleep 2; shown
figure "daemon's CPU $(cpu) s"
kill "$(pid_of_daemon)"; sleep 3
timeout 200 python3 $SCENARIO/dom0/counted.py $STORE /local/domain/1/data/n
check
figure "the log says: $(grep -a xenstored /out/messages | tail -4 | sed 's/.*xenstored/xenstored/' | tr '\n' ';')"
cp -r $CONSOLES /out/
