#!/bin/bash
# build.sh [OVERLAY_DIR...]
# Builds everything from Debian packages under $OUT:
#   xen.elf       Xen 4.17 hypervisor (uncompressed, multiboot1)
#   vmlinux       Debian 6.1 kernel ELF (dom0 and domU), taken out of vmlinuz: saves ~5 s of xz under TCG
#   dom0.cpio     dom0 root file system (uncompressed newc cpio)
#   guest.cpio    domU initramfs (also inside dom0 as /boot/guest.cpio)
# Each OVERLAY_DIR is copied over the dom0 root before packing (rsync-like, cp -a).
# Overlays can also be given per run: see run.sh -o.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=${OUT:?a directory outside of the repository}
DEBS=$OUT/debs ROOT=$OUT/root GROOT=$OUT/groot X=$OUT/x
KPKG=${KPKG:-$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/{print $2}')}
KVER=${KPKG#linux-image-}
PKGS="$KPKG xen-hypervisor-4.17-amd64 busybox-static
 xen-utils-4.17 xen-utils-common xenstore-utils
 libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1
 libxenmisc4.17 libxenstore4 libxentoolcore1 libxentoollog1
 libc6 libc-bin libgcc-s1 libstdc++6 libyajl2 libuuid1 liblzma5 libbz2-1.0 libzstd1 zlib1g liblzo2-2
 libext2fs2 libcom-err2 libncurses6 libncursesw6 libtinfo6 libfdt1 libblkid1
 python3.11-minimal python3.11 python3-minimal libpython3.11-minimal libpython3.11-stdlib
 libssl3 libexpat1 libffi8 libsqlite3-0 libreadline8 libnsl2 libtirpc3 libgssapi-krb5-2 libkrb5-3
 libk5crypto3 libkrb5support0 libkeyutils1 libcrypt1
 strace libunwind8 bash ${EXTRA_PKGS:-}"
mkdir -p "$DEBS" "$X"
need=""
for p in $PKGS; do ls "$DEBS/${p}_"*.deb >/dev/null 2>&1 || need="$need $p"; done
[ -z "$need" ] || (cd "$DEBS" && apt-get -q download $need 2>&1 | grep -v -e '^Get:' -e '^W: Download is performed')

t0=$(date +%s)
rm -rf "$ROOT" "$GROOT"; mkdir -p "$ROOT" "$GROOT"
# ---- kernel, hypervisor -----------------------------------------------------
[ -d "$X/linux/lib/modules/$KVER" ] || { mkdir -p "$X/linux"; dpkg-deb -x "$DEBS/${KPKG}_"*.deb "$X/linux"; }
[ -d "$X/xen/boot" ] || { mkdir -p "$X/xen"; dpkg-deb -x "$DEBS/xen-hypervisor"*.deb "$X/xen"; }
[ -s "$OUT/xen.elf" ] || zcat "$X"/xen/boot/xen-4.17-amd64.gz > "$OUT/xen.elf"
[ -s "$OUT/vmlinux" ] || python3 "$HERE/kernel_image.py" "$X/linux/boot/vmlinuz-$KVER" "$OUT/vmlinux"
# ---- dom0 root --------------------------------------------------------------
cd "$ROOT"; mkdir -p usr/bin usr/sbin usr/lib usr/lib64; ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; ln -s usr/lib64 lib64
for p in $PKGS; do
  case $p in linux-image*|xen-hypervisor*) continue;; esac
  dpkg-deb --fsys-tarfile "$DEBS/${p}_"*.deb | tar -x -C "$ROOT" --keep-directory-symlink \
     --exclude='./usr/share/doc*' --exclude='./usr/share/man*' --exclude='./usr/share/locale*' --exclude='./usr/share/info*' \
     --exclude='./usr/share/lintian*' --exclude='./usr/lib/xen-4.17/boot*' --exclude='./usr/share/python3*' --exclude='./usr/lib/x86_64-linux-gnu/gconv*' \
     --exclude='./usr/lib/systemd*' --exclude='*/test_*' --exclude='./usr/lib/python3.11/lib2to3*' --exclude='./usr/lib/python3.11/pydoc_data*'
done
BB=$ROOT/usr/bin/busybox; [ -e "$BB" ] || BB=$ROOT/bin/busybox
for a in $("$BB" --list); do [ -e "usr/bin/$a" ] || [ -e "usr/sbin/$a" ] || ln -s busybox "usr/bin/$a"; done
ln -sf python3.11 usr/bin/python3; ln -sf python3.11 usr/bin/python
mkdir -p proc sys dev run tmp root mnt etc boot var/lib/xen var/lib/xenstored var/log/xen/console var/lock var/spool dom0
rm -rf var/run; ln -sfn ../run var/run; rm -rf var/lock; ln -sfn ../run/lock var/lock
echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd; echo 'root:x:0:' > etc/group; echo 127.0.0.1 localhost dom0 > etc/hosts; echo dom0 > etc/hostname
mkdir -p etc/xen; cat > etc/xen/xl.conf <<C
autoballoon="off"
lockfile="/run/lock/xl"
C
# kernel modules (dependency closure by modules.dep)
MODS="xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback xen-blkfront xen-netback xen-netfront xen-pciback loop ${EXTRA_MODS:-}"
SRC=$X/linux/lib/modules/$KVER
[ -s "$SRC/modules.dep" ] || "$BB" depmod -b "$X/linux" "$KVER"
copymods() { # destroot mods...
  local d=$1/lib/modules/$KVER m f; shift; mkdir -p "$d"
  for m in "$@"; do
    grep -E "(^|/)${m//[-_]/[-_]}\.ko:" "$SRC/modules.dep" | tr -d : | tr ' ' '\n'
  done | sort -u | while read -r f; do [ -n "$f" ] || continue; mkdir -p "$d/$(dirname "$f")"; cp "$SRC/$f" "$d/$f"; done
  cp "$SRC/modules.builtin" "$SRC/modules.order" "$d/" 2>/dev/null || true
}
copymods "$ROOT" $MODS; "$BB" depmod -b "$ROOT" "$KVER"
install -m755 "$HERE/dom0/init" init
install -m755 "$HERE/dom0/xenlib.sh" dom0/xenlib.sh
chroot "$ROOT" /usr/sbin/ldconfig 2>/dev/null || /sbin/ldconfig -r "$ROOT"
# ---- guest ------------------------------------------------------------------
cd "$GROOT"; mkdir -p usr/bin usr/sbin usr/lib/x86_64-linux-gnu usr/lib64 proc sys dev run tmp guest
ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; ln -s usr/lib64 lib64
cp "$BB" usr/bin/busybox; for a in $("$BB" --list); do [ -e "usr/bin/$a" ] || ln -s busybox "usr/bin/$a"; done
for l in libc.so.6 libgcc_s.so.1 libxenstore.so.4 libxentoolcore.so.1; do cp -L "$ROOT/usr/lib/x86_64-linux-gnu/$l" usr/lib/x86_64-linux-gnu/; done
cp -L "$ROOT/lib64/ld-linux-x86-64.so.2" usr/lib64/
for t in xenstore xenstore-read xenstore-write xenstore-ls xenstore-list xenstore-rm xenstore-exists xenstore-watch xenstore-chmod; do
  s=$(find "$ROOT/usr/bin" "$ROOT/usr/sbin" -name $t | head -1); [ -n "$s" ] && cp -a "$s" usr/bin/; done
copymods "$GROOT" xenfs xen-evtchn xen-gntdev xen-gntalloc xen-privcmd; "$BB" depmod -b "$GROOT" "$KVER"
install -m755 "$HERE/guest/init" init
for c in poweroff reboot; do printf '#!/bin/sh\nexec /usr/bin/busybox %s -f\n' $c > usr/sbin/$c; chmod 755 usr/sbin/$c; done
mkcpio() { (cd "$1" && find . -print0 | sort -z | cpio --null -o -H newc --quiet -R 0:0); }
command -v cpio >/dev/null || mkcpio() { (cd "$1" && find . | sort | "$BB" cpio -o -H newc -R 0:0 2>/dev/null); }
mkcpio "$GROOT" > "$OUT/guest.cpio"
cp "$OUT/guest.cpio" "$ROOT/boot/guest.cpio"; cp "$OUT/vmlinux" "$ROOT/boot/vmlinux"
for o in "$@"; do cp -a "$o/." "$ROOT/"; done
mkcpio "$ROOT" > "$OUT/dom0.cpio"
ls -la "$OUT"/{xen.elf,vmlinux,guest.cpio,dom0.cpio}; echo "build took $(( $(date +%s) - t0 )) s (after downloads)"
