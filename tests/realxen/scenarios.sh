#!/bin/bash
# scenarios.sh [NAME...]
# Runs scenarios on the rig under $OUT (build.sh) with the overlay $OUT/overlay (overlay.sh), one at a time, and prints a
# table. A name is that of a script in dom0/, with `:c` behind it for the stock daemon. What each said and left is in
# $OUT/runs/NAME. Exit status: how many failed, which is to end badly, to have a wrong result, or to differ from the stock daemon.
set -uo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); OUT=${OUT:?a directory outside of the repository}
[ $# -gt 0 ] || set -- host:c host lives:c lives kill update update:c hostile garbage systemd
declare -A patience=([host]=590 [lives]=900 [kill]=590 [update]=900 [hostile]=420 [garbage]=900 [systemd]=900)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/overlay/dom0/scenario"; cp -r "$HERE/dom0" "$HERE/guest" "$work/overlay/dom0/scenario/"
for script in day second count hostile; do
  cat "$HERE/guest/lib.sh" "$HERE/guest/$script.sh" >"$work/overlay/dom0/scenario/guest/$script.sh"
done
"$HERE/guest/kernel.sh" "$work/overlay/dom0/scenario/toy"
${CC:-gcc} -shared -fPIC -O2 -o "$work/overlay/dom0/scenario/chosen.so" "$HERE/dom0/chosen.c"
# A result that would be right of no daemon.
WRONG='silent|goes on [^0]|counts on [^0]|[1-9][0-9]* (wrong|gaps|repeats)|check: [^0]|same: $|number [0-9]+ is wrong|^== (wrong|refused)|^== daemon [^0]'
WRONG="$WRONG"'|^== xl create [^:]*: [^0]|^== (systemctl|/etc/init.d/xen) [a-z]*: [^0]|^== (soft reset|created|started again): [^0]'
WRONG="$WRONG"'|^== update [0-9]: [^0]|restarted [^0]|was told [^0]|the same process ,'
failed=0; rows=()
for name in "$@"; do
  script=${name%%:*} daemon=ours; [ "$name" = "$script" ] || daemon=${name#*:}
  runs=$OUT/runs/${name/:/-}; rm -rf "$runs"; mkdir -p "$runs"
  { echo '#!/bin/bash'; echo "export DAEMON=$daemon"; cat "$HERE/dom0/$script.sh"; } >"$work/script"
  booted=(); [ "$script" != systemd ] || booted=(-o "$OUT/systemd" -k systemd.show_status=0)
  OUT=$OUT "$HERE/run.sh" -t "${patience[$script]}" -a "$runs" -l "$runs/console.txt" -o "$OUT/overlay" ${booted[@]+"${booted[@]}"} -o "$work/overlay" \
    "$work/script" 2>&1 | stdbuf -oL tr -d "\r" | tee "$runs/said.txt"
  status=${PIPESTATUS[0]}
  grep '^== ' "$runs/said.txt" >"$work/results"
  wrong=$(grep -cE "$WRONG" "$work/results")
  [ "$status" = 0 ] && [ "$wrong" = 0 ] || failed=$((failed + 1))
  cpu=$(grep -o "daemon's CPU [0-9.]*" "$runs/said.txt" | tail -1 | cut -d' ' -f3)
  rows+=("$name|$status|$(wc -l <"$work/results")|$wrong|${cpu:--}")
done
for script in host lives; do
  [ -f "$OUT/runs/$script/said.txt" ] && [ -f "$OUT/runs/$script-c/said.txt" ] || continue
  # What only our daemon has comes after its figure; until there both are to show the same.
  for each in $script $script-c; do
    sed "/^-- daemon's CPU/,\$d" "$OUT/runs/$each/said.txt" | grep '^== ' >"$work/$each"
  done
  printf '\n%s: what guests and toolstack saw, stock daemon < > ours:\n' "$script"
  if diff "$work/$script-c" "$work/$script"; then
    echo "no difference in $(wc -l <"$work/$script") results"
  else
    failed=$((failed + 1))
  fi
done
printf '\n%-10s %-7s %-8s %-6s %s\n' scenario status results wrong "CPU of the daemon, s"
for row in "${rows[@]}"; do
  IFS='|' read -r name status results wrong cpu <<<"$row"
  printf '%-10s %-7s %-8s %-6s %s\n' "$name" "$status" "$results" "$wrong" "$cpu"
done
exit "$failed"
