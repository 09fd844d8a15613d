"""Parameter files of elastix: read, in its own notation or in TOML, with those that they build on, and written."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.linear import matrix_from_sitk
from ...core.spatial import SpatialTransform
from ..input_files import refuse_special_files
from ..outputs import OutputFiles, writing
from .common import AGAIN, Context, field_of_transform, numbers_of_line, read_lines

_NONE = "NoInitialTransform"
_LINE = re.compile(r"\((\w+)(?:\s(.*))?\)\s*(?://.*)?$")
_VALUE = re.compile(r'"([^"]*)"|([^\s"]+)')
_SUFFIXES = (".txt",)
_RESAMPLING = {
    "ResampleInterpolator": "FinalBSplineInterpolator",
    "FinalBSplineInterpolationOrder": 3,
    "Resampler": "DefaultResampler",
    "DefaultPixelValue": 0,
    "ResultImageFormat": "nii",
    "ResultImagePixelType": "float",
}


@dataclass(frozen=True)
class ElastixFile:
    """What one file says.

    Parameters
    ----------
    path : Path
        Where it is.
    entries : dict of str to (int, tuple of str)
        Line, counted from one, and values of each parameter.
    """

    path: Path
    entries: dict[str, tuple[int, tuple[str, ...]]]

    def text(self, key: str, default: str | None = None) -> str:
        """The first value of a parameter."""
        line, values = self._entry(key, None if default is None else (default,))
        if not values:
            raise InputError(self.path, f"line {line}: {key} has no value", AGAIN)
        return values[0]

    def numbers(self, key: str, count: int | None = None, default: tuple[float, ...] | None = None) -> list[float]:
        """The numbers of a parameter, as many as must be there."""
        line, values = self._entry(key, None if default is None else tuple(map(str, default)))
        return numbers_of_line(self.path, line, values, count)

    def error(self, key: str, found: str, remedy: str) -> InputError:
        """An error about a parameter, with its line."""
        line, _ = self.entries.get(key, (0, ()))
        return InputError(self.path, f"line {line}: {found}" if line else found, remedy)

    def _entry(self, key: str, default: tuple[str, ...] | None) -> tuple[int, tuple[str, ...]]:
        if key in self.entries:
            return self.entries[key]
        if default is None:
            raise InputError(self.path, f"the parameter {key} is missing", "The file may be cut off; copy it again.")
        return 0, default


def read_elastix_file(path: Path) -> ElastixFile:
    """Read one parameter file.

    Raises
    ------
    InputError
        Missing, or not such a file, with the line.
    """
    lines = read_lines(path)
    if path.suffix.lower() == ".toml":
        return ElastixFile(path, dict(_toml_entries(path, lines)))
    entries: dict[str, tuple[int, tuple[str, ...]]] = {}
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("//"):
            continue
        found = _LINE.match(stripped)
        if found is None:
            raise InputError(path, f"line {number}: {stripped[:40]!r} is not of the form (Name value ...)", AGAIN)
        key, body = found[1], found[2] or ""
        values = tuple(a or b for a, b in _VALUE.findall(body)) if '"' in body else tuple(body.split())
        if key in entries:
            raise InputError(path, f"line {number}: {key} is given twice, first in line {entries[key][0]}", AGAIN)
        entries[key] = (number, values)
    return ElastixFile(path, entries)


def _toml_entries(path: Path, lines: list[str]) -> Iterator[tuple[str, tuple[int, tuple[str, ...]]]]:
    try:
        toml: Any = importlib.import_module("tomllib")
    except ImportError as error:
        raise InputError(
            path,
            "TOML can be read from Python 3.11 on",
            'Let elastix write (OutputTransformParameterFileFormat "txt").',
        ) from error
    try:
        content = toml.loads("\n".join(lines))
    except toml.TOMLDecodeError as error:
        raise InputError(path, f"not TOML: {error}", AGAIN) from error
    for key, value in content.items():
        line = next((n for n, text in enumerate(lines, start=1) if re.match(rf'\s*"?{re.escape(key)}"?\s*=', text)), 0)
        if isinstance(value, dict):
            raise InputError(path, f"line {line}: {key} is a table", "Give a file that elastix wrote.")
        values = value if isinstance(value, list) else [value]
        yield key, (line, tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values))


def read_chain(path: Path) -> list[ElastixFile]:
    """Read a file and those that it builds on.

    Parameters
    ----------
    path : Path
        The last one.

    Returns
    -------
    list of ElastixFile
        The one that is applied first comes first.

    Raises
    ------
    InputError
        One is missing or unreadable, or they go round in a circle.
    """
    chain = [read_elastix_file(path)]
    seen = {path.resolve()}
    while True:
        last = chain[0]
        # The name with an s is of versions before 5.
        key = next(
            (
                k
                for k in ("InitialTransformParameterFileName", "InitialTransformParametersFileName")
                if k in last.entries
            ),
            None,
        )
        name = _NONE if key is None else last.text(key, "")
        if key is None or name in ("", _NONE):
            return chain
        initial = beside(last, key, name)
        if initial.resolve() in seen:
            raise last.error(key, f"the initial transforms go round in a circle at {name}", "Correct the file names.")
        seen.add(initial.resolve())
        chain.insert(0, read_elastix_file(initial))


def pointed_at(file: ElastixFile) -> list[Path]:
    """Files of other kinds that one points to: an ITK transform or a field."""
    keys = ("TransformFileName", "DeformationFieldFileName")
    return [beside(file, key, file.text(key)) for key in keys if key in file.entries]


def beside(file: ElastixFile, key: str, name: str) -> Path:
    """The file that an entry names: where an absolute path says, else in the folder of the file that names it.

    elastix writes paths as seen from the folder that it was started in, so the last part alone is looked for, too.

    Raises
    ------
    InputError
        It is not there.
    """
    folder = file.path.parent
    candidates = [Path(name)] if Path(name).is_absolute() else []
    within = (folder / name).resolve()
    if within.is_relative_to(folder.resolve()):
        candidates.append(within)
    # Also splits at slashes, so that files can be moved between systems.
    candidates.append(folder / PureWindowsPath(name).name)
    for candidate in candidates:
        refuse_special_files(candidate)
        if candidate.is_file():
            return candidate
    raise file.error(key, f"it builds on {name}, which is not there", f"Put that file into the folder {folder}.")


def write_elastix(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a chain of transform parameter files.

    Parameters
    ----------
    outputs : OutputFiles
        All files are announced there: ``path``, and beside it those that it builds on, ``NAME.initial0.txt`` and so on,
        and ``NAME.field0.nii`` where there is a displacement field.
    path : Path
        The file to give to transformix. Displacement fields are named without a folder, as seen from theirs.
    transform : SpatialTransform
        ``fixed_to_moving_lps``. Linear parts, B-splines and displacement fields are written as such.
    context : Context
        With the fixed volume, whose grid transformix resamples to.

    Returns
    -------
    float
        ``error_mm``: 0, as all parts are written exactly, but displacements in 32 bit.
    """
    grid = context.need_fixed(path, "the file tells the grid that transformix resamples to").grid
    parts = _merged([stage.transform for stage in transform.stages])
    error_mm = 0.0
    initial = "NoInitialTransform"
    for number, part in enumerate(parts):
        target = path if number == len(parts) - 1 else path.with_name(f"{path.stem}.initial{number}{path.suffix}")
        staged = outputs.add(target, _SUFFIXES)
        if isinstance(part, np.ndarray):
            entries = _affine(part)
        elif part.GetName() == "BSplineTransform":
            entries = _bspline(sitk.BSplineTransform(part))
        elif part.GetName() == "DisplacementFieldTransform":
            field = path.with_name(f"{path.stem}.field{number}.nii")
            error_mm += _write_field(outputs, field, part, context)
            entries = {
                "Transform": "DeformationFieldTransform",
                "DeformationFieldFileName": field.name,
                "DeformationFieldInterpolationOrder": 1,
                "NumberOfParameters": 0,
            }
        else:
            raise InputError(path, f"elastix has nothing like a {part.GetName()}", "Write it as a displacement field.")
        common = {**_of_grid(grid), "HowToCombineTransforms": "Compose", "InitialTransformParameterFileName": initial}
        content = {**entries, **common, **_RESAMPLING}
        staged.write_text("".join(_line(key, value) for key, value in content.items()), encoding="utf-8")
        initial = target.name
    return error_mm


