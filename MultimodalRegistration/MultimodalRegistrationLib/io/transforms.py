"""Transforms in files: LPS, resampling direction. The formats of other tools are in ``io/tools``.

An ITK file (``.h5``, ``.tfm``, ``.txt``, ``.mat``) loads in Slicer as a transform node: Slicer inverts and converts to
RAS on reading, so that the node, applied to the moving volume, aligns it to the fixed one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.linear import LARGEST_CONDITION, condition_number
from ..core.spatial import SpatialTransform
from .input_files import refuse_special_files
from .outputs import OutputFiles
from .tools.common import Context
from .tools.dicom import read_dicom, write_dicom
from .tools.elastix import read_elastix
from .tools.elastix_file import pointed_at, read_chain, write_elastix
from .tools.itk import (
    FIELD_SUFFIXES,
    ants_items,
    looks_like_ants_list,
    read_ants,
    read_field,
    read_itk,
    write_ants,
    write_field,
    write_itk,
)
from .tools.linear import (
    read_flirt,
    read_lta,
    read_plain,
    read_register_dat,
    read_rire,
    read_spm,
    write_flirt,
    write_lta,
    write_plain,
    write_register_dat,
    write_rire,
    write_spm,
)

_HEAD_BYTES = 65536
# elastix sorts its entries; one of these comes before any long one.
_ELASTIX = re.compile(
    r"^\s*\((Transform|BSplineTransformSplineOrder|CenterOfRotationPoint|FixedImageDimension|FixedImageLandmarks|"
    r"HowToCombineTransforms)\s",
    re.MULTILINE,
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_MATRIX = re.compile(rf"(?:\s*{_NUMBER}(?:[ \t,]+{_NUMBER}){{3}}[ \t]*[\r\n]+){{2}}")
_REGISTER_DAT = re.compile(rf"[^\n]*\n(?:\s*{_NUMBER}\s*\n){{3}}\s*{_NUMBER}(?:\s+{_NUMBER}){{3}}")


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Parameters
    ----------
    words : str
        What it is.
    read : callable
        From a path and a :class:`Context`.
    write : callable
        Announces its files and writes them; returns the error in mm, 0 where it is exact.
    """

    words: str
    read: Callable[[Path, Context], SpatialTransform]
    write: Callable[[OutputFiles, Path, SpatialTransform, Context], float]


FORMATS = {
    "itk": Format(
        "ITK transform file (.h5, .tfm, .txt, .mat)",
        lambda path, _: SpatialTransform(path.name, read_itk(path)),
        write_itk,
    ),
    "field": Format(
        "image of displacements in mm, LPS", lambda path, _: SpatialTransform(path.name, read_field(path)), write_field
    ),
    "elastix": Format("TransformParameters.N.txt or .toml of elastix", read_elastix, write_elastix),
    "ants": Format("file or list of files of ANTs", read_ants, write_ants),
    "flirt": Format("matrix of FSL's FLIRT", read_flirt, write_flirt),
    "lta": Format("linear transform of FreeSurfer (.lta)", read_lta, write_lta),
    "tkregister": Format("register.dat of FreeSurfer", read_register_dat, write_register_dat),
    "spm": Format("MATLAB file with the position that SPM gave to a volume", read_spm, write_spm),
    "rire": Format("table of corners (.standard)", read_rire, write_rire),
    "dicom": Format("DICOM Spatial Registration object", read_dicom, write_dicom),
    "matrix": Format("4x4 matrix as text", read_plain, write_plain),
}


"""By the name that the command uses."""


def recognised_format(path: Path) -> str:
    """Tell the format of a file from its suffix and its first bytes.

    Parameters
    ----------
    path : Path
        A file that exists.

    Returns
    -------
    str
        One of :data:`FORMATS`.

    Raises
    ------
    InputError
        A bare matrix, which may be of several formats.
    """
    name = path.name.lower()
    if name.endswith(FIELD_SUFFIXES):
        return "field"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"MATLAB 5.0"):
        return "spm"
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff")
    if text.lstrip().startswith("#Insight Transform File"):
        return "itk"
    if name.endswith(".toml") or _ELASTIX.search(text):
        return "elastix"
    if name.endswith(".lta") or re.search(r"^nxforms\s*=", text, re.MULTILINE):
        return "lta"
    if "new_x" in text or name.endswith(".standard"):
        return "rire"
    if _MATRIX.match(text):
        raise InputError(
            path,
            "a matrix of numbers, which may be FLIRT's or of any convention",
            "Convert it first: `transform convert --from flirt --fixed F --moving M`, or `--from matrix` with --frame "
            "and --direction.",
        )
    if name.endswith(".dat") or _REGISTER_DAT.match(text):
        return "tkregister"
    return "itk"


