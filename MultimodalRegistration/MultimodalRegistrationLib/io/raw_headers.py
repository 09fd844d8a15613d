"""Faults in file headers that ITK mends without a word: negative spacing, and truncated NIfTI files.

ITK reads a negative spacing as a flipped axis and fills the missing end of a NIfTI file with zeros. Both are
signs of a damaged or wrongly written file, and a registration of what ITK makes of it would look like a success.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from ..core.errors import InputError

__all__ = ["check_raw_header"]

_HEADER_BYTES = 4096
_SPACING_LINE = re.compile(rb"^(?:ElementSpacing|ElementSize|spacings)\s*[=:]\s*([^\r\n]+)", re.MULTILINE)


def check_raw_header(path: Path) -> None:
    """Check the header of a NRRD, MetaImage or NIfTI file as it is written.

    Parameters
    ----------
    path : Path
        A file that exists.

    Raises
    ------
    InputError
        Zero or negative spacing, or fewer voxels than the header announces.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")):
        _check_nifti(path)
        return
    with path.open("rb") as file:
        match = _SPACING_LINE.search(file.read(_HEADER_BYTES))
    if match is not None:
        _check_spacing(path, [_number(text) for text in match[1].decode("ascii", "replace").split()])


def _number(text: str) -> float:
    """A spacing as written; words such as ``nan`` for an axis without spacing count as valid."""
    try:
        return float(text)
    except ValueError:
        return 1.0


def _check_spacing(path: Path, spacing_mm: list[float]) -> None:
    if any(value <= 0 for value in spacing_mm):
        raise InputError(
            path,
            f"the voxel spacing is zero or negative ({' x '.join(f'{value:g}' for value in spacing_mm)} mm)",
            "Correct the spacing in the file's header; the orientation of an axis belongs into its direction.",
            code="spacing",
        )


def _check_nifti(path: Path) -> None:
    compressed = path.name.lower().endswith(".gz")
    try:
        with cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb") as file:
            header = file.read(540)
    except (OSError, EOFError, zlib.error):
        return  # Not gzip at all, or cut off within the header: ITK's reader refuses it with a message.
    if len(header) < 348:
        return  # Likewise.
    order = "<" if struct.unpack_from("<i", header)[0] in (348, 540) else ">"
    version_2 = struct.unpack_from(order + "i", header)[0] == 540
    # Offsets from nifti1.h and nifti2.h: dim, bitpix, pixdim, vox_offset.
    if version_2 and len(header) == 540:
        dimensions = struct.unpack_from(order + "8q", header, 16)
        bits = struct.unpack_from(order + "h", header, 14)[0]
        spacing = struct.unpack_from(order + "8d", header, 104)
        data_offset = struct.unpack_from(order + "q", header, 168)[0]
    else:
        dimensions = struct.unpack_from(order + "8h", header, 40)
        bits = struct.unpack_from(order + "h", header, 72)[0]
        spacing = struct.unpack_from(order + "8f", header, 76)
        data_offset = int(struct.unpack_from(order + "f", header, 108)[0])
    axes = dimensions[1 : 1 + max(0, min(dimensions[0], 7))]
    _check_spacing(path, list(spacing[1 : 1 + min(len(axes), 3)]))
    voxels = 1
    for length in axes:
        voxels *= max(length, 1)
    expected = data_offset + voxels * bits // 8
    present = _uncompressed_size(path, expected) if compressed else path.stat().st_size
    if present < expected:
        raise InputError(
            path, f"the file is truncated: {present} of {expected} bytes", "Copy or export it again.", code="truncated"
        )


def _uncompressed_size(path: Path, expected: int) -> int:
    """Size of the content of a gzip file, from its last four bytes if they agree, otherwise by reading it."""
    with path.open("rb") as file:
        file.seek(-4, 2)
        if struct.unpack("<I", file.read(4))[0] == expected % 2**32:
            return expected
    size = 0
    with gzip.open(path, "rb") as content:
        try:
            while block := content.read(1 << 20):
                size += len(block)
        except (EOFError, OSError, zlib.error):
            return size  # Cut off here, which is what the caller asks.
    return size
