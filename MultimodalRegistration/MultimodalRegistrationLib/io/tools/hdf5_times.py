"""HDF5 files without the times at which they were written: the same content makes the same file.

ITK lets the HDF5 library note four times in the header of each object, which nothing reads. Version 2 of these headers
(HDF5 file format specification 3.0, section IV.A.1.b) ends with a checksum, Jenkins' lookup3.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

__all__ = ["erase_times", "lookup3"]

_SIGNATURE = b"OHDR\x02"
_TIMES = 0x20
_LIMITS = 0x10
_MASK = 0xFFFFFFFF
# Of a header with times: signature, flags, times, size, checksum.
_SHORTEST = 27


def erase_times(path: Path) -> None:
    """Set the times of all objects in an HDF5 file to zero.

    Parameters
    ----------
    path : Path
        Changed in place; something that only looks like a header, but whose checksum is wrong, is left alone.
    """
    if path.stat().st_size < _SHORTEST:
        return
    # Fields are large; only their headers are touched.
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        start = data.find(_SIGNATURE)
        while 0 <= start <= len(data) - _SHORTEST:
            end = _end_of_header(data, start)
            if data[start + 5] & _TIMES and end is not None:
                (checksum,) = struct.unpack("<I", data[end : end + 4])
                if lookup3(data[start:end]) == checksum:
                    data[start + 6 : start + 22] = bytes(16)
                    data[end : end + 4] = struct.pack("<I", lookup3(data[start:end]))
            start = data.find(_SIGNATURE, start + 1)


def _end_of_header(data: mmap.mmap, start: int) -> int | None:
    """Where the checksum is; None where the file ends before."""
    flags = data[start + 5]
    at = start + 6 + (16 if flags & _TIMES else 0) + (4 if flags & _LIMITS else 0)
    width = 1 << (flags & 3)
    end = at + width + int.from_bytes(data[at : at + width], "little")
    return end if end + 4 <= len(data) else None


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash of 2006, ``hashlittle`` with the initial value zero."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    blocks = max(0, (len(data) - 1) // 12)
    for number in range(blocks):
        x, y, z = struct.unpack_from("<III", data, 12 * number)
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        a = ((a - c) & _MASK) ^ _turned(c, 4)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _turned(a, 6)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _turned(b, 8)
        b = (b + a) & _MASK
        a = ((a - c) & _MASK) ^ _turned(c, 16)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _turned(a, 19)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _turned(b, 4)
        b = (b + a) & _MASK
    rest = data[12 * blocks :]
    if not rest:
        return c
    x, y, z = struct.unpack("<III", rest.ljust(12, b"\0"))
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    c = ((c ^ b) - _turned(b, 14)) & _MASK
    a = ((a ^ c) - _turned(c, 11)) & _MASK
    b = ((b ^ a) - _turned(a, 25)) & _MASK
    c = ((c ^ b) - _turned(b, 16)) & _MASK
    a = ((a ^ c) - _turned(c, 4)) & _MASK
    b = ((b ^ a) - _turned(a, 14)) & _MASK
    return ((c ^ b) - _turned(b, 24)) & _MASK


def _turned(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK
