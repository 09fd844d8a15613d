"""Headers of NRRD, MetaImage and NIfTI files as they are written: faults, and where the voxels lie.

ITK reads a negative spacing as a flipped axis and fills the missing end of a NIfTI file with zeros. Both are
signs of a damaged or wrongly written file, and a registration of what ITK makes of it would look like a success.

Of ITK's readers for these formats only MetaImage and uncompressed NIfTI read a part of a file; NRRD and everything
compressed is read whole. The headers are simple enough to find the voxels without them; the geometry is ITK's.

References
----------
NRRD: https://teem.sourceforge.net/nrrd/format.html; MetaImage: https://itk.org/Wiki/ITK/MetaIO/Documentation;
NIfTI-1 and -2: https://nifti.nimh.nih.gov.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from numpy.typing import DTypeLike

from ..core.errors import InputError
from .input_files import text_header

_HEADER_BYTES = 4096
_SPACING_LINE = re.compile(rb"^(?:ElementSpacing|ElementSize|spacings)\s*[=:]\s*([^\r\n]+)", re.MULTILINE)
_NRRD_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_META_TYPES = {
    "CHAR": "i1",
    "UCHAR": "u1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
# From nifti1.h.
_NIFTI_TYPES = {
    "2": "u1",
    "4": "i2",
    "8": "i4",
    "16": "f4",
    "64": "f8",
    "256": "i1",
    "512": "u2",
    "768": "u4",
    "1024": "i8",
    "1280": "u8",
}


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


@dataclass(frozen=True)
class RawLayout:
    """Where the voxels of a file lie.

    Parameters
    ----------
    path : Path
        The file that holds them, which may be another than the header's.
    offset : int
        Bytes before them, or before their compressed form; -1: they are the end of the file.
    coding : str
        ``raw``, ``gzip`` or ``zlib``.
    dtype : numpy.dtype
        Type and byte order.
    skip : int
        Bytes before the voxels in the uncompressed content.
    slope, intercept : float
        The value of a voxel is ``slope * stored + intercept``.
    """

    path: Path
    offset: int
    coding: Literal["raw", "gzip", "zlib"]
    dtype: np.dtype[np.generic]
    skip: int = 0
    slope: float = 1.0
    intercept: float = 0.0

    @contextmanager
    def open(self, size_bytes: int) -> Iterator[io.BufferedIOBase]:
        """A stream of the uncompressed voxels, of which there are ``size_bytes``."""
        with self.path.open("rb") as file:
            file.seek(self.offset if self.offset >= 0 else self.path.stat().st_size - size_bytes)
            stream: io.BufferedIOBase = file
            if self.coding == "gzip":
                stream = gzip.GzipFile(fileobj=file)
            elif self.coding == "zlib":
                stream = io.BufferedReader(_ZlibStream(file), 1 << 17)
            stream.read(self.skip)
            yield stream


class _ZlibStream(io.RawIOBase):
    """The uncompressed content of a zlib stream, a block at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._inflate.eof:
            block = self._inflate.unconsumed_tail or self._file.read(1 << 16)
            if not block:
                break
            content = self._inflate.decompress(block, len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)
        return 0


def find_layout(path: Path) -> RawLayout:
    """Find the voxels of a NRRD, MetaImage or NIfTI file.

    Parameters
    ----------
    path : Path
        A file that ITK can read.

    Returns
    -------
    RawLayout
        Where they are.

    Raises
    ------
    InputError
        They are coded in a way, such as text or several files, that cannot be read slice by slice.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _nifti(path)
    return _nrrd(path) if name.endswith((".nrrd", ".nhdr")) else _meta(path)


def _not_in_slices(path: Path, why: str) -> InputError:
    return InputError(
        path,
        f"{why}, which cannot be read slice by slice, and the whole does not fit into the memory that may be used",
        "Convert it to an uncompressed .nrrd file, or run it on a machine with more memory.",
    )


def _look_up(path: Path, types: dict[str, str], key: str, order: str) -> np.dtype[np.generic]:
    code = types.get(key)
    if code is None:
        raise _not_in_slices(path, f"the voxels are of the type '{key}'")
    return np.dtype(cast(DTypeLike, order + code))


def _nrrd(path: Path) -> RawLayout:
    lines, offset = text_header(path, lambda line: not line.strip())
    fields = {}
    for line in lines[1:]:
        key, colon, value = line.partition(": ")
        if colon and not line.startswith("#") and ":=" not in key:
            fields[key.lower().replace(" ", "")] = value.strip()
    types = {synonym: code for code, synonyms in _NRRD_TYPES.items() for synonym in synonyms.split(", ")}
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    dtype = _look_up(path, types, fields.get("type", "").lower(), order)
    coding = fields.get("encoding", "").lower()
    if coding not in ("raw", "gz", "gzip"):
        raise _not_in_slices(path, f"the voxels have the encoding '{coding}'")
    data, skip = path, int(fields.get("byteskip", "0"))
    if (detached := fields.get("datafile")) is not None:
        data, offset = path.parent / detached, 0
        if not data.is_file():
            raise _not_in_slices(path, f"the voxels are in several files ('{detached}')")
    if lines_to_skip := int(fields.get("lineskip", "0")):
        with data.open("rb") as file:
            file.seek(offset)
            for _ in range(lines_to_skip):
                file.readline()
            offset = file.tell()
    if coding == "raw":
        return RawLayout(data, offset + skip if skip >= 0 else -1, "raw", dtype)
    return RawLayout(data, offset, "gzip", dtype, skip)


def _meta(path: Path) -> RawLayout:
    lines, offset = text_header(path, lambda line: line.split(b"=")[0].strip() == b"ElementDataFile")
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}

    def says(*keys: str) -> bool:
        return any(fields.get(key, "False").lower() in ("true", "1") for key in keys)

    order = ">" if says("BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    dtype = _look_up(path, _META_TYPES, fields.get("ElementType", "").removeprefix("MET_"), order)
    if not says("BinaryData"):
        raise _not_in_slices(path, "the voxels are written as text")
    data = path
    if (where := fields.get("ElementDataFile", "")).upper() != "LOCAL":
        data, offset = path.parent / where, int(fields.get("HeaderSize", "0"))
        if not data.is_file():
            raise _not_in_slices(path, f"the voxels are in several files ('{where}')")
    return RawLayout(data, offset, "zlib" if says("CompressedData") else "raw", dtype)


def _nifti(path: Path) -> RawLayout:
    compressed = path.name.lower().endswith(".gz")
    with cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb") as file:
        header = file.read(540)
    order = "<" if struct.unpack_from("<i", header)[0] in (348, 540) else ">"
    # Offsets from nifti1.h and nifti2.h: datatype, vox_offset, scl_slope, scl_inter.
    if struct.unpack_from(order + "i", header)[0] == 540:
        datatype = struct.unpack_from(order + "h", header, 12)[0]
        start, slope, intercept = struct.unpack_from(order + "qdd", header, 168)
    else:
        datatype = struct.unpack_from(order + "h", header, 70)[0]
        start, slope, intercept = struct.unpack_from(order + "fff", header, 108)
    # As ITK has it: no slope, or one that is no number, is a slope of one.
    slope = slope if slope and np.isfinite(slope) else 1.0
    intercept = intercept if np.isfinite(intercept) else 0.0
    dtype = _look_up(path, _NIFTI_TYPES, str(datatype), order)
    offset, skip = (0, int(start)) if compressed else (int(start), 0)
    return RawLayout(path, offset, "gzip" if compressed else "raw", dtype, skip, slope, intercept)
