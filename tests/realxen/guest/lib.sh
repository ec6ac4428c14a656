# What guests' scripts begin with. Each line `== ...` is what a daemon of any kind is to show.
result() { echo "== $(cat /tmp/name 2>/dev/null)$*"; }
try() { timeout 20 "$@" >/tmp/out 2>&1; rc=$?; echo "$(head -c 200 /tmp/out | tr '\n' ' ')[$rc]"; }

# Raw requests by /dev/xen/xenbus: transactions belong to the open file. request KIND TRANSACTION PAYLOAD LENGTH
open_bus() { exec 3<>/dev/xen/xenbus; }
byte() { printf '\\%03o' $(($1 & 255)); }
word() { echo "$(byte $1)$(byte $(($1 >> 8)))$(byte $(($1 >> 16)))$(byte $(($1 >> 24)))"; }
request() {
  printf "$(word $1)$(word 7)$(word $2)$(word $4)$3" >/tmp/request
  dd if=/tmp/request bs=8192 count=1 >&3 2>/dev/null
  dd bs=8192 count=1 <&3 2>/dev/null >/tmp/reply
  tail -c +17 /tmp/reply | tr -d '\0'
}
READ=2 START=6 END=7 WRITE=11
