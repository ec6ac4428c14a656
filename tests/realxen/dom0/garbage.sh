# Scenario 5, by the guest's own code: a kernel whose only work is garbage in its ring. Dom0 and the other guest go on.
. /dom0/scenario/dom0/lib.sh || exit 1
number() { timeout 20 xenstore-read /local/domain/1/data/n; }
counts_on() { [ "$(number)" -gt "$1" ]; }
syslogd -O /out/messages; start_daemon; start_host
toy good 1 count; domid=10
for what in indexes frame noise reconnect forge busy; do
  before=$(cpu); toy bad $domid $what; at=$(number); began=$(now); sleep 8
  until_so 30 counts_on $((at + 20)); status=$?
  result "$what: the other guest counts on $status, dom0 $(timeout 20 xenstore-write /local/domain/0/x $what; echo $?)"
  figure "$what: the other guest counted $(($(number) - at)) in $(($(now) - began)) s; CPU of the daemon $before to $(cpu) s"
  timeout 20 xsadapter control domains $domid 2>/dev/null | grep domain | sed 's/^/-- /'
  timeout 60 xl destroy bad; status=$?; result "destroyed: $status"; domid=$((domid + 1))
done
shown; toy after 3 obey; result "after: $(timeout 20 xenstore-read /local/domain/3/data/up)"
timeout 20 xenstore-write /local/domain/1/data/stop 1; said good 'counted' 60; log_of good | grep '^=='
figure "the audit log says: $(grep -ho '"what":"BROKE".*"why":"[^"]*' /out/audit* | sed 's/.*"why":"//' | sort | uniq -c | tr '\n' ',')"
figure "daemon's CPU $(cpu) s"
kill "$(pid_of_daemon)"; sleep 3; check
cp -r $CONSOLES /out/