def read_as(source: str | Path, name: str | None = None, context: Context | None = None) -> SpatialTransform:
    """Read a transform of a format, or of the one that it is recognised to have.

    Parameters
    ----------
    source : str or Path
        File, or list of ANTs.
    name : str, optional
        One of :data:`FORMATS`; recognised by default.
    context : Context, optional
        What the file leaves unsaid.

    Returns
    -------
    SpatialTransform
        ``fixed_to_moving_lps``.

    Raises
    ------
    InputError
        Missing, unreadable, of no format that can be recognised, or linear and not invertible.
    """
    context = context or Context()
    if name == "ants" or (name is None and isinstance(source, str) and looks_like_ants_list(source)):
        spatial = read_ants(source, context)
    else:
        path = Path(source)
        refuse_special_files(path)
        if path.is_dir():
            raise InputError(path, "this is a folder", "Give the file of a transform.")
        if not path.is_file():
            raise InputError(path, "no such file", "Check the spelling and the folder.")
        spatial = FORMATS[name or recognised_format(path)].read(path, context)
    condition = 1.0 if spatial.matrix is None else condition_number(spatial.matrix)
    if condition > LARGEST_CONDITION:
        raise InputError(
            source,
            f"the transform cannot be inverted (condition number {condition:.3g})",
            "Give a transform that does not flatten space.",
        )
    return spatial


def files_of(source: str | Path, name: str | None = None) -> list[Path]:
    """All files that :func:`read_as` reads: those of a list of ANTs, and those that a file of elastix builds on."""
    if name == "ants" or (name is None and isinstance(source, str) and looks_like_ants_list(source)):
        return [item.path for item in ants_items(str(source))]
    path = Path(source)
    if path.is_file() and (name or recognised_format(path)) == "elastix":
        return [one for file in read_chain(path) for one in (file.path, *pointed_at(file))]
    return [path]


def write_as(
    outputs: OutputFiles, path: str | Path, name: str, transform: SpatialTransform, context: Context | None = None
) -> float:
    """Write a transform in a format.

    Parameters
    ----------
    outputs : OutputFiles
        The files are announced there, and appear with its commit.
    path : str or Path
        Output.
    name : str
        One of :data:`FORMATS`.
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    context : Context, optional
        What the format needs beside the transform.

    Returns
    -------
    float
        Largest difference in mm that was found from the transform; 0 where it is written exactly.

    Raises
    ------
    InputError
        The format cannot hold such a transform, or something that it needs was not given.
    """
    return FORMATS[name].write(outputs, Path(path), transform, context or Context())


def read_transform(path: str | Path) -> SpatialTransform:
    """Read a transform of any kind that its file tells by itself.

    Parameters
    ----------
    path : str or Path
        ITK transform, also a composite; image with a displacement in mm, LPS, at each voxel; transform parameter file
        of elastix; file of ANTs, or their list as for ``antsApplyTransforms``; LTA of FreeSurfer; DICOM Spatial
        Registration object.

    Returns
    -------
    SpatialTransform
        ``fixed_to_moving_lps``, with the file's name.

    Raises
    ------
    InputError
        Missing, unreadable, not three-dimensional, linear and not invertible, or of a format that needs the volumes or
        the convention: the remedy names the command that converts it.
    """
    return read_as(path)


def approximation(transform: SpatialTransform) -> str | None:
    """A warning about a transform that was not read exactly; None for all others."""
    if transform.error_mm == 0:
        return None
    return f"{transform.name} was read as a grid of displacements, which is within {transform.error_mm:.4f} mm of it."


def read_linear_transform(path: str | Path) -> NDArray[np.float64]:
    """Read a linear ITK transform.

    Parameters
    ----------
    path : str or Path
        Any linear ITK transform, also a composite of linear ones.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, mm.

    Raises
    ------
    InputError
        Missing, unreadable, not linear, not three-dimensional or not invertible.
    """
    spatial = read_transform(path)
    if spatial.matrix is None:
        raise InputError(path, "this is a non-linear transform", "The initial transform must be linear.")
    return spatial.matrix