def _merged(parts: list[sitk.Transform]) -> list[NDArray[np.float64] | sitk.Transform]:
    """Linear parts that follow each other become one matrix, shape (4, 4)."""
    merged: list[NDArray[np.float64] | sitk.Transform] = []
    for part in parts:
        if not part.IsLinear():
            merged.append(part)
        elif merged and isinstance(merged[-1], np.ndarray):
            merged[-1] = matrix_from_sitk(part) @ merged[-1]
        else:
            merged.append(matrix_from_sitk(part))
    return merged


def _affine(matrix: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "Transform": "AffineTransform",
        "NumberOfParameters": 12,
        "TransformParameters": [*matrix[:3, :3].ravel().tolist(), *matrix[:3, 3].tolist()],
        "CenterOfRotationPoint": [0.0, 0.0, 0.0],
    }


def _bspline(part: sitk.BSplineTransform) -> dict[str, Any]:
    fixed = part.GetFixedParameters()
    return {
        "Transform": "BSplineTransform",
        "NumberOfParameters": part.GetNumberOfParameters(),
        "TransformParameters": list(part.GetParameters()),
        "BSplineTransformSplineOrder": part.GetOrder(),
        "UseCyclicTransform": False,
        "GridSize": [int(number) for number in fixed[:3]],
        "GridIndex": [0, 0, 0],
        "GridOrigin": list(fixed[3:6]),
        "GridSpacing": list(fixed[6:9]),
        "GridDirection": _by_columns(fixed[9:18]),
    }


def _of_grid(grid: VolumeGrid) -> dict[str, Any]:
    return {
        "FixedImageDimension": 3,
        "MovingImageDimension": 3,
        "FixedInternalImagePixelType": "float",
        "MovingInternalImagePixelType": "float",
        "Size": list(grid.size),
        "Index": [0, 0, 0],
        "Spacing": list(grid.spacing_mm),
        "Origin": list(grid.origin_lps),
        "Direction": _by_columns(grid.direction),
        "UseDirectionCosines": True,
    }


def _by_columns(direction: tuple[float, ...]) -> list[float]:
    return list(np.reshape(direction, (3, 3)).T.ravel().tolist())


def _write_field(outputs: OutputFiles, path: Path, part: sitk.Transform, context: Context) -> float:
    staged = outputs.add(path, (".nii",))
    image, error_mm = field_of_transform(path, SpatialTransform("", part), context)
    with writing(path):
        sitk.WriteImage(sitk.Cast(image, sitk.sitkVectorFloat32), str(staged))
    return error_mm


def _line(key: str, value: Any) -> str:
    words = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            words.append(f'"{str(one).lower()}"')
        else:
            words.append(f'"{one}"' if isinstance(one, str) else repr(one))
    return f"({key} {' '.join(words)})\n"
