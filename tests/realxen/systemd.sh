#!/bin/bash
# systemd.sh DIR
# Makes in DIR what dom0 needs over its root to be booted by Debian's systemd, and to run Debian's init script for Xen:
# the packages as they are, with an /init that becomes systemd and a unit that runs the scenario.
set -euo pipefail
OUT=${OUT:?a directory outside of the repository} OVERLAY=${1:?DIR}
PKGS="systemd libsystemd0 libsystemd-shared libmount1 mount libcap2 libseccomp2 libacl1 libaudit1 libcap-ng0 libpam0g libkmod2
 libapparmor1 libselinux1 libpcre2-8-0 libip4tc2 libcryptsetup12 libdevmapper1.02.1 libjson-c5 libargon2-1 libgcrypt20
 libgpg-error0 liblz4-1 libfdisk1 libudev1 sysvinit-utils dpkg util-linux libmd0"
need=""
for p in $PKGS; do ls "$OUT/debs/${p}_"*.deb >/dev/null 2>&1 || need="$need $p"; done
[ -z "$need" ] || (cd "$OUT/debs" && apt-get -q download $need 2>&1 | grep -v -e '^Get:' -e '^W: Download is performed')
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for p in $PKGS; do dpkg-deb -x "$OUT/debs/${p}_"*.deb "$work"; done
rm -rf "$OVERLAY"; mkdir -p "$OVERLAY"/{etc/systemd/system,dom0,usr/bin,usr/lib,usr/sbin}
# The root's bin, sbin and lib are links into usr: what is unpacked has to be there.
for d in bin sbin lib; do [ ! -d "$work/$d" ] || cp -a "$work/$d/." "$OVERLAY/usr/$d/"; done
for d in lib bin; do cp -an "$work/usr/$d/." "$OVERLAY/usr/$d/"; done
rm -rf "$OVERLAY"/usr/lib/udev "$OVERLAY"/usr/lib/systemd/{system-generators,network} "$OVERLAY"/usr/lib/systemd/system/*.wants/{systemd-udev*,systemd-binfmt*,kmod*,systemd-hwdb*,sys-*}
find "$OVERLAY/usr/bin" -type f ! -name 'systemctl' ! -name 'journalctl' ! -name 'systemd-*' ! -name choom ! -name mount ! -name umount -delete
cat >"$OVERLAY/etc/systemd/system/scenario.service" <<'UNIT'
[Unit]
Description=The scenario
After=basic.target

[Service]
Type=oneshot
ExecStart=/dom0/run
TimeoutStartSec=infinity
KillMode=none
UNIT
cat >"$OVERLAY/etc/systemd/system/scenario.target" <<'UNIT'
[Unit]
Requires=basic.target scenario.service
After=basic.target
AllowIsolate=yes
UNIT
# What dom0's own init does before and after the script, the latter in the unit.
sed '/^mount -t tmpfs run/s/.*/mount -t tmpfs run \/run; mkdir -p \/run\/lock \/run\/xen \/run\/xenstored \/out \/etc; mount -t tmpfs tmp \/tmp; echo 0123456789abcdef0123456789abcdef >\/etc\/machine-id/; /^stty -F/,$d' \
  "$(dirname "$0")/dom0/init" >"$OVERLAY/init"
echo 'exec /lib/systemd/systemd --unit=scenario.target --show-status=no --log-target=console --log-level=notice' >>"$OVERLAY/init"
{ echo '#!/bin/sh'; echo 'export PATH=/usr/lib/xen-4.17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C'
  sed -n '/^stty -F/,$p' "$(dirname "$0")/dom0/init"; } >"$OVERLAY/dom0/run"
chmod 755 "$OVERLAY/init" "$OVERLAY/dom0/run"
du -sh "$OVERLAY" | cut -f1
