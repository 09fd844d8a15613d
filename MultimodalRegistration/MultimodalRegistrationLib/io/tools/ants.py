"""Transforms of ANTs: a file, or a list as it is given to ``antsApplyTransforms``.

The list maps fixed to moving points in its order: ``1Warp.nii.gz 0GenericAffine.mat`` takes a fixed point through the
warp and then through the affine transform. ``[0GenericAffine.mat,1]`` is the inverse of a linear one, so that
``[0GenericAffine.mat,1] 1InverseWarp.nii.gz`` maps back. Files hold LPS, mm, in the direction of the points.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from ...core.errors import InputError
from ...core.linear import matrix_from_sitk, sitk_from_matrix
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from ..special_files import refuse_special_files
from .context import Context
from .itk import FIELD_SUFFIXES, read_field, read_itk, write_field, write_itk
from .text import checked_inverse

__all__ = ["AntsItem", "ants_items", "looks_like_ants_list", "read_ants", "write_ants"]

_ITEM = re.compile(
    r"""\s*(?:\[\s*(?P<inner>[^\[\]]+?)\s*,\s*(?P<flag>[01])\s*\]|"(?P<quoted>[^"]+)"|(?P<plain>[^\s"\[\]]+))"""
)


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
        return SpatialTransform(items[0].path.name, _read(items[0]))
    parts = [_read(item) for item in items]
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


def _read(item: AntsItem) -> sitk.Transform:
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
