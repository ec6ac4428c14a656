result "domid $(try xenstore-read domid)"
result "write $(try xenstore-write data/a 1) read $(try xenstore-read data/a)"
result "own directory $(try xenstore-list data)"
big=$(head -c 1500 /dev/zero | tr '\0' x)
xenstore-write data/big "$big"; result "1500 bytes: $(xenstore-read data/big | tr -d '\n' | wc -c)"
huge=$(head -c 3000 /dev/zero | tr '\0' x)
result "3000 bytes: $(try xenstore-write data/huge "$huge")"
result "of dom0: write $(try xenstore-write /local/domain/0/x 1) read $(try xenstore-read /local/domain/0/name)"
result "root $(try xenstore-list /), own name $(try xenstore-write name other), missing $(try xenstore-read data/none)"
result "permissions $(try xenstore-chmod data/a n$(xenstore-read domid) r0), of dom0's $(try xenstore-chmod name b0)"

timeout 30 xenstore-watch -n 4 data/w >/tmp/watched & sleep 2
xenstore-write data/w 1; sleep 1; xenstore-write data/w/below 2; sleep 1; xenstore-rm data/w; wait
result "watched $(tr '\n' ' ' </tmp/watched)"

open_bus
t=$(request $START 0 '\000' 1)
result "transaction: write $(request $WRITE $t 'data/t\0001' 8), outside $(try xenstore-read data/t), end $(request $END $t 'T\000' 2), read $(try xenstore-read data/t)"
t=$(request $START 0 '\000' 1)
result "aborted: write $(request $WRITE $t 'data/no\0001' 9), end $(request $END $t 'F\000' 2), read $(try xenstore-read data/no)"
t=$(request $START 0 '\000' 1); r=$(request $READ $t 'data/t\000' 7); xenstore-write data/t 2
result "conflict: read $r, write $(request $WRITE $t 'data/u\0001' 8), end $(request $END $t 'T\000' 2), read $(try xenstore-read data/u)"
for i in $(seq 1 100); do xenstore-write data/n $i && [ "$(xenstore-read data/n)" = $i ] || result "number $i is wrong"; done
result "100 numbers $(try xenstore-read data/n)"
