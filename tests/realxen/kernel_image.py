"""The kernel itself out of a bzImage: `kernel_image.py VMLINUZ VMLINUX`.

Xen takes both, but unpacks the payload itself, which takes seconds in an emulator. Where it lies: Linux
Documentation/arch/x86/boot.rst, setup_sects at 0x1f1, payload_offset and payload_length at 0x248.
"""

import lzma
import struct
import subprocess
import sys
import zlib
from pathlib import Path

_SECTOR = 512


def payload(image: bytes) -> bytes:
    """What is packed in the image, unpacked; ValueError if it is packed in a way that is not known here."""
    start = (image[0x1F1] + 1) * _SECTOR
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[start + offset : start + offset + length]
    if packed.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(packed)
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dc"], input=packed[:-4], capture_output=True, check=True).stdout
    if packed.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31).decompress(packed)
    raise ValueError(f"a payload that begins with {packed[:6].hex()}: expected xz, zstd or gzip")


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(payload(Path(sys.argv[1]).read_bytes()))
