result "second: of domain 1 read $(try xenstore-read /local/domain/1/data/a), list $(try xenstore-list /local/domain/1/data), own $(try xenstore-write data/mine 2)"
echo "waits"
while [ "$(xenstore-read data/crash 2>/dev/null)" != 1 ]; do sleep 1; done
echo c >/proc/sysrq-trigger
