#!/bin/sh
# kernel.sh OUT: builds the guest of kernel.c, a PVH kernel for xl's kernel=. CC (default: gcc) makes code for i386.
set -eu
${CC:-gcc} -m32 -O2 -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
  -fno-asynchronous-unwind-tables -mno-sse -mno-mmx -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-Ttext-segment=0x100000 -Wl,-e,start \
  -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -o "$1" "$(dirname "$0")/kernel.c"
