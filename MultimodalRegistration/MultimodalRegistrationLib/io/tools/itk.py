"""Transforms of ITK and ANTs: ITK files, displacement fields in images, and lists as for ``antsApplyTransforms``.

All are LPS, mm, resampling direction. A list of ANTs maps fixed to moving points in its order:
``1Warp.nii.gz 0GenericAffine.mat`` takes a fixed point through the warp and then through the affine transform.
``[0GenericAffine.mat,1]`` is the inverse of a linear one, so that ``[0GenericAffine.mat,1] 1InverseWarp.nii.gz`` maps
back.

ITK lets the HDF5 library note four times in the header of each object, which nothing reads; without them the same
content makes the same file. Version 2 of these headers (HDF5 file format specification 3.0, section IV.A.1.b) ends with
a checksum, Jenkins' lookup3.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

from ...core.errors import InputError
from ...core.linear import matrix_from_sitk, sitk_from_matrix
from ...core.spatial import SpatialTransform
from ..input_files import refuse_special_files
from ..outputs import OutputFiles, writing
from .common import AGAIN, Context, checked_inverse, field_of_transform, loadmat_or_error, read_lines

TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")
NONLINEAR_SUFFIXES = (".h5", ".tfm")
FIELD_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
# Without those that keep their voxels in a second file, which would have to be renamed with the first.
OUTPUT_FIELD_SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")
_REMEDY = "Give a transform that Slicer, ANTs or SimpleITK saved as .h5, .tfm, .txt or .mat, or a displacement field."
_SIGNATURE = b"OHDR\x02"
_TIMES = 0x20
_LIMITS = 0x10
_MASK = 0xFFFFFFFF
# Of a header with times: signature, flags, times, size, checksum.
_SHORTEST = 27
_ITEM = re.compile(
    r"""\s*(?:\[\s*(?P<inner>[^\[\]]+?)\s*,\s*(?P<flag>[01])\s*\]|"(?P<quoted>[^"]+)"|(?P<plain>[^\s"\[\]]+))"""
)


def read_itk(path: Path) -> sitk.Transform:
    """Read an ITK transform file of any kind.

    Raises
    ------
    InputError
        Unreadable, or not three-dimensional.
    """
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        if b"Inverse" in path.read_bytes():
            raise InputError(
                path,
                "this holds the inverse of a non-linear transform, which only Slicer can read",
                "In Slicer's Transforms module, convert it to a grid transform and save that.",
            ) from error
        raise InputError(path, "this is not an ITK transform file", _REMEDY) from error
    if transform.GetDimension() != 3:
        raise InputError(path, f"this is a {transform.GetDimension()}D transform", "Give a three-dimensional one.")
    _check_whole(path, transform)
    return transform


def _check_whole(path: Path, transform: sitk.Transform) -> None:
    """Refuse files that are cut off: ITK takes what is missing for zero, or for whatever is in memory."""
    with path.open("rb") as file:
        is_text = file.read(1) == b"#"
    if is_text:
        parts = _parts(transform)
        lines = read_lines(path)
        for key, counts in (
            ("Parameters:", [part.GetNumberOfParameters() for part in parts]),
            # Euler transforms had three before they had four.
            ("FixedParameters:", [min(part.GetNumberOfFixedParameters(), 3) for part in parts]),
        ):
            found = [(n, len(line.split()) - 1) for n, line in enumerate(lines, start=1) if line.startswith(key)]
            if len(found) < len(parts):
                raise InputError(path, f"the file ends at line {len(lines)}, before {key[:-1]}", AGAIN)
            for (line, count), least in zip(found, counts, strict=False):
                if count < least:
                    raise InputError(path, f"line {line}: {count} numbers instead of {least}", AGAIN)
    elif path.suffix.lower() == ".mat":
        # Checked with SciPy, which notices when the file is too short.
        loadmat_or_error(path)


def _parts(transform: sitk.Transform) -> list[sitk.Transform]:
    """The transforms in a file, in its order; a transform of an unnamed class comes in a composite of one."""
    if transform.GetName() != "CompositeTransform":
        return [transform]
    composite = sitk.CompositeTransform(transform)
    return [composite.GetNthTransform(number) for number in range(composite.GetNumberOfTransforms())]


def read_field(path: Path) -> sitk.DisplacementFieldTransform:
    """Read an image with a displacement in mm, LPS, at each voxel.

    Raises
    ------
    InputError
        Unreadable, no displacements, or some that are not finite.
    """
    try:
        image = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
    except RuntimeError as error:
        raise InputError(path, "this is not an image that can be read", _REMEDY) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        found = f"{image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} components"
        raise InputError(path, f"an image of {found}, not a displacement field", _REMEDY)
    if not np.all(np.isfinite(sitk.GetArrayViewFromImage(image))):
        raise InputError(path, "some displacements are not finite", "Set them to zero, or crop the field.")
    return sitk.DisplacementFieldTransform(image)


def write_linear_transform(path: str | Path, fixed_to_moving_lps: ArrayLike) -> None:
    """Write a linear transform as an ITK affine transform.

    Parameters
    ----------
    path : str or Path
        File with one of :data:`TRANSFORM_SUFFIXES`.
    fixed_to_moving_lps : array, shape (4, 4)
        Maps fixed points to moving points, LPS, mm.
    """
    _write(sitk_from_matrix(fixed_to_moving_lps), Path(path))


def write_transform(path: str | Path, transform: SpatialTransform, *, target: str | Path | None = None) -> None:
    """Write a transform of any kind.

    Parameters
    ----------
    path : str or Path
        A linear transform has one of :data:`TRANSFORM_SUFFIXES`, others one of :data:`NONLINEAR_SUFFIXES`, a single
        grid of displacements also one of :data:`OUTPUT_FIELD_SUFFIXES`.
    transform : SpatialTransform
        ``fixed_to_moving_lps``; a composite is written with its stages.
    target : str or Path, optional
        What messages call the file, where it is written under another name first.

    Raises
    ------
    InputError
        The file type cannot hold this kind of transform, or the file cannot be written.
    """
    name, shown = str(path).lower(), path if target is None else target
    single = transform.stages[0].transform
    grid = transform.matrix is None and len(transform.stages) == 1 and single.GetName() == "DisplacementFieldTransform"
    if transform.matrix is not None:
        kind = "a linear transform"
        suffixes: tuple[str, ...] = TRANSFORM_SUFFIXES
    elif grid:
        kind, suffixes = "a grid of displacements", (*NONLINEAR_SUFFIXES, *OUTPUT_FIELD_SUFFIXES)
    else:
        kind, suffixes = "a non-linear transform with its stages", NONLINEAR_SUFFIXES
    if not name.endswith(suffixes):
        raise InputError(shown, f"this file type cannot hold {kind}", f"Use one of {', '.join(suffixes)}.")
    with writing(shown):
        if transform.matrix is not None:
            write_linear_transform(path, transform.matrix)
        elif name.endswith(NONLINEAR_SUFFIXES):
            # ITK writes no composite within a composite.
            parts = [stage.transform for stage in reversed(transform.stages)]
            _write(sitk.CompositeTransform(parts) if len(parts) > 1 else parts[0], Path(path))
        else:
            field = sitk.DisplacementFieldTransform(single).GetDisplacementField()
            sitk.WriteImage(sitk.Cast(field, sitk.sitkVectorFloat32), str(path), True)


def _write(transform: sitk.Transform, path: Path) -> None:
    sitk.WriteTransform(transform, str(path))
    if path.name.lower().endswith(".h5"):
        erase_times(path)


def write_itk(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write an ITK transform file; returns the error, which is 0."""
    write_transform(outputs.add(path, TRANSFORM_SUFFIXES), transform, target=path)
    return 0.0


