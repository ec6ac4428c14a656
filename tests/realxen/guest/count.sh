# Numbers, one after the other, for as long as the guest lives; a watch that is answered; what takes long is told.
(timeout 3000 xenstore-watch data/ping | while read -r _; do xenstore-write data/pong "$(xenstore-read data/ping)"; done) 2>/dev/null &
xenstore-write data/n 0; i=0; bad=0; longest=0; last=$(cut -d. -f1 /proc/uptime)
echo "counts"
while [ "$(xenstore-read data/stop 2>/dev/null)" != 1 ]; do
  [ "$(xenstore-read data/n)" = $i ] || { bad=$((bad + 1)); echo "== wrong: expected $i"; }
  i=$((i + 1)); xenstore-write data/n $i || { bad=$((bad + 1)); echo "== refused: $i"; }
  t=$(cut -d. -f1 /proc/uptime); [ $((t - last)) -lt 2 ] || echo "-- pause of $((t - last)) s before $i"; last=$t
done
echo "== counted to $i, $bad wrong"
