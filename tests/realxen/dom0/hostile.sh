# Scenario 5: a guest whose ring is full of garbage. Dom0 and the other guest go on.
. /dom0/scenario/dom0/lib.sh || exit 1
start_daemon; start_host
create good $SCENARIO/guest/count.sh; said good counts 90
create bad $SCENARIO/guest/hostile.sh; said bad asks 90
for what in indexes introduce frame introduce noise introduce reconnect; do
  before=$(timeout 20 xenstore-read /local/domain/1/data/n)
  timeout 60 python3 $SCENARIO/dom0/scribble.py 2 $what | sed 's/^/-- /'; status=${PIPESTATUS[0]}
  sleep 4
  wait_for 30 sh -c "[ \"\$(xenstore-read /local/domain/1/data/n)\" -gt $((before + 5)) ]"
  result "$what $status: the other guest goes on $?, dom0 $(timeout 20 xenstore-write /local/domain/0/x $what; echo $?)"
done
timeout 60 xl destroy bad; result "xl destroy bad: $?"; sleep 3; shown
create pv3 $SCENARIO/guest/second.sh; said pv3 waits 90; result "pv3 $(said pv3 waits && echo lives)"
timeout 20 xenstore-write /local/domain/1/data/stop 1; said good 'script rc' 60; log_of good | grep -a '^==\|^--'
figure "the audit log says: $(grep -ho '"what":"BROKE".*"why":"[^"]*' /out/audit* | sed 's/.*"why":"//' | sort | uniq -c | tr '\n' ',')"
figure "daemon's CPU $(cpu) s"
cp -r $CONSOLES /out/