def write_field(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a displacement field; returns the largest difference in mm between its nodes, where it was looked at."""
    staged = outputs.add(path, OUTPUT_FIELD_SUFFIXES)
    image, error_mm = field_of_transform(path, transform, context)
    with writing(path):
        sitk.WriteImage(image, str(staged), True)
    return error_mm


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


@dataclass(frozen=True)
class AntsItem:
    """One transform of a list.

    Parameters
    ----------
    path : Path
        Its file.
    inverted : bool
        Whether its inverse is meant.
    """

    path: Path
    inverted: bool


def ants_items(text: str) -> list[AntsItem]:
    """Take a list apart; a path that exists is one item, spaces and all.

    Raises
    ------
    InputError
        Brackets or quotes that do not match, or a flag other than 0 or 1.
    """
    if _exists(text):
        return [AntsItem(Path(text), inverted=False)]
    items, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        found = _ITEM.match(stripped, position)
        if found is None:
            raise InputError(
                text,
                f"the list cannot be understood from {stripped[position : position + 30]!r} on",
                "Write it as for antsApplyTransforms: '1Warp.nii.gz 0GenericAffine.mat' or '[0GenericAffine.mat,1]'.",
            )
        name = found["inner"] or found["quoted"] or found["plain"]
        items.append(AntsItem(Path(name.strip('"')), inverted=found["flag"] == "1"))
        position = found.end()
    return items


def looks_like_ants_list(text: str) -> bool:
    """Whether a text that is not the path of a file can only be a list of ANTs."""
    if _exists(text):
        return False
    if re.match(r"\s*\[.+,\s*[01]\s*\]", text):
        return True
    words = text.split()
    return len(words) > 1 and all(_exists(word.strip('"')) or word.startswith("[") for word in words)


def read_ants(text: str | Path, context: Context) -> SpatialTransform:
    """Read a file or a list of files of ANTs.

    Parameters
    ----------
    text : str or Path
        In the notation of ``antsApplyTransforms``.
    context : Context
        Not used.

    Returns
    -------
    SpatialTransform
        ``fixed_to_moving_lps``, if the list is the one that warps the moving image to the fixed one.

    Raises
    ------
    InputError
        A file is missing or unreadable, or a warp is to be inverted.
    """
    items = ants_items(str(text))
    if len(items) == 1 and not items[0].inverted:
        return SpatialTransform(items[0].path.name, _read_item(items[0]))
    parts = [_read_item(item) for item in items]
    if not parts:
        raise InputError(str(text), "the list is empty", "Give the files as for antsApplyTransforms.")
    # SimpleITK applies the last of a composite first.
    whole = parts[0] if len(parts) == 1 else sitk.CompositeTransform(parts[::-1])
    return SpatialTransform(str(text), whole)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        # A list may be longer than any path.
        return False


def _read_item(item: AntsItem) -> sitk.Transform:
    refuse_special_files(item.path)
    if not item.path.is_file():
        raise InputError(item.path, "no such file", "Check the spelling and the folder.")
    if item.path.name.lower().endswith(FIELD_SUFFIXES):
        if item.inverted:
            raise InputError(
                item.path,
                "a warp cannot be inverted by a flag",
                "Give the inverse that ANTs wrote (1InverseWarp.nii.gz).",
            )
        return read_field(item.path)
    transform = read_itk(item.path)
    if not item.inverted:
        return transform
    if not transform.IsLinear():
        raise InputError(item.path, "only a linear transform can be inverted by a flag", "Give the list of its parts.")
    return sitk_from_matrix(checked_inverse(item.path, matrix_from_sitk(transform)))


def write_ants(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a linear transform as ``.mat``, any as a warp on the grid of the fixed volume.

    Returns
    -------
    float
        ``error_mm`` between the nodes of a warp, 0 where it is exact.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return write_field(outputs, path, transform, context)
    if path.suffix.lower() not in (".mat", ".txt"):
        raise InputError(path, "this file type cannot be written for ANTs", "Use .mat for linear ones, or .nii.gz.")
    if transform.matrix is None:
        raise InputError(path, "a non-linear transform", "Write it as a warp, .nii.gz, with --fixed.")
    return write_itk(outputs, path, SpatialTransform.of_matrix(transform.name, transform.matrix), context)
