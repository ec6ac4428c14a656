#!/bin/bash
# scenarios.sh [NAME...]
# Runs scenarios on the rig under $OUT (build.sh) with the overlay $OUT/overlay (overlay.sh), one at a time, and prints a
# table. A name is that of a script in dom0/, with `:c` behind it for the stock daemon. What each said and left is in
# $OUT/runs/NAME. Exit status: how many failed, where failing is to end before its time or, for host and host:c, to differ.
set -uo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); OUT=${OUT:?a directory outside of the repository}
[ $# -gt 0 ] || set -- host:c host kill hostile
declare -A patience=([host]=540 [kill]=540 [hostile]=420)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/overlay/dom0/scenario"; cp -r "$HERE/dom0" "$HERE/guest" "$work/overlay/dom0/scenario/"
for script in day second count hostile; do
  cat "$HERE/guest/lib.sh" "$HERE/guest/$script.sh" >"$work/overlay/dom0/scenario/guest/$script.sh"
done
failed=0; rows=()
for name in "$@"; do
  script=${name%%:*} daemon=ours; [ "$name" = "$script" ] || daemon=${name#*:}
  runs=$OUT/runs/${name/:/-}; rm -rf "$runs"; mkdir -p "$runs"
  { echo '#!/bin/bash'; echo "export DAEMON=$daemon"; cat "$HERE/dom0/$script.sh"; } >"$work/script"
  OUT=$OUT "$HERE/run.sh" -t "${patience[$script]}" -a "$runs" -l "$runs/console.txt" -o "$OUT/overlay" -o "$work/overlay" "$work/script" 2>&1 |
    stdbuf -oL tr -d "\r" | tee "$runs/said.txt"
  status=${PIPESTATUS[0]}; [ "$status" = 0 ] || failed=$((failed + 1))
  rows+=("$name|$status|$(grep -c '^== ' "$runs/said.txt")|$(grep -o "daemon's CPU [0-9.]*" "$runs/said.txt" | tail -1 | cut -d' ' -f3)|$(grep -c ': [1-9][0-9]*$' "$runs/said.txt")")
done
if [ -f "$OUT/runs/host/said.txt" ] && [ -f "$OUT/runs/host-c/said.txt" ]; then
  # What only our daemon has comes after its figure; until there both are to show the same.
  for each in host host-c; do sed '/^-- history/,$d' "$OUT/runs/$each/said.txt" | grep '^== ' >"$work/$each"; done
  echo; echo "what guests and toolstack saw, stock daemon < > ours:"
  if diff "$work/host-c" "$work/host"; then echo "no difference in $(wc -l <"$work/host") results"; fi
fi
printf '\n%-10s %-7s %-8s %-8s\n' scenario status results CPU
for row in "${rows[@]}"; do IFS='|' read -r name status results cpu _ <<<"$row"; printf '%-10s %-7s %-8s %-8s\n' "$name" "$status" "$results" "${cpu:--}"; done
exit "$failed"
