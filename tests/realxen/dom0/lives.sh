# Scenario 2 of domains' ends: crash, reboot, a number given again, a zombie, soft reset, with every daemon the same. Its
# guest is a kernel of its own (guest/kernel.c), so that a domain is there within seconds.
. /dom0/scenario/dom0/lib.sh || exit 1
export LIBXL_DOMID_REUSE_TIMEOUT=0
obeys_twice() { [ "$(log_of "$1" | grep -c obeys)" -ge 2 ]; }
obeys_five_times() { [ "$(log_of "$1" | grep -c obeys)" -ge 5 ]; }
no_zombies() { ! names | grep -q null; }
asked() { timeout 20 xenstore-read "$1" 2>&1 | tail -1; }
syslogd -O /out/messages; start_daemon; start_host

toy crash 3 obey; tell 3 crash
until_so 20 in_state crash c; events "crash"; result "crashed: $(state crash)"
timeout 60 xl destroy crash; result "destroyed: $?"; events "the destruction of it"; shown

toy fault 4 obey; tell 4 fault
until_so 60 obeys_twice fault; events "a fault that nobody handles, a reboot to Xen"
timeout 60 xl destroy fault; events "the destruction of it"

toy off 5 obey; xenstore-write /local/domain/5/data/mark of-the-first; xenstore-write /tool/shared x; xenstore-chmod /tool/shared n0 b5
tell 5 poweroff; until_so 20 is_gone off; events "poweroff"; shown
result "what it had: $(asked /local/domain/5/data/mark), $(asked /tool/shared)"
toy again 5 obey; events "its number given again"
result "what the first had: $(asked /local/domain/5/data/mark), of its own: $(asked /local/domain/5/data/up)"
for round in 1 2 3; do
  timeout 60 xl destroy again; toy again 5 obey; result "given again, $round: domain $(timeout 20 xl domid again), up $(asked /local/domain/5/data/up)"
done
events "three more"

tell 5 reboot; until_so 60 obeys_five_times again; events "reboot, to the same number and uuid"
result "after its reboot: domain $(timeout 20 xl domid again), up $(asked /local/domain/5/data/up), $(names)"
timeout 60 xl destroy again; events "its destruction"

toy held 7 obey
mkfifo /tmp/hold; python3 $SCENARIO/dom0/toolstack.py hold 7 </tmp/hold >/tmp/held & exec 4>/tmp/hold; wait_for 60 grep -q held /tmp/held
timeout 60 xl destroy held; result "destroyed: $?"; events "the destruction of one whose page another program maps"; shown
result "a zombie's number: $(DOMID=7 LD_PRELOAD=$SCENARIO/chosen.so timeout 60 xl create /tmp/held.cfg >/dev/null 2>&1 4>&- && echo given || echo refused)"; events "which was tried"
exec 4>&-; until_so 20 no_zombies; events "its release"; shown

toy reset 8 obey; tell 8 soft; until_so 20 in_state reset s; events "soft reset, its shutdown"
timeout 60 python3 $SCENARIO/dom0/toolstack.py soft-reset 8; result "soft reset: $?"
wait_for 20 xenstore-read /local/domain/8/data/reset; events "soft reset"
result "goes on: $(asked /local/domain/8/data/reset), is still known: $(timeout 20 xl list reset >/dev/null && echo yes)"
tell 8 poweroff; until_so 20 in_state reset s; result "shut down once more: $(state reset)"; events "its poweroff"
timeout 60 xl destroy reset 2>/dev/null; events "its destruction"; shown
timeout 20 xenstore-ls -f | sed 's/ = .*//; s|/vm/[0-9a-f-]*|/vm/UUID|; s/^/== left: /' | sort
figure "daemon's CPU $(cpu) s, in $(now) s since boot"

if [ $DAEMON = ours ]; then
  figure "what the stock daemon cannot: dead while its domain ends, and another has the number"
  toy before 9 obey; events "its creation"; kill -9 "$(pid_of_daemon)" "$(pidof xenconsoled)"
  python3 $SCENARIO/dom0/toolstack.py destroy 9; sleep 1; python3 $SCENARIO/dom0/toolstack.py create 9; result "created: $?"
  start_daemon; result "started again: $?"
  events "its end"; result "what it had: $(asked /local/domain/9/data/up)"
  python3 $SCENARIO/dom0/toolstack.py destroy 9; sleep 2; shown
  kill "$(pid_of_daemon)"; sleep 3; check
  figure "the log says: $(grep -a xenstored /out/messages | tail -3 | sed 's/.*xenstored/xenstored/' | tr '\n' ';')"
fi
cp -r $CONSOLES /var/log/xen/*.log /out/
