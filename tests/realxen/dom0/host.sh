# Scenarios 1, 2 and 4: a host's day. With ours, history is asked for it afterwards.
. /dom0/scenario/dom0/lib.sh || exit 1
began=$(now); start_daemon; result "daemon $?"; figure "ready after $(($(now) - began)) s, CPU $(cpu) s"
start_host
result "xl info: $(timeout 30 xl info | awk '/^xen_version/ { print $3 }')"
shown; events start

create pv1 $SCENARIO/guest/day.sh; events create
said pv1 'script rc' 90; log_of pv1 | grep -a '^=='
home=/local/domain/1
result "dom0 reads $(timeout 10 xenstore-read $home/data/a), writes $(timeout 10 xenstore-write $home/data/from dom0; echo $?)"
result "permissions $(timeout 10 xenstore-ls -p -f $home | grep '/data/a')"

create pv2 $SCENARIO/guest/second.sh; events create
said pv2 'waits' 90; log_of pv2 | grep -a '^=='; shown
ALIVE=$(date -u +%Y-%m-%dT%H:%M:%SZ); sleep 2

timeout 90 xl shutdown -w pv1 >/dev/null; result "xl shutdown -w pv1: $?"; events shutdown; shown
timeout 10 xenstore-write /local/domain/2/data/crash 1
wait_for 60 sh -c 'xl list pv2 | grep -q -e "c-  *[0-9.]*$"'; result "pv2 crashed: $(xl list pv2 | awk 'NR > 1 { print $5 }')"; events crash
timeout 60 xl destroy pv2; result "xl destroy pv2: $?"; events destroy; shown

create pv3 $SCENARIO/guest/second.sh; said pv3 'waits' 90
timeout 60 xl destroy pv3; result "xl destroy pv3: $?"; events "destroy of a running one"; shown

create pvh1 $SCENARIO/guest/day.sh pvh
said pvh1 'script rc' 150; log_of pvh1 | grep -a '^=='
timeout 60 xl destroy pvh1; result "xl destroy pvh1: $?"; events "destroy of a PVH one"; shown
timeout 20 xenstore-ls -f | sed 's/ = .*//; s/^/== left: /' | sort
figure "daemon's CPU $(cpu) s, in $(now) s since boot"

if [ $DAEMON = ours ]; then
  figure "history"
  sleep 2
  timeout 60 rrdstore -C $STORE log --limit 3000 >/out/log.txt; result "rrdstore log: $?"
  result "lives: $(grep -o 'START of domain [0-9]*\|END of domain [0-9]*' /out/log.txt | tac | tr '\n' ',')"
  grep -a 'of domain' /out/log.txt | sed 's/^/-- /'
  result "then pv1 was domain $(timeout 60 xsadapter lookup --at "$ALIVE" pv1), pv2 $(timeout 60 xsadapter lookup --at "$ALIVE" pv2)"
  result "now pv1 is: $(timeout 60 xsadapter lookup pv1 2>&1), status $?"
  result "its tree then: $(timeout 60 xsadapter ls --at "$ALIVE" -f $home | tee /out/then.txt | grep -c .) nodes, data/a $(grep data/a /out/then.txt)"
  result "its tree now: $(timeout 60 xenstore-ls -f $home 2>&1)"
  timeout 60 xsadapter log --domain 1 -n 5 | sed 's/^/-- /'
  kill "$(pid_of_daemon)"; sleep 3
  check
fi
cp -r $CONSOLES /out/
